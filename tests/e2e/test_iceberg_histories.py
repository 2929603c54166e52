# SPDX-License-Identifier: Apache-2.0
"""
Random histories of Iceberg tables: what plain Parquet readers find in each snapshot, branch and tag is
what PyIceberg says.

SEED=N repeats the histories of a run that has printed it.
"""
import datetime
import errno
import os
import random
import time
from urllib.parse import quote

import pytest

from support import iceberg_histories, presented
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


def spelled(ref):
    """A ref as a path has it."""
    return ''.join(quote(c, safe='') if c in '/@%' else c for c in ref)


def at_time(ms):
    when = datetime.datetime.fromtimestamp(ms / 1000, datetime.timezone.utc)
    return when.strftime('%Y-%m-%dT%H%M%S.') + '%03dZ' % (ms % 1000)


def shows(directory, rows, what):
    """The engine's rows; what the engine cannot read (None) is refused here too. UNTOLD: it does not say."""
    if rows is iceberg_histories.UNTOLD:
        return
    if rows is not None:
        presented.compare(directory, rows, [], what)
        return
    with pytest.raises(OSError) as refused:
        presented.read_all(directory)
    assert refused.value.errno == errno.EOPNOTSUPP, what


def check(m, name, history):
    """Every snapshot, branch, tag and time."""
    wait_for((m / name).exists, PATIENCE_S, name)
    story = 'seed %s, after %s' % (history.seed, history.done)
    present = history.present()
    for snapshot, rows in history.snapshots.items():
        what = 'snapshot %d (%s), %s' % (snapshot, history.operations[snapshot], story)
        path = m / ('%s@%d' % (name, snapshot))
        if snapshot in present:
            shows(path, rows, what)
            assert m.xattr('%s@%d' % (name, snapshot), 'version') == str(snapshot), what
        else:
            assert not path.exists(), '%s: it has expired' % what
    for ref, (kind, snapshot, rows) in history.refs().items():
        for spelling in (spelled(ref), '%s=%s' % (kind, spelled(ref))):
            shows(m / ('%s@%s' % (name, spelling)), rows, '%s %s, %s' % (kind, ref, story))
        other = 'tag' if kind == 'branch' else 'branch'
        assert not (m / ('%s@%s=%s' % (name, other, spelled(ref)))).exists(), '%s, %s' % (ref, story)
        if ref == 'main':
            shows(m / name, rows, 'the live path, ' + story)
    check_times(m, name, history, present, story)


def check_times(m, name, history, present, story):
    """What the main branch showed, and when."""
    moments = history.moments()
    for ms, snapshot in moments:
        at = '%s@%s' % (name, at_time(ms))
        if snapshot in present:
            wait_for(lambda: time.time() * 1000 > ms, PATIENCE_S, 'the time of the last commit')
            assert m.xattr(at, 'version') == str(snapshot), '%s, %s' % (at, story)
        else:
            assert not (m / at).exists(), '%s shows what has expired, %s' % (at, story)
    assert not (m / ('%s@%s' % (name, at_time(moments[0][0] - 1)))).exists(), story


def some(quick, count):
    """So many histories, all but the first ones marked long."""
    return [n if n < quick else pytest.param(n, marks=pytest.mark.long) for n in range(count)]


@pytest.mark.parametrize('number', some(18, 180))
def test_history(shown, lake, number):
    """Every snapshot of a random table, read as plain Parquet, is what PyIceberg says it is."""
    print('SEED', SEED, 'history', number)
    history = iceberg_histories.History(lake, 't%d' % number, '%d/%d' % (SEED, number)).run()
    check(shown, 't%d' % number, history)


@pytest.mark.parametrize('number', some(2, 20))
def test_history_in_s3(mount, s3, bucket, tmp_path, number):
    """The same of a table that PyIceberg has written to a bucket; read twice."""
    print('SEED', SEED, 'history', number)
    (tmp_path / 'lake').mkdir()
    history = iceberg_histories.History(
        tmp_path / 'lake', 't', '%d/s3/%d' % (SEED, number), 's3://%s/t' % bucket,
        {'s3.endpoint': s3.url, 's3.access-key-id': s3.env['AWS_ACCESS_KEY_ID'], 's3.region': 'us-east-1',
         's3.secret-access-key': s3.env['AWS_SECRET_ACCESS_KEY']}).run()
    m = mount('s3://' + bucket, endpoint_url=s3.url, env=s3.env)
    check(m, 't', history)
    check(m, 't', history)
