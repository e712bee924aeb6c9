#!/bin/sh
# A picture of a job summary as GitHub shows it: tests/render/render.sh SUMMARY.md OUT.png [light|dark]
# Needs npm and Chromium; what is missing is installed (Debian) or named.
set -eu
summary=$1 picture=$2 scheme=${3:-light}
root=$(cd "$(dirname "$0")/../.." && pwd)
tools=$root/target/tools
styles=$tools/node_modules/github-markdown-css
[ -d "$styles" ] || npm install --silent --no-fund --no-audit --prefix "$tools" github-markdown-css@5
if ! command -v chromium >/dev/null; then
    apt-get install -y -qq chromium fonts-noto-color-emoji fonts-liberation >/dev/null || {
        echo "no picture: install chromium and fonts-noto-color-emoji" >&2
        exit 1
    }
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cargo run --quiet --manifest-path "$root/Cargo.toml" --example render -- \
    "$summary" "$work/page.html" "$styles/github-markdown-$scheme.css" "$scheme"
shoot() {
    chromium --headless --no-sandbox --disable-gpu --disable-background-networking --disable-component-update --disable-sync \
        --hide-scrollbars --user-data-dir="$work/profile" --window-size="1012,$1" "$2" "file://$work/page.html" 2>/dev/null
}
# The page tells its own height, so that the picture ends where the summary does.
printf '<script>document.title = document.querySelector("article").getBoundingClientRect().height</script>' >> "$work/page.html"
height=$(shoot 1600 --dump-dom | sed -n 's:.*<title>\([0-9]*\).*:\1:p' | head -n 1)
shoot "${height:-1600}" "--screenshot=$work/picture.png" >/dev/null
mv "$work/picture.png" "$picture"
