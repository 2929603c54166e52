#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Prints what loading a version of a Delta table costs beside `deltalake`.
# usage: bench_load.sh [--files N,...] [--rounds N] [--tables DIR] [local] [far]
set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
export TOOLS="${TOOLS:-$top/build/tools}"
python="${PYTHON:-$TOOLS/venv-check/bin/python}"
if [ ! -x "$python" ] || [ ! -x "$TOOLS/bin/versitygw" ]; then
    "$top/tests/tools/deps.sh" check
fi
exec timeout 3600 "$python" "$top/tests/bench/load_figures.py" "$@"
