#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Prints what taking rows out of Parquet files costs beside pyarrow, and what masks cost beside its
# decoding; fails where it costs more, or more than three times as much.
# usage: bench_rewrite.sh [--rows N] [--only rows|masks] [CODEC ...]
set -eu
. "$(dirname "$0")/setup.sh"
make -s -C "$top" build/tests/present
exec timeout 3600 "$python" "$top/tests/bench/rewrite_figures.py" "$@"
