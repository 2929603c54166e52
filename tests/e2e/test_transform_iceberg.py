# SPDX-License-Identifier: Apache-2.0
"""Files of Iceberg tables, presented by a schema, read as PyIceberg reads the table by it."""
import decimal
import json
import struct

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import ResolveError
from pyiceberg.expressions import AlwaysTrue
from pyiceberg.io.pyarrow import ArrowScan
from pyiceberg.schema import Schema
from pyiceberg import types as t

from support.present import Refused, present, values


pytestmark = pytest.mark.usefixtures('present_program')

WARNED = pytest.mark.filterwarnings('ignore::Warning')


def by_pyarrow(path):
    return pq.ParquetFile(path).read()


def by_duckdb(duck, path):
    return duck.sql('SELECT * FROM read_parquet(?, hive_partitioning = false)',
                    params=[str(path)]).to_arrow_table()


def field(number, name, kind, **more):
    return {'id': number, 'name': name, 'required': False, 'type': kind, **more}


def schema(*fields):
    return {'type': 'struct', 'schema-id': 0, 'fields': list(fields)}


def with_ids(table, ids):
    """The table with field ids on its top columns."""
    fields = [f.with_metadata({'PARQUET:field_id': str(ids[f.name])}) for f in table.schema]
    return pa.table(list(table.columns), schema=pa.schema(fields))


def rows_of(table):
    names = table.schema.names
    columns = [values(table.column(i)) for i in range(len(names))]
    return names, [repr(row) for row in zip(*columns)] if names else []


def check(duck, source, out, wanted, columns, mapping=None, constants=''):
    """The presented file reads as `wanted`, a table, in pyarrow and DuckDB; what was done."""
    done = present(source, out, iceberg=(columns, mapping, constants))
    assert rows_of(by_pyarrow(out)) == rows_of(wanted)
    got = by_duckdb(duck, out)
    assert got.schema.names == wanted.schema.names and got.num_rows == wanted.num_rows
    return done


@pytest.fixture
def catalog(tmp_path):
    (tmp_path / 'warehouse').mkdir()
    made = SqlCatalog('test', uri='sqlite:///%s/catalog.db' % tmp_path,
                      warehouse='file://%s/warehouse' % tmp_path)
    made.create_namespace('n')
    return made


NAMES = ['plain', 'with space', 'dotted.name', '1digit', 'ünïcode', '_under', 'Upper', 'x-y', 'data']


def random_kind(chance, number, depth=2):
    """A type, its nested ids from `number` on: PyIceberg gives its own ids in the end."""
    how = chance.choice(['flat'] * 4 + ['struct', 'list', 'map']) if depth else 'flat'
    if how == 'struct':
        return t.StructType(*[t.NestedField(number + 1 + i, chance.choice(NAMES) + str(i),
                                            random_kind(chance, number * 10 + 10 * i, depth - 1))
                              for i in range(chance.randint(1, 3))])
    if how == 'list':
        return t.ListType(number + 1, random_kind(chance, number * 10, depth - 1), False)
    if how == 'map':
        return t.MapType(number + 1, t.StringType(), number + 2,
                         random_kind(chance, number * 10, depth - 1), False)
    if depth == 2 and chance.random() < 0.1:        # pyarrow makes none inside of others
        return t.UUIDType()
    return chance.choice([
        t.BooleanType(), t.IntegerType(), t.LongType(), t.FloatType(), t.DoubleType(),
        t.DecimalType(7, 2), t.DecimalType(20, 4), t.DateType(), t.TimeType(), t.TimestampType(),
        t.TimestamptzType(), t.StringType(), t.FixedType(5), t.BinaryType()])


def random_value(chance, kind):
    if chance.random() < 0.15:
        return None
    if pa.types.is_struct(kind):
        return {f.name: random_value(chance, f.type) for f in kind}
    if pa.types.is_map(kind):
        return [('key %d' % i, random_value(chance, kind.item_type))
                for i in range(chance.randrange(3))]
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return [random_value(chance, kind.value_type) for _ in range(chance.randrange(4))]
    if pa.types.is_boolean(kind):
        return chance.random() < 0.5
    if pa.types.is_integer(kind):
        return chance.randrange(-1 << kind.bit_width - 1, 1 << kind.bit_width - 1)
    if pa.types.is_floating(kind):
        return struct.unpack('f', struct.pack('f', chance.uniform(-9, 9)))[0]
    if pa.types.is_decimal(kind):
        return decimal.Decimal(chance.randrange(10 ** 7)).scaleb(-kind.scale)
    if pa.types.is_temporal(kind):
        top = 20000 if pa.types.is_date(kind) else 86400 * 10 ** 6
        return pa.scalar(chance.randrange(top), pa.int64()).cast(
            pa.int32() if pa.types.is_date(kind) else pa.int64()).cast(kind).as_py()
    if pa.types.is_fixed_size_binary(kind):
        return chance.randbytes(kind.byte_width)
    if isinstance(kind, pa.BaseExtensionType):      # a UUID
        return chance.randbytes(16)
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return chance.randbytes(chance.randrange(9))
    return ''.join(chance.choice('abcä€') for _ in range(chance.randrange(9)))


def random_rows(chance, arrow, n):
    return pa.table({f.name: pa.array([random_value(chance, f.type) for _ in range(n)], f.type)
                     for f in arrow}, schema=arrow)


WIDER = {'int': t.LongType(), 'float': t.DoubleType(), 'decimal(7, 2)': t.DecimalType(16, 2)}


def structs_in(kind, path=()):
    """Paths of structs, and all columns in them with paths and types."""
    for f in kind.fields:
        yield path, f
        if isinstance(f.field_type, t.StructType):
            yield from structs_in(f.field_type, (*path, f.name))


def evolve(chance, table, n):
    """One change of the schema at random, in structs too."""
    columns = list(structs_in(table.schema().as_struct()))
    path, old = chance.choice(columns)
    how = chance.choice(['add', 'add', 'rename', 'drop', 'move', 'widen'])
    with table.update_schema(allow_incompatible_changes=False) as update:
        if how == 'add':
            update.add_column((*path, '%s %d' % (chance.choice(NAMES), n)), random_kind(chance, 1))
        elif how == 'rename':
            update.rename_column((*path, old.name), 'renamed %d' % n)
        elif how == 'move':
            update.move_first((*path, old.name))
        elif how == 'drop' and sum(p == path for p, _ in columns) > 1:
            update.delete_column((*path, old.name))
        elif how == 'widen' and str(old.field_type) in WIDER:
            update.update_column((*path, old.name), WIDER[str(old.field_type)])
    return how


@WARNED
@pytest.mark.parametrize('seed', range(6))
def test_evolved_tables(catalog, tmp_path, chance, duck, seed):
    """Columns added, dropped, renamed, moved and widened at any depth: every file of the table,
    whenever it was written, reads by today's schema, and by each one before."""
    out = tmp_path / 'out.parquet'
    table = catalog.create_table('n.t', Schema(*[
        t.NestedField(1 + i, '%s %d' % (chance.choice(NAMES), i), random_kind(chance, 100 * (i + 1)))
        for i in range(chance.randint(2, 6))]))
    for n in range(8):
        if n:
            try:
                evolve(chance, table, n)
            except (ValueError, KeyError):         # a name with a dot that means two things
                continue
        arrow = table.schema().as_arrow()
        table.append(random_rows(chance, arrow, chance.choice([1, 30])))
    files = [(task.file.file_path[7:], task.file.record_count) for task in table.scan().plan_files()]
    for number, columns in table.schemas().items():
        of = json.loads(columns.model_dump_json())
        refused = 0
        for path, count in files:
            try:
                wanted = project(table, columns, path)
            except ResolveError:        # it was written when a column was wider than it is here
                refused += 1
                with pytest.raises(Refused, match='EOPNOTSUPP: column .*: the table has'):
                    present(path, out, iceberg=(of, None, ''))
                continue
            assert wanted.num_rows == count
            check(duck, path, out, wanted, of)
        print('schema', number, len(files), 'files', refused, 'refused')
        assert refused == 0 or number < table.schema().schema_id


def project(table, columns, path):
    """What PyIceberg reads of one file by one schema."""
    scan = ArrowScan(table.metadata, table.io, columns, AlwaysTrue())
    tasks = [x for x in table.scan().plan_files() if x.file.file_path == 'file://' + path]
    return scan.to_table(tasks)


@WARNED
def test_identity_partitions_of_migrated_files(catalog, tmp_path, duck):
    """A column that Hive kept in paths alone has the partition's value in every row."""
    out, source = tmp_path / 'out.parquet', tmp_path / 'in.parquet'
    of = with_ids(pa.table({'n': pa.array([1, 2, None], pa.int32())}), {'n': 1})
    pq.write_table(of, source)
    for kind, constant, value in [
            ('string', '4555', 'EU'), ('string', '', ''), ('int', '07000000', 7),
            ('long', '07000000', 7), ('boolean', '01', True), ('date', '21500000', 20513),
            ('double', '000000000000f83f', 1.5), ('float', '000000000000f83f', 1.5),
            ('decimal(9,2)', '013a', decimal.Decimal('3.14')),
            ('decimal(30,2)', 'ff', decimal.Decimal('-0.01')), ('binary', '00ff', b'\0\xff')]:
        columns = schema(field(1, 'n', 'int'), field(2, 'part', kind))
        present(source, out, iceberg=(columns, None, '2=' + constant))
        for got in (by_pyarrow(out), by_duckdb(duck, out)):
            part = got.column('part')
            part = part.cast(pa.int32()) if kind == 'date' else part
            assert part.to_pylist() == [value] * 3, kind
            assert got.column('n').to_pylist() == [1, 2, None]
    present(source, out, iceberg=(columns, None, '2'))
    assert by_pyarrow(out).column('part').to_pylist() == [None] * 3
    # A file that has the column keeps its own values; a default does not come before the partition.
    columns = schema(field(1, 'n', 'int'), field(2, 'part', 'int', **{'initial-default': 5}))
    present(source, out, iceberg=(columns, None, '1=09000000,2=07000000'))
    assert by_pyarrow(out).to_pydict() == {'n': [1, 2, None], 'part': [7] * 3}
    present(source, out, iceberg=(columns, None, '2'))
    assert by_pyarrow(out).to_pydict() == {'n': [1, 2, None], 'part': [None] * 3}


def test_name_mapping(tmp_path, duck):
    """Files without ids are read by the names of the mapping, nested ones too; others are not."""
    out, source = tmp_path / 'out.parquet', tmp_path / 'in.parquet'
    inner = pa.struct([('x', pa.int32()), ('y', pa.string())])
    of = pa.table({
        'old': pa.array([1, 2], pa.int64()),
        'id': pa.array([8, 9], pa.int64()),
        's': pa.array([{'x': 1, 'y': 'a'}, None], inner),
        'l': pa.array([[{'x': 3, 'y': 'b'}], []], pa.list_(inner)),
        'm': pa.array([[('k', {'x': 4, 'y': 'c'})], None], pa.map_(pa.string(), inner)),
    })
    pq.write_table(of, source)
    struct_ = {'type': 'struct', 'fields': [field(31, 'why', 'string'), field(30, 'ex', 'int')]}
    columns = schema(
        field(1, 'id', 'long'), field(3, 's', struct_),
        field(4, 'l', {'type': 'list', 'element-id': 5, 'element-required': False, 'element':
                       {'type': 'struct', 'fields': [field(50, 'ex', 'int')]}}),
        field(6, 'm', {'type': 'map', 'key-id': 7, 'key': 'string', 'value-id': 8,
                       'value-required': False, 'value':
                       {'type': 'struct', 'fields': [field(80, 'ex', 'int')]}}),
        field(9, 'unmapped', 'long'))
    mapping = [
        {'field-id': 1, 'names': ['record', 'old']}, {'field-id': 9, 'names': []},
        {'names': ['id']},
        {'field-id': 3, 'names': ['s'], 'fields': [{'field-id': 30, 'names': ['x']},
                                                   {'field-id': 31, 'names': ['y']}]},
        {'field-id': 4, 'names': ['l'], 'fields': [
            {'field-id': 5, 'names': ['element'], 'fields': [{'field-id': 50, 'names': ['x']}]}]},
        {'field-id': 6, 'names': ['m'], 'fields': [
            {'field-id': 7, 'names': ['key']},
            {'field-id': 8, 'names': ['value'], 'fields': [{'field-id': 80, 'names': ['x']}]}]}]
    present(source, out, iceberg=(columns, mapping, ''))
    wanted = {
        'id': [1, 2], 's': [{'why': 'a', 'ex': 1}, None], 'l': [[{'ex': 3}], []],
        'm': [[('k', {'ex': 4})], None], 'unmapped': [None, None]}
    assert by_pyarrow(out).to_pydict() == wanted
    assert by_duckdb(duck, out).to_pydict() == wanted
    with pytest.raises(Refused, match='EOPNOTSUPP: the file has no field ids'):
        present(source, out, iceberg=(columns, None, ''))
    twice = [{'field-id': 1, 'names': ['old', 'id']}]
    with pytest.raises(Refused, match='column "id": several columns of the file may be meant'):
        present(source, out, iceberg=(columns, twice, ''))
    # Names do not count where the file has ids, and they are exact.
    pq.write_table(with_ids(of.select(['old', 'id']), {'old': 9, 'id': 77}), source)
    present(source, out, iceberg=(schema(field(1, 'id', 'long'), field(9, 'nine', 'long')),
                                  mapping, ''))
    assert by_pyarrow(out).to_pydict() == {'id': [None, None], 'nine': [1, 2]}
    pq.write_table(pa.table({'OLD': [1], 'S': [2]}), source)
    with pytest.raises(Refused, match='required|no nulls'):
        present(source, out, iceberg=(schema({**field(1, 'id', 'long'), 'required': True}),
                                      mapping, ''))


DEFAULTS = [
    ('boolean', True, True), ('int', -2, -2), ('long', 1 << 40, 1 << 40), ('float', 0.5, 0.5),
    ('double', -1.25, -1.25), ('decimal(4,2)', '14.20', decimal.Decimal('14.20')),
    ('decimal(25,2)', '-1.00', decimal.Decimal('-1.00')), ('string', 'ä', 'ä'),
    ('fixed[2]', '0aff', b'\x0a\xff'), ('binary', '01', b'\1')]


@pytest.mark.parametrize('kind, default, value', DEFAULTS, ids=lambda x: str(x))
def test_defaults_at_any_depth(tmp_path, duck, kind, default, value):
    """Rows from before a column have its default: in structs, in lists of them, where those are."""
    out, source = tmp_path / 'out.parquet', tmp_path / 'in.parquet'
    inner = pa.struct([pa.field('x', pa.int32(), metadata={'PARQUET:field_id': '3'})])
    element = pa.field('element', inner, metadata={'PARQUET:field_id': '5'})
    of = pa.table([pa.array([{'x': 1}, None, {'x': None}], inner),
                   pa.array([[{'x': 1}, None], [], None], pa.list_(element))],
                  schema=pa.schema([
                      pa.field('s', inner, metadata={'PARQUET:field_id': '1'}),
                      pa.field('l', pa.list_(element), metadata={'PARQUET:field_id': '4'})]))
    pq.write_table(of, source)
    more = {'initial-default': default}
    within = lambda number: {'type': 'struct', 'fields': [
        field(3 if number == 7 else 6, 'x', 'int'), field(number, 'd', kind, **more)]}
    columns = schema(field(1, 's', within(7)),
                     field(4, 'l', {'type': 'list', 'element-id': 5, 'element-required': False,
                                    'element': {'type': 'struct', 'fields': [
                                        field(3, 'x', 'int'), field(8, 'd', kind, **more)]}}),
                     field(9, 'd', kind, **more),
                     {**field(10, 'must', kind, **more), 'required': True})
    present(source, out, iceberg=(columns, None, ''))
    wanted = {
        's': [{'x': 1, 'd': value}, None, {'x': None, 'd': value}],
        'l': [[{'x': 1, 'd': value}, None], [], None], 'd': [value] * 3, 'must': [value] * 3}
    assert by_pyarrow(out).to_pydict() == wanted
    got = by_duckdb(duck, out).to_pydict()
    assert got == wanted
    assert not pq.read_schema(out).field('must').nullable


def test_default_of_a_struct(tmp_path, duck):
    """A struct added with the default {} is there in rows from before, with its fields' defaults;
    without one it is null, whatever its fields have."""
    out, source = tmp_path / 'out.parquet', tmp_path / 'in.parquet'
    inner = pa.struct([pa.field('a', pa.int32(), metadata={'PARQUET:field_id': '2'})])
    of = pa.table([pa.array([{'a': 1}, None], inner)], schema=pa.schema([
        pa.field('s', inner, metadata={'PARQUET:field_id': '1'})]))
    pq.write_table(of, source)

    def point(number, default, required=False):
        fields = [field(number + 1, 'x', 'int', **{'initial-default': 3}),
                  field(number + 2, 'y', 'string'),
                  field(number + 3, 'z', {'type': 'struct', 'fields': [
                      field(number + 4, 'w', 'int', **{'initial-default': 4})]},
                        **{'initial-default': default})]
        return {'id': number, 'name': 'p%d' % number, 'required': required,
                'type': {'type': 'struct', 'fields': fields}, 'initial-default': default}
    columns = schema(point(10, {}), point(20, None), point(30, {}, required=True),
                     field(1, 's', {'type': 'struct', 'fields': [
                         field(2, 'a', 'int'), point(40, {}), point(50, None)]}))
    present(source, out, iceberg=(columns, None, ''))
    there = {'x': 3, 'y': None, 'z': {'w': 4}}
    wanted = {'p10': [there] * 2, 'p20': [None] * 2, 'p30': [there] * 2,
              's': [{'a': 1, 'p40': there, 'p50': None}, None]}
    assert by_pyarrow(out).to_pydict() == wanted
    assert by_duckdb(duck, out).to_pydict() == wanted


def test_columns_that_are_no_ones(tmp_path, duck):
    """Row lineage's columns, and columns that were dropped, are not presented."""
    out, source = tmp_path / 'out.parquet', tmp_path / 'in.parquet'
    of = with_ids(pa.table({'a': [1, 2], '_row_id': [7, 8], '_last_updated_sequence_number': [1, 1],
                            'dropped': ['x', 'y']}),
                  {'a': 1, '_row_id': 2147483540, '_last_updated_sequence_number': 2147483539,
                   'dropped': 2})
    pq.write_table(of, source)
    done = present(source, out, iceberg=(schema(field(1, 'a', 'long')), None, ''))
    assert done['kind'] == 'footer' and done['dropped'] == 3
    assert by_pyarrow(out).to_pydict() == by_duckdb(duck, out).to_pydict() == {'a': [1, 2]}


def test_types_that_only_are_null(tmp_path, duck):
    """Unknown, variant, geometry and geography columns are null in rows from before them."""
    out, source = tmp_path / 'out.parquet', tmp_path / 'in.parquet'
    pq.write_table(with_ids(pa.table({'a': [1, 2]}), {'a': 1}), source)
    for kind in ['unknown', 'variant', 'timestamp_ns', 'timestamptz_ns', 'uuid']:
        present(source, out, iceberg=(schema(field(1, 'a', 'long'), field(2, 'b', kind)), None, ''))
        assert by_pyarrow(out).column('b').null_count == 2, kind
        assert by_duckdb(duck, out).num_rows == 2
    for kind in ['geometry', 'geography']:
        present(source, out, iceberg=(schema(field(1, 'a', 'long'), field(2, 'b', kind)), None, ''))
        assert by_pyarrow(out).column('b').null_count == 2, kind
    for kind in ['geometry(srid:3857)', 'geography(OGC:CRS84, karney)']:
        with pytest.raises(Refused, match='column "b": nothing in the file tells its coordinate'):
            present(source, out,
                    iceberg=(schema(field(1, 'a', 'long'), field(2, 'b', kind)), None, ''))


@pytest.mark.parametrize('of, kind, words', [
    (pa.int64(), 'int', 'the table has int32, the file has'),
    (pa.string(), 'long', 'the table has int64, the file has STRING'),
    (pa.timestamp('us'), 'long', 'the table has int64'),
    (pa.int32(), 'colour', 'a column of the type colour')], ids=str)
def test_what_is_not_presented(tmp_path, chance, of, kind, words):
    """A file whose column is of another type is refused in words, not read as something else."""
    out, source = tmp_path / 'out.parquet', tmp_path / 'in.parquet'
    pq.write_table(with_ids(pa.table({'a': pa.array([], of)}), {'a': 1}), source)
    with pytest.raises(Refused, match='EOPNOTSUPP: .*column "a".*' + words):
        present(source, out, iceberg=(schema(field(1, 'a', kind)), None, ''))
