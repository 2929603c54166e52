#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Writes the log of a Delta table of many files: a checkpoint at version 10 and 20 commits after it.
The data files do not exist: lookups and listings do not need them.

usage: big_table.py DIR FILES [--directories N]
"""
import argparse
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

CHECKPOINT, COMMITS, ADDED, REMOVED = 10, 20, 10, 5
ROW_GROUP = 100_000
FIRST_MS = 1709285400123
SCHEMA = json.dumps({'type': 'struct', 'fields': [
    {'name': 'id', 'type': 'long', 'nullable': True, 'metadata': {}},
    {'name': 'part', 'type': 'string', 'nullable': True, 'metadata': {}}]})

STRINGS = pa.map_(pa.string(), pa.string())
ADD = pa.struct([('path', pa.string()), ('partitionValues', STRINGS), ('size', pa.int64()),
                 ('modificationTime', pa.int64()), ('dataChange', pa.bool_()),
                 ('stats', pa.string()), ('tags', STRINGS)])
REMOVE = pa.struct([('path', pa.string()), ('deletionTimestamp', pa.int64()),
                    ('dataChange', pa.bool_()), ('extendedFileMetadata', pa.bool_()),
                    ('partitionValues', STRINGS), ('size', pa.int64())])
METADATA = pa.struct([('id', pa.string()), ('name', pa.string()),
                      ('format', pa.struct([('provider', pa.string()), ('options', STRINGS)])),
                      ('schemaString', pa.string()), ('partitionColumns', pa.list_(pa.string())),
                      ('configuration', STRINGS), ('createdTime', pa.int64())])
PROTOCOL = pa.struct([('minReaderVersion', pa.int32()), ('minWriterVersion', pa.int32())])
CHECKPOINT_SCHEMA = pa.schema([('metaData', METADATA), ('protocol', PROTOCOL), ('add', ADD),
                               ('remove', REMOVE)])


def path_of(i, directories):
    """Names as Spark makes them: nothing to be gained by sharing long prefixes."""
    name = 'part-%05d-%032x.c000.snappy.parquet' % (i % 100000, i * 0x9E3779B97F4A7C15 % (1 << 128))
    return 'part=%04d/%s' % (i % directories, name) if directories > 1 else name


def size_of(i):
    return 1_000_000 + i % 1000


def add_of(i, directories):
    values = [('part', '%04d' % (i % directories))] if directories > 1 else []
    return {'path': path_of(i, directories), 'partitionValues': values, 'size': size_of(i),
            'modificationTime': FIRST_MS + i, 'dataChange': False,
            'stats': '{"numRecords":1000,"minValues":{"id":%d},"maxValues":{"id":%d}}'
                     % (i * 1000, i * 1000 + 999),
            'tags': None}


def meta(directories):
    return {'id': 'b1c5a8f0-0000-4000-8000-000000000001', 'name': None,
            'format': {'provider': 'parquet', 'options': []}, 'schemaString': SCHEMA,
            'partitionColumns': ['part'] if directories > 1 else [], 'configuration': [],
            'createdTime': FIRST_MS}


def write_checkpoint(log, files, directories):
    path = log / ('%020d.checkpoint.parquet' % CHECKPOINT)
    with pq.ParquetWriter(path, CHECKPOINT_SCHEMA, compression='snappy') as writer:
        head = [{'metaData': meta(directories)},
                {'protocol': {'minReaderVersion': 1, 'minWriterVersion': 2}}]
        writer.write_table(pa.Table.from_pylist(head, schema=CHECKPOINT_SCHEMA))
        for start in range(0, files, ROW_GROUP):
            adds = pa.array([add_of(i, directories)
                             for i in range(start, min(files, start + ROW_GROUP))], ADD)
            columns = [adds if f.name == 'add' else pa.nulls(len(adds), f.type)
                       for f in CHECKPOINT_SCHEMA]
            writer.write_table(pa.Table.from_arrays(columns, schema=CHECKPOINT_SCHEMA))
    (log / '_last_checkpoint').write_text(json.dumps(
        {'version': CHECKPOINT, 'size': files + 2, 'sizeInBytes': path.stat().st_size,
         'numOfAddFiles': files}))


def write_commits(log, files, directories):
    for step in range(COMMITS):
        version = CHECKPOINT + 1 + step
        lines = [{'commitInfo': {'timestamp': FIRST_MS + version, 'operation': 'WRITE'}}]
        for i in range(files + step * ADDED, files + (step + 1) * ADDED):
            lines.append({'add': dict(add_of(i, directories), dataChange=True,
                                      partitionValues=dict(add_of(i, directories)['partitionValues']))})
            del lines[-1]['add']['tags']
        for i in range(step * REMOVED, (step + 1) * REMOVED):
            lines.append({'remove': {'path': path_of(i, directories), 'dataChange': True,
                                     'deletionTimestamp': FIRST_MS + version}})
        (log / ('%020d.json' % version)).write_text(''.join(json.dumps(x) + '\n' for x in lines))


def make(table, files, directories=100):
    """Returns (files of the last version, path and size of one of them)."""
    log = Path(table) / '_delta_log'
    log.mkdir(parents=True)
    write_checkpoint(log, files, directories)
    write_commits(log, files, directories)
    i = files // 2
    return files + COMMITS * (ADDED - REMOVED), path_of(i, directories), size_of(i)


def main():
    p = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    p.add_argument('table', metavar='DIR')
    p.add_argument('files', type=int, metavar='FILES')
    p.add_argument('--directories', type=int, default=100, metavar='N')
    opt = p.parse_args()
    print('%d files, one is %s of %d bytes' % make(opt.table, opt.files, opt.directories))


if __name__ == '__main__':
    main()
