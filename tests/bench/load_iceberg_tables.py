#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Writes the metadata of an Iceberg table of many files, the same bytes every time, as Spark would
after as many appends as there are manifests: deflated Avro in blocks of 64 KB, with the statistics
of nine columns. The data files do not exist: nobody opens them here.

usage: load_iceberg_tables.py DIR FILES MANIFESTS
"""
import argparse
import datetime
import json
import pickle
import struct
import zlib
from pathlib import Path

FIRST_MS = 1709285400123
DATES = 365
EPOCH = 719163                      # 1970-01-01 among Python's days
TYPES = (('id', 'long'), ('customer', 'long'), ('amount', 'double'), ('quantity', 'int'),
         ('discount', 'double'), ('shipped', 'timestamptz'), ('comment', 'string'),
         ('status', 'string'), ('date', 'date'))
SYNC = bytes(range(16))
BLOCK = 64000
SNAPSHOT = 3_000_000_000_000_000_000
KEPT = 'metadata/list.pickle'      # the list's records, for one more commit
UUID = 'b1c5a8f0-0000-4000-8000-000000000001'


def field(name, kind, number, **more):
    return dict({'name': name, 'type': kind, 'field-id': number}, **more)


def maybe(name, kind, number):
    return field(name, ['null', kind], number, default=None)


def pairs(name, number, first, value):
    items = {'type': 'record', 'name': 'k%d_v%d' % (first, first + 1), 'fields': [
        field('key', 'int', first), field('value', value, first + 1)]}
    return maybe(name, {'type': 'array', 'items': items, 'logicalType': 'map'}, number)


def record(name, *fields):
    return {'type': 'record', 'name': name, 'fields': list(fields)}


ENTRY = record(
    'manifest_entry', field('status', 'int', 0), maybe('snapshot_id', 'long', 1),
    maybe('sequence_number', 'long', 3), maybe('file_sequence_number', 'long', 4),
    field('data_file', record(
        'r2', field('content', 'int', 134), field('file_path', 'string', 100),
        field('file_format', 'string', 101),
        field('partition', record('r102', maybe('date', {'type': 'int', 'logicalType': 'date'},
                                                1000)), 102),
        field('record_count', 'long', 103), field('file_size_in_bytes', 'long', 104),
        pairs('column_sizes', 108, 117, 'long'), pairs('value_counts', 109, 119, 'long'),
        pairs('null_value_counts', 110, 121, 'long'), pairs('nan_value_counts', 137, 138, 'long'),
        pairs('lower_bounds', 125, 126, 'bytes'), pairs('upper_bounds', 128, 129, 'bytes'),
        maybe('key_metadata', 'bytes', 131),
        maybe('split_offsets', {'type': 'array', 'items': 'long', 'element-id': 133}, 132),
        maybe('equality_ids', {'type': 'array', 'items': 'int', 'element-id': 136}, 135),
        maybe('sort_order_id', 'int', 140)), 2))
LIST = record(
    'manifest_file', field('manifest_path', 'string', 500), field('manifest_length', 'long', 501),
    field('partition_spec_id', 'int', 502), field('content', 'int', 517),
    field('sequence_number', 'long', 515), field('min_sequence_number', 'long', 516),
    field('added_snapshot_id', 'long', 503), field('added_files_count', 'int', 504),
    field('existing_files_count', 'int', 505), field('deleted_files_count', 'int', 506),
    field('added_rows_count', 'long', 512), field('existing_rows_count', 'long', 513),
    field('deleted_rows_count', 'long', 514),
    maybe('partitions', {'type': 'array', 'element-id': 508, 'items': record(
        'r508', field('contains_null', 'boolean', 509), maybe('contains_nan', 'boolean', 518),
        maybe('lower_bound', 'bytes', 510), maybe('upper_bound', 'bytes', 511))}, 507))
SPEC = [{'name': 'date', 'transform': 'identity', 'source-id': len(TYPES), 'field-id': 1000}]
SCHEMA = {'type': 'struct', 'schema-id': 0, 'fields': [
    {'id': i, 'name': name, 'required': False, 'type': kind}
    for i, (name, kind) in enumerate(TYPES, 1)]}


def mixed(i):
    """Digits that look random and are the same on every machine."""
    return (i * 0x9E3779B97F4A7C15F39CC0605CEDC835 + 0x1234567) % (1 << 128)


def number(n):
    """Avro's int and long."""
    n = (n << 1) ^ (n >> 63)
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def text(b):
    return number(len(b)) + b


def mapped(values):
    """A map as an array, behind the branch that is not null."""
    return b'\2' + number(len(values)) + b''.join(
        number(i) + v for i, v in values) + b'\0'


def bounds_of(i, day):
    low = (struct.pack('<q', i * 1000), struct.pack('<q', mixed(i) % 9973),
           struct.pack('<d', 0.01 * (i % 977)), struct.pack('<i', 1), struct.pack('<d', 0.0),
           struct.pack('<q', (FIRST_MS + i) * 1000), b'a comment of %d' % (i % 1000), b'F',
           struct.pack('<i', day))
    high = (struct.pack('<q', i * 1000 + 999), struct.pack('<q', 9999999),
            struct.pack('<d', 0.01 * (i % 977) + 99999.5), struct.pack('<i', 50),
            struct.pack('<d', 0.1), struct.pack('<q', (FIRST_MS + i + 86_400_000) * 1000),
            b'zealous %08x' % (mixed(i) % 2**32), b'P', struct.pack('<i', day))
    return (mapped(list(enumerate(map(text, low), 1))), mapped(list(enumerate(map(text, high), 1))))


COUNTS = mapped([(i, number(1000)) for i in range(1, len(TYPES) + 1)])
NULLS = mapped([(i, number(0)) for i in range(1, len(TYPES) + 1)])
NANS = mapped([(3, number(0)), (5, number(0))])


def entry(location, snapshot, i):
    day = 20089 + mixed(i) % DATES
    name = '%032x' % mixed(i)
    date = datetime.date.fromordinal(EPOCH + day).isoformat()
    path = '%s/data/date=%s/%05d-%d-%s-%s-%s-%s-%s-0-%05d.parquet' % (
        location, date, i % 200, i % 5000, name[:8], name[8:12], name[12:16], name[16:20],
        name[20:], i % 7 + 1)
    lower, upper = bounds_of(i, day)
    sizes = mapped([(k, number(1000 + mixed(i + k) % 200_000)) for k in range(1, len(TYPES) + 1)])
    return b''.join((b'\2\2', number(snapshot), b'\0\0', b'\0', text(path.encode()),
                     text(b'PARQUET'), b'\2', number(day), number(1000),
                     number(1_000_000 + i % 65536), sizes, COUNTS, NULLS, NANS, lower, upper,
                     b'\0', b'\2\2', number(4), b'\0', b'\0', b'\2\0'))


def write_avro(path, schema, metadata, records):
    metadata = dict({'avro.schema': json.dumps(schema), 'avro.codec': 'deflate'}, **metadata)
    with open(path, 'wb') as f:
        f.write(b'Obj\1' + number(len(metadata)) + b''.join(
            text(k.encode()) + text(v.encode()) for k, v in metadata.items()) + b'\0' + SYNC)
        block, n = [], 0

        def flush():
            packed = zlib.compressobj(6, zlib.DEFLATED, -15)
            stored = packed.compress(b''.join(block)) + packed.flush()
            f.write(number(len(block)) + text(stored) + SYNC)
        for one in records:
            block.append(one)
            n += len(one)
            if n >= BLOCK:
                flush()
                block, n = [], 0
        if block:
            flush()
    return path.stat().st_size


class Writer:
    """One table in a directory; its metadata say that it is at `location` (None: there)."""

    def __init__(self, table, location=None):
        self.table = Path(table)
        self.location = location or str(self.table.resolve())
        self.manifests = []     # records of the manifest list
        self.files = 0
        (self.table / 'metadata').mkdir(parents=True, exist_ok=True)

    def add_manifest(self, files):
        at = len(self.manifests)
        name = self.manifest_name(at)
        size = write_avro(self.table / name, ENTRY, {
            'schema': json.dumps(SCHEMA), 'partition-spec': json.dumps(SPEC),
            'partition-spec-id': '0', 'format-version': '2', 'content': 'data'},
            (entry(self.location, SNAPSHOT + at, i) for i in range(self.files, self.files + files)))
        self.files += files
        day = struct.pack('<i', 20089), struct.pack('<i', 20089 + DATES)
        self.manifests.append(b''.join((
            text(('%s/%s' % (self.location, name)).encode()), number(size), number(0), number(0), number(at + 1),
            number(at + 1), number(SNAPSHOT + at), number(files), number(0), number(0),
            number(files * 1000), number(0), number(0), b'\2\2', b'\0', b'\2\0', b'\2',
            text(day[0]), b'\2', text(day[1]), b'\0')))

    @staticmethod
    def manifest_name(at):
        return 'metadata/%032x-m0.avro' % mixed(at + 10**9)

    @staticmethod
    def list_name(at):
        return 'metadata/snap-%d-1-%032x.avro' % (SNAPSHOT + at, mixed(at))

    def commit(self):
        """The snapshot that the manifests so far make, and the table's metadata."""
        last = len(self.manifests) - 1
        # PyIceberg and Spark put the newest manifest first.
        write_avro(self.table / self.list_name(last), LIST, {
            'snapshot-id': str(SNAPSHOT + last), 'sequence-number': str(last + 1),
            'format-version': '2'}, reversed(self.manifests))
        snapshots = [dict({
            'snapshot-id': SNAPSHOT + i, 'sequence-number': i + 1,
            'timestamp-ms': FIRST_MS + i * 60000, 'schema-id': 0,
            'manifest-list': '%s/%s' % (self.location, self.list_name(i)),
            'summary': {'operation': 'append', 'added-data-files': '1'}},
            **({'parent-snapshot-id': SNAPSHOT + i - 1} if i else {})) for i in range(last + 1)]
        metadata = {
            'format-version': 2, 'table-uuid': UUID, 'location': self.location,
            'last-sequence-number': last + 1, 'last-updated-ms': FIRST_MS + last * 60000,
            'last-column-id': len(TYPES), 'current-schema-id': 0, 'schemas': [SCHEMA],
            'default-spec-id': 0, 'partition-specs': [{'spec-id': 0, 'fields': SPEC}],
            'last-partition-id': 1000, 'default-sort-order-id': 0,
            'sort-orders': [{'order-id': 0, 'fields': []}], 'properties': {},
            'current-snapshot-id': SNAPSHOT + last,
            'refs': {'main': {'snapshot-id': SNAPSHOT + last, 'type': 'branch'}},
            'snapshots': snapshots, 'metadata-log': [], 'statistics': [],
            'snapshot-log': [{'snapshot-id': s['snapshot-id'], 'timestamp-ms': s['timestamp-ms']}
                             for s in snapshots]}
        (self.table / metadata_name(last + 1)).write_text(json.dumps(metadata))
        (self.table / 'metadata' / 'version-hint.text').write_text(str(last + 1))



def metadata_name(manifests):
    return 'metadata/v%d.metadata.json' % manifests


class OneMore:
    """While it lasts, a table that `make` has written has one more commit: a hundred files more."""

    def __init__(self, table, files, manifests):
        self.table, self.before = Path(table), (files, manifests)

    def __enter__(self):
        files, manifests = self.before
        writer = Writer(self.table)
        writer.manifests = pickle.loads((self.table / KEPT).read_bytes())
        writer.files = files
        writer.add_manifest(100)
        writer.commit()

    def __exit__(self, *_):
        _, manifests = self.before
        for name in (metadata_name(manifests + 1), Writer.list_name(manifests),
                     Writer.manifest_name(manifests)):
            (self.table / name).unlink()
        (self.table / 'metadata' / 'version-hint.text').write_text(str(manifests))


def make(table, files, manifests, location=None):
    writer = Writer(table, location)
    for i in range(manifests):
        writer.add_manifest(files * (i + 1) // manifests - files * i // manifests)
    writer.commit()
    (writer.table / KEPT).write_bytes(pickle.dumps(writer.manifests))


def main():
    p = argparse.ArgumentParser(description='Writes the metadata of an Iceberg table.')
    p.add_argument('table', metavar='DIR')
    p.add_argument('files', type=int, metavar='FILES')
    p.add_argument('manifests', type=int, metavar='MANIFESTS')
    opt = p.parse_args()
    make(opt.table, opt.files, opt.manifests)


if __name__ == '__main__':
    main()
