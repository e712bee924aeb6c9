#!/usr/bin/env bash
# Licences, bans and sources by cargo-deny (deny.toml). Advisories need the RustSec database from the network: without it they are named as skipped.
set -euo pipefail
. "$(cd "$(dirname "$0")" && pwd)/packages.sh"
cd "$root"

deny=$(command -v cargo-deny || echo "$target/tools/bin/cargo-deny")
if [ ! -x "$deny" ]; then
  say "installing cargo-deny (about three minutes, once)"
  cargo install --locked --quiet --no-default-features --root "$target/tools" cargo-deny --version '^0.20'
fi

"$deny" --log-level error check bans licenses sources
if "$deny" fetch db >"$components/advisories.log" 2>&1; then
  "$deny" --log-level error check advisories
else
  say "skipped: advisories: the RustSec database cannot be fetched: $(grep -m 1 -E "fatal|ERROR" "$components/advisories.log")"
fi
