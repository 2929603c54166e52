# SPDX-License-Identifier: Apache-2.0
"""
Random histories of Delta tables that Spark made: what plain Parquet readers find in each version is what
Spark says.

SEED=N repeats the histories of a run that has printed it.
"""
import os
from pathlib import Path

import pytest

from spark_runs import told, truth, wrong_of
from support import presented
from support.mounts import wait_for
from support.places import PATIENCE_S

FORMAT = 'delta'


def gone_of(version):
    """Of each data file that cannot be read any more: what of it VACUUM has removed."""
    needed = [(f, f) for f in version['files']] + list(version['vectors'].items())
    return {data: file for data, file in needed if not os.path.exists(file)}


def told_gone(m, name):
    return any('the object is gone' in line and 'VACUUM' in line and name in line
               for line in (m.cache / 'tarn.log').read_text().splitlines())


def check_gone(m, path, gone):
    """Files of which something is gone are refused, and the log says why; all others are read."""
    refused = set()
    for file in presented.files_below(path):
        data = m.xattr(file, 'object').removeprefix('file://')
        try:
            Path(file).read_bytes()
        except FileNotFoundError:
            assert data in gone, '%s is not to be read, though nothing of it is gone' % file
            refused.add(data)
    assert refused == set(gone), 'not refused: %s' % sorted(set(gone) - refused)
    for name in map(os.path.basename, gone.values()):
        wait_for(lambda: told_gone(m, name), PATIENCE_S, 'a word on ' + name)


def check(m, base, history):
    wrong = []
    for v in history['versions']:
        path = m / 'lake' / ('%s@%d' % (history['name'], v['number']))
        if v['number'] < history['earliest']:
            assert not path.exists(), '%s: below the earliest version' % path
            continue
        gone = gone_of(v)
        try:
            if gone:
                check_gone(m, path, gone)
                continue
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
