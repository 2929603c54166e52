#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
What is fetched ahead of readers, over a network with 15 ms to the first byte and 90 MB/s a connection
(profile s3p): times beside raw GETs of 1 MiB in the same run, and bytes beside what was asked for.

usage: ahead.py [--quick] [--profile NAME] [LOAD ...]      sequence small shuffled columns random first

Needs `make bench-tools`, and root for passthrough. docs/FETCH.md has the figures.
"""
import argparse
import concurrent.futures
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import boto3
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from botocore.config import Config

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / 'e2e'), str(TESTS / 'bench')]

from fake.faults import FaultProxy                                     # noqa: E402
from figures import machine                                            # noqa: E402
from support import s3                                                 # noqa: E402
from support.mounts import Mounter                                     # noqa: E402

MIB, GRANULE = 1 << 20, 64 << 10
LARGE, TABLE, COLUMNS = 'bronze/large/a.bin', 'bronze/columns/a.parquet', 'bronze/small'
READ_ALL = 'import sys\nfor p in sys.argv[1:]:\n open(p, "rb", 0).read()\n'


class Setting:
    def __init__(self, below, opt):
        self.below, self.opt = Path(below), opt
        self.server = s3.Server(self.below)
        self.root = self.server.root / self.server.make_bucket('lake')
        self.large = (256 if opt.quick else 2048) * MIB
        self.files = 1000 if opt.quick else 10_000
        self.rows = (1 << 17 if opt.quick else 1 << 20) * 5 // 4
        self.made, self.chance = set(), random.Random(5)
        self.mounter = Mounter(self.below / 'mounts', 1800)

    def need(self, what):
        """Makes the load's objects, once."""
        if what in self.made:
            return
        self.made.add(what)
        path = self.root / what
        path.parent.mkdir(parents=True, exist_ok=True)
        if what == LARGE:
            with open(path, 'wb') as f:
                for _ in range(self.large // MIB):
                    f.write(self.chance.randbytes(MIB))
        elif what == TABLE:
            table = pa.table({'c%02d' % i: pa.array(memoryview(
                self.chance.randbytes(8 * self.rows)).cast('q')) for i in range(100)})
            pq.write_table(table, path, row_group_size=self.rows // 10, compression='none',
                           use_dictionary=False)
        else:
            path.mkdir()
            for i in range(self.files):
                (path / ('%05d.bin' % i)).write_bytes(self.chance.randbytes(100 << 10))

    def mount(self, proxy):
        return self.mounter('s3://lake', env=self.server.env, endpoint_url=proxy.url)

    def raw(self, proxy, ranges, workers):
        """Seconds of ranged GETs [(key, first, end)] by so many connections, thrown away."""
        client = boto3.client('s3', endpoint_url=proxy.url, region_name='us-east-1',
                              aws_access_key_id=s3.ACCESS_KEY, aws_secret_access_key=s3.SECRET_KEY,
                              config=Config(signature_version='s3v4',
                                            s3={'addressing_style': 'path'}))
        urls = {}
        for key, _, _ in ranges:
            if key not in urls:
                urls[key] = client.generate_presigned_url(
                    'get_object', Params={'Bucket': 'lake', 'Key': key})
        lines = ['url = "%s"\nrange = %d-%d\noutput = /dev/null\n' % (urls[k], a, b - 1)
                 for k, a, b in ranges]

        def one(share):
            subprocess.run(['curl', '-sSf', '-K', '-'], input='next\n'.join(share).encode(),
                           check=True, stdout=subprocess.DEVNULL)

        with concurrent.futures.ThreadPoolExecutor(workers) as pool:
            return machine.timed(list, pool.map(one, [lines[i::workers] for i in range(workers)]))


def tell(what, seconds, *more):
    print('%-34s %8.2f s  %s' % (what, seconds, '  '.join(more)), flush=True)


def measured(setting, proxy, run):
    """(seconds, bytes, requests) of what a new mount does."""
    m = setting.mount(proxy)
    os.listdir(m / 'bronze')
    proxy.forget()
    seconds = machine.timed(run, m)
    time.sleep(0.5)
    sent, requests = proxy.sent('data'), proxy.counts('data')
    rss = next(int(line.split()[1]) >> 10 for line in
               Path('/proc/%d/status' % m.pid).read_text().splitlines() if 'RssAnon' in line)
    m.unmount_and_wait_for_the_daemon()
    return seconds, sent, requests, rss


def sequence(setting, proxy):
    setting.need(LARGE)
    size = setting.large
    parts = [(LARGE, at, at + MIB) for at in range(0, size, MIB)]
    seconds, sent, requests, rss = measured(
        setting, proxy, lambda m: machine.read('seq', m / LARGE, block=256 << 10))
    four, sixteen = setting.raw(proxy, parts, 4), setting.raw(proxy, parts, 16)
    tell('sequence, %d MiB' % (size // MIB), seconds, '%.0f MB/s' % (size / seconds / 1e6),
         'raw: 4 connections %.2f, 16 %.2f' % (four / seconds, sixteen / seconds),
         'bytes %.3f' % (sent / size), '%d requests' % requests, 'RssAnon %d MiB' % rss)


def read_files(m, names, workers=8):
    shares = [[str(m / COLUMNS / n) for n in names[i::workers]] for i in range(workers)]
    readers = [subprocess.Popen([sys.executable, '-Sc', READ_ALL, *s]) for s in shares]
    assert all(r.wait() == 0 for r in readers)


def small(setting, proxy, shuffled=False):
    setting.need(COLUMNS)
    names = ['%05d.bin' % i for i in range(setting.files)]
    if shuffled:
        random.Random(1).shuffle(names)

    def run(m):
        if shuffled:
            (m / COLUMNS / '.tarn/prefetch').write_text('\n'.join(names) + '\n')
        read_files(m, names)

    seconds, sent, requests, rss = measured(setting, proxy, run)
    raw = setting.raw(proxy, [(COLUMNS + '/' + n, 0, 100 << 10) for n in names], 8)
    tell('%d small files, %s' % (len(names), 'list' if shuffled else 'in order'), seconds,
         '%.0f files/s' % (len(names) / seconds), 'raw %.2f' % (raw / seconds),
         'bytes %.3f' % (sent / len(names) / (100 << 10)), '%d requests' % requests,
         'RssAnon %d MiB' % rss)


def columns(setting, proxy):
    setting.need(TABLE)
    path, chosen = setting.root / TABLE, ['c10', 'c50', 'c51']
    meta = pq.ParquetFile(path).metadata
    chunks = [(c.data_page_offset, c.data_page_offset + c.total_compressed_size)
              for g in range(meta.num_row_groups)
              for c in (meta.row_group(g).column(int(n[1:])) for n in chosen)]
    wanted = sum(b - a for a, b in chunks) + meta.serialized_size + 8
    asked = ', '.join('sum(%s::double)' % c for c in chosen)
    loads = [('pyarrow', lambda m: pq.read_table(m / TABLE, columns=chosen)),
             ('duckdb', lambda m: duckdb.connect().execute(
                 "select %s from read_parquet('%s')" % (asked, m / TABLE)).fetchall())]
    for what, load in loads:
        seconds, sent, requests, rss = measured(setting, proxy, load)
        raw = setting.raw(proxy, [(TABLE, a, b) for a, b in chunks], 4)
        tell('3 of 100 columns, %s' % what, seconds, 'raw, 4 connections %.2f' % (raw / seconds),
             'bytes %.3f' % (sent / wanted), '%d requests, %d chunks' % (requests, len(chunks)),
             'RssAnon %d MiB' % rss)


def random_reads(setting, proxy):
    setting.need(LARGE)
    places = [setting.chance.randrange(setting.large - (256 << 10)) for _ in range(200)]
    granules = {g for p in places for g in range(p // GRANULE, (p + (256 << 10) - 1) // GRANULE + 1)}

    def run(m):
        fd = os.open(m / LARGE, os.O_RDONLY)
        for p in places:
            os.pread(fd, 256 << 10, p)
        os.close(fd)

    seconds, sent, requests, _ = measured(setting, proxy, run)
    tell('200 random reads of 256 KiB', seconds, '%.1f ms each' % (seconds * 5),
         'bytes %.3f of granules' % (sent / GRANULE / len(granules)), '%d requests' % requests)


def first(setting, proxy):
    setting.need(LARGE)
    took = []

    def run(m):
        os.stat(m / LARGE)
        start = time.monotonic()
        with open(m / LARGE, 'rb', 0) as f:
            f.read(4096)
        took.append(time.monotonic() - start)

    for _ in range(15):
        measured(setting, proxy, run)
    one = [r.ended - r.started for r in proxy.seen('data')]
    tell('first byte after open', statistics.median(took),
         'one GET of %.1f ms: %.2f' % (one[0] * 1000, statistics.median(took) / one[0]))


LOADS = {'sequence': sequence, 'small': small,
         'shuffled': lambda s, p: small(s, p, True), 'columns': columns,
         'random': random_reads, 'first': first}


def main():
    p = argparse.ArgumentParser(description='Measures what is fetched ahead.')
    p.add_argument('--quick', action='store_true')
    p.add_argument('--profile', default='s3p')
    p.add_argument('load', nargs='*', choices=[*LOADS, []])
    opt = p.parse_args()
    with tempfile.TemporaryDirectory(prefix='tarn-ahead') as where:
        setting = Setting(where, opt)
        try:
            with FaultProxy(setting.server.port, profile=opt.profile) as proxy:
                for load in opt.load or LOADS:
                    LOADS[load](setting, proxy)
        finally:
            setting.mounter.end()
            setting.server.stop()


if __name__ == '__main__':
    main()
