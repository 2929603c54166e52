# SPDX-License-Identifier: Apache-2.0
"""
A policy that is missing, damaged or changing: what it governs is denied, and nobody ever sees more
than the policy in force, or the one that it replaces, allows.
"""
import errno
import json
import os
import signal
import threading

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support import governed
from support.mounts import wait_for
from support.people import error_of
from support.places import PATIENCE_S

GOOD = json.dumps({'grants': [{'to': ['everyone'], 'tables': ['silver/plain'], 'hide': ['other']}]})
NOTHING = json.dumps({'grants': []})
FAULTS = {
    'missing': lambda p: p.unlink(),
    'empty': lambda p: governed.write_policy(p, ''),
    'garbage': lambda p: governed.write_policy(p, '\0\1\2 }{ [[[ :::\n\t- '),
    'truncated': lambda p: governed.write_policy(p, GOOD[:-20]),
    'truncated in place': lambda p: os.truncate(p, len(GOOD) - 20),
    'of another shape': lambda p: governed.write_policy(p, '[1, 2, 3]'),
    'with an unknown key': lambda p: governed.write_policy(p, GOOD.replace('hide', 'hidden')),
    'with an unknown mask': lambda p: governed.write_policy(
        p, GOOD.replace('"hide": ["other"]', '"mask": {"word": "rot13"}')),
    'with an unknown class': lambda p: governed.write_policy(p, GOOD.replace('"other"', '"class:none"')),
    'with rows that do not parse': lambda p: governed.write_policy(
        p, GOOD.replace('"hide": ["other"]', '"rows": "n = = 1"')),
    'a directory': lambda p: (p.unlink(), p.mkdir()),
    'a FIFO': lambda p: (p.unlink(), os.mkfifo(p)),
    'a bomb of aliases': lambda p: governed.write_policy(p, 'a: &a [x,x,x,x,x,x,x,x,x]\n' + ''.join(
        '%s: &%s [*%s,*%s,*%s,*%s,*%s,*%s,*%s,*%s]\n' % (chr(98 + i), chr(98 + i), *[chr(97 + i)] * 8)
        for i in range(12))),
}


@pytest.fixture(scope='module')
def lake(tmp_path_factory):
    root = tmp_path_factory.mktemp('faults') / 'lake'
    governed.make(root, 41)
    return root


@pytest.fixture
def policy(tmp_path):
    path = tmp_path / 'policy.yaml'
    path.write_text(GOOD)
    return path


def columns(path):
    with open(path, 'rb') as f:
        return pq.ParquetFile(pa.BufferReader(f.read())).schema_arrow.names


def first_number(path):
    """The least `n` that is shown; None while the view changes."""
    try:
        with open(path, 'rb') as f:
            return pq.ParquetFile(pa.BufferReader(f.read())).read()['n'][0].as_py()
    except OSError as e:
        assert e.errno in (errno.ESTALE, errno.ENOENT), e
        return None


def denied(m):
    return os.listdir(m) == [] and error_of(os.stat, m / 'silver/plain/part-0.parquet') == errno.ENOENT \
        and error_of(os.stat, m / 'silver/plain@0') == errno.ENOENT


@pytest.mark.parametrize('what', FAULTS)
def test_a_policy_that_breaks_denies(mount, lake, policy, what):
    """Soon, and the log says why; when it is whole again, it counts again."""
    m = mount(lake, policy=policy, **{'as': 'anybody'})
    file = m / 'silver/plain/part-0.parquet'
    assert columns(file) == ['n', 'word']
    FAULTS[what](policy)
    wait_for(lambda: denied(m), PATIENCE_S, 'denied')
    assert 'policy' in (m.cache / 'tarn.log').read_text()
    if policy.is_dir():
        policy.rmdir()
    governed.write_policy(policy, GOOD)
    wait_for(file.exists, PATIENCE_S, 'allowed again')
    assert columns(file) == ['n', 'word']


@pytest.mark.parametrize('what', FAULTS)
def test_a_mount_with_a_bad_policy(mount, lake, policy, what):
    """Denies everything, and says so with the file's name; it counts when it has become whole."""
    FAULTS[what](policy)
    m = mount(lake, policy=policy, **{'as': 'anybody'})
    assert str(policy) in m.log.read_text() and denied(m)
    if policy.is_dir():
        policy.rmdir()
    governed.write_policy(policy, GOOD)
    wait_for((m / 'silver/plain/part-0.parquet').exists, PATIENCE_S, 'allowed')


def test_an_unreadable_policy_denies(mount, lake, policy):
    """For a daemon that is not root it may be; for root it is a file whose reading fails."""
    m = mount(lake, policy=policy, **{'as': 'anybody'})
    policy.unlink()
    policy.symlink_to('/proc/self/mem')
    wait_for(lambda: denied(m), PATIENCE_S, 'denied')


def test_a_revocation_reaches_what_is_open(mount, lake, policy):
    """Of a mount without passthrough: a handle that is open gets ESTALE."""
    m = mount(lake, policy=policy, o='revocable', **{'as': 'anybody'})
    with open(m / 'silver/plain/part-0.parquet', 'rb', buffering=0) as f:
        assert f.read(4) == b'PAR1'
        governed.write_policy(policy, NOTHING)
        wait_for(lambda: error_of(os.pread, f.fileno(), 100, 4) == errno.ESTALE, PATIENCE_S, 'ESTALE')
    assert denied(m)


def test_a_policy_is_read_again_on_sighup(mount, lake, policy):
    m = mount(lake, policy=policy, **{'as': 'anybody'})
    governed.write_policy(policy, GOOD.replace('other', 'word'))
    os.kill(m.pid, signal.SIGHUP)
    wait_for(lambda: columns(m / 'silver/plain/part-0.parquet') == ['n', 'other'], PATIENCE_S, 'the new view')


TURNS = [pytest.param(30, id='30'), pytest.param(1000, id='a thousand', marks=pytest.mark.long)]


@pytest.mark.timeout(1200)
@pytest.mark.parametrize('turns', TURNS)
def test_a_policy_that_changes_under_load(mount, lake, policy, chance, turns):
    """
    Readers who never pause, while the policy changes each moment between two views, garbage and
    nothing: they see one of the two views, or nothing, never a mixture, never a third column.
    """
    m = mount(lake, policy=policy, **{'as': 'anybody'})
    texts = [GOOD, GOOD.replace('other', 'word'), 'garbage: [', NOTHING]
    seen, wrong, stop = set(), [], threading.Event()

    def read():
        while not stop.is_set():
            try:
                seen.add(tuple(columns(m / 'silver/plain/part-0.parquet')))
            except OSError as e:
                if e.errno not in (errno.ENOENT, errno.ESTALE):
                    wrong.append(e)
            except pa.ArrowException as e:
                wrong.append(e)

    readers = [threading.Thread(target=read) for _ in range(4)]
    for r in readers:
        r.start()
    try:
        for turn in range(turns):
            governed.write_policy(policy, chance.choice(texts) + '\n#%d' % turn)
            os.kill(m.pid, signal.SIGHUP)
            stop.wait(0.05)
        governed.write_policy(policy, GOOD)
        wait_for(lambda: error_of(os.stat, m / 'silver/plain/part-0.parquet') == 0 and
                 columns(m / 'silver/plain/part-0.parquet') == ['n', 'word'], PATIENCE_S, 'the last policy')
    finally:
        stop.set()
        for r in readers:
            r.join()
    assert not wrong, wrong[:5]
    assert seen <= {('n', 'word'), ('n', 'other')} and seen


def test_more_views_than_numbers(mount, lake, policy):
    """Each change makes another view; what is read is the last one's, after hundreds of them."""
    m = mount(lake, policy=policy, **{'as': 'anybody'})
    for turn in range(300):
        governed.write_policy(policy, json.dumps({'grants': [
            {'to': ['everyone'], 'tables': ['silver/plain'], 'rows': 'n >= %d' % turn}]}))
        os.kill(m.pid, signal.SIGHUP)
        if turn % 25 == 24:
            wait_for(lambda least=turn: first_number(m / 'silver/plain/part-0.parquet') == least,
                     PATIENCE_S, 'view %d' % turn)
