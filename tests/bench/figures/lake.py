# SPDX-License-Identifier: Apache-2.0
"""What is read: one large file, many small ones, a wide Parquet file, a table of 100,000 files."""
import dataclasses
import json
import os
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from support import big_table

LISTED = 100_000
LARGE, MIDDLE, COLUMNS = 'bronze/large/a.bin', 'bronze/middle/a.bin', 'bronze/columns/a.parquet'
# A Delta table: its files below a ref, which never changes; at the live path; on the disk.
SMALL_TABLE = 'silver/small'
SMALL, SMALL_LIVE = SMALL_TABLE + '@0/part=0', SMALL_TABLE + '/part=0'


@dataclasses.dataclass
class Sizes:
    large: int = 2 << 30
    middle: int = 512 << 20
    small_files: int = 20_000
    small: int = 110_000
    rows: int = 2_000_000                       # of the Parquet file, 16 columns


QUICK = Sizes(large=256 << 20, middle=64 << 20, small_files=2_000, rows=200_000)


def write_random(path, size, chance):
    path.parent.mkdir(parents=True)
    with open(path, 'wb') as f:
        for at in range(0, size, 1 << 20):
            f.write(chance.randbytes(min(1 << 20, size - at)))


def write_columns(path, rows, chance):
    """16 columns of 8 random bytes a row: nothing to compress, row groups of 128 K rows."""
    path.parent.mkdir(parents=True)
    table = pa.table({'c%02d' % i: pa.array(memoryview(chance.randbytes(8 * rows)).cast('q'))
                      for i in range(16)})
    pq.write_table(table, path, row_group_size=128 << 10, compression='none',
                   use_dictionary=False)


def write_small(table, sizes, chance):
    """A table of small files; nobody looks into them, so they are no Parquet."""
    (table / 'part=0').mkdir(parents=True)
    (table / '_delta_log').mkdir()
    add = big_table.add_of(0, 2)
    with open(table / '_delta_log' / ('%020d.json' % 0), 'w') as log:
        meta = dict(big_table.meta(2), format={'provider': 'parquet', 'options': {}},
                    configuration={})
        for action in ({'protocol': {'minReaderVersion': 1, 'minWriterVersion': 2}},
                       {'metaData': meta}):
            log.write(json.dumps(action) + '\n')
        for i in range(sizes.small_files):
            name = 'part=0/%05d.parquet' % i
            (table / name).write_bytes(chance.randbytes(sizes.small))
            add.update(path=name, size=sizes.small, partitionValues={'part': '0'}, stats=None)
            log.write(json.dumps({'add': add}) + '\n')


def make(root, sizes):
    """The lake below a new directory; the name of one file of silver/big."""
    chance, root = random.Random(7), Path(root)
    write_random(root / LARGE, sizes.large, chance)
    write_random(root / MIDDLE, sizes.middle, chance)
    write_columns(root / COLUMNS, sizes.rows, chance)
    write_small(root / SMALL_TABLE, sizes, chance)
    _, some, _ = big_table.make(root / 'silver/big', LISTED)
    os.sync()
    return some
