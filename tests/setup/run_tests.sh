#!/usr/bin/env bash
# Builds the image that the container tests run, then runs every test; nextest's closing lines end the output.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/packages.sh"
cd "$root" || exit 1

if ! where_is engine >/dev/null; then
  absent image "there is no engine to build it"
elif "$here/image.sh" dev touchdown:test "$components/context" >"$components/image.log" 2>&1; then
  ready image touchdown:test
else
  cat "$components/image.log" >&2
  say "the image does not build"
  exit 1
fi

grep -H '^absent' "$components"/* 2>/dev/null | sed -E 's|^.*/([^/:]+):absent |skipped: \1: |' >&2
exec cargo nextest run --locked "$@"
