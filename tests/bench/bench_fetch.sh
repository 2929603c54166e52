#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Prints what cold reads from an object store cost beside raw GETs and beside other mounts.
# usage: bench_fetch.sh [--quick] [--first] [--peers NAME,... | --no-peers] [SECTION ...]
set -eu
. "$(dirname "$0")/setup.sh"
# The first time takes half an hour; without a peer the others are measured.
"$top/tests/tools/peers.sh" || echo "bench_fetch.sh: not all peers are there"
exec timeout 3600 "$python" "$top/tests/bench/fetch_figures.py" "$@"
