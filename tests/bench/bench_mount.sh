#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Prints what a mount costs against the disk, a no-op daemon and a raw client.
# usage: bench_mount.sh [--quick] [--first] [SECTION ...]
set -eu
. "$(dirname "$0")/setup.sh"
exec timeout 1500 "$python" "$top/tests/bench/mount_figures.py" "$@"
