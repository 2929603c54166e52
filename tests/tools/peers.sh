#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Installs what benchmarks compare a mount with: rclone, s3fs, and Mountpoint for Amazon S3's own file
# system crate in a small program (tests/bench/mountpoint). Quick when they are there. `make bench` calls
# it, `make check` never does. The first time takes half an hour on two cores, and needs Go, and Rust
# for Mountpoint.
# usage: peers.sh [rclone|s3fs|mountpoint ...]
# TOOLS (default build/tools) holds what does not come from Debian; keep it between runs.
set -uo pipefail

here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
TOOLS=${TOOLS:-$top/build/tools}
RCLONE_VERSION=v1.75.1
CRATE=$top/tests/bench/mountpoint
failed=0

say() { echo "peers: $*"; }
fail() { echo "peers: $*" >&2; failed=1; }

debian() {
    local log=$TOOLS/apt-peers.log
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" >"$log" 2>&1 ||
        { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"; } \
            >>"$log" 2>&1 || { fail "apt-get install $*: see $log"; return 1; }
}

# An installed tool is right when its file beside it says what it was made of.
is_made() { [ -x "$TOOLS/bin/$1" ] && [ "$(cat "$TOOLS/bin/$1.version" 2>/dev/null || :)" = "$2" ]; }

find_in() { # usage: find_in PROGRAM PLACE...
    command -v "$1" && return
    local place
    for place in "${@:2}"; do
        [ -x "$place/$1" ] && echo "$place/$1" && return
    done
}

rclone() {
    local go log=$TOOLS/rclone.log
    is_made rclone "$RCLONE_VERSION" && return
    go=$(find_in go /usr/local/go/bin /usr/lib/go/bin)
    [ -n "$go" ] || { fail "rclone needs Go"; return; }
    say "building rclone $RCLONE_VERSION (some minutes)"
    GOBIN="$TOOLS/bin" nice "$go" install "github.com/rclone/rclone@$RCLONE_VERSION" >"$log" 2>&1 ||
        { fail "rclone could not be built: see $log"; return; }
    echo "$RCLONE_VERSION" >"$TOOLS/bin/rclone.version"
}

s3fs() { command -v s3fs >/dev/null || { say "installing s3fs" && debian s3fs; }; }

mountpoint() {
    local cargo sum log=$TOOLS/mountpoint.log
    sum=$(cat "$CRATE/Cargo.toml" "$CRATE/src/main.rs" | sha256sum | cut -c1-16)
    is_made mountpoint "$sum" && return
    cargo=$(find_in cargo "$HOME/.cargo/bin")
    [ -n "$cargo" ] || { fail "mountpoint needs Rust's cargo"; return; }
    debian cmake libclang-dev libfuse-dev pkg-config || return
    say "building the file system of Mountpoint (half an hour)"
    PATH="$(dirname "$cargo"):$PATH" CARGO_TARGET_DIR="$TOOLS/mountpoint" nice -n 19 "$cargo" build \
        --release -j1 --manifest-path "$CRATE/Cargo.toml" >"$log" 2>&1 ||
        { fail "mountpoint could not be built: see $log"; return; }
    cp "$TOOLS/mountpoint/release/mountpoint" "$TOOLS/bin/mountpoint"
    echo "$sum" >"$TOOLS/bin/mountpoint.version"
}

mkdir -p "$TOOLS/bin"
[ $# -gt 0 ] || set -- rclone s3fs mountpoint
for peer in "$@"; do
    case "$peer" in
    rclone | s3fs | mountpoint) "$peer" ;;
    *) fail "no peer '$peer'" ;;
    esac
done
exit "$failed"
