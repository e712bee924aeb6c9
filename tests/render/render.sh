#!/usr/bin/env bash
# Pictures of job summaries as GitHub shows them: render.sh OUT VIEW… -- SUMMARY.md…
# A view is SUFFIX=light|dark,WIDTH; the pictures are OUT/NAME+SUFFIX.png. What does not fit into its width is told.
set -euo pipefail
. "$(dirname "$0")/../setup/packages.sh"
out=$1
shift
styles=$(where_is pictures) || { echo "skipped: pictures: $(cat "$components/pictures" 2>/dev/null || echo "run tests/setup/setup.sh pictures")" >&2; exit 0; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$out" "$work/pages"
cargo run --locked --quiet --manifest-path "$root/Cargo.toml" --example render -- "$work/pages" "$styles" "$@"
export out work
browse() {
    chromium --headless --no-sandbox --disable-gpu --disable-background-networking --disable-component-update --disable-sync --hide-scrollbars \
        --user-data-dir="$work/profile-$1" --window-size="$2" "$3" "file://$work/pages/$4.html" 2>>"$work/chromium.log"
}
shoot() {
    local name=$1 height=$2 width=$3
    browse "$name" "$width,$height" "--screenshot=$work/$name.png" "$name" >/dev/null
    rm -rf "$work/profile-$name"
    mv "$work/$name.png" "$out/$name.png" || { tail -n 3 "$work/chromium.log" >&2; exit 255; }
}
export -f browse shoot
widths=$(for view in "$@"; do [ "$view" != -- ] || break; echo "$view"; done)
width_of() { # the longest suffix that fits names the view
    local view best='' width=''
    for view in $widths; do
        if [[ $1 == *"${view%%=*}" ]] && [ "${#view}" -ge "${#best}" ]; then best=$view width=${view##*,}; fi
    done
    echo "$width"
}
browse measure 1600,1200 --dump-dom measure | sed -n 's/^.*<pre id="told">//; s/^@//p' >"$work/told"
while read -r name height wide; do
    [ -z "$wide" ] || echo "$name: wider than the page: $wide"
    printf '%s\n' "$name" "$height" "$(width_of "$name")"
done <"$work/told" | tee >(grep ': wider' >&2) | grep -v ': wider' | xargs -n 3 -P "$(nproc)" bash -c 'shoot "$@"' shoot
echo "$(wc -l <"$work/told") pictures in $out"
