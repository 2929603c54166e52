# SPDX-License-Identifier: Apache-2.0
"""The program build/tests/present, and what a file that it makes has to read as."""
import json
import subprocess

import pyarrow as pa
import pyarrow.parquet as pq

from support.places import PATIENCE_S, TARN

PRESENT = TARN.parent / 'tests' / 'present'

# Types of columns that files do not have: what a table calls them, and what pyarrow reads.
MADE = {
    'boolean': (dict(type='boolean'), pa.bool_()),
    'int8': (dict(type='int8'), pa.int8()),
    'int16': (dict(type='int16'), pa.int16()),
    'int32': (dict(type='int32'), pa.int32()),
    'int64': (dict(type='int64'), pa.int64()),
    'float': (dict(type='float'), pa.float32()),
    'double': (dict(type='double'), pa.float64()),
    'decimal9': (dict(type='decimal', precision=9, scale=2), pa.decimal128(9, 2)),
    'decimal18': (dict(type='decimal', precision=18, scale=0), pa.decimal128(18, 0)),
    'decimal38': (dict(type='decimal', precision=38, scale=37), pa.decimal128(38, 37)),
    'string': (dict(type='string'), pa.string()),
    'binary': (dict(type='binary'), pa.binary()),
    'fixed': (dict(type='fixed', length=5), pa.binary(5)),
    'date': (dict(type='date'), pa.date32()),
    'time': (dict(type='time'), pa.time64('us')),
    'timestamp': (dict(type='timestamp'), pa.timestamp('us', 'UTC')),
    'timestamp_local': (dict(type='timestamp_local'), pa.timestamp('us')),
    'timestamp_ns': (dict(type='timestamp_ns'), pa.timestamp('ns', 'UTC')),
    'list': (dict(type='list', fields=[dict(name='x', type='int64')]), pa.list_(pa.int64())),
    'map': (dict(type='map', fields=[dict(name='k', type='string', nullable=False),
                                     dict(name='v', type='list',
                                          fields=[dict(name='x', type='date')])]),
            pa.map_(pa.string(), pa.list_(pa.date32()))),
    'struct': (dict(type='struct', fields=[dict(name='p', type='int32', nullable=False),
                                           dict(name='q', type='string')]),
               pa.struct([pa.field('p', pa.int32(), False), pa.field('q', pa.string())])),
    'unknown': (dict(type='unknown'), pa.null()),
}

# A value for every row: Parquet's PLAIN encoding, and what it reads as.
CONSTANTS = {
    'boolean': ('01', True),
    'int8': ('f9ffffff', -7),
    'int64': ('0100000000000000', 1),
    'double': ('000000000000f83f', 1.5),
    'string': ('c3a4c3b6', 'äö'),
    'fixed': ('0102030405', b'\1\2\3\4\5'),
}


class Refused(Exception):
    pass


def present(source, out, fields=None, slack=None, rows=None, row_filter=None, partitions=(),
            iceberg=None, **view):
    """Runs the program; what it says it did. Refused where it would not. view: confined, salt;
    partitions: (field, text); iceberg: (schema, name mapping or None, constants of a partition)."""
    command = [str(PRESENT), *(['-m'] if view else [])]
    if row_filter is not None:
        command += ['-f', row_filter]
    if partitions:
        columns = out.with_suffix('.partitions.json')
        columns.write_text(json.dumps({'fields': [field for field, _ in partitions]}))
        command += ['-p', str(columns)]
        for _, value in partitions:
            command += ['-v', '\\N' if value is None else value]
    if fields is not None:
        columns = out.with_suffix('.json')
        columns.write_text(json.dumps({**view, 'fields': fields}))
        command += ['-c', str(columns)]
    if iceberg is not None:
        command += _iceberg(out, *iceberg)
    if slack is not None:
        command += ['-s', str(slack)]
    if rows is not None:
        deleted = out.with_suffix('.rows')
        deleted.write_text('\n'.join(map(str, rows)))
        command += ['-d', str(deleted)]
    done = subprocess.run([*command, str(source), str(out)], capture_output=True, text=True,
                          errors='replace', timeout=PATIENCE_S)
    if done.returncode == 1:
        raise Refused(done.stderr.strip())
    assert done.returncode == 0, (done.returncode, done.stderr)
    return json.loads(done.stdout)


def _iceberg(out, schema, mapping, constants):
    columns = out.with_suffix('.schema.json')
    columns.write_text(json.dumps(schema))
    options = ['-i', str(columns), '-k', constants]
    if mapping is not None:
        names = out.with_suffix('.names.json')
        names.write_text(json.dumps(mapping))
        options += ['-n', str(names)]
    return options


def inside(chance, kind, nulls):
    """A part of a nested column: its shape without a name, and what becomes of a value."""
    same = dict(type='stored'), None
    if chance.random() < 0.3:
        return same
    if pa.types.is_struct(kind):
        return _of_struct(chance, kind, nulls)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        shape, change = inside(chance, kind.value_type, nulls)
        if change is None:
            return same
        return (dict(type='list', fields=[dict(name='e', **shape)]),
                lambda v: None if v is None else [change(e) for e in v])
    if pa.types.is_map(kind):
        shape, change = inside(chance, kind.item_type, nulls)
        if change is None:
            return same
        return (dict(type='map', fields=[dict(name='k', type='stored'), dict(name='v', **shape)]),
                lambda v: None if v is None else [(k, change(e)) for k, e in v])
    return same


def _of_struct(chance, kind, nulls):
    names = [f.name for f in kind]
    odd = not names or len(set(map(str.lower, names))) != len(names) or '' in names
    if odd or 'metadata' in names:                  # the latter may be a variant
        return dict(type='stored'), None
    fields, changes = [], []
    for name in chance.sample(names, chance.randint(1, len(names))):
        shape, change = inside(chance, kind.field(name).type, nulls)
        new = name if chance.random() < 0.5 else 'in %d' % len(fields)
        while any(f['name'] == new for f in fields):
            new += '+'
        fields.append(dict(name=new, stored=name, **shape))
        changes.append((name, new, change))
    if nulls and chance.random() < 0.3:
        fields.append(dict(name='missing', **MADE[chance.choice(sorted(MADE))][0]))
        changes.append((None, 'missing', lambda _: None))

    def project(v):
        if v is None:
            return None
        return {new: change(v.get(old)) if change else v.get(old) for old, new, change in changes}
    return dict(type='struct', fields=[_types_last(f) for f in fields]), project


def _types_last(field):
    """`fields` has to be the last key."""
    inner = field.pop('fields', None)
    return {**field, 'fields': inner} if inner is not None else field


class Projection:
    """Some columns of a file under some names, and some that it does not have."""

    def __init__(self, chance, schema, nulls_inside=False):
        self.fields, self.columns = [], []
        names = schema.names
        keep = chance.sample(names, chance.randint(1, len(names)))
        if chance.random() < 0.5:
            keep.sort(key=names.index)
        for name in keep:
            new = name if chance.random() < 0.5 else 'column %d' % len(self.fields)
            shape, change = inside(chance, schema.field(name).type, nulls_inside)
            self._add(dict(name=new, stored=name, **shape), (names.index(name), change))
        for i in range(chance.randrange(3)):
            kind = chance.choice(sorted(MADE))
            field = dict(name='added %d' % i, **MADE[kind][0])
            value = None
            if kind in CONSTANTS and chance.random() < 0.5:
                field['constant'], value = CONSTANTS[kind]
                field['nullable'] = chance.random() < 0.5
            self._add(field, (None, (MADE[kind][1], value)),
                      chance.randint(0, len(self.fields)))

    def _add(self, field, column, at=None):
        at = len(self.fields) if at is None else at
        self.fields.insert(at, _types_last(field))
        self.columns.insert(at, column)

    def check(self, original, presented, types=True):
        """The presented table is the projection of the original, value by value."""
        assert presented.num_rows == original.num_rows
        assert presented.schema.names == [f['name'] for f in self.fields]
        for i, (source, how) in enumerate(self.columns):
            got = presented.column(i)
            if source is None:
                assert not types or got.type == how[0], (self.fields[i], got.type)
                expected = pa.chunked_array([[how[1]] * len(got)]) if len(got) else got
                assert got.to_pylist() == expected.to_pylist(), self.fields[i]
            elif how is None:
                assert_same(original.column(source), got, self.fields[i])
            else:
                try:
                    expected = [how(v) for v in values(original.column(source))]
                except (OverflowError, ValueError):     # times that Python does not have
                    continue
                assert repr(values(got)) == repr(expected), self.fields[i]


def values(column):
    """As Python has them: nanoseconds, which its times do not have, as numbers."""
    kind = column.type
    if (pa.types.is_timestamp(kind) or pa.types.is_time64(kind)) and kind.unit == 'ns':
        column = column.cast(pa.int64())
    return column.to_pylist()


def plain(column, kind):
    """The column without what only `ARROW:schema` tells (dictionaries, durations, zones)."""
    if isinstance(column.type, pa.BaseExtensionType):
        column = pa.chunked_array([c.storage for c in column.chunks], column.type.storage_type)
    if column.type == kind:
        return column
    if pa.types.is_duration(column.type):
        column = column.cast(pa.int64())
    return column.cast(kind)


def assert_same(expected, got, what):
    if isinstance(got.type, pa.BaseExtensionType):
        got = pa.chunked_array([c.storage for c in got.chunks], got.type.storage_type)
    expected = plain(expected, got.type)
    if expected.equals(got):
        return
    assert repr(values(got)) == repr(values(expected)), what


def chunk_ranges(path):
    """(top-level name, offset, bytes) of every column chunk."""
    meta = pq.ParquetFile(path).metadata
    for g in range(meta.num_row_groups):
        for c in range(meta.num_columns):
            chunk = meta.row_group(g).column(c)
            start = chunk.data_page_offset
            if chunk.has_dictionary_page and (0 < chunk.dictionary_page_offset < start or not start):
                start = chunk.dictionary_page_offset
            yield chunk.path_in_schema, start, chunk.total_compressed_size
