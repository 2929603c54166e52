# SPDX-License-Identifier: Apache-2.0
"""
Random histories of tables that Spark made: what plain Parquet readers find in each version is what
Spark says.

SEED=N repeats the histories of a run that has printed it.
"""
import json
import os
import random
import subprocess
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from support import presented
from support.places import SLOWNESS, TOOLS

SEED = os.environ.get('SEED', str(random.randrange(1 << 32)))
PYTHON = TOOLS / 'venv-spark' / 'bin' / 'python'
PROGRAM = Path(__file__).with_name('spark_histories.py')


def make(base, count):
    """Histories by one session of Spark: what it has written down of each table."""
    assert PYTHON.is_file(), 'no Spark at %s: run tests/tools/deps.sh engines' % PYTHON
    (base / 'lake').mkdir()
    print('SEED', SEED)
    with open(base / 'log', 'wb') as log:
        done = subprocess.run([PYTHON, PROGRAM, base, str(count), SEED, TOOLS / 'spark-jars'], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=log, text=True,
                              env=dict(os.environ, SPARK_LOCAL_IP='127.0.0.1', TZ='UTC'))
    print(done.stdout)
    assert done.returncode == 0, (base / 'log').read_text()[-8000:]
    return [json.loads(line) for line in (base / 'histories.jsonl').read_text().splitlines()]


def truth(base, name, version):
    """The rows that Spark has read at a version."""
    tables = [pq.read_table(p) for p in (base / 'truth' / name / str(version)).glob('*.parquet')]
    return presented.Rows(tables)


def check(m, base, history):
    wrong = []
    for v in history['versions']:
        path = m / 'lake' / ('%s@%d' % (history['name'], v['number']))
        if v['number'] < history['earliest']:
            assert not path.exists(), '%s: below the earliest version' % path
            continue
        if not all(os.path.exists(f) for f in v['files']):
            with pytest.raises(OSError):
                presented.read_all(path)
            continue
        try:
            presented.compare(path, truth(base, history['name'], v['number']), v['partitions'],
                              'version %d (%s)' % (v['number'], v['operation']))
        except Exception as e:                  # a reader's own, too: the others are looked at as well
            wrong.append('version %d (%s): %s' % (v['number'], v['operation'], e))
    assert not wrong, 'table %s, seed %s, after %s:\n%s' % (history['name'], history['seed'], history['steps'],
                                                            '\n'.join(wrong))


@pytest.mark.parametrize('count', [
    pytest.param(3, marks=pytest.mark.timeout(1800)),
    pytest.param(60, marks=[pytest.mark.long, pytest.mark.timeout(7200)]),
])
def test_histories(module_mount, tmp_path, count):
    """Every version of random tables by Spark, read as plain Parquet, is what Spark says it is."""
    histories = make(tmp_path, count)
    m = module_mount(tmp_path)
    wrong = []
    for history in histories:
        try:
            check(m, tmp_path, history)
        except AssertionError as e:
            wrong.append(str(e))
    assert not wrong, 'SEED=%s\n%s' % (SEED, '\n'.join(wrong))
