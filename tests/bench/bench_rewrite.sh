#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Prints what taking rows out of Parquet files costs beside pyarrow; fails where it costs more.
# usage: bench_rewrite.sh [--rows N] [CODEC ...]
set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
export TOOLS="${TOOLS:-$top/build/tools}"
python="${PYTHON:-$TOOLS/venv-check/bin/python}"
if [ ! -x "$python" ]; then
    "$top/tests/tools/deps.sh" check
fi
make -s -C "$top" build/tests/present
exec timeout 3600 "$python" "$top/tests/bench/rewrite_figures.py" "$@"
