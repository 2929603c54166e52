#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A table of figures of a mount, each with its baseline measured in the same run."""
import concurrent.futures
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / 'e2e')]

import boto3                                                        # noqa: E402
from botocore.config import Config                                  # noqa: E402
from support import big_table, s3 as s3_support                     # noqa: E402
from support.mounts import Mounter                                  # noqa: E402

LARGE_BYTES, SMALL_FILES, LISTED = 512 << 20, 10_000, 100_000
PART_BYTES, CONNECTIONS = 8 << 20, 16
ROUNDS = 3                      # the best one counts: other programs only make things slower
TIMEOUT_S = 280


def timed(work, *args):
    started = time.monotonic()
    work(*args)
    return time.monotonic() - started


def row(what, seconds, amount, unit, base=None):
    figure = '%.0f %s' % (amount / seconds, unit) if amount else '%.1f ms' % (1000 * seconds)
    against = '' if base is None else '%.0f %s, ratio %.2f' % (amount / base, unit, base / seconds)
    print('%-52s %14s   %s' % (what, figure, against), flush=True)


def read_whole(path):
    with open(path, 'rb', buffering=0) as f:
        room = memoryview(bytearray(1 << 20))
        while f.readinto(room):
            pass


def forget_pages(path):
    """Of the mount: a disk's file stays in the page cache, the mount is asked anew."""
    fd = os.open(path, os.O_RDONLY)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(fd)


def hot_read(path):
    def once():
        forget_pages(path)
        return timed(read_whole, path)
    return min(once() for _ in range(ROUNDS))


def raw_get(server, bucket, key):
    """The same object by ranged GETs side by side, thrown away."""
    client = boto3.client(
        's3', endpoint_url=server.url, region_name='us-east-1',
        aws_access_key_id=s3_support.ACCESS_KEY, aws_secret_access_key=s3_support.SECRET_KEY,
        config=Config(signature_version='s3v4', s3={'addressing_style': 'path'}))
    url = client.generate_presigned_url('get_object', Params={'Bucket': bucket, 'Key': key})
    parts = range(0, LARGE_BYTES, PART_BYTES)

    def get(start):
        subprocess.run(['curl', '-sSf', '-o', '/dev/null', '-r',
                        '%d-%d' % (start, start + PART_BYTES - 1), url], check=True)

    with concurrent.futures.ThreadPoolExecutor(CONNECTIONS) as pool:
        list(pool.map(get, parts))


def open_all(directory):
    for i in range(SMALL_FILES):
        os.close(os.open('%s/%05d' % (directory, i), os.O_RDONLY))


def list_all(directory):
    subprocess.run(['ls', '-lR', str(directory)], stdout=subprocess.DEVNULL, check=True)


def make_lake(root):
    chance = random.Random(7)
    (root / 'bronze/large').mkdir(parents=True)
    (root / 'bronze/small').mkdir()
    with open(root / 'bronze/large/a.bin', 'wb') as f:
        for _ in range(LARGE_BYTES >> 20):
            f.write(chance.randbytes(1 << 20))
    for i in range(SMALL_FILES):
        (root / 'bronze/small' / ('%05d' % i)).write_bytes(b'x' * 100)
    _, some, _ = big_table.make(root / 'silver/big', LISTED)
    os.sync()
    return some


def bench_disk(mount, root, some):
    m = mount(root)
    large, small = 'bronze/large/a.bin', 'bronze/small'
    read_whole(root / large)
    disk = min(timed(read_whole, root / large) for _ in range(ROUNDS))
    row('hot read, file:// (disk: page cache)', hot_read(m / large), LARGE_BYTES >> 20, 'MiB/s',
        disk)
    read_whole(m / large)
    again = min(timed(read_whole, m / large) for _ in range(ROUNDS))
    row('read again, file:// (disk: page cache)', again, LARGE_BYTES >> 20, 'MiB/s', disk)
    list_all(m / small)
    row('opens of 10,000 small files, file:// (disk)',
        min(timed(open_all, m / small) for _ in range(ROUNDS)), SMALL_FILES, 'opens/s',
        min(timed(open_all, root / small) for _ in range(ROUNDS)))
    row('first lookup in 100,000 files: snapshot made', timed(os.stat, m / 'silver/big' / some),
        0, '')
    row('ls -lR of 100,000 files', timed(list_all, m / 'silver/big'), LISTED, 'files/s')
    cache = m.cache
    m.unmount_and_wait_for_the_daemon()
    again = mount(root, cache=cache)
    row('first lookup in 100,000 files: found again',
        timed(os.stat, again / 'silver/big' / some), 0, '')
    again.unmount_and_wait_for_the_daemon()
    return disk


def bench_s3(mount, below, root, disk):
    server = s3_support.Server(below)
    try:
        server.copy_tree(root / 'bronze/large', server.make_bucket('lake'), 'bronze/large')
        os.sync()
        key = 'bronze/large/a.bin'
        raw = min(timed(raw_get, server, 'lake', key) for _ in range(ROUNDS))
        m = mount('s3://lake', endpoint_url=server.url, env=server.env)
        os.stat(m / key)
        row('cold read, S3 on loopback (16 ranged GETs, no copy)', timed(read_whole, m / key),
            LARGE_BYTES >> 20, 'MiB/s', raw)
        row('hot read, S3 cached (disk: page cache)', hot_read(m / key), LARGE_BYTES >> 20,
            'MiB/s', disk)
    finally:
        server.stop()


def main():
    print('%d CPUs, kernel %s; the baseline is in brackets' % (os.cpu_count(), os.uname().release))
    with tempfile.TemporaryDirectory(prefix='tarn-bench') as where:
        below = Path(where)
        mount = Mounter(below / 'mounts', TIMEOUT_S)
        try:
            some = make_lake(below / 'lake')
            disk = bench_disk(mount, below / 'lake', some)
            bench_s3(mount, below, below / 'lake', disk)
        finally:
            mount.end()


if __name__ == '__main__':
    main()
