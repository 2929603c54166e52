#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Prints what a view costs: a table of 100 columns of which five are hidden, beside all of it.
# usage: bench_views.sh [--quick] [--first]
set -eu
. "$(dirname "$0")/setup.sh"
exec timeout 1800 "$python" "$top/tests/bench/views_figures.py" "$@"
