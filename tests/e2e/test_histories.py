# SPDX-License-Identifier: Apache-2.0
"""
Random histories of tables: what plain Parquet readers find in each version is what the engine says.

SEED=N repeats the histories of a run that has printed it.
"""
import os
import random

import pytest

from support import histories, presented
from support.mounts import wait_for
from support.places import PATIENCE_S

SEED = int(os.environ.get('SEED', random.randrange(1 << 32)))


@pytest.fixture(scope='module')
def lake(tmp_path_factory):
    root = tmp_path_factory.mktemp('histories') / 'lake'
    root.mkdir()
    return root


@pytest.fixture(scope='module')
def shown(module_mount, lake):
    """One mount for all: tables appear in it as they are made."""
    return module_mount(lake, refresh='0.1')


def check(m, name, history):
    """Every version that can be reconstructed, whole or refused where files of it are gone."""
    wait_for((m / name).exists, PATIENCE_S, name)
    earliest = history.earliest()
    for v in history.versions.values():
        what = 'seed %s, version %d (%s) after %s' % (history.seed, v.number, v.operation, history.done)
        path = m / ('%s@%d' % (name, v.number))
        if v.number < earliest:
            assert not path.exists(), '%s: below the earliest version' % what
        elif all(os.path.exists(f) for f in v.files):
            presented.compare(path, v.rows, v.partitions, what)
        else:
            with pytest.raises(OSError):
                presented.read_all(path)
    last = history.versions[max(history.versions)]
    presented.compare(m / name, last.rows, last.partitions, 'seed %s, the live path' % history.seed)


def some(quick, count):
    """So many histories, all but the first ones marked long."""
    return [n if n < quick else pytest.param(n, marks=pytest.mark.long) for n in range(count)]


@pytest.mark.parametrize('number', some(30, 300))
def test_history(shown, lake, number):
    """Every version of a random table, read as plain Parquet, is what deltalake says it is."""
    print('SEED', SEED, 'history', number)
    history = histories.History(lake / ('t%d' % number), '%d/%d' % (SEED, number)).run()
    check(shown, 't%d' % number, history)


@pytest.mark.parametrize('number', some(2, 30))
def test_history_from_s3(mount, s3, bucket, tmp_path, number):
    """The same from a bucket, where what is presented is made and kept in the cache; read twice."""
    print('SEED', SEED, 'history', number)
    history = histories.History(tmp_path / 'lake/t', '%d/s3/%d' % (SEED, number)).run()
    s3.copy_tree(tmp_path / 'lake', bucket)
    m = mount('s3://' + bucket, endpoint_url=s3.url, env=s3.env)
    check(m, 't', history)
    check(m, 't', history)
