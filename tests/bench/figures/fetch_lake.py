# SPDX-License-Identifier: Apache-2.0
"""What is fetched: one large file, many small ones, a table of 100 columns, files to begin with."""
import dataclasses
import os
import random
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from fake.faults import FaultProxy
from support import s3 as s3_support
from support.mounts import Mounter

from . import lake, peers
from .setting import link_tree
from .table import Table

LARGE, WIDE, FIRST = 'bronze/large/a.bin', 'bronze/wide', 'bronze/first'
SMALL, SMALL_KEYS = 'silver/small@0/part=0', 'silver/small/part=0'
COLUMNS, WIDE_READ = 100, ('c10', 'c50', 'c90')
ROWS_OF_GROUP, GROUPS = 160_000, 2              # of a file: a chunk has 1.2 MiB
WATCHDOG_S = 3600


@dataclasses.dataclass
class Sizes:
    large: int = 2 << 30
    small_files: int = 10_000
    small: int = 100 << 10
    peer_files: int = 2_000
    wide_files: int = 4                         # of 244 MiB
    random_reads: int = 500
    first_files: int = 60
    rounds: int = 3


QUICK = Sizes(large=128 << 20, small_files=400, peer_files=100, wide_files=1, random_reads=60,
              first_files=10, rounds=1)


def write_large(path, size, chance):
    """Of 64 random blocks in random order: quicker than all of it at random."""
    blocks = [chance.randbytes(1 << 20) for _ in range(64)]
    path.parent.mkdir(parents=True)
    with open(path, 'wb') as f:
        for _ in range(size >> 20):
            f.write(chance.choice(blocks))


def write_wide(directory, files, chance):
    directory.mkdir(parents=True)
    rows = ROWS_OF_GROUP * GROUPS
    for i in range(files):
        table = pa.table({'c%02d' % c: pa.array(memoryview(chance.randbytes(8 * rows)).cast('q'))
                          for c in range(COLUMNS)})
        pq.write_table(table, directory / ('%02d.parquet' % i), row_group_size=ROWS_OF_GROUP,
                       compression='none', use_dictionary=False)


def make(root, sizes):
    chance = random.Random(7)
    write_large(root / LARGE, sizes.large, chance)
    write_wide(root / WIDE, sizes.wide_files, chance)
    lake.write_small(root / 'silver/small', sizes, chance)
    (root / FIRST).mkdir()
    (root / FIRST / '000.bin').write_bytes(chance.randbytes(8 << 20))
    for i in range(1, sizes.first_files):
        os.link(root / FIRST / '000.bin', root / FIRST / ('%03d.bin' % i))
    os.sync()


class Bench:
    """`below` is a new directory. Use as a context: everything is unmounted at its end."""

    def __init__(self, below, sizes, which):
        self.below, self.sizes, self.table, self.bucket = Path(below), sizes, Table(), 'lake'
        self.root, self.rounds = self.below / 'lake', sizes.rounds
        self.installed = {k: v for k, v in peers.installed().items()
                          if which is None or k.split()[0] in which}

    def __enter__(self):
        make(self.root, self.sizes)
        self.wide_bytes = sum(p.stat().st_size for p in (self.root / WIDE).glob('*'))
        self.server = s3_support.Server(self.below)
        self.server.make_bucket(self.bucket)
        link_tree(self.root, self.server.root / self.bucket)
        self.mounter = Mounter(self.below / 'mounts', WATCHDOG_S)
        self.peers = peers.Peers(self.below / 'peers', self.bucket)
        return self

    def __exit__(self, *_):
        self.mounter.end()
        self.server.stop()

    def stored(self, key):
        return self.root / key

    def proxied(self, profile):
        return FaultProxy(self.server.port, profile=profile)

    def mount_s3(self, url):
        """A mount with nothing cached; what the last one had is gone."""
        for old in self.mounter.below.glob('cache*'):
            shutil.rmtree(old)
        return self.mounter('s3://' + self.bucket, env=self.server.env, endpoint_url=url)
