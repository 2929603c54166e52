# SPDX-License-Identifier: Apache-2.0
"""A lake whose files are worth archiving: some large, some small, one table with a checkpoint."""
import dataclasses
import os
import random
from pathlib import Path

ARCHIVES = ['GLACIER', 'DEEP_ARCHIVE']
BIG, SMALL, ROWS = 'big', 'small', 400_000


@dataclasses.dataclass
class Lake:
    root: Path
    keys: dict            # of the table's large and its small file: in the store
    log_key: str          # its first commit
    checkpoint_key: str   # of the other table
    added: dict           # the versions that added them

    @property
    def names(self):
        """Below the mount."""
        return self.keys

    @property
    def sizes(self):
        return {which: (self.root / key).stat().st_size for which, key in self.keys.items()}

    def bytes(self, which):
        return (self.root / self.keys[which]).read_bytes()


def big_lake(root):
    """silver/orders (2 versions), silver/pointed (with a checkpoint), raw/scans (no format)."""
    import pyarrow as pa
    from deltalake import DeltaTable, write_deltalake
    chance = random.Random(11)
    table = str(root / 'silver/orders')
    rows = lambda n: pa.table({'x': pa.array(memoryview(chance.randbytes(8 * n)).cast('q'))})
    write_deltalake(table, rows(ROWS))
    write_deltalake(table, rows(500), mode='append')
    found = sorted(Path(table).glob('*.parquet'), key=lambda p: -p.stat().st_size)
    pointed = str(root / 'silver/pointed')
    for _ in range(3):
        write_deltalake(pointed, rows(10), mode='append')
    DeltaTable(pointed).create_checkpoint()
    (root / 'raw/scans').mkdir(parents=True)
    (root / 'raw/scans/large.bin').write_bytes(chance.randbytes(3 << 20))
    (root / 'raw/scans/small.bin').write_bytes(chance.randbytes(5000))
    first = DeltaTable(table, version=0).file_uris()[0].rsplit('/', 1)[1]
    checkpoint, = (root / 'silver/pointed/_delta_log').glob('*.checkpoint.parquet')
    return Lake(root, {BIG: os.path.relpath(found[0], root), SMALL: os.path.relpath(found[1], root)},
                'silver/orders/_delta_log/00000000000000000000.json',
                os.path.relpath(checkpoint, root),
                {BIG: 0 if found[0].name == first else 1, SMALL: 0 if found[1].name == first else 1})


def refusal(path):
    """The errno of opening the file, and of reading a byte of it; 0: it can be read."""
    try:
        fd = os.open(path, os.O_RDONLY)
    except OSError as e:
        return e.errno
    try:
        os.read(fd, 1)
        return 0
    finally:
        os.close(fd)
