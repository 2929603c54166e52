# SPDX-License-Identifier: Apache-2.0
"""What is read: one large file, many small ones, a wide Parquet file, a table of 100,000 files."""
import dataclasses
import os
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from support import big_table

LISTED = 100_000
LARGE, MIDDLE, SMALL, COLUMNS = ('bronze/large/a.bin', 'bronze/middle/a.bin', 'bronze/small',
                                 'bronze/columns/a.parquet')


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


def make(root, sizes):
    """The lake below a new directory; the name of one file of silver/big."""
    chance, root = random.Random(7), Path(root)
    write_random(root / LARGE, sizes.large, chance)
    write_random(root / MIDDLE, sizes.middle, chance)
    write_columns(root / COLUMNS, sizes.rows, chance)
    (root / SMALL).mkdir()
    for i in range(sizes.small_files):
        (root / SMALL / ('%05d.bin' % i)).write_bytes(chance.randbytes(sizes.small))
    _, some, _ = big_table.make(root / 'silver/big', LISTED)
    os.sync()
    return some
