# SPDX-License-Identifier: Apache-2.0
"""What comes from the store: cold reads, bytes on the wire, one fetch for many readers."""
import concurrent.futures
import os
import statistics
import subprocess

import boto3
import pyarrow.parquet as pq
from botocore.config import Config

from support import s3

from . import machine
from .lake import COLUMNS, LARGE, MIDDLE, SMALL
from .machine import read
from .table import AT_MOST

PART_BYTES, CONNECTIONS, COLD_ROUNDS = 8 << 20, 16, 3
RANDOM_READS, SMALL_FILES, SHARERS = 2_000, 1_000, 8


def raw_get(bench, key, size):
    """The same object by ranged GETs side by side, thrown away."""
    client = boto3.client(
        's3', endpoint_url=bench.server.url, region_name='us-east-1',
        aws_access_key_id=s3.ACCESS_KEY, aws_secret_access_key=s3.SECRET_KEY,
        config=Config(signature_version='s3v4', s3={'addressing_style': 'path'}))
    url = client.generate_presigned_url('get_object', Params={'Bucket': bench.bucket, 'Key': key})

    def get(start):
        subprocess.run(['curl', '-sSf', '-o', '/dev/null', '-r',
                        '%d-%d' % (start, start + PART_BYTES - 1), url], check=True)

    with concurrent.futures.ThreadPoolExecutor(CONNECTIONS) as pool:
        list(pool.map(get, range(0, size, PART_BYTES)))


def cold(bench):
    """Nothing is cached; the server is on this machine and its files are in the page cache."""
    bench.table.section('Cold reads from S3 on loopback')
    size, ours, raw = bench.sizes.middle, [], []
    for _ in range(COLD_ROUNDS):
        m = bench.mount_s3()
        os.stat(m / MIDDLE)
        ours.append(read('seq', m / MIDDLE).seconds[0][0])
        m.unmount_and_wait_for_the_daemon()
        raw.append(machine.timed(raw_get, bench, MIDDLE, size))
    bench.table.row('cold sequential', '%.0f MiB/s' % (size / min(ours) / (1 << 20)),
                    '%d GETs %.0f' % (CONNECTIONS, size / min(raw) / (1 << 20)),
                    statistics.median(r / o for r, o in zip(raw, ours)))
    m = bench.mount_s3()
    done = read('open', m / SMALL, read=1 << 20, threads=8)
    bench.table.row('cold small files, 8 threads, read whole',
                    '%.0f files/s' % done.ops_s(0), '%.0f MiB/s' % done.mib_s(0))
    m.unmount_and_wait_for_the_daemon()


def data_ranges(proxy, key):
    """[(first, end)] of the ranges of an object that were asked for, in the order of the object."""
    asked = []
    for request in proxy.seen('data', '*' + key):
        first, _, last = request.range.partition('=')[2].partition('-')
        asked.append((int(first), int(last) + 1))
    return sorted(asked)


def shared(bench):
    """Processes that read one cold file at once: each byte is asked for once."""
    bench.table.section('%d processes read one cold file of %d MiB' % (
        SHARERS, bench.sizes.middle >> 20))
    with bench.proxied() as proxy:
        m = bench.mount_s3(url=proxy.url)
        os.stat(m / MIDDLE)
        readers = [subprocess.Popen(machine.reader_words('seq', m / MIDDLE),
                                    stdout=subprocess.DEVNULL) for _ in range(SHARERS)]
        assert all(r.wait(machine.READER_TIMEOUT_S) == 0 for r in readers)
        ranges = data_ranges(proxy, MIDDLE)
        asked = sum(end - first for first, end in ranges)
        twice = sum(a[1] > b[0] for a, b in zip(ranges, ranges[1:]))
        bench.table.row('bytes asked for, per byte of the file', '%d requests' % len(ranges),
                        '%d ranges overlap' % twice, asked / bench.sizes.middle, 1.0, AT_MOST)
        m.unmount_and_wait_for_the_daemon()


def column_bytes(path, name):
    """What a reader of one column cannot do without: its chunks and the footer."""
    meta = pq.read_metadata(path)
    at = meta.schema.to_arrow_schema().get_field_index(name)
    chunks = sum(meta.row_group(g).column(at).total_compressed_size
                 for g in range(meta.num_row_groups))
    return chunks + meta.serialized_size + 8


def one_column(m):
    with pq.ParquetFile(m / COLUMNS) as file:
        file.read(columns=['c03'])


def some_small(m, count):
    total = 0
    for name in sorted(os.listdir(m / SMALL))[:count]:
        total += len((m / SMALL / name).read_bytes())
    return total


def random_threads(m, threads):
    """Random 4 KiB of the large file, by a process a thread: a quarter of RANDOM_READS each."""
    readers = [subprocess.Popen(machine.reader_words('rand', m / LARGE, count=RANDOM_READS // 4,
                                                     seed=i), stdout=subprocess.DEVNULL)
               for i in range(1, threads + 1)]
    assert all(r.wait(machine.READER_TIMEOUT_S) == 0 for r in readers)


def wire_loads(bench):
    """[(what, load of a mount, bytes that it needs)]"""
    small = min(SMALL_FILES, bench.sizes.small_files)
    return [
        ('sequential, whole', lambda m: read('seq', m / MIDDLE), bench.sizes.middle),
        ('random 4 KiB over %d MiB' % (bench.sizes.large >> 20),
         lambda m: read('rand', m / LARGE, count=RANDOM_READS), RANDOM_READS * 4096),
        ('Parquet: footer and 1 of 16 columns',
         one_column, column_bytes(bench.root / COLUMNS, 'c03')),
        ('%s small files' % format(small, ','), lambda m: some_small(m, small),
         small * bench.sizes.small),
    ]


def measure_wire(bench, proxy, load):
    """A load on a mount that has nothing cached: (bytes of bodies, requests, seconds)."""
    m = bench.mount_s3(url=proxy.url)
    os.listdir(m / SMALL)
    proxy.clear()
    seconds = machine.timed(load, m)
    m.unmount_and_wait_for_the_daemon()         # what is still on its way counts too
    return proxy.sent('data'), proxy.counts('data'), seconds


def wire(bench):
    bench.table.section('Bytes on the wire per byte that is needed')
    with bench.proxied() as proxy:
        for what, load, needed in wire_loads(bench):
            sent, requests, _ = measure_wire(bench, proxy, load)
            bench.table.row(what, '%s KiB' % format(sent >> 10, ','),
                            '%d requests' % requests, sent / needed)
