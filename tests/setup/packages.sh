# shellcheck shell=bash
# Sourced by the other scripts here: where things lie, how packages are had, and how a component is called ready or absent.
# `target/setup/COMPONENT` holds `ready WHERE` or `absent WHY`; tests/it/setup.rs reads it, so that a test can say why it skips.
# With TOUCHDOWN_ALL_COMPONENTS=1 (our own CI) an absent component is a failure.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
components=$target/setup
mkdir -p "$components"
export PIP_DISABLE_PIP_VERSION_CHECK=1

say() { printf 'setup: %s\n' "$*" >&2; }

ready() { printf 'ready %s\n' "$2" >"$components/$1"; }

absent() {
  printf 'absent %s\n' "$2" >"$components/$1"
  say "skipped: $1: $2"
  [ -z "${TOUCHDOWN_ALL_COMPONENTS:-}" ] || exit 1
}

# The WHERE of a component; fails when it is absent.
where_is() { sed -n 's/^ready //p' "$components/$1" 2>/dev/null | grep .; }

has() { command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ]; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; elif has sudo && sudo -n true 2>/dev/null; then sudo -n "$@"; else return 1; fi
}

apt_get() { as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 "$@"; }

# The lists have a lock of their own that apt does not wait for, and mirrors hiccup: three tries, once in a run.
update_lists() {
  [ -z "${lists_are_fresh:-}" ] || return 0
  for pause in 5 20 0; do
    if apt_get update >"$components/apt.log" 2>&1; then lists_are_fresh=yes && return 0; fi
    sleep "$pause"
  done
  return 1
}

# debian COMMAND=PACKAGE…: installs the packages whose command is missing, together; one by one where that fails.
debian() {
  local missing=() pair
  for pair in "$@"; do has "${pair%%=*}" || missing+=("${pair#*=}"); done
  [ ${#missing[@]} -gt 0 ] || return 0
  if ! has apt-get; then say "no apt-get here: ${missing[*]} must be installed by hand"; return 1; fi
  say "installing ${missing[*]}"
  update_lists || say "apt-get update failed: $(tail -n 1 "$components/apt.log")"
  apt_get -y --no-install-recommends install "${missing[@]}" >"$components/apt.log" 2>&1 && return 0
  local package worked=0
  for package in "${missing[@]}"; do
    apt_get -y --no-install-recommends install "$package" >"$components/apt.log" 2>&1 || { worked=1; say "cannot install $package: $(tail -n 1 "$components/apt.log")"; }
  done
  return $worked
}

# once STAMP INPUT… -- COMMAND…: runs the command unless it has succeeded before with the same inputs.
once() {
  local stamp=$1 sum inputs=()
  shift
  while [ "$1" != -- ]; do inputs+=("$1"); shift; done
  shift
  sum=$(cat "${inputs[@]}" | sha256sum)
  [ "$(cat "$stamp" 2>/dev/null)" = "$sum" ] && return 0
  "$@" || return 1
  printf '%s\n' "$sum" >"$stamp"
}
