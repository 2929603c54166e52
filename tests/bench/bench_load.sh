#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Prints what loading a version of a Delta table costs beside `deltalake`.
# usage: bench_load.sh [--files N,...] [--rounds N] [--tables DIR] [local] [far]
set -eu
. "$(dirname "$0")/setup.sh"
exec timeout 3600 "$python" "$top/tests/bench/load_figures.py" "$@"
