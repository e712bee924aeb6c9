#!/usr/bin/env bash
# static_binary.sh PROFILE DIRECTORY: builds the static binary (PROFILE dev or release) and lays out the image's root in DIRECTORY:
# the binary, its second name and /tmp. The Dockerfile's stage `prebuilt` copies it as it is.
set -euo pipefail
. "$(cd "$(dirname "$0")" && pwd)/packages.sh"
profile=$1 out=$2
cd "$root"

triple=$(where_is static) || { say "call tests/setup/setup.sh static first"; exit 1; }
built=$target/$triple/$([ "$profile" = dev ] && echo debug || echo "$profile")/touchdown
case $triple in
  *-musl) export "CC_${triple//-/_}=musl-gcc" ;;
  # With --target the flag reaches the target's crates only: procedural macros cannot be linked statically.
  *-gnu) export RUSTFLAGS="-C target-feature=+crt-static" ;;
esac
cargo build --locked --quiet --profile "$profile" --target "$triple" --bin touchdown

mkdir -p "$out/tmp"
chmod 1777 "$out/tmp"
cp "$built" "$out/touchdown"
ln -sfn touchdown "$out/touchdown-post"
say "$out/touchdown: $triple, $(stat -c %s "$out/touchdown") bytes"
