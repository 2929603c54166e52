#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Prints what cold reads from an object store cost beside raw GETs and beside other mounts.
# usage: bench_fetch.sh [--quick] [--first] [--peers NAME,... | --no-peers] [SECTION ...]
set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
export TOOLS="${TOOLS:-$top/build/tools}"
python="${PYTHON:-$TOOLS/venv-check/bin/python}"
if [ ! -x "$python" ] || [ ! -x "$TOOLS/bin/versitygw" ]; then
    "$top/tests/tools/deps.sh" check
fi
# The first time takes half an hour; without a peer the others are measured.
"$top/tests/tools/peers.sh" || echo "bench_fetch.sh: not all peers are there"
exec timeout 3600 "$python" "$top/tests/bench/fetch_figures.py" "$@"
