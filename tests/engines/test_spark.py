# SPDX-License-Identifier: Apache-2.0
"""
Random histories of Delta tables that Spark made: what plain Parquet readers find in each version is what
Spark says.

SEED=N repeats the histories of a run that has printed it.
"""
import os

import pytest

from spark_runs import told, truth, wrong_of
from support import presented

FORMAT = 'delta'


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
    return ['table %s, seed %s, after %s:' % (history['name'], history['seed'], history['steps'])] + wrong \
        if wrong else []


@pytest.mark.parametrize('count', [
    pytest.param(3, marks=pytest.mark.timeout(1800)),
    pytest.param(60, marks=[pytest.mark.long, pytest.mark.timeout(7200)]),
])
def test_histories(module_mount, made_by_spark, count):
    """Every version of random tables by Spark, read as plain Parquet, is what Spark says it is."""
    base = made_by_spark(count)
    m = module_mount(base)
    wrong_of(lambda history: check(m, base, history), told(base, FORMAT))
