# SPDX-License-Identifier: Apache-2.0
"""Histories that one session of Spark makes, for all formats whose tests run (SEED=N: the same again)."""
import json
import os
import random
import subprocess
from pathlib import Path

import pyarrow.parquet as pq

from support import presented
from support.places import TOOLS

SEED = os.environ.get('SEED', str(random.randrange(1 << 32)))
PYTHON = TOOLS / 'venv-spark' / 'bin' / 'python'
PROGRAM = Path(__file__).with_name('spark_histories.py')


def make(base, count, formats):
    """So many histories of each format."""
    assert PYTHON.is_file(), 'no Spark at %s: run tests/tools/deps.sh engines' % PYTHON
    (base / 'lake').mkdir()
    with open(base / 'log', 'wb') as log:
        done = subprocess.run([PYTHON, PROGRAM, base, str(count), SEED, TOOLS / 'spark-jars', *formats],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True,
                              env=dict(os.environ, SPARK_LOCAL_IP='127.0.0.1', TZ='UTC'))
    print(done.stdout)
    assert done.returncode == 0, (base / 'log').read_text()[-8000:]
    return base


def told(base, form):
    """What the session has written down of each table of a format."""
    return [json.loads(line) for line in (base / (form + '.jsonl')).read_text().splitlines()]


def truth(base, name, version):
    """The rows that Spark has read at a version."""
    return presented.Rows([pq.read_table(p) for p in (base / 'truth' / name / str(version)).glob('*.parquet')])


def wrong_of(compare, histories):
    """What is wrong with any of them; all are looked at."""
    wrong = []
    for history in histories:
        wrong += compare(history)
    assert not wrong, 'SEED=%s\n%s' % (SEED, '\n'.join(wrong))
