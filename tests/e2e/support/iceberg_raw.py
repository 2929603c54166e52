# SPDX-License-Identifier: Apache-2.0
"""
Iceberg tables written by hand, as any writer may have written them: metadata, manifest lists and manifests of
versions 1 to 3, each member of which a test may set, leave out, or write in another way.

    t = Table(path, version=3, fields=[field(1, 'id', 'long')])
    t.append([data(t, arrow, partition={'region': 'EU'})])
    t.commit([...], operation='delete')             entries of data and delete files, as one snapshot

Avro is written here by the schema that a test may change: PyIceberg writes what is usual alone.
"""
import datetime
import io
import json
import struct
import uuid
import zlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

NO_SNAPSHOT = -1
DATA, POSITIONS, EQUALITY = 0, 1, 2
EXISTING, ADDED, DELETED = 0, 1, 2


def field(id, name, kind, required=False, **more):
    return {'id': id, 'name': name, 'type': kind, 'required': required, **more}


# Avro ----------------------------------------------------------------------------------------------

def varint(n):
    n = (n << 1) ^ (n >> 63)
    out = bytearray()
    while n & ~0x7f:
        out.append(n & 0x7f | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def encode(schema, value):
    """A value by an Avro schema; of a union the branch that fits: null, or the one that is not."""
    if isinstance(schema, list):
        at = next(i for i, s in enumerate(schema) if (s == 'null') == (value is None))
        return varint(at) + encode(schema[at], value)
    kind = schema['type'] if isinstance(schema, dict) else schema
    if isinstance(kind, (dict, list)):
        return encode(kind, value)
    if kind == 'null':
        return b''
    if kind == 'boolean':
        return b'\1' if value else b'\0'
    if kind in ('int', 'long'):
        return varint(value)
    if kind in ('float', 'double'):
        return struct.pack('<f' if kind == 'float' else '<d', value)
    if kind in ('bytes', 'string'):
        value = value.encode() if isinstance(value, str) else value
        return varint(len(value)) + value
    if kind == 'fixed':
        assert len(value) == schema['size']
        return value
    if kind == 'array':
        items = b''.join(encode(schema['items'], v) for v in value)
        return (varint(len(value)) + items if value else b'') + b'\0'
    if kind == 'map':
        items = b''.join(encode('string', k) + encode(schema['values'], v) for k, v in value.items())
        return (varint(len(value)) + items if value else b'') + b'\0'
    return b''.join(encode(f['type'], value.get(f['name'])) for f in schema['fields'])


def avro(path, schema, records, meta=None, codec='null'):
    """An Avro file of one block."""
    body = b''.join(encode(schema, r) for r in records)
    if codec == 'deflate':
        packer = zlib.compressobj(wbits=-15)
        body = packer.compress(body) + packer.flush()
    head = {'avro.schema': json.dumps(schema), 'avro.codec': codec, **(meta or {})}
    sync = uuid.uuid4().bytes
    out = b'Obj\1' + encode({'type': 'map', 'values': 'bytes'}, head) + sync
    if records:
        out += varint(len(records)) + varint(len(body)) + body + sync
    Path(path).write_bytes(out)
    return len(out)


def optional(name, kind, id):
    return {'name': name, 'type': ['null', kind], 'default': None, 'field-id': id}


def required(name, kind, id):
    return {'name': name, 'type': kind, 'field-id': id}


def pairs(name, id, key, value_kind, value):
    """A map with integers for keys: a list of pairs."""
    return optional(name, {'type': 'array', 'logicalType': 'map', 'items': {
        'type': 'record', 'name': 'k%d_v%d' % (key, value), 'fields': [
            required('key', 'int', key), required('value', value_kind, value)]}}, id)


def entry_schema(version, partition):
    """Of a manifest; partition: fields of its record."""
    file = [required('file_path', 'string', 100), required('file_format', 'string', 101),
            required('partition', {'type': 'record', 'name': 'r102', 'fields': partition}, 102),
            required('record_count', 'long', 103), required('file_size_in_bytes', 'long', 104)]
    if version == 1:
        file.append(required('block_size_in_bytes', 'long', 105))
    else:
        file.insert(0, required('content', 'int', 134))
    file += [pairs('column_sizes', 108, 117, 'long', 118), pairs('value_counts', 109, 119, 'long', 120),
             pairs('null_value_counts', 110, 121, 'long', 122), pairs('lower_bounds', 125, 126, 'bytes', 127),
             pairs('upper_bounds', 128, 129, 'bytes', 130), optional('key_metadata', 'bytes', 131)]
    if version > 1:
        file.append(optional('equality_ids', {'type': 'array', 'items': 'int', 'element-id': 136}, 135))
        file.append(optional('referenced_data_file', 'string', 143))
    if version > 2:
        file += [optional('first_row_id', 'long', 142), optional('content_offset', 'long', 144),
                 optional('content_size_in_bytes', 'long', 145)]
    entry = [required('status', 'int', 0), optional('snapshot_id', 'long', 1)]
    if version == 1:
        entry[1] = required('snapshot_id', 'long', 1)
    else:
        entry += [optional('sequence_number', 'long', 3), optional('file_sequence_number', 'long', 4)]
    entry.append(required('data_file', {'type': 'record', 'name': 'r2', 'fields': file}, 2))
    return {'type': 'record', 'name': 'manifest_entry', 'fields': entry}


def list_schema(version):
    fields = [required('manifest_path', 'string', 500), required('manifest_length', 'long', 501),
              required('partition_spec_id', 'int', 502)]
    if version > 1:
        fields += [required('content', 'int', 517), required('sequence_number', 'long', 515),
                   required('min_sequence_number', 'long', 516)]
    counts = [('added_files_count', 504), ('existing_files_count', 505), ('deleted_files_count', 506)]
    rows = [('added_rows_count', 512), ('existing_rows_count', 513), ('deleted_rows_count', 514)]
    one = required if version > 1 else optional
    fields.append(required('added_snapshot_id', 'long', 503))
    fields += [one(n, 'int', i) for n, i in counts] + [one(n, 'long', i) for n, i in rows]
    if version > 2:
        fields.append(optional('first_row_id', 'long', 520))
    return {'type': 'record', 'name': 'manifest_file', 'fields': fields}


AVRO_TYPES = {'boolean': 'boolean', 'int': 'int', 'long': 'long', 'float': 'float', 'double': 'double', 'string': 'string',
              'date': {'type': 'int', 'logicalType': 'date'},
              'time': {'type': 'long', 'logicalType': 'time-micros'},
              'timestamp': {'type': 'long', 'logicalType': 'timestamp-micros', 'adjust-to-utc': False},
              'timestamptz': {'type': 'long', 'logicalType': 'timestamp-micros', 'adjust-to-utc': True},
              'timestamp_ns': {'type': 'long', 'logicalType': 'timestamp-nanos', 'adjust-to-utc': False},
              'timestamptz_ns': {'type': 'long', 'logicalType': 'timestamp-nanos', 'adjust-to-utc': True},
              'uuid': {'type': 'fixed', 'size': 16, 'logicalType': 'uuid', 'name': 'uuid_fixed'}, 'binary': 'bytes'}


def avro_type(kind):
    if kind.startswith('fixed'):
        return {'type': 'fixed', 'size': int(kind[6:-1]), 'name': kind.replace('[', '_').strip(']')}
    if kind.startswith('decimal'):
        digits, scale = map(int, kind[8:-1].split(','))
        size = next(n for n in range(1, 17) if 10 ** digits <= 1 << (8 * n - 1))
        return {'type': 'fixed', 'size': size, 'logicalType': 'decimal', 'precision': digits, 'scale': scale,
                'name': 'decimal_%d_%d' % (digits, scale)}
    return AVRO_TYPES[kind]


# tables --------------------------------------------------------------------------------------------

def spec(id, *fields):
    """Fields: (source id, field id, transform, name)."""
    return {'spec-id': id, 'fields': [{'source-id': s, 'field-id': f, 'transform': t, 'name': n} for s, f, t, n in fields]}


class Table:
    """Its metadata is `meta`, as it will be written; a commit writes the next file."""

    def __init__(self, root, version=2, fields=(), partition=None, properties=None, location=None):
        self.root, self.version, self.location = Path(root), version, location or 'file://%s' % root
        (self.root / 'metadata').mkdir(parents=True)
        (self.root / 'data').mkdir()
        self.number = 0
        self.manifests = []                             # of the current snapshot, as in its list
        partition = partition or spec(0)
        self.meta = {'format-version': version, 'table-uuid': str(uuid.uuid4()), 'location': self.location,
                     'last-updated-ms': 0, 'last-column-id': 1000, 'schemas': [], 'current-schema-id': 0,
                     'partition-specs': [partition], 'default-spec-id': partition['spec-id'],
                     'last-partition-id': 1099, 'sort-orders': [{'order-id': 0, 'fields': []}],
                     'default-sort-order-id': 0, 'properties': properties or {}, 'current-snapshot-id': NO_SNAPSHOT,
                     'snapshots': [], 'snapshot-log': [], 'metadata-log': [], 'refs': {}}
        if version > 1:
            self.meta['last-sequence-number'] = 0
        if version > 2:
            self.meta['next-row-id'] = 0
        self.evolve(fields)

    def evolve(self, fields):
        """These columns from now on."""
        id = len(self.meta['schemas'])
        self.meta['schemas'].append({'type': 'struct', 'schema-id': id, 'fields': list(fields)})
        self.meta['current-schema-id'] = id
        if self.version == 1:
            self.meta['schema'] = self.meta['schemas'][-1]

    def partition_by(self, spec):
        self.meta['partition-specs'].append(spec)
        self.meta['default-spec-id'] = spec['spec-id']

    def spec(self, id=None):
        id = self.meta['default-spec-id'] if id is None else id
        return next(s for s in self.meta['partition-specs'] if s['spec-id'] == id)

    def kind_of(self, id):
        def find(fields):
            for f in fields:
                if f['id'] == id:
                    return f['type']
                if isinstance(f['type'], dict) and f['type']['type'] == 'struct' and (t := find(f['type']['fields'])):
                    return t
        return next(t for s in reversed(self.meta['schemas']) if (t := find(s['fields'])))

    def partition_fields(self, spec):
        def kind(f):
            if f['transform'].startswith(('identity', 'truncate')):
                return avro_type(self.kind_of(f['source-id']))
            if f['transform'] == 'void':
                return avro_type(self.kind_of(f['source-id']))
            return AVRO_TYPES['date'] if f['transform'] == 'day' else 'int'
        return [optional(f['name'], kind(f), f['field-id']) for f in spec['fields']]

    def write(self, name=None):
        """The next metadata file."""
        if name is None:
            name = 'v%d.metadata.json' % self.number
            self.number += 1
        path = self.root / 'metadata' / name
        path.write_text(json.dumps(self.meta))
        return path

    def manifest(self, entries, snapshot, sequence, spec_id=None, codec='deflate', meta=None, schema=None, version=None):
        """Writes one of entries {status, sequence_number, ..., data_file: {...}}; its line in a list."""
        spec = self.spec(spec_id)
        version = version or self.version
        content = int(any(e['data_file'].get('content') for e in entries))
        path = self.root / 'metadata' / ('%s-m0.avro' % uuid.uuid4())
        size = avro(path, schema or entry_schema(version, self.partition_fields(spec)), entries, {
            'schema': json.dumps(self.meta['schemas'][-1]), 'schema-id': str(self.meta['current-schema-id']),
            'partition-spec': json.dumps(spec['fields']), 'partition-spec-id': str(spec['spec-id']),
            'format-version': str(version), 'content': ['data', 'deletes'][content], **(meta or {})}, codec)
        of = lambda status: [e for e in entries if e['status'] == status]
        told = {'manifest_path': '%s/metadata/%s' % (self.location, path.name), 'manifest_length': size,
                'partition_spec_id': spec['spec-id'], 'content': content, 'added_snapshot_id': snapshot,
                'sequence_number': sequence, 'min_sequence_number': min(e.get('sequence_number') or sequence for e in entries)}
        for word, status in (('added', ADDED), ('existing', EXISTING), ('deleted', DELETED)):
            told['%s_files_count' % word] = len(of(status))
            told['%s_rows_count' % word] = sum(e['data_file']['record_count'] for e in of(status))
        return told

    def commit(self, files, operation='append', spec_id=None, drop=False, branch='main', **more):
        """A snapshot with the files of the one before it (drop: without them) and these."""
        id, sequence = uuid.uuid4().int >> 65, self.meta.get('last-sequence-number', 0) + 1
        entries = [{'status': ADDED, 'snapshot_id': id, **f} if 'data_file' in f else
                   {'status': ADDED, 'snapshot_id': id, 'data_file': f} for f in files]
        if drop:
            self.manifests = []
        for deletes in (False, True):
            kind = [e for e in entries if bool(e['data_file'].get('content')) == deletes]
            if kind:
                self.manifests = self.manifests + [self.manifest(kind, id, sequence, spec_id, **more)]
        return self.snapshot(id, sequence, operation, branch)

    def snapshot(self, id, sequence, operation='append', branch='main'):
        """One of `manifests`."""
        now = max(self.meta['last-updated-ms'] + 1, int(datetime.datetime.now().timestamp() * 1000))
        name = 'snap-%d.avro' % id
        avro(self.root / 'metadata' / name, list_schema(self.version), self.manifests, {'format-version': str(self.version)})
        before = self.meta['current-snapshot-id']
        s = {'snapshot-id': id, 'timestamp-ms': now, 'summary': {'operation': operation},
             'manifest-list': '%s/metadata/%s' % (self.location, name), 'schema-id': self.meta['current-schema-id']}
        if before != NO_SNAPSHOT:
            s['parent-snapshot-id'] = before
        if self.version > 1:
            s['sequence-number'] = self.meta['last-sequence-number'] = sequence
        if self.version > 2:
            s['first-row-id'] = 0
            s['added-rows'] = 0
        self.meta['snapshots'].append(s)
        self.meta['last-updated-ms'] = now
        self.meta['refs'][branch] = {'snapshot-id': id, 'type': 'branch'}
        if branch == 'main':
            self.meta['current-snapshot-id'] = id
            self.meta['snapshot-log'].append({'timestamp-ms': now, 'snapshot-id': id})
        self.write()
        return id


def with_ids(kind, ids):
    """An Arrow type whose fields have ids, in order; ids: an iterator."""
    one = lambda f: pa.field(f.name, with_ids(f.type, ids), f.nullable, {'PARQUET:field_id': str(next(ids))})
    if pa.types.is_struct(kind):
        fields = []
        for f in kind:
            id = str(next(ids))
            fields.append(pa.field(f.name, with_ids(f.type, ids), f.nullable, {'PARQUET:field_id': id}))
        return pa.struct(fields)
    if pa.types.is_list(kind):
        id = str(next(ids))
        f = kind.value_field
        return pa.list_(pa.field('element', with_ids(f.type, ids), f.nullable, {'PARQUET:field_id': id}))
    if pa.types.is_map(kind):
        key, value = str(next(ids)), str(next(ids))
        return pa.map_(pa.field('key', kind.key_type, False, {'PARQUET:field_id': key}),
                       pa.field('value', with_ids(kind.item_type, ids), True, {'PARQUET:field_id': value}))
    return kind


def numbered(table, ids):
    """An Arrow table whose columns, and what is in them, have these field ids, depth first."""
    ids = iter(ids)
    fields = []
    for f in table.schema:
        id = str(next(ids))
        fields.append(pa.field(f.name, with_ids(f.type, ids), f.nullable, {'PARQUET:field_id': id}))
    return pa.table([c.cast(f.type) for c, f in zip(table.columns, fields)], schema=pa.schema(fields))


def data(t, table, partition=None, name=None, content=DATA, below='data', **more):
    """Writes a Parquet file (bytes: as they are) and describes it."""
    name = name or '%s.parquet' % uuid.uuid4()
    path = t.root / below / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(table, bytes):
        path.write_bytes(table)
    else:
        pq.write_table(table, path, **more.pop('parquet', {}))
    rows = more.pop('record_count', None)
    return {'content': content, 'file_path': '%s/%s/%s' % (t.location, below, name), 'file_format': 'PARQUET',
            'partition': partition or {}, 'record_count': table.num_rows if rows is None else rows,
            'file_size_in_bytes': path.stat().st_size, 'block_size_in_bytes': 1 << 26, **more}


def positions(t, rows, **more):
    """A position delete file of (path, row)."""
    kind = pa.schema([pa.field('file_path', pa.string(), False, {'PARQUET:field_id': '2147483546'}),
                      pa.field('pos', pa.int64(), False, {'PARQUET:field_id': '2147483545'})])
    return data(t, pa.table([pa.array([r[i] for r in rows], f.type) for i, f in enumerate(kind)], schema=kind),
                content=POSITIONS, **more)


def vector(t, file, rows, **more):
    """A deletion vector of rows below 65536 in a Puffin file that has no footer: manifests tell where it lies."""
    array = struct.pack('<II', 12346, 1) + struct.pack('<HHI', 0, len(rows) - 1, 16) + struct.pack('<%dH' % len(rows), *sorted(rows))
    body = bytes.fromhex('d1d33964') + struct.pack('<Q', 1) + struct.pack('<I', 0) + array
    blob = struct.pack('>I', len(body)) + body + struct.pack('>I', zlib.crc32(body))
    return data(t, b'PFA1' + blob, name='%s.puffin' % uuid.uuid4(), content=POSITIONS, record_count=len(rows),
                **{'file_format': 'PUFFIN', 'referenced_data_file': file['file_path'], 'content_offset': 4,
                   'content_size_in_bytes': len(blob), **more})
