# SPDX-License-Identifier: Apache-2.0
# Sourced by the benchmarks: $top, $TOOLS, and a $python with the test tools, installed where they are not there.
top=$(cd "$(dirname "$0")/../.." && pwd)
export TOOLS="${TOOLS:-$top/build/tools}"
python="${PYTHON:-$TOOLS/venv-check/bin/python}"
if [ ! -x "$python" ] || [ ! -x "$TOOLS/bin/versitygw" ]; then
    "$top/tests/tools/deps.sh" check
fi
