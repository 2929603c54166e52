# SPDX-License-Identifier: Apache-2.0
"""
Delta tables of plain Parquet files with hand-made logs: column mapping, deletion vectors, columns
that came later; with the rows that they must give.
"""
import base64
import json
import random
import struct
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

TIME_MS = 1_700_000_000_000
B85 = b'0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~'
Z85 = b'0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#'


def bitmap(rows):
    """A RoaringBitmapArray: its magic, then one 32-bit bitmap of array containers."""
    keys = {}
    for row in sorted(rows):
        assert row < 1 << 32
        keys.setdefault(row >> 16, []).append(row & 0xffff)
    assert all(len(low) <= 4096 for low in keys.values()), 'array containers only'
    head = struct.pack('<II', 12346, len(keys))
    head += b''.join(struct.pack('<HH', k, len(v) - 1) for k, v in keys.items())
    at, offsets, bodies = len(head) + 4 * len(keys), b'', b''
    for low in keys.values():
        offsets += struct.pack('<I', at + len(bodies))
        bodies += struct.pack('<%dH' % len(low), *low)
    return struct.pack('<IQI', 1681511377, 1, 0) + head + offsets + bodies


def inline_vector(rows):
    """A deletion vector whose bytes are in the log."""
    raw = bitmap(rows)
    padded = raw + bytes(-len(raw) % 4)
    text = base64.b85encode(padded).translate(bytes.maketrans(B85, Z85)).decode()
    return {'storageType': 'i', 'pathOrInlineDv': text, 'sizeInBytes': len(raw),
            'cardinality': len(rows)}


def field(name, kind, physical=None, number=0):
    mapped = {'delta.columnMapping.id': number, 'delta.columnMapping.physicalName': physical}
    return {'name': name, 'type': kind, 'nullable': True, 'metadata': mapped if physical else {}}


def write_log(table, fields, adds, features, configuration, version=0):
    """One commit of all of it."""
    schema = {'type': 'struct', 'fields': fields}
    actions = [
        {'protocol': {'minReaderVersion': 3, 'minWriterVersion': 7, 'readerFeatures': features,
                      'writerFeatures': features}},
        {'metaData': {'id': '6f4dd0f0-0000-4000-8000-000000000001', 'configuration': configuration,
                      'format': {'provider': 'parquet', 'options': {}}, 'partitionColumns': [],
                      'schemaString': json.dumps(schema), 'createdTime': TIME_MS}}]
    actions += [{'add': dict({'partitionValues': {}, 'modificationTime': TIME_MS,
                              'dataChange': True}, **add)} for add in adds]
    log = Path(table) / '_delta_log'
    log.mkdir(parents=True, exist_ok=True)
    (log / ('%020d.json' % version)).write_text('\n'.join(map(json.dumps, actions)))


def numbers(rows, seed):
    """Columns `n` and `text` that do not compress: about 40 bytes a row."""
    r = random.Random(seed)
    return pa.table({'n': pa.array([r.getrandbits(62) for _ in range(rows)], pa.int64()),
                     'text': pa.array(['%032x' % r.getrandbits(128) for _ in range(rows)])})


def store(table, name, data):
    path = Path(table) / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(data, path, row_group_size=20_000, compression='snappy')
    return {'path': name, 'size': path.stat().st_size}


def mapped(table, files):
    """Stored as col-1, col-2 and gone; shown as number, words and `later`, which no file has."""
    adds, shown = [], []
    for i, rows in enumerate(files):
        data = numbers(rows, i)
        gone = pa.array([i] * rows, pa.int32())
        adds.append(store(table, 'part-%d.parquet' % i,
                          data.rename_columns(['col-1', 'col-2']).append_column('gone', gone)))
        shown.append(data.rename_columns(['number', 'words'])
                     .append_column('later', pa.nulls(rows, pa.float64())))
    fields = [field('number', 'long', 'col-1', 1), field('words', 'string', 'col-2', 2),
              field('later', 'double', 'col-3', 3)]
    write_log(table, fields, adds, ['columnMapping'],
              {'delta.columnMapping.mode': 'name', 'delta.columnMapping.maxColumnId': '3'})
    return shown


def with_deletes(table, files, every=97):
    """Each file has lost every so-manyth row."""
    adds, shown = [], []
    for i, rows in enumerate(files):
        data = numbers(rows, i)
        gone = set(range(i, rows, every))
        adds.append(dict(store(table, 'part-%d.parquet' % i, data),
                         deletionVector=inline_vector(gone)))
        shown.append(data.take([row for row in range(rows) if row not in gone]))
    write_log(table, [field('n', 'long'), field('text', 'string')], adds, ['deletionVectors'],
              {'delta.enableDeletionVectors': 'true'})
    return shown
