#!/usr/bin/env bash
# Renews all pictures: the tests leave the summary of every ending and of runs on the simulator, the demo leaves the README's two.
set -euo pipefail
cd "$(dirname "$0")/../.."
target=${CARGO_TARGET_DIR:-target}
rm -rf "$target"/tmp/summaries "$target"/pictures/*.png
cargo test --locked --quiet --test it -- report:: faults::every_fault_ends_as_it_must >/dev/null
tests/render/render.sh "$target/pictures" -light=light,900 -dark=dark,900 -phone=light,400 -- "$target"/tmp/summaries/*.md
cargo run --locked --quiet -- demo >/dev/null
tests/render/render.sh docs =light,900 -- target/demo/live.md target/demo/rolled-back.md
