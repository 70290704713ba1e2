# What all scripts here share: where things are, and how to print messages.
# Sourced, never run. Callers set -euo pipefail themselves.
# shellcheck shell=bash

# Daemons and iproute2 live in sbin, which a plain user's PATH may lack.
export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

REPO=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
CACHE_DIR=${MAPEK_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/mapek}
DATA_DIR=${MAPEK_DATA_DIR:-${XDG_DATA_HOME:-$HOME/.local/share}/mapek}
# One target directory for all checkouts: the C++ solver alone takes minutes to compile.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$CACHE_DIR/target}
export REPO CACHE_DIR DATA_DIR

# Messages go to stderr, so that a script's output stays usable in a pipe.
say() { printf '==> %s\n' "$*" >&2; }
warn() { printf 'warning: %s\n' "$*" >&2; }
die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

# as_root CMD…: runs it directly for root, and with sudo for anyone else.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif have sudo; then
        sudo "$@"
    else
        die "this needs root (no sudo here either): $*"
    fi
}

# alive PID COMMAND: whether PID runs and is COMMAND. A pid file survives a reboot, and the
# number may by then belong to another process.
alive() {
    [ -n "${1:-}" ] && [ -r "/proc/$1/comm" ] && [ "$(cat "/proc/$1/comm")" = "$2" ]
}
