# SPDX-License-Identifier: Apache-2.0
"""A lake whose files are worth archiving: some large, some small, one table with a checkpoint."""
import dataclasses
import json
import os
import random
import struct
import zlib
from pathlib import Path
from urllib.parse import quote

from . import presented_tables

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


VECTORS = ('silver/t/deletion_vector_00000000-0000-4000-8000-000000000007.bin',
           'silver/t/deletion vector 8.bin')


def with_vectors(root, bucket):
    """
    silver/t, of which rows of part-0 and part-1 are deleted by the first of VECTORS, and of part-2 by the other;
    the table names them by their URLs in the bucket.
    """
    table = root / 'silver/t'
    presented_tables.with_deletes(table, [1000, 800, 600])
    log = table / '_delta_log/00000000000000000000.json'
    actions = [json.loads(line) for line in log.read_text().splitlines()]
    vector = presented_tables.bitmap(range(0, 600, 97))
    stored = b'\x01' + struct.pack('>I', len(vector)) + vector + struct.pack('>I', zlib.crc32(vector))
    for key in VECTORS:
        (root / key).write_bytes(stored)
    adds = sorted((a['add'] for a in actions if 'add' in a), key=lambda add: add['path'])
    for key, add in zip((VECTORS[0], VECTORS[0], VECTORS[1]), adds):
        add['deletionVector'] = {'storageType': 'p', 'pathOrInlineDv': 's3://%s/%s' % (bucket, quote(key)), 'offset': 1,
                                 'sizeInBytes': len(vector), 'cardinality': len(range(0, 600, 97))}
    log.write_text('\n'.join(map(json.dumps, actions)))
    return ['silver/t/' + add['path'] for add in adds]


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
