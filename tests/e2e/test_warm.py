# SPDX-License-Identifier: Apache-2.0
"""tarn warm: what it has brought needs no server, and it says how far it is and what it could not."""
import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import time

import pytest

from support import bad_logs, lakes, s3 as s3_support
from support.mounts import clean_env, run_tarn, wait_for
from support.places import PATIENCE_S, SLOWNESS, TARN

IMAGES = 'bronze/images'
MIB = 1 << 20


@pytest.fixture
def served(s3, bucket, lake, proxy):
    """The lake in a bucket behind the counting proxy: keyword arguments for mount."""
    s3.copy_tree(lake.root, bucket)
    return {'source': 's3://' + bucket, 'endpoint_url': proxy.url, 'env': s3.env}


@pytest.fixture
def blobs(s3, bucket, proxy, tmp_path):
    """Sixty files of 100 KB and one of 40 MiB in a bucket: (keyword arguments for mount, files)."""
    source = tmp_path / 'blobs'
    source.mkdir()
    for i in range(60):
        (source / ('small-%02d' % i)).write_bytes(bytes([i + 1]) * 100_000)
    (source / 'huge').write_bytes(os.urandom(40 * MIB))
    s3.copy_tree(source, bucket, 'blobs')
    return ({'source': 's3://' + bucket, 'endpoint_url': proxy.url, 'env': s3.env},
            {p.name: p.read_bytes() for p in source.iterdir()})


def tree(root):
    return {name: (root / name).read_bytes() for name in lakes.tree(root)}


def start(*args, **more):
    return subprocess.Popen([str(TARN), 'warm', *map(str, args)], env=clean_env(),
                            stdin=subprocess.DEVNULL, text=True, **more)


def cached(m, files):
    return {n: int(m.xattr('blobs/' + n, 'cached')) for n in files}


def wait_until_still(m, files, proxy):
    """Until no more bytes are added to the cache for a second."""
    last = [None, 0.0]

    def still():
        now = cached(m, files)
        if now != last[0] or proxy.flying('data'):
            last[:] = [now, time.monotonic()]
        return time.monotonic() - last[1] > SLOWNESS
    wait_for(still, PATIENCE_S, 'the last answers')
    return last[0]


def test_the_server_may_go(mount, lake, tmp_path):
    """After tarn warm the server is stopped, and every file is read right."""
    server = s3_support.Server(tmp_path)
    try:
        server.copy_tree(lake.root, server.make_bucket('lake'))
        m = mount('s3://lake', endpoint_url=server.url, env=server.env, refresh=3600)
        done = run_tarn('warm', m)
        assert (done.returncode, done.stdout.split(':')[0]) == (0, 'done'), done.stderr
    finally:
        server.stop()
    for table in lake.tables:
        for name, size in lakes.tree(m / table).items():
            expected = (lake / table / name).read_bytes()
            assert len(expected) == size and (m / table / name).read_bytes() == expected
    for below in (IMAGES, 'bronze/events'):
        assert tree(m / below) == tree(lake / below)


def test_nothing_is_asked_again(mount, served, proxy):
    """A second tarn warm asks the store for no data and reads no file."""
    m = mount(**served)
    assert run_tarn('warm', m / IMAGES, m / 'silver').returncode == 0
    assert proxy.counts('data') > 0
    proxy.clear()
    done = run_tarn('warm', m / IMAGES, m / 'silver')
    assert done.returncode == 0 and 'read 0 files' in done.stdout
    assert proxy.counts('data') == 0


def test_check(mount, lake, served):
    """--check tells files, bytes and share of each path: 1 where something is missing, else 0."""
    m = mount(**served)
    total = sum(lakes.tree(lake / IMAGES).values())
    count = len(lakes.tree(lake / IMAGES))
    before = run_tarn('warm', '--check', '--json', m / IMAGES, m / 'silver/orders')
    assert before.returncode == 1, before.stderr
    images, orders = map(json.loads, before.stdout.splitlines())
    assert images == {'path': str(m / IMAGES), 'files': count, 'bytes': total,
                      'cachedFiles': 1, 'cachedBytes': 0}       # the empty one
    assert orders['files'] == len(lakes.tree(m / 'silver/orders'))
    assert run_tarn('warm', m / IMAGES).returncode == 0
    after = run_tarn('warm', '--check', m / IMAGES)
    assert after.returncode == 0 and '(100%)' in after.stdout
    assert '%d of %d files' % (count, count) in after.stdout
    assert run_tarn('warm', '--check', m / IMAGES, m / 'silver/orders').returncode == 1


def test_one_file_outside_of_tables(mount, s3, bucket, proxy):
    """A file that lies beside tables is warmed and told like any other."""
    s3.put(bucket, 'notes.bin', b'n' * 300_000)
    s3.put(bucket, 'sub/table/_delta_log/x', b'')
    m = mount('s3://' + bucket, endpoint_url=proxy.url, env=s3.env)
    assert run_tarn('warm', '--check', m / 'notes.bin').returncode == 1
    assert run_tarn('warm', m / 'notes.bin').returncode == 0
    assert run_tarn('warm', '--check', m / 'notes.bin').returncode == 0
    proxy.clear()
    assert (m / 'notes.bin').read_bytes() == b'n' * 300_000
    assert proxy.counts('data') == 0


@pytest.mark.parametrize('sign', [signal.SIGINT, signal.SIGKILL], ids=['ctrl-c', 'kill'])
def test_stopped_in_the_middle(mount, blobs, proxy, sign):
    """Stopped in the middle and run again, it asks the store only for the rest."""
    kept, files = blobs
    m = mount(**kept)
    slow = proxy.rule('delay', kind='data', seconds=1)
    warm = start(m, '--jobs', 4, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_for(lambda: slow.hits >= 20, PATIENCE_S, 'twenty requests')
    warm.send_signal(sign)
    said, _ = warm.communicate(timeout=PATIENCE_S)
    assert warm.returncode == -sign
    if sign == signal.SIGINT:
        assert re.match(r'stopped: read \d+ files', said)
    there = wait_until_still(m, files, proxy)   # what was asked for arrives, and counts
    first = {(r.key, r.range) for r in proxy.seen('data')}
    assert 0 < sum(there.values()) < sum(map(len, files.values()))
    proxy.clear()
    done = run_tarn('warm', m)
    assert done.returncode == 0, done.stderr
    again = {(r.key, r.range) for r in proxy.seen('data')}
    assert again and not first & again
    assert tree(m / 'blobs') == files


def test_ctrl_c_does_not_wait(mount, blobs, proxy):
    """Ctrl-C ends it at once, though the store answers nothing."""
    kept, _ = blobs
    m = mount(**kept)
    stalled = proxy.rule('stall', kind='data')
    warm = start(m, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    wait_for(lambda: stalled.hits >= 1, PATIENCE_S, 'a request')
    warm.send_signal(signal.SIGINT)
    said, _ = warm.communicate(timeout=PATIENCE_S)
    assert warm.returncode == -signal.SIGINT and said.startswith('stopped: read 0 files')


def test_each_failure_is_named(mount, blobs, proxy):
    """A file that cannot be read is named with its reason; the others are read, the status is 1."""
    kept, files = blobs
    m = mount(**kept)
    proxy.rule('status', kind='data', key='*small-07', status=403)
    done = run_tarn('warm', m)
    assert done.returncode == 1 and done.stdout.startswith('incomplete: read %d files' % (len(files) - 1))
    told = [line for line in done.stderr.splitlines() if 'Permission denied' in line]
    assert told == ['tarn warm: %s/blobs/small-07: Permission denied' % m]
    proxy.clear()
    assert run_tarn('warm', m).returncode == 0
    assert proxy.counts('data') == 1


def test_refused_table(mount, own_lake):
    """A table that is refused is named with its reason; the others are warmed, the status is 1."""
    bad = own_lake / 'silver' / 'broken'
    bad_logs.base(bad)
    bad_logs.write(bad, bad_logs.LAST, bad_logs.line(bad_logs.protocol(minReaderVersion=99)))
    done = run_tarn('warm', mount(own_lake.root) / 'silver')
    assert done.returncode == 1
    assert 'silver/broken: ' in done.stderr and '99' in done.stderr


def test_what_cannot_be_kept_is_told(mount, blobs):
    """More than the cache may keep is told, with status 1, and no more than its budget is kept."""
    kept, _ = blobs
    m = mount(cache_size='16M', **kept)
    done = run_tarn('warm', m)
    assert done.returncode == 1 and 'are not cached' in done.stderr
    assert run_tarn('warm', '--check', m).returncode == 1


@pytest.mark.parametrize('words', [['warm'], ['warm', '--jobs', '0', 'x'], ['warm', '--jobs'],
                                   ['warm', '--nonsense', 'x'], ['warm', '--json', 'x']],
                         ids=' '.join)
def test_wrong_use(tarn, words):
    """Wrong use is 2 with its reason."""
    done = run_tarn(*words)
    assert done.returncode == 2 and done.stderr and not done.stdout


def test_no_mount(tarn, tmp_path):
    """A path outside of mounts is 1 with its reason."""
    for path in (tmp_path, tmp_path / 'nowhere'):
        done = run_tarn('warm', path)
        assert done.returncode == 1 and str(path) in done.stderr


def test_links_lead_nowhere(mount, served, proxy):
    """A directory of links is walked without following them: history is not read unasked."""
    m = mount(**served)
    os.listdir(m / 'silver/orders@')
    proxy.clear()
    assert run_tarn('warm', m / 'silver/orders@').returncode == 0
    assert proxy.counts('data') == 0


def test_a_link_that_is_named(mount, served, lake, tmp_path):
    """A link on the command line leads where it leads, to a file and to a directory."""
    m = mount(**served)
    (tmp_path / 'file').symlink_to(m / IMAGES / 'image-5.bin')
    (tmp_path / 'dir').symlink_to(m / 'silver/orders')
    done = run_tarn('warm', tmp_path / 'file', tmp_path / 'dir')
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith('done: read %d files' % (1 + len(lakes.tree(m / 'silver/orders'))))
    assert run_tarn('warm', '--check', m / 'silver/orders@11').returncode == 0


def test_one_object_once(mount, lake, served):
    """A file that several versions share is counted and read once."""
    m = mount(**served)
    paths = [m / ('silver/orders@%d' % v) for v in range(4)]
    files = {n for v in range(4) for n in lake.versions('silver/orders')[v].files}
    assert run_tarn('warm', *paths).stdout.startswith('done: read %d files' % len(files))


def test_lines_where_there_is_no_terminal(mount, blobs, proxy):
    """On a pipe there are lines without control characters, one every few seconds."""
    kept, files = blobs
    proxy.rule('delay', kind='data', seconds=1)
    done = run_tarn('warm', '--jobs', 8, mount(**kept), timeout=PATIENCE_S)
    assert done.returncode == 0
    lines = done.stderr.splitlines()
    assert lines[0] == 'tarn warm: %d files, 45.7 MiB to read; 0 files, 0 B are cached' % len(files)
    assert 1 <= len(lines[1:]) <= 20
    for line in lines[1:]:
        assert re.fullmatch(r'tarn warm: +\d+%  \d+/61 files  [\d.]+ \w+ of 45.7 MiB'
                            r'(  [\d.]+ \w+/s  [\d:]+ left)?', line), line
    assert '\r' not in done.stderr and '\033' not in done.stderr
    assert run_tarn('warm', '--quiet', mount(**kept), timeout=PATIENCE_S).stderr == ''


@pytest.mark.parametrize('width', [200, 80, 40, 12])
def test_bar_on_a_terminal(mount, blobs, proxy, width):
    """On a terminal one line is redrawn, never wider than the terminal, and gone at the end."""
    kept, _ = blobs
    proxy.rule('delay', kind='data', seconds=0.3)
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack('4H', 24, width, 0, 0))
    m = mount(**kept)
    warm = start(m, stdout=subprocess.PIPE, stderr=theirs)
    os.close(theirs)
    drawn = b''
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:                         # EIO: the other side is closed
            break
        if not piece:
            break
        drawn += piece
    os.close(ours)
    assert warm.wait(timeout=PATIENCE_S) == 0 and warm.stdout.read().startswith('done: read 61 files')
    frames = [f.replace('\033[K', '') for f in drawn.decode().split('\r')]
    assert '\n' not in drawn.decode() and frames[-1] == ''
    assert len(frames) > 5 and max(map(len, frames)) < width
    shares = [int(f.split('%')[0].split(']')[-1]) for f in frames if '%' in f]
    assert shares == sorted(shares) and shares[-1] > shares[0]
    assert any('[=' in f and 'left' in f for f in frames) == (width >= 80)
