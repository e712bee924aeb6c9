#!/usr/bin/env bash
# image.sh PROFILE TAG CONTEXT: builds the image TAG for this machine from the static binary; CONTEXT is `.` or a folder made for it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/packages.sh"
profile=$1 tag=$2 context=$3
docker=$(where_is engine) || { say "no Docker engine: $(cat "$components/engine" 2>/dev/null)"; exit 1; }

case $(uname -m) in x86_64) arch=amd64 ;; aarch64) arch=arm64 ;; *) arch=$(uname -m) ;; esac
"$here/static_binary.sh" "$profile" "$context/dist/$arch"
[ "$context" = . ] || cp "$root/Dockerfile" "$context/Dockerfile"
DOCKER_BUILDKIT=1 "$docker" build --quiet --build-arg BINARY=prebuilt --tag "$tag" "$context"
