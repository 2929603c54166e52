#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Prints what plans and reports over a table of a million files cost.
# usage: bench_tier.sh [--files N] [--rounds N] [--dir DIR]
set -eu
. "$(dirname "$0")/setup.sh"
exec timeout 1800 "$python" "$top/tests/bench/tier_figures.py" "$@"
