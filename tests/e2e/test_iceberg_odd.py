# SPDX-License-Identifier: Apache-2.0
"""
Tables as some writer or other makes them, which PyIceberg and Spark of today do not: written by hand, with what they
must show. Plain Parquet readers find that, through one mount of all.
"""
import datetime
import decimal
import gzip
import json
import uuid

import pyarrow as pa
import pytest
import zstandard

from support import presented
from support.iceberg_raw import (DELETED, EQUALITY, EXISTING, POSITIONS, Table, data, field, numbered, positions,
                                 spec, vector)

UTC = datetime.timezone.utc
ID = [field(1, 'id', 'long')]
CASES = {}


def case(make):
    """make(root): the table is written there; gives the rows that are shown."""
    CASES[make.__name__] = make
    return make


def ids(*values):
    return numbered(pa.table({'id': pa.array(values, pa.int64())}), [1])


def struct(*fields):
    return {'type': 'struct', 'fields': list(fields)}


def equal(t, table, ids, **more):
    return data(t, table, content=EQUALITY, equality_ids=ids, **more)


# metadata: each of these tables has the rows 1 and 2

def changed(name, change, **more):
    def make(root):
        t = Table(root, fields=ID, **{k: v(root) if callable(v) else v for k, v in more.items()})
        for i in (1, 2):
            t.commit([data(t, ids(i))])
        change(t)
        return ids(1, 2)
    CASES[name] = make


def without(*members, **others):
    def change(t):
        for m in members:
            t.meta.pop(m, None)
        t.meta.update({k.replace('_', '-'): v for k, v in others.items()})
        t.write()
    return change


def inline(t):
    for i, s in enumerate(t.meta['snapshots']):
        del s['manifest-list']
        s['manifests'] = [m['manifest_path'] for m in t.manifests[:i + 1]]
    t.write()


def without_ids(t):
    """As Iceberg 0.7 wrote them."""
    schema = dict(t.meta['schemas'][0])
    del schema['schema-id']
    for s in t.meta['snapshots']:
        del s['schema-id'], s['summary']
    without('schemas', 'current-schema-id', 'partition-specs', 'default-spec-id', 'refs', 'table-uuid', 'snapshot-log',
            schema=schema, partition_spec=[])(t)


def packed(pack, name):
    def change(t):
        path = t.write(name % t.number)
        path.write_bytes(pack(path.read_bytes()))
    return change


def hint(text):
    return lambda t: (t.root / 'metadata' / 'version-hint.text').write_text(text)


def left_behind(t):
    hint('1')(t)
    (t.root / 'metadata' / 'v5.metadata.json').write_text('{')


changed('no_current_snapshot_but_main', without('current-snapshot-id'))
changed('current_snapshot_is_null', without(current_snapshot_id=None))
changed('no_refs', without('refs'))
changed('members_are_null', without(refs=None, metadata_log=None, snapshot_log=None, properties=None, statistics=None))
changed('version_1_inline_manifests', inline, version=1)
changed('version_1_without_ids', without_ids, version=1)
changed('gzip_of_two_members', packed(lambda b: gzip.compress(b[:99]) + gzip.compress(b[99:]), 'v%d.metadata.json.gz'))
changed('gzip_as_java_names_it', packed(gzip.compress, 'v%d.gz.metadata.json'))
changed('zstandard', packed(zstandard.compress, '%05d-' + str(uuid.uuid4()) + '.metadata.json.zst'))
changed('hint_with_crlf', hint('1\r\n'))
changed('hint_that_is_old', hint('0'))
changed('hint_of_what_is_gone', hint('77'))
changed('hint_and_a_commit_that_failed', left_behind)
changed('location_ends_in_a_slash', lambda t: without(location=t.location + '/')(t))
changed('location_without_scheme', lambda t: None, location=str)
changed('location_of_hadoop', lambda t: None, location=lambda root: 'file:%s' % root)
changed('location_of_a_cluster', lambda t: None, location='hdfs://nn:8020/user/hive/warehouse/db.db/x')
changed('location_with_blanks', lambda t: None, location='s3a://b/x y/ä%20z')
changed('a_tag_of_an_expired_snapshot', lambda t: without(refs={**t.meta['refs'], 'x': {'snapshot-id': 1, 'type': 'tag'}})(t))


# manifests

@case
def entries_of_a_rewritten_manifest(root):
    """An entry that exists goes by the sequence number that it has, not by its manifest's."""
    t = Table(root, fields=ID)
    a, b = [data(t, ids(i)) for i in (1, 2)]
    t.commit([a, b])
    t.commit([equal(t, ids(1, 2), [1])], operation='delete')
    t.manifests = [m for m in t.manifests if m['content']]
    first = t.meta['snapshots'][0]['snapshot-id']
    t.commit([{'status': EXISTING, 'snapshot_id': first, 'sequence_number': 1, 'file_sequence_number': 1, 'data_file': a},
              {'status': DELETED, 'sequence_number': 1, 'file_sequence_number': 1, 'data_file': b}, data(t, ids(1))],
             operation='overwrite')
    return ids(1)


@case
def manifests_of_version_1_below_deletes_of_version_2(root):
    t = Table(root, version=1, fields=ID)
    t.commit([data(t, ids(1, 2, 3))])
    t.version = t.meta['format-version'] = 2
    t.meta['last-sequence-number'] = 0
    for m in t.manifests:
        m.update(sequence_number=0, min_sequence_number=0)
    t.commit([equal(t, ids(2), [1])], operation='delete')
    return ids(1, 3)


@case
def letters_and_keys_as_some_writers_have_them(root):
    t = Table(root, fields=ID)
    file = data(t, ids(1, 2))
    t.commit([{**file, 'file_format': 'parquet', 'key_metadata': b''}])
    return ids(1, 2)


@case
def two_files_of_one_name_below_built_directories(root):
    t = Table(root, fields=ID, partition=spec(0, (1, 1000, 'identity', 'id')))
    t.commit([data(t, ids(*[1] * n), partition={'id': 1}, below='data/x%d' % n, name='same.parquet') for n in (1, 2)])
    return ids(1, 1, 1)


@case
def partitions_by_everything(root):
    t = Table(root, version=1, fields=[field(1, 'id', 'long'), field(2, 's', 'string'), field(3, 'ts', 'timestamp')],
              partition=spec(0, (1, 1000, 'bucket[16]', 'b'), (2, 1001, 'void', 'v'), (2, 1002, 'truncate[2]', 't'),
                             (3, 1003, 'day', 'd'), (3, 1004, 'hour', 'h')))
    rows = numbered(pa.table({'id': [1], 's': ['hello'], 'ts': pa.array([-1], pa.timestamp('us'))}), [1, 2, 3])
    t.commit([data(t, rows, partition={'b': 3, 'v': None, 't': 'he', 'd': -1, 'h': -1})])
    return rows


@case
def the_source_of_a_partition_was_dropped(root):
    t = Table(root, fields=[*ID, field(2, 'r', 'string')], partition=spec(0, (2, 1000, 'identity', 'r')))
    t.commit([data(t, numbered(pa.table({'id': [1], 'r': ['a']}), [1, 2]), partition={'r': 'a'})])
    t.partition_by(spec(1))
    t.evolve(ID)
    t.write()
    return ids(1)


# columns

WHEN = datetime.datetime(2026, 3, 1, 9, 30, 0, 123456)
MICROS = int(WHEN.replace(tzinfo=UTC).timestamp()) * 10 ** 6 + WHEN.microsecond


@pytest.mark.parametrize('kind, arrow, value, stored', [
    ('boolean', pa.bool_(), True, True), ('int', pa.int32(), -5, -5), ('long', pa.int64(), 2 ** 62, 2 ** 62),
    ('float', pa.float32(), 1.5, 1.5), ('double', pa.float64(), -0.0, -0.0),
    ('date', pa.date32(), datetime.date(1969, 12, 31), -1),
    ('time', pa.time64('us'), datetime.time(1, 2, 3, 4), 3723000004),
    ('timestamp', pa.timestamp('us'), WHEN, MICROS),
    ('timestamptz', pa.timestamp('us', 'UTC'), WHEN.replace(tzinfo=UTC), MICROS),
    ('timestamp_ns', pa.timestamp('ns'), MICROS * 1000, MICROS * 1000),
    ('timestamptz_ns', pa.timestamp('ns', 'UTC'), MICROS * 1000, MICROS * 1000),
    ('string', pa.string(), 'ä/b=%c ', 'ä/b=%c '), ('binary', pa.binary(), b'\xff\0', b'\xff\0'),
    ('uuid', pa.binary(16), uuid.UUID(int=77).bytes, uuid.UUID(int=77).bytes), ('fixed[3]', pa.binary(3), b'\0ab', b'\0ab'),
    ('decimal(9, 2)', pa.decimal128(9, 2), decimal.Decimal('-1.25'), (-125).to_bytes(4, 'big', signed=True)),
    ('decimal(38, 5)', pa.decimal128(38, 5), decimal.Decimal('1.25'), (125000).to_bytes(16, 'big'))])
def test_partition_columns_that_no_file_has(mount, tmp_path, kind, arrow, value, stored):
    """Values of every type are those of the manifest, null too."""
    t = Table(tmp_path / 'lake' / 't', version=3, fields=[*ID, field(2, 'p', kind)],
              partition=spec(0, (2, 1000, 'identity', 'p')))
    t.commit([data(t, ids(1, 2), partition={'p': stored}), data(t, ids(3), partition={'p': None})])
    m = mount(tmp_path / 'lake')
    presented.compare(m / 't', presented.Rows([pa.table({'id': [1, 2, 3], 'p': pa.array([value, value, None], arrow)})]), [], kind)


@pytest.mark.parametrize('was, now', [((5, 2), (9, 2)), ((9, 2), (10, 2)), ((9, 0), (18, 0)), ((9, 9), (38, 9)),
                                      ((18, 3), (19, 3)), ((18, 18), (38, 18)), ((20, 0), (38, 0)), ((1, 1), (38, 1))])
@pytest.mark.parametrize('integers', [True, False])
def test_decimals_that_got_more_digits(mount, tmp_path, was, now, integers):
    """The largest, the smallest and null, whatever they are stored as."""
    t = Table(tmp_path / 'lake' / 't', fields=[*ID, field(2, 'd', 'decimal(%d, %d)' % was)])
    most = 10 ** was[0] - 1
    values = [decimal.Decimal(v).scaleb(-was[1]) for v in (0, 1, -1, most, -most)] + [None]
    of = lambda digits: pa.table({'id': range(6), 'd': pa.array(values, pa.decimal128(*digits))})
    t.commit([data(t, numbered(of(was), [1, 2]), parquet={'store_decimal_as_integer': integers})])
    t.evolve([*ID, field(2, 'd', 'decimal(%d,%d)' % now)])
    t.write()
    m = mount(tmp_path / 'lake')
    presented.compare(m / 't', presented.Rows([of(now)]), [], '%s to %s' % (was, now))


@case
def structs_of_which_no_field_is_left_in_the_file(root):
    """Where they are null, empty and there, lists and maps tell by what was dropped."""
    of = lambda f: [field(1, 's', struct(f[0])),
                    field(2, 'l', {'type': 'list', 'element-id': 3, 'element-required': False, 'element': struct(f[1])}),
                    field(4, 'm', {'type': 'map', 'key-id': 5, 'key': 'string', 'value-id': 6, 'value-required': False,
                                   'value': struct(f[2])})]
    rows = lambda name, kind, value: pa.table({
        's': pa.array([{name: value}, None, {name: None}], pa.struct([(name, kind)])),
        'l': pa.array([[{name: value}, None], [], None], pa.list_(pa.struct([(name, kind)]))),
        'm': pa.array([[('x', {name: value}), ('y', None)], [], None], pa.map_(pa.string(), pa.struct([(name, kind)])))})
    t = Table(root, fields=of([field(i, 'a', 'long') for i in (11, 12, 13)]))
    t.commit([data(t, numbered(rows('a', pa.int64(), 1), [1, 11, 2, 3, 12, 4, 5, 6, 13]))])
    t.evolve(of([field(i, 'b', 'string') for i in (21, 22, 23)]))
    t.write()
    return rows('b', pa.string(), None)


@case
def structs_whose_fields_changed_places_names_and_types(root):
    t = Table(root, fields=[field(1, 's', struct(field(2, 'a', 'int'), field(3, 'b', 'float'), field(4, 'c', struct(
        field(5, 'x', 'decimal(9, 2)'), field(6, 'y', 'string')))))])
    one = decimal.Decimal('1.25')
    old = pa.struct([('a', pa.int32()), ('b', pa.float32()), ('c', pa.struct([('x', pa.decimal128(9, 2)), ('y', pa.string())]))])
    new = pa.struct([('c', pa.struct([('yy', pa.string()), ('x', pa.decimal128(38, 2))])), ('n', pa.date32()),
                     ('bb', pa.float64()), ('a', pa.int64())])
    t.commit([data(t, numbered(pa.table({'s': pa.array([{'a': 1, 'b': .5, 'c': {'x': one, 'y': 'q'}}, None, {}], old)}), range(1, 7)))])
    t.evolve([field(9, 'new', 'string'), field(1, 'S', struct(
        field(4, 'c', struct(field(6, 'yy', 'string'), field(5, 'x', 'decimal(38, 2)'))), field(7, 'n', 'date'),
        field(3, 'bb', 'double'), field(2, 'a', 'long')))])
    t.write()
    return pa.table({'new': pa.array([None] * 3, pa.string()),
                     'S': pa.array([{'c': {'yy': 'q', 'x': one}, 'bb': .5, 'a': 1}, None, {}], new)})


@case
def names_as_no_one_would_think_of(root):
    names = ['a.b', 'ä/ö=%', ' ', 'x' * 300, 'A', '1a']
    t = Table(root, fields=[field(i + 1, n, 'long') for i, n in enumerate(names)])
    rows = numbered(pa.table({n: [i] for i, n in enumerate(names)}), range(1, 7))
    t.commit([data(t, rows), data(t, numbered(rows.rename_columns(['a_x2Eb', 'b', 'c', 'd', 'e', 'f']), range(1, 7)))])
    t.evolve([*t.meta['schemas'][0]['fields'], field(7, '.', 'long')])
    t.write()
    return pa.concat_tables([rows, rows]).append_column('.', pa.nulls(2, pa.int64()))


@case
def ids_come_before_a_mapping(root):
    t = Table(root, fields=[field(1, 'x', 'long'), field(2, 'y', 'long')], properties={
        'schema.name-mapping.default': '[{"field-id":1,"names":["x"]},{"field-id":2,"names":["y"]}]'})
    t.commit([data(t, numbered(pa.table({'y': [1], 'x': [2]}), [1, 2])), data(t, pa.table({'y': [4], 'x': [3]}))])
    return pa.table({'x': [1, 3], 'y': [2, 4]})


@case
def instants_of_spark_and_hive(root):
    """INT96 has no zone, and readers lose it beyond 2262; new files have microseconds in UTC."""
    mapping = [{'field-id': i + 1, 'names': [n]} for i, n in enumerate(['id', 'z', 'l'])]
    t = Table(root, fields=[*ID, field(2, 'z', 'timestamptz'), field(3, 'l', 'timestamp')],
              properties={'schema.name-mapping.default': json.dumps(mapping)})
    values = [WHEN, None, datetime.datetime(9999, 12, 31, 23, 59, 59, 999999), datetime.datetime(1, 1, 1)]
    rows = lambda zone: pa.table({'id': range(4), 'z': pa.array([v and v.replace(tzinfo=UTC) for v in values], pa.timestamp('us', 'UTC')).cast(
        pa.timestamp('us', zone)), 'l': pa.array(values, pa.timestamp('us'))})
    old = rows('UTC').set_column(1, 'z', pa.array(values, pa.timestamp('us')))
    t.commit([data(t, old, name='0.parquet', parquet={'use_deprecated_int96_timestamps': True}),
              data(t, numbered(rows('UTC'), [1, 2, 3]), name='1.parquet')])
    return pa.concat_tables([rows('UTC')] * 2)


@case
def defaults_of_version_3(root):
    t = Table(root, version=3, fields=ID)
    t.commit([data(t, ids(1, 2))])
    added = [('int', 7, pa.int32(), 7), ('decimal(9, 2)', '1.20', pa.decimal128(9, 2), decimal.Decimal('1.20')),
             ('timestamptz', '2026-03-01T09:30:00.123456+00:00', pa.timestamp('us', 'UTC'), WHEN.replace(tzinfo=UTC)),
             ('timestamp_ns', '2026-03-01T09:30:00.123456000', pa.timestamp('ns'), MICROS * 1000),
             ('uuid', str(uuid.UUID(int=77)), pa.binary(16), uuid.UUID(int=77).bytes), ('binary', '00FF', pa.binary(), b'\0\xff'),
             ('fixed[2]', '0aff', pa.binary(2), b'\x0a\xff'), ('date', '1969-12-31', pa.date32(), datetime.date(1969, 12, 31)),
             ('time', '01:02:03.000004', pa.time64('us'), datetime.time(1, 2, 3, 4)), ('string', 'é"\n', pa.string(), 'é"\n'),
             ('boolean', False, pa.bool_(), False), ('long', 2 ** 63 - 1, pa.int64(), 2 ** 63 - 1)]
    t.evolve(ID + [field(i + 2, 'c%d' % i, k, i % 2 == 0, **{'initial-default': d}) for i, (k, d, _, _) in enumerate(added)])
    t.write()
    return pa.table({'id': [1, 2], **{'c%d' % i: pa.array([v, v], a) for i, (_, _, a, v) in enumerate(added)}})


@case
def dates_that_became_timestamps(root):
    t = Table(root, version=3, fields=[field(1, 'd', 'date')])
    t.commit([data(t, numbered(pa.table({'d': pa.array([0, -1, None, 20000], pa.date32())}), [1]))])
    t.evolve([field(1, 'd', 'timestamp')])
    t.write()
    return pa.table({'d': pa.array([0, -86400 * 10 ** 6, None, 20000 * 86400 * 10 ** 6], pa.timestamp('us'))})


@case
def a_partition_column_in_a_struct(root):
    kind = pa.struct([('v', pa.string())])
    t = Table(root, fields=[*ID, field(2, 's', struct(field(3, 'k', 'string'), field(4, 'v', 'string')))],
              partition=spec(0, (3, 1000, 'identity', 's.k')))
    t.commit([data(t, numbered(pa.table({'id': [1, 2], 's': pa.array([{'v': 'a'}, None], kind)}), [1, 2, 4]),
                   partition={'s.k': 'EU'})])
    return pa.table({'id': [1, 2], 's': pa.array([{'k': 'EU', 'v': 'a'}, None], pa.struct([('k', pa.string()), ('v', pa.string())]))})


# deletes

@case
def a_vector_stands_in_place_of_older_position_deletes(root):
    t = Table(root, fields=ID)
    a, b = data(t, ids(*range(10))), data(t, ids(*range(10, 20)))
    t.commit([a, b])
    t.commit([positions(t, [(a['file_path'], 0), (a['file_path'], 7), (b['file_path'], 1)])], operation='delete')
    t.version = t.meta['format-version'] = 3
    t.commit([vector(t, a, [0, 5])], operation='delete')
    return ids(*(i for i in range(20) if i not in (0, 5, 11)))


@case
def a_vector_and_equality_deletes(root):
    t = Table(root, version=3, fields=ID)
    file = data(t, ids(*range(10)))
    t.commit([file])
    t.commit([vector(t, file, [1, 2])], operation='delete')
    t.commit([equal(t, ids(5), [1])], operation='delete')
    return ids(0, 3, 4, 6, 7, 8, 9)


@case
def deletes_of_the_commit_that_added_the_file(root):
    """Those by place count, those by value do not."""
    t = Table(root, fields=ID)
    file = data(t, ids(*range(5)))
    t.commit([file, positions(t, [(file['file_path'], 1)]), equal(t, ids(3), [1])])
    return ids(0, 2, 3, 4)


@case
def equality_deletes_after_a_change_of_the_spec(root):
    """Those of an unpartitioned spec are of all partitions, others of theirs."""
    t = Table(root, fields=[*ID, field(2, 'r', 'string')])
    rows = lambda r, **more: data(t, numbered(pa.table({'id': [1, 2, 3], 'r': [r] * 3}), [1, 2]), **more)
    t.commit([rows('a')])
    t.partition_by(spec(1, (2, 1000, 'identity', 'r')))
    t.commit([rows(r, partition={'r': r}) for r in 'bc'])
    t.commit([equal(t, ids(1), [1], partition={'r': 'b'})], operation='delete')
    t.commit([equal(t, ids(2), [1])], operation='delete', spec_id=0)
    return pa.table({'id': [1, 3, 3, 1, 3], 'r': list('aabcc')})


@case
def equality_deletes_of_a_spec_that_was_given_up(root):
    """Of version 1: one of void fields alone is none."""
    t = Table(root, fields=[*ID, field(2, 'r', 'string')], partition=spec(0, (2, 1000, 'identity', 'r')))
    rows = lambda r: numbered(pa.table({'id': [1, 2, 3], 'r': [r] * 3}), [1, 2])
    t.commit([data(t, rows('a'), partition={'r': 'a'})])
    t.partition_by(spec(1, (2, 1000, 'void', 'r')))
    t.commit([data(t, rows('b'), partition={'r': None})])
    t.commit([equal(t, ids(2), [1], partition={'r': None})], operation='delete')
    return pa.table({'id': [1, 3, 1, 3], 'r': list('aabb')})


@case
def equality_deletes_as_flink_writes_them(root):
    """The whole row, of which only the key counts; one of two columns was dropped since; null is like null."""
    t = Table(root, fields=[*ID, field(2, 'x', 'string'), field(3, 's', 'string')])
    t.commit([data(t, numbered(pa.table({'id': [1, 1, 2], 'x': ['a', None, None], 's': ['p', 'q', 'r']}), [1, 2, 3]))])
    t.commit([equal(t, numbered(pa.table({'s': ['other'], 'x': pa.nulls(1, pa.string()), 'id': [1]}), [3, 2, 1]), [1, 2])],
             operation='delete')
    t.evolve([*ID, field(3, 's', 'string')])
    t.write()
    return pa.table({'id': [1, 2], 's': ['p', 'r']})


@case
def equality_deletes_by_a_column_that_is_younger(root):
    """Rows from before it have its default."""
    t = Table(root, version=3, fields=ID)
    t.commit([data(t, ids(1, 2))])
    t.evolve([*ID, field(2, 'k', 'long', **{'initial-default': 7})])
    t.commit([equal(t, numbered(pa.table({'k': [7]}), [2]), [2])], operation='delete')
    rows = numbered(pa.table({'id': [3], 'k': [7]}), [1, 2])
    t.commit([data(t, rows)])
    return rows


@case
def position_deletes_with_rows_and_without_order(root):
    t = Table(root, fields=ID)
    files = [data(t, ids(*range(100 * i, 100 * i + 100))) for i in range(3)]
    t.commit(files)
    named = [(files[i % 3]['file_path'], i * 37 % 100) for i in range(150)]
    rows = pa.table({'file_path': [f for f, _ in named], 'pos': pa.array([n for _, n in named], pa.int64()),
                     'row': pa.array([{'id': 1}] * len(named))})
    t.commit([data(t, rows, content=POSITIONS)], operation='delete')
    return ids(*(100 * i + n for i in range(3) for n in range(100) if (files[i]['file_path'], n) not in named))


@case
def no_row_is_left(root):
    t = Table(root, version=3, fields=ID)
    file = data(t, ids(1, 2))
    t.commit([file, data(t, ids())])
    t.commit([vector(t, file, [0, 1])], operation='delete')
    return ids()


@pytest.fixture(scope='module')
def all_tables(tmp_path_factory, module_mount):
    root, wanted = tmp_path_factory.mktemp('odd') / 'lake', {}
    for name, make in CASES.items():
        wanted[name] = make(root / name)
    return module_mount(root), wanted


@pytest.mark.parametrize('name', CASES)
def test_tables_that_are_written_otherwise(all_tables, name):
    m, wanted = all_tables
    presented.compare(m / name, presented.Rows([wanted[name]]), [], CASES[name].__doc__ or name)
