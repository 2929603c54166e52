#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Makes a small lake, mounts it, and walks through it, showing every command and what it says.
# Everything happens in a temporary directory; it is gone at the end.
# usage: demo.sh BINARY     (PYTHON: a Python with the deltalake package)
set -euo pipefail

[ $# -eq 1 ] || { echo "usage: $0 BINARY" >&2; exit 2; }
here=$(cd "$(dirname "$0")" && pwd)
binary=$(realpath "$1")
PYTHON=${PYTHON:-python3}
[ -x "$binary" ] || { echo "$0: no program at $binary" >&2; exit 1; }

work=$(mktemp -d -t tarn-demo.XXXXXX)
finished=no
cleanup() {
    local status=$?
    cd /
    if grep -q " $work/mnt " /proc/mounts; then
        "$binary" umount "$work/mnt" || umount -l "$work/mnt" || fusermount3 -uz "$work/mnt" || true
    fi
    rm -rf --one-file-system "$work"
    [ "$finished" = yes ] || echo "The demonstration stopped at a step that went wrong (status $status)." >&2
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

PATH=$(dirname "$binary"):$PATH
export LC_ALL=C TZ=UTC
say() { echo; fold -s -w 96 <<<"$*"; }
# Shows a command, runs it, and stops the demonstration if it fails.
run() { echo "\$ $*"; eval "$*"; }
# The same for one that must fail.
refused() {
    echo "\$ $*"
    if (eval "$*") 2>&1; then
        echo "demo: that should have been refused" >&2
        exit 1
    fi
}
same() { [ "$1" = "$2" ] || { echo "demo: expected '$2', got '$1'" >&2; exit 1; }; }
# All bytes of a tree as one number.
sum() { (cd "$1" && find . -type f | sort | xargs cat | sha256sum | cut -d' ' -f1); }
count() { find "$1" -type f -name '*.parquet' | wc -l; }

cd "$work"
mkdir lake mnt cache

say "A lakehouse in a directory: raw files in bronze, Delta tables in silver and gold."
"$PYTHON" "$here/make_lake.py" lake
run "ls lake lake/silver/orders lake/silver/orders/_delta_log"

say "The files of all versions lie side by side there, and only the log knows which belong together. Mount it:"
run "tarn mount lake mnt --cache-dir cache"

say "Every layer is a directory, every table is a directory, and raw files are files."
run "ls mnt mnt/bronze mnt/silver mnt/gold"
run "ls -l mnt/bronze/photos"

say "A table shows the files of its newest version, and nothing else: no log, no leftovers."
run "find mnt/silver/orders -type f | sort"
same "$(ls -A mnt/silver/orders | grep -c _delta_log)" 0

say "Which versions are there?"
run "tarn versions mnt/silver/orders"

say "Any of them is one @ away. Version 0 is the table as it was first written:"
run "find mnt/silver/orders@0 -type f | sort"
same "$(count mnt/silver/orders@0)" 3
run "ls mnt/silver/orders@2"
same "$(ls mnt/silver/orders@2 | grep -c 2025-03-02)" 0

say "Or ask by day: the table as it stood at the first instant of 4 March 2025, which is version 2:"
run "ls mnt/silver/orders@2025-03-04"
run "cat mnt/silver/orders@2025-03-04/.tarn/version"
same "$(tr -d '[:space:]' < mnt/silver/orders@2025-03-04/.tarn/version)" 2

say "They are plain files: whatever reads files reads a version. Take one away with cp:"
before=$(sum mnt/silver/orders@3)
run "cp -r mnt/silver/orders@3 copy"
run "du -sh --apparent-size copy"
same "$(sum copy)" "$before"

say "Now somebody overwrites the table, while it is mounted: all prices are doubled."
echo "\$ # (a commit by the deltalake package)"
"$PYTHON" "$here/make_lake.py" lake --commit
sleep 2 # the live path moves on when nobody has used it for a second
run "tarn versions mnt/silver/orders"
run "cat mnt/silver/orders/.tarn/version"
same "$(tr -d '[:space:]' < mnt/silver/orders/.tarn/version)" 4

say "The live path has moved on; version 3 is what it was, byte for byte:"
run "diff -r copy mnt/silver/orders@3 && echo 'no difference'"
same "$(sum mnt/silver/orders@3)" "$before"
[ "$(sum mnt/silver/orders)" != "$before" ] || { echo "demo: the live path did not move" >&2; exit 1; }

say "Nothing here can be changed by accident:"
refused "touch mnt/silver/orders/new.parquet"
refused "rm mnt/silver/orders@0/*/*.parquet"

say "That is all. Unmount:"
run "tarn umount mnt"
if grep -q " $work/mnt " /proc/mounts; then
    echo "demo: still mounted" >&2
    exit 1
fi
finished=yes
