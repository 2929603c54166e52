#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Prints what a mount costs against the disk, a no-op daemon and a raw client.
# usage: bench_mount.sh [--quick] [--first] [SECTION ...]
set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
export TOOLS="${TOOLS:-$top/build/tools}"
python="${PYTHON:-$TOOLS/venv-check/bin/python}"
if [ ! -x "$python" ] || [ ! -x "$TOOLS/bin/versitygw" ]; then
    "$top/tests/tools/deps.sh" check
fi
exec timeout 1500 "$python" "$top/tests/bench/mount_figures.py" "$@"
