#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Prints what loading a version costs: of a Delta table beside `deltalake`, of an Iceberg table beside PyIceberg and DuckDB.
# usage: bench_load.sh [--format delta|iceberg] [--files N,...] [--rounds N] [--tables DIR] [local] [far]
set -eu
. "$(dirname "$0")/setup.sh"
[ -x "$TOOLS/venv-bench/bin/python" ] || "$top/tests/tools/deps.sh" bench
exec timeout 3600 "$python" "$top/tests/bench/load_figures.py" "$@"
