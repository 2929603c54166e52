# SPDX-License-Identifier: Apache-2.0
"""Cold reads beside raw GETs of the same parts and beside other mounts, with and without a network."""
import json
import os
import random
import statistics
import subprocess
import sys
import time

import boto3
import pyarrow.parquet as pq
from botocore.config import Config

from support import s3
from support.memory import Sampler

from . import machine
from .fetch_lake import FIRST, LARGE, SMALL, SMALL_KEYS, WIDE, WIDE_READ
from .table import AT_MOST

RAW = machine.BUILD / 'bench' / 'raw_get'
WORKERS, RANDOM_BLOCK, GRANULE = 8, 256 << 10, 64 << 10
FIRST_BYTES, PEER_PART = 64 << 10, 8 << 20
TIMEOUT_S = 600

# Reads three columns of a directory of Parquet files; prints how long that took.
ENGINES = {'pyarrow': '''
import sys, time, pyarrow.parquet as pq
t = time.monotonic()
rows = pq.read_table(sys.argv[1], columns=sys.argv[2:]).num_rows
print(time.monotonic() - t, rows)
''', 'duckdb': '''
import sys, time, duckdb
words = ', '.join('sum(%s)' % c for c in sys.argv[2:])
duckdb.sql('set enable_progress_bar = false')
t = time.monotonic()
duckdb.sql("select %s, count(*) from read_parquet('%s/*.parquet')" % (words, sys.argv[1])).fetchall()
print(time.monotonic() - t, 0)
'''}


class Use:
    """CPU seconds and anonymous memory of a process while the block runs."""

    def __init__(self, pid):
        self.pid, self.sampler = pid, Sampler(pid)

    def _cpu(self):
        with open('/proc/%d/stat' % self.pid) as f:
            fields = f.read().rsplit(')', 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')

    def __enter__(self):
        self.before = self._cpu()
        self.sampler.__enter__()
        return self

    def __exit__(self, *_):
        self.sampler.__exit__()
        self.cpu_s = self._cpu() - self.before
        self.peak = self.sampler.peak


def client_of(bench, url):
    return boto3.client('s3', endpoint_url=url, region_name='us-east-1',
                        aws_access_key_id=s3.ACCESS_KEY, aws_secret_access_key=s3.SECRET_KEY,
                        config=Config(signature_version='s3v4', s3={'addressing_style': 'path'}))


def raw(bench, url, keys, connections, part=PEER_PART, limit=1 << 62, to=None):
    """Objects by raw GETs: {bytes, seconds, requests, median_ms}. to: what is written, and removed."""
    client = client_of(bench, url)
    lines = ['%d %s' % (os.stat(bench.stored(key)).st_size, client.generate_presigned_url(
        'get_object', Params={'Bucket': bench.bucket, 'Key': key}, ExpiresIn=7200)) for key in keys]
    done = subprocess.run([str(RAW), '--connections', str(connections), '--part', str(part),
                           '--limit', str(limit), *(['--to', str(to)] if to else [])], input='\n'.join(lines) + '\n', text=True,
                          check=True, stdout=subprocess.PIPE, timeout=TIMEOUT_S)
    if to:
        to.unlink()
    return json.loads(done.stdout)


def part_of(bench):
    """The bytes of the requests that a sequential reader causes: their median."""
    with bench.proxied('s3p') as proxy:
        m = bench.mount_s3(url=proxy.url)
        with open(m / LARGE, 'rb', buffering=0) as f:
            for _ in range(min(64, bench.sizes.large >> 21)):
                f.read(1 << 20)
        m.unmount_and_wait_for_the_daemon()
        spans = [r.range.partition('=')[2].split('-') for r in proxy.seen('data') if r.range]
    return statistics.median_low([int(last) + 1 - int(first) for first, last in spans])


def mounts(bench, url):
    """{name: mount with nothing cached}, ours first."""
    found = {'tarn': lambda: bench.mount_s3(url=url)}
    for name, words in bench.installed.items():
        found[name] = lambda words=words: bench.peers.mount(words, url)
    return found


def sequential(bench, make):
    """One cold read of the large file: (seconds, Use)."""
    m = make()
    try:
        os.stat(m / LARGE)
        with Use(m.pid) as use:
            return machine.read('seq', m / LARGE).seconds[0][0], use
    finally:
        m.unmount_and_wait_for_the_daemon()


def mib_s(size, seconds):
    return '%.0f MiB/s' % (size / seconds / (1 << 20))


def one_file(bench, title, url, demands):
    """demands: {connections of raw: ratio}."""
    size, part = bench.sizes.large, bench.part
    bench.table.section('One cold file of %d MiB, %s' % (size >> 20, title))
    times = {n: [] for n in demands}
    ours, used = [], None
    for _ in range(bench.rounds):
        for n in demands:
            times[n].append(raw(bench, url, [LARGE], n, part)['seconds'])
        seconds, used = sequential(bench, lambda: bench.mount_s3(url=url))
        ours.append(seconds)
    for n, bound in demands.items():
        ratio = statistics.median(r / o for r, o in zip(times[n], ours))
        bench.table.row('tarn, beside %d GETs of %d KiB' % (n, part >> 10), mib_s(size, min(ours)),
                        'raw %s' % mib_s(size, min(times[n])), ratio, bound)
    eight = raw(bench, url, [LARGE], max(demands), PEER_PART)['seconds']
    bench.table.row('tarn, beside %d GETs of 8 MiB' % max(demands), '', 'raw ' + mib_s(size, eight),
                    eight / min(ours))
    kept = raw(bench, url, [LARGE], max(demands), part, to=bench.below / 'kept')['seconds']
    bench.table.row('tarn, beside the same, written to a file', '', 'raw ' + mib_s(size, kept),
                    kept / min(ours))
    bench.table.row('tarn: CPU seconds a GB', '%.2f' % (used.cpu_s / size * 1e9),
                    'RssAnon %d MiB' % (used.peak >> 20))
    for name, make in list(mounts(bench, url).items())[1:]:
        seconds, used = sequential(bench, make)
        bench.table.row('tarn, beside %s' % name, '', '%s %s' % (name, mib_s(size, seconds)),
                        seconds / min(ours), 1.0)
        bench.table.row('%s: CPU seconds a GB' % name, '%.2f' % (used.cpu_s / size * 1e9),
                        'RssAnon %d MiB' % (used.peak >> 20))


def large(bench):
    one_file(bench, 'without delay', bench.server.url, {16: 0.5})
    with bench.proxied('s3p') as proxy:
        one_file(bench, 'under S3P', proxy.url, {4: 0.9, 16: 0.6})


def read_list(bench, m, below, names):
    """Files by WORKERS threads in the order of the list: seconds."""
    path = bench.below / 'list'
    path.write_text(''.join(n + '\n' for n in names))
    return machine.read('open', m / below, list=path, threads=WORKERS, read=1 << 20).seconds[0][0]


def tell_order(m, names):
    """False where the mount takes no list."""
    where = m / SMALL
    try:
        with open(where.parent / '.tarn/prefetch', 'w') as f:
            f.write(''.join('%s/%s\n' % (where.name, n) for n in names))
        return True
    except OSError:
        return False


def small(bench):
    """Many small files by some workers, in the order of names and shuffled with a list."""
    names = sorted(os.listdir(bench.root / SMALL_KEYS))
    bench.table.section('%s cold files of %d KiB by %d workers, under S3P' % (
        format(len(names), ','), bench.sizes.small >> 10, WORKERS))
    keys = ['%s/%s' % (SMALL_KEYS, n) for n in names]
    shuffled = random.Random(5).sample(names, len(names))
    with bench.proxied('s3p') as proxy:
        wire = raw(bench, proxy.url, keys, WORKERS)['seconds']
        for what, order in (('in order', names), ('shuffled, with a list', shuffled)):
            m = bench.mount_s3(url=proxy.url)
            os.listdir(m / SMALL)
            if order is shuffled and not tell_order(m, order):
                bench.table.note('this binary takes no list')
            with Use(m.pid) as use:
                ours = read_list(bench, m, SMALL, order)
            m.unmount_and_wait_for_the_daemon()
            bench.table.row('tarn, %s' % what, '%.0f files/s' % (len(names) / ours),
                            'raw %.0f' % (len(names) / wire), wire / ours, 0.9)
            bench.table.note('CPU seconds a GB %.2f, RssAnon %d MiB' % (
                use.cpu_s / len(names) / bench.sizes.small * 1e9, use.peak >> 20))
        some = names[:bench.sizes.peer_files]
        for name, make in list(mounts(bench, proxy.url).items())[1:]:
            m = make()
            os.listdir(m / SMALL_KEYS)
            theirs = read_list(bench, m, SMALL_KEYS, some) / len(some)
            m.unmount_and_wait_for_the_daemon()
            bench.table.row('%s, the first %s in order' % (name, format(len(some), ',')),
                            '%.0f files/s' % (1 / theirs), 'raw %.0f' % (len(names) / wire),
                            wire / len(names) / theirs)


def needed_of(bench):
    """Bytes of the chunks that are read, and of the footers."""
    total = 0
    for path in sorted((bench.root / WIDE).glob('*.parquet')):
        meta = pq.read_metadata(path)
        at = [meta.schema.to_arrow_schema().get_field_index(c) for c in WIDE_READ]
        total += meta.serialized_size + 8 + sum(
            meta.row_group(g).column(i).total_compressed_size
            for g in range(meta.num_row_groups) for i in at)
    return total


def some_columns(proxy, engine, make):
    """(seconds, bytes that the store sent)"""
    m = make()
    try:
        os.listdir(m / WIDE)
        proxy.forget()
        done = subprocess.run([sys.executable, '-c', ENGINES[engine], str(m / WIDE), *WIDE_READ],
                              check=True, text=True, stdout=subprocess.PIPE, timeout=TIMEOUT_S)
        seconds = float(done.stdout.split()[0])
    finally:
        m.unmount_and_wait_for_the_daemon()
    return seconds, proxy.sent('data')


def columns(bench):
    needed = needed_of(bench)
    bench.table.section('%d of 100 columns of a cold Parquet table of %d MiB, under S3P' % (
        len(WIDE_READ), bench.wide_bytes >> 20))
    with bench.proxied('s3p') as proxy:
        for engine in ENGINES:
            found = {name: some_columns(proxy, engine, make)
                     for name, make in mounts(bench, proxy.url).items()}
            seconds, sent = found.pop('tarn')
            bench.table.row('tarn, %s: bytes beside chunks and footers' % engine,
                            '%d KiB' % (sent >> 10), 'needed %d' % (needed >> 10), sent / needed,
                            1.10, AT_MOST)
            for name, (theirs, bytes_sent) in found.items():
                bench.table.row('%s, %s' % (name, engine), '%d KiB' % (bytes_sent >> 10),
                                '%.2f s' % theirs, bytes_sent / needed)
            if found:
                best = min(found, key=lambda name: found[name][0])
                bench.table.row('tarn, %s: time beside the best peer' % engine, '%.2f s' % seconds,
                                '%s %.2f s' % (best, found[best][0]), seconds / found[best][0],
                                1 / 3, AT_MOST)


def random_places(size, count, seed=1):
    """The offsets of reader.c's `rand`."""
    state, found = seed | 1, []
    for _ in range(count):
        state ^= state >> 12
        state = (state ^ (state << 25)) & (1 << 64) - 1
        state ^= state >> 27
        drawn = state * 0x2545F4914F6CDD1D & (1 << 64) - 1
        found.append(drawn % (size // RANDOM_BLOCK) * RANDOM_BLOCK)
    return found


def scattered(bench):
    count, size = bench.sizes.random_reads, bench.sizes.large
    asked = len(set(random_places(size, count))) * RANDOM_BLOCK     # whole granules
    bench.table.section('%d random reads of 256 KiB of a cold file, under S3P' % count)
    with bench.proxied('s3p') as proxy:
        for name, make in mounts(bench, proxy.url).items():
            m = make()
            os.stat(m / LARGE)
            proxy.forget()
            done = machine.read('rand', m / LARGE, count=count, block=RANDOM_BLOCK)
            m.unmount_and_wait_for_the_daemon()
            sent, ours = proxy.sent('data'), name == 'tarn'
            bench.table.row('%s: bytes beside those asked for' % name, '%d MiB' % (sent >> 20),
                            '%.1f ms a read' % (done.seconds[0][0] / count * 1000), sent / asked,
                            1.02 if ours else None, AT_MOST)


def first_ms(m, names):
    """Milliseconds from open to the first byte: the median."""
    took = []
    for name in names:
        os.stat(m / FIRST / name)
    for name in names:
        started = time.monotonic()
        fd = os.open(m / FIRST / name, os.O_RDONLY)
        assert os.pread(fd, 1, 0)
        took.append(time.monotonic() - started)
        os.close(fd)
    return statistics.median(took) * 1000


def first_byte(bench):
    names = sorted(os.listdir(bench.root / FIRST))
    bench.table.section('First byte after open, %d cold files of 8 MiB, under S3P' % len(names))
    with bench.proxied('s3p') as proxy:
        wire = raw(bench, proxy.url, [FIRST + '/' + n for n in names], 1, FIRST_BYTES,
                   FIRST_BYTES)['median_ms']
        for name, make in mounts(bench, proxy.url).items():
            m = make()
            took = first_ms(m, names)
            m.unmount_and_wait_for_the_daemon()
            bench.table.row('%s: p50' % name, '%.1f ms' % took, 'GET of 64 KiB %.1f ms' % wire,
                            took / wire, 1.1 if name == 'tarn' else None, AT_MOST)


SECTIONS = {'large': large, 'small': small, 'columns': columns, 'random': scattered,
            'first': first_byte}
