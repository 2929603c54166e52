#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Writes the log of a Delta table of many files, the same bytes every time: as commits, or as one
checkpoint with one commit behind it. The data files do not exist: nobody opens them here.

usage: load_delta_tables.py commits|checkpoint DIR FILES
"""
import argparse
import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

FIRST_MS = 1709285400123
DATES = 365
COLUMNS = ('id', 'customer', 'amount', 'quantity', 'discount', 'shipped', 'comment', 'status')
SCHEMA = json.dumps({'type': 'struct', 'fields': [
    {'name': name, 'type': kind, 'nullable': True, 'metadata': {}} for name, kind in
    zip(COLUMNS + ('date',), ('long', 'long', 'double', 'integer', 'double', 'timestamp', 'string',
                              'string', 'date'))]})
ROW_GROUP = 100_000

STRINGS = pa.map_(pa.string(), pa.string())
ADD = pa.struct([('path', pa.string()), ('partitionValues', STRINGS), ('size', pa.int64()),
                 ('modificationTime', pa.int64()), ('dataChange', pa.bool_()), ('tags', STRINGS),
                 ('stats', pa.string())])
REMOVE = pa.struct([('path', pa.string()), ('deletionTimestamp', pa.int64()),
                    ('dataChange', pa.bool_())])
METADATA = pa.struct([('id', pa.string()),
                      ('format', pa.struct([('provider', pa.string()), ('options', STRINGS)])),
                      ('schemaString', pa.string()), ('partitionColumns', pa.list_(pa.string())),
                      ('configuration', STRINGS), ('createdTime', pa.int64())])
PROTOCOL = pa.struct([('minReaderVersion', pa.int32()), ('minWriterVersion', pa.int32())])
CHECKPOINT = pa.schema([('metaData', METADATA), ('protocol', PROTOCOL), ('add', ADD),
                        ('remove', REMOVE)])


def commits_of(files):
    """How many commits so many files come in: 100 to 1,000 files each."""
    return max(1, files // (100 if files <= 100_000 else 1000))


def mixed(i):
    """Digits that look random and are the same on every machine."""
    return (i * 0x9E3779B97F4A7C15F39CC0605CEDC835 + 0x1234567) % (1 << 128)


def date_of(i):
    day = mixed(i) % DATES
    return '2025-%02d-%02d' % (day // 31 + 1, day % 28 + 1)


def stats_of(i):
    """What Spark writes of eight columns: 500 bytes, of which a reader of the list needs none."""
    low, high = i * 1000, i * 1000 + 999
    least = dict(zip(COLUMNS, (low, mixed(i) % 9973, 0.01 * (i % 977), 1, 0.0,
                               '2025-03-01T09:30:00.123Z', 'a comment of %d "quoted"' % i, 'F')))
    most = dict(zip(COLUMNS, (high, 9999999, 0.01 * (i % 977) + 99999.5, 50, 0.1,
                              '2025-03-28T23:59:59.999Z', 'zealous %x' % mixed(i), 'P')))
    return json.dumps({'numRecords': 1000, 'minValues': least, 'maxValues': most,
                       'nullCount': dict.fromkeys(COLUMNS, 0)}, separators=(',', ':'))


def add_of(i, change):
    date = date_of(i)
    name = '%032x' % mixed(i)
    return {'path': 'date=%s/part-%05d-%s-%s-%s-%s-%s.c000.snappy.parquet' % (
                date, i % 200, name[:8], name[8:12], name[12:16], name[16:20], name[20:]),
            'partitionValues': {'date': date}, 'size': 1_000_000 + i % 65536,
            'modificationTime': FIRST_MS + i, 'dataChange': change, 'stats': stats_of(i)}


def head(pairs):
    """metaData and protocol; maps as JSON has them, or as pairs for Parquet."""
    none = [] if pairs else {}
    return [{'metaData': {'id': 'b1c5a8f0-0000-4000-8000-000000000001',
                          'format': {'provider': 'parquet', 'options': none},
                          'schemaString': SCHEMA, 'partitionColumns': ['date'],
                          'configuration': none, 'createdTime': FIRST_MS}},
            {'protocol': {'minReaderVersion': 1, 'minWriterVersion': 2}}]


def write_commit(log, version, actions):
    info = {'commitInfo': {'timestamp': FIRST_MS + version * 60000, 'operation': 'WRITE',
                           'operationParameters': {'mode': 'Append'}}}
    path = log / ('%020d.json' % version)
    with open(path, 'w') as f:
        f.writelines(json.dumps(a, separators=(',', ':')) + '\n' for a in [info] + actions)
    seconds = FIRST_MS / 1000 + version * 60
    os.utime(path, (seconds, seconds))


def write_commits(log, files):
    commits = commits_of(files)
    for version in range(commits):
        first, last = files * version // commits, files * (version + 1) // commits
        write_commit(log, version, (head(False) if version == 0 else []) +
                     [{'add': add_of(i, True)} for i in range(first, last)])
    return commits - 1


def write_checkpoint(log, files):
    version = commits_of(files)
    path = log / ('%020d.checkpoint.parquet' % version)
    with pq.ParquetWriter(path, CHECKPOINT, compression='snappy') as writer:
        writer.write_table(pa.Table.from_pylist(head(True), schema=CHECKPOINT))
        for start in range(0, files, ROW_GROUP):
            rows = [dict(add_of(i, False)) for i in range(start, min(files, start + ROW_GROUP))]
            for row in rows:
                row['partitionValues'] = list(row['partitionValues'].items())
            adds = pa.array(rows, ADD)
            columns = [adds if f.name == 'add' else pa.nulls(len(adds), f.type)
                       for f in CHECKPOINT]
            writer.write_table(pa.Table.from_arrays(columns, schema=CHECKPOINT))
    (log / '_last_checkpoint').write_text(json.dumps(
        {'version': version, 'size': files + 2, 'sizeInBytes': path.stat().st_size,
         'numOfAddFiles': files}))
    write_commit(log, version, [])
    write_commit(log, version + 1, [{'add': add_of(files, True)}])
    return version + 1


def one_more(log, files, version):
    """The next commit of a table that has so many files: a hundred more."""
    write_commit(Path(log), version, [{'add': add_of(files + i, True)} for i in range(100)])


def make(kind, table, files):
    """Returns the last version."""
    log = Path(table) / '_delta_log'
    log.mkdir(parents=True)
    return write_commits(log, files) if kind == 'commits' else write_checkpoint(log, files)


def main():
    p = argparse.ArgumentParser(description='Writes the log of a Delta table of many files.')
    p.add_argument('kind', choices=('commits', 'checkpoint'))
    p.add_argument('table', metavar='DIR')
    p.add_argument('files', type=int, metavar='FILES')
    opt = p.parse_args()
    print('version %d' % make(opt.kind, opt.table, opt.files))


if __name__ == '__main__':
    main()
