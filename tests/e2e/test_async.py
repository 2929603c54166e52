# SPDX-License-Identifier: Apache-2.0
"""No thread of the mount waits: slow stores cost one wait, not one after the other."""
import concurrent.futures
import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time

import pytest

from support.mounts import wait_for
from support.places import PATIENCE_S, PYTHON, SUPPORT
from support.proxy_program import proxy_program

DELAY_S, FILES, BYTES = 0.2, 64, 1 << 20
SILENCE_S = 60                                  # a store that is silent for so long is an error (--deadline)


@pytest.fixture(scope='module')
def blobs(s3, tmp_path_factory):
    """64 blobs of 1 MiB, one of 64 MiB, and 400 small files: (bucket, directory)."""
    root, chance = tmp_path_factory.mktemp('blobs'), random.Random(5)
    for name in ('bronze/blobs', 'bronze/one', 'bronze/small'):
        (root / name).mkdir(parents=True)
    for i in range(FILES):
        (root / 'bronze/blobs' / ('%02d.bin' % i)).write_bytes(chance.randbytes(BYTES))
    (root / 'bronze/one/large.bin').write_bytes(chance.randbytes(FILES * BYTES))
    for i in range(400):
        (root / 'bronze/small' / ('%03d.txt' % i)).write_text(str(i))
    bucket = s3.new_bucket('blobs')
    s3.copy_tree(root, bucket)
    os.sync()                                   # writing it back must not meet what is measured
    return bucket, root


@contextlib.contextmanager
def prober(directory):
    """stat of known files all the while; yields a dict that has p99_ms afterwards."""
    found = {}
    process = subprocess.Popen([PYTHON, str(SUPPORT / 'stat_prober.py'), str(directory)],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == 'ready\n'
        yield found
        out, _ = process.communicate(timeout=PATIENCE_S)
        count, p99 = out.split()
        found.update(count=int(count), p99_ms=float(p99))
    finally:
        process.kill()
        process.wait()


def read_together(jobs):
    """Runs [(path, offset)] reads of 1 MiB, all at once: (seconds, their bytes)."""
    barrier = threading.Barrier(len(jobs) + 1)

    def read(job):
        barrier.wait()
        fd = os.open(job[0], os.O_RDONLY)
        try:
            got = b''
            while len(got) < BYTES:
                more = os.pread(fd, BYTES - len(got), job[1] + len(got))
                assert more, 'the end of %s at %d' % (job[0], job[1] + len(got))
                got += more
            return got
        finally:
            os.close(fd)

    with concurrent.futures.ThreadPoolExecutor(len(jobs)) as pool:
        futures = [pool.submit(read, job) for job in jobs]
        barrier.wait()
        started = time.monotonic()
        got = [f.result() for f in futures]
        return time.monotonic() - started, got


def asked_for(requests):
    """Bytes of data requests; what was late and is asked for again is counted twice."""
    ranges = [r['range'].split('=')[1].split('-') for r in requests]
    return sum(int(last) + 1 - int(first) for first, last in ranges)


ATTEMPTS = 6


def cold_reads(mount, s3, blobs, shape, delay):
    """One attempt, cold: seconds of the 64 reads, and what stat took meanwhile."""
    with proxy_program(s3.port, delay) as proxy:
        # what is known stays known: the reads are measured, not the look for something newer
        m = mount('s3://' + blobs[0], endpoint_url=proxy.url, env=s3.env, o='threads=1', refresh='600')
        os.listdir(m / 'bronze/blobs'), os.listdir(m / 'bronze/one')
        if shape == '64 files':
            jobs = [(m / 'bronze/blobs' / ('%02d.bin' % i), 0) for i in range(FILES)]
        else:
            jobs = [(m / 'bronze/one/large.bin', i * BYTES) for i in range(FILES)]
        for path, _ in jobs:
            os.stat(path)
        with prober(m / 'bronze/small') as stats:
            seconds, got = read_together(jobs)
        requests = proxy.requests('data')
        m.unmount()
    print('%s: %.3f s, %d requests, stat p99 %.2f ms of %d'
          % (shape, seconds, len(requests), stats['p99_ms'], stats['count']))
    large = (blobs[1] / 'bronze/one/large.bin').read_bytes()
    for i, data in enumerate(got):
        expected = (blobs[1] / 'bronze/blobs' / ('%02d.bin' % i)).read_bytes() \
            if shape == '64 files' else large[i * BYTES:(i + 1) * BYTES]
        assert data == expected, i
    assert asked_for(requests) >= FILES * BYTES, 'the reads were not cold'
    assert seconds > delay and stats['count'] >= 50
    return seconds, stats['p99_ms']


@pytest.mark.parametrize('shape', ['64 files', 'one file'])
def test_64_cold_reads_at_once(mount, s3, blobs, shape):
    """64 cold reads against a slow store go side by side with one FUSE thread, not in turn."""
    delay = 1                                   # in turn: a minute, on any machine
    seconds, _ = cold_reads(mount, s3, blobs, shape, delay)
    assert seconds < FILES * delay / 2


@pytest.mark.long
@pytest.mark.figures
@pytest.mark.parametrize('shape', ['64 files', 'one file'])
def test_64_cold_reads_within_600_ms(mount, s3, blobs, shape):
    """
    64 cold reads of 1 MiB end within 0.6 s, and stat's p99 stays below 10 ms; on a machine that
    others use too, in one of some attempts.
    """
    figures = []
    for _ in range(ATTEMPTS):
        seconds, p99_ms = cold_reads(mount, s3, blobs, shape, DELAY_S)
        figures.append((round(seconds, 3), round(p99_ms, 2)))
        if seconds < 0.6 and p99_ms < 10:
            return
    pytest.fail('seconds and ms: %s' % figures)


def test_one_flight_for_many_readers(mount, s3, blobs, proxy):
    """16 readers of one cold block cause one request for it."""
    proxy.delay = DELAY_S
    m = mount('s3://' + blobs[0], endpoint_url=proxy.url, env=s3.env)
    path = m / 'bronze/blobs/00.bin'
    os.stat(path)
    _, got = read_together([(path, 0)] * 16)
    assert set(got) == {(blobs[1] / 'bronze/blobs/00.bin').read_bytes()}
    assert proxy.counts('data', '*/00.bin') == 1


READER = '''
import os, signal, sys, time
class Interrupted(Exception): pass
def handler(*_): raise Interrupted
signal.signal(signal.SIGUSR1, handler)
print('ready', flush=True)
try:
    if sys.argv[1] == 'read':
        fd = os.open(sys.argv[2], os.O_RDONLY | os.O_DIRECT)
        import mmap
        os.preadv(fd, [mmap.mmap(-1, 1 << 20)], 0)
    elif sys.argv[1] == 'list':
        os.listdir(sys.argv[2])
    else:
        os.stat(sys.argv[2])
    print('done', flush=True)
except Interrupted:
    print('interrupted', flush=True)
'''


@contextlib.contextmanager
def stalled(proxy, kind, key, what, path):
    """A process that waits in the mount for a request that is never answered."""
    rule = proxy.rule('stall', kind=kind, key=key)
    process = subprocess.Popen([sys.executable, '-c', READER, what, str(path)],
                               stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == 'ready\n'
        wait_for(lambda: rule.hits, PATIENCE_S, 'the request at the store')
        time.sleep(0.3)
        assert process.poll() is None, 'it did not wait'
        yield process
    finally:
        process.kill()
        process.wait(20)                        # what it has open would keep the mount busy
        proxy.clear()


@pytest.mark.parametrize('sign', [signal.SIGUSR1, signal.SIGTERM, signal.SIGKILL],
                         ids=['handled', 'deadly', 'kill'])
@pytest.mark.parametrize('what, kind, key', [
    ('read', 'data', '*/07.bin'), ('stat', 'log', '*/orders/*'), ('list', 'log', '*/orders/*')])
def test_interrupted_reader_returns_at_once(mount, s3, blobs, lake, bucket, proxy, what, kind, key,
                                            sign):
    """
    A process that waits in a read, a lookup or a listing goes when it is signalled: it does not
    wait until the store's silence is an error.
    """
    if what == 'read':
        m = mount('s3://' + blobs[0], endpoint_url=proxy.url, env=s3.env)
        path = m / 'bronze/blobs/07.bin'
        os.stat(path)
    else:
        s3.copy_tree(lake.root, bucket)
        m = mount('s3://' + bucket, endpoint_url=proxy.url, env=s3.env)
        os.listdir(m / 'silver')
        path = m / 'silver/orders'
        path = path / 'date=2024-02-01' if what == 'stat' else path
    with stalled(proxy, kind, key, what, path) as process:
        started = time.monotonic()
        process.send_signal(sign)
        process.wait(timeout=PATIENCE_S)
        took = time.monotonic() - started
        if sign == signal.SIGUSR1:
            assert process.stdout.read() == 'interrupted\n'
    assert took < SILENCE_S / 2, '%.3f s' % took
    # the mount is well: what others ask is answered
    assert os.listdir(m / 'bronze')


def test_interrupted_reader_leaves_the_flight_to_others(mount, s3, blobs, proxy):
    """One reader of a block is killed, the other one still gets its bytes, by one request."""
    m = mount('s3://' + blobs[0], endpoint_url=proxy.url, env=s3.env)
    path = m / 'bronze/blobs/09.bin'
    os.stat(path)
    proxy.rule('delay', kind='data', key='*/09.bin', seconds=2)
    first = subprocess.Popen(['cat', str(path)], stdout=subprocess.DEVNULL)
    wait_for(lambda: proxy.counts('data', '*/09.bin'), PATIENCE_S, 'the request at the store')
    second = subprocess.Popen(['md5sum', str(path)], stdout=subprocess.PIPE, text=True)
    time.sleep(0.3)
    first.kill()
    out, _ = second.communicate(timeout=PATIENCE_S)
    import hashlib
    assert out.split()[0] == hashlib.md5((blobs[1] / 'bronze/blobs/09.bin').read_bytes()).hexdigest()
    assert proxy.counts('data', '*/09.bin') == 1


def test_slow_table_does_not_hold_up_others(mount, s3, lake, bucket, proxy):
    """While one table's log stalls, another one is opened, listed and read."""
    s3.copy_tree(lake.root, bucket)
    m = mount('s3://' + bucket, endpoint_url=proxy.url, env=s3.env, o='threads=1')
    os.listdir(m)
    with stalled(proxy, 'log', '*/orders/*', 'list', m / 'silver/orders'):
        started = time.monotonic()
        names = os.listdir(m / 'gold/daily')
        assert names and time.monotonic() - started < SILENCE_S / 2
        some = next((m / 'gold/daily').rglob('*.parquet'))
        assert some.read_bytes()[:4] == b'PAR1'
