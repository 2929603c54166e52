# SPDX-License-Identifier: Apache-2.0
"""The live path holds still while it is used, moves when it rests, and keeps what it has shown."""
import errno
import os
import shutil
import threading
import time

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from support import lakes
from support.mounts import wait_for
from support.places import PATIENCE_S

TABLE = 'silver/orders'


def shown(path):
    return int(os.getxattr(path, 'user.tarn.version'))


def commit(lake, mode='append'):
    """One more commit; returns its version."""
    write_deltalake(lake / TABLE, lakes.rows(9000 + int(time.monotonic() * 1000) % 1000, 9),
                    mode=mode, partition_by=['date'])
    return DeltaTable(lake / TABLE).version()


def test_moves_after_a_rest(mount, own_lake):
    """The path shows a new version when nobody has touched it for --refresh."""
    m = mount(own_lake.root, refresh='0.5', hold='60')
    before = shown(m / TABLE)
    after = commit(own_lake)
    time.sleep(1.5)
    assert shown(m / TABLE) == after == before + 1
    adds = pa.table(DeltaTable(own_lake / TABLE).get_add_actions(flatten=True))
    assert lakes.tree(m / TABLE) == dict(zip(adds['path'].to_pylist(), adds['size_bytes'].to_pylist()))


def test_holds_while_walked(mount, own_lake):
    """While requests come without a pause the path stays at one version, for less than --hold."""
    refresh = 2
    m = mount(own_lake.root, refresh=str(refresh), hold='600')
    expected = shown(m / TABLE), lakes.tree(m / TABLE)
    writer = threading.Thread(target=commit, args=(own_lake, 'overwrite'))
    last, pause, until, got = time.monotonic(), 0.0, None, expected
    writer.start()
    while got == expected and (until is None or last < until):
        asked = time.monotonic()
        got = shown(m / TABLE), lakes.tree(m / TABLE)
        pause = max(pause, time.monotonic() - last)
        last = asked
        if until is None and not writer.is_alive():
            until = asked + refresh + 0.5
    writer.join()
    # where the machine was busy elsewhere for so long, the path has rested
    assert got == expected or pause >= refresh, 'it moved, the longest pause was %.1f s' % pause
    time.sleep(refresh + 0.5)
    assert shown(m / TABLE) == expected[0] + 1


def test_moves_at_twice_hold_at_the_latest(mount, own_lake):
    """Requests without end hold the path for twice --hold, and no longer."""
    hold = 2
    m = mount(own_lake.root, refresh='600', hold=str(hold))
    began = time.monotonic()
    before = shown(m / TABLE)
    commit(own_lake)
    while shown(m / TABLE) == before:
        assert time.monotonic() - began < PATIENCE_S, 'it never moved'
    assert time.monotonic() - began > hold, 'it was not held'


def test_moves_at_a_pause_after_hold(mount, own_lake):
    """After --hold a pause of 50 ms is enough for the path to move."""
    hold = 3                                    # at twice that it moves without a pause, too
    m = mount(own_lake.root, refresh='600', hold=str(hold))
    before = shown(m / TABLE)
    held = time.monotonic()
    commit(own_lake)
    while time.monotonic() < held + hold + 0.1:
        os.listdir(m / TABLE)
    time.sleep(0.1)
    assert shown(m / TABLE) == before + 1


def test_one_listing_is_one_version(mount, own_lake):
    """A directory that was opened before a move goes on with the version it was opened with."""
    m = mount(own_lake.root, refresh='0.2', hold='1')
    fd = os.open(m / TABLE, os.O_RDONLY | os.O_DIRECTORY)
    try:
        expected = sorted(os.listdir(fd))
        commit(own_lake, 'overwrite')
        time.sleep(1)
        assert sorted(os.listdir(m / TABLE))
        assert sorted(os.listdir(fd)) == expected
    finally:
        os.close(fd)


def test_keep(mount, own_lake):
    """A name that the path has shown opens after the path has moved on, though it is not listed."""
    m = mount(own_lake.root, refresh='0.3', hold='60', keep='60')
    old = sorted(lakes.tree(m / TABLE))
    data = {name: (m / TABLE / name).read_bytes() for name in old}
    after = commit(own_lake, 'overwrite')
    time.sleep(1)
    assert shown(m / TABLE) == after
    now = lakes.tree(m / TABLE)
    assert not set(old) & set(now)
    for name in old:
        assert (m / TABLE / name).read_bytes() == data[name]
    assert lakes.tree(m / TABLE) == now


def test_keep_ends(mount, own_lake):
    """After --keep a name that is no longer in the table is gone."""
    m = mount(own_lake.root, refresh='0.2', hold='60', keep='1')
    old = next(iter(sorted(lakes.tree(m / TABLE))))
    commit(own_lake, 'overwrite')

    def gone():
        time.sleep(0.4)
        try:
            os.stat(m / TABLE / old)
        except OSError as e:
            assert e.errno == errno.ENOENT
            return True
        return False

    wait_for(gone, PATIENCE_S, '%s no longer kept' % old)


def test_names_never_shown_are_not_kept(mount, own_lake):
    """Only what the live path has shown is kept: a file of an old version never was."""
    m = mount(own_lake.root, refresh='0.3')
    versions = own_lake.versions(TABLE)
    never = sorted(set(versions[0].files) - set(versions[-1].files))
    assert never
    assert lakes.tree(m / TABLE) == versions[-1].files
    for name in never:
        assert not (m / TABLE / name).exists()


@pytest.mark.parametrize('mode', ['append', 'overwrite'])
def test_pinned_versions_stay(mount, own_lake, mode):
    """A pinned version is the same tree with the same bytes after new commits."""
    m = mount(own_lake.root, refresh='0.2')
    before = {v.number: {n: (m / ('%s@%d' % (TABLE, v.number)) / n).read_bytes() for n in v.files}
              for v in own_lake.versions(TABLE)}
    for _ in range(3):
        commit(own_lake, mode)
    time.sleep(1)
    assert shown(m / TABLE) == len(before) + 2
    for number, files in before.items():
        there = m / ('%s@%d' % (TABLE, number))
        assert lakes.tree(there) == own_lake.versions(TABLE)[number].files
        assert {n: (there / n).read_bytes() for n in files} == files


def test_open_file_reads_on(mount, own_lake):
    """A file that is open reads on while its table is overwritten."""
    m = mount(own_lake.root, refresh='0.2')
    name = sorted(lakes.tree(m / TABLE))[0]
    with open(m / TABLE / name, 'rb') as f:
        half = f.read(100)
        commit(own_lake, 'overwrite')
        time.sleep(1)
        assert half + f.read() == (own_lake / TABLE / name).read_bytes()


def test_working_directory_survives(mount, own_lake):
    """A process whose working directory is in the table is still there after a move."""
    m = mount(own_lake.root, refresh='0.2')
    here = os.open('.', os.O_RDONLY)
    try:
        os.chdir(m / TABLE)
        after = commit(own_lake)
        time.sleep(1)
        assert shown('.') == after
        assert os.getcwd() == str(m / TABLE)
    finally:
        os.fchdir(here)
        os.close(here)


def rest_until(condition, what):
    """Looks again and again, with rests between in which a live path may move."""
    for _ in range(20):
        time.sleep(0.4)
        if condition():
            return
    raise TimeoutError(what)


@pytest.mark.parametrize('below', ['', '/deep/orders'])
def test_files_that_become_a_table(mount, tmp_path, below):
    """A directory that was seen before its first commit becomes a table when that has come."""
    source = tmp_path / 'lake'
    table = source / ('silver/new' + below)
    table.mkdir(parents=True)
    (table / 'part-0.parquet').write_bytes(b'not committed yet')
    m = mount(source, refresh='0.2')
    shown_as = m / ('silver/new' + below)
    assert os.listdir(shown_as) == ['part-0.parquet']
    assert os.getxattr(m / 'silver/new', 'user.tarn.format') == b'files'
    write_deltalake(str(table), pa.table({'x': [1, 2, 3]}))
    live = {f for f in os.listdir(table) if f.endswith('.parquet')} - {'part-0.parquet'}
    rest_until(lambda: set(os.listdir(shown_as)) == live, 'the table')
    assert os.getxattr(shown_as, 'user.tarn.format') == b'delta'
    assert set(os.listdir(str(shown_as) + '@0')) == live


def test_recreated_table(mount, tmp_path):
    """A table that is dropped and made again under its path shows nothing of the old one."""
    source = tmp_path / 'lake'
    m = None
    for word in ('one', 'two'):
        if (source / 'silver').exists():
            shutil.rmtree(source / 'silver/orders')
        write_deltalake(str(source / 'silver/orders'), pa.table({'word': [word] * 10}))
        m = m or mount(source, refresh='0.2')
        expected = {f.name: f.read_bytes() for f in (source / 'silver/orders').glob('*.parquet')}
        rest_until(lambda: set(os.listdir(m / 'silver/orders')) == set(expected), word)
        for path in ('silver/orders', 'silver/orders@0', 'silver/orders/@0'):
            got = {f.name: f.read_bytes() for f in (m / path).iterdir()}
            assert got == expected, path
