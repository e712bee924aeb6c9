#!/usr/bin/env bash
# with_engine.sh COMMAND…: runs the command with a Docker engine at hand: the one that runs already, else one of our own
# with its data under target/engine, stopped at the end. Without any, the command runs all the same and tests name the skip.
set -uo pipefail
. "$(cd "$(dirname "$0")" && pwd)/packages.sh"

engine_pid=
# Debian's client first: it builds with BuildKit without a plugin.
docker=$(PATH=/usr/bin:$PATH command -v docker)

answers() { [ -n "$docker" ] && "$docker" info >/dev/null 2>&1; }

stop_engine() {
  rm -f "$components/engine"
  [ -n "$engine_pid" ] || return 0
  kill "$engine_pid" 2>/dev/null && wait "$engine_pid" 2>/dev/null
  umount "$socket_dir/run/netns/default" 2>/dev/null
  rm -rf "$socket_dir"
}

start_engine() {
  # A socket's path may have 108 bytes at most, so it does not lie under target/.
  socket_dir=/tmp/touchdown-engine-$(printf %s "$target" | sha256sum | cut -c1-12)
  mkdir -m 700 -p "$socket_dir" && [ -O "$socket_dir" ] || { why="$socket_dir is not ours"; return 1; }
  export DOCKER_HOST=unix://$socket_dir/docker.sock
  answers && return 0
  local driver
  for driver in overlay2 vfs; do
    dockerd --iptables=false --ip6tables=false --ip-masq=false --bridge=none --storage-driver=$driver --data-root="$target/engine" \
      --exec-root="$socket_dir/run" --pidfile="$socket_dir/pid" -H "$DOCKER_HOST" --insecure-registry 127.0.0.0/8 >"$components/dockerd.log" 2>&1 &
    engine_pid=$!
    for _ in $(seq 120); do
      answers && return 0
      kill -0 $engine_pid 2>/dev/null || break
      sleep 0.5
    done
    kill $engine_pid 2>/dev/null
    wait $engine_pid 2>/dev/null
    engine_pid=
  done
  why="dockerd does not start: $(tail -n 1 "$components/dockerd.log" | cut -c1-300)"
  return 1
}

trap stop_engine EXIT
if answers; then
  ready engine "$docker"
elif ! has dockerd || [ -z "$docker" ]; then
  absent engine "no engine runs and the Debian package docker.io cannot be installed"
elif [ "$(id -u)" != 0 ]; then
  absent engine "no engine runs and one can be started only as root"
elif start_engine; then
  ready engine "$docker"
else
  unset DOCKER_HOST
  absent engine "$why"
fi

"$@"
