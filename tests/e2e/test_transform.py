# SPDX-License-Identifier: Apache-2.0
"""What the transformer presents of a Parquet file reads as the projection of the original."""
import subprocess

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support import random_tables
from support.places import TABLES
from support.present import Projection, Refused, assert_same, chunk_ranges, present


pytestmark = pytest.mark.usefixtures('present_program')


def by_pyarrow(path):
    return pq.ParquetFile(path).read()


def by_duckdb(duck, path):
    return duck.sql('SELECT * FROM read_parquet(?, hive_partitioning = false)',
                    params=[str(path)]).to_arrow_table()


def usable(schema):
    names = [n.lower() for n in schema.names]
    return names and '' not in names and len(set(names)) == len(names)


class Tally(dict):
    """How many files were read by whom, and why others were not."""

    def count(self, what):
        self[what] = self.get(what, 0) + 1


def zeros_where_dropped(path, out, projection, schema):
    """No byte of a column that is not presented is in the file."""
    kept = {schema.names[c[0]] for c in projection.columns if c[0] is not None}
    data = bytearray(out.read_bytes())
    for column, start, size in chunk_ranges(out):       # pages of its own may lie there
        if column.startswith('added '):
            data[start:start + size] = bytes(size)
    for column, start, size in chunk_ranges(path):
        if not any(column == k or column.startswith(k + '.') for k in kept):
            assert not any(data[start:start + size]), (column, start)


def check_file(path, out, chance, duck, tally, nulls_inside=False):
    try:
        schema = pq.ParquetFile(path).schema_arrow
        original = by_pyarrow(path)
    except (pa.ArrowException, OSError) as e:
        tally.count('pyarrow cannot read it: %s' % str(e)[:60])
        return None
    if not usable(schema):
        tally.count('odd names')
        return None
    projection = Projection(chance, schema, nulls_inside)
    try:
        done = present(path, out, projection.fields)
    except Refused as e:
        tally.count('refused: %s' % e)
        return None
    projection.check(original, by_pyarrow(out))
    tally.count('pyarrow')
    if done['kind'] == 'footer':
        zeros_where_dropped(path, out, projection, schema)
    try:
        original = by_duckdb(duck, path)
    except duckdb.Error as e:
        tally.count('duckdb cannot read it: %s' % str(e)[:60])
    else:
        projection.check(original, by_duckdb(duck, out), types=False)
        tally.count('duckdb')
    tally.count(done['kind'])
    return done


@pytest.fixture(scope='session')
def files(tmp_path_factory):
    """The corpus's data files, each content once."""
    root = tmp_path_factory.mktemp('corpus') / 'lake'
    subprocess.run([str(TABLES / 'unpack'), str(root)], check=True, capture_output=True)
    contents = {p.read_bytes(): p for p in sorted(root.rglob('*.parquet'))}
    return sorted(contents.values())


def test_files_of_real_tables(files, tmp_path, chance, duck):
    """Any columns of any file that real engines wrote, renamed, moved and added to."""
    tally = Tally()
    for path in files:
        try:
            check_file(path, tmp_path / 'out.parquet', chance, duck, tally)
        except Exception:
            print('FILE', path)
            raise
    print(tally)
    assert tally['pyarrow'] > 1000 and tally['duckdb'] > 1000



def test_files_of_pyarrow(tmp_path, chance, duck):
    """Any columns of files with every type in every form that pyarrow writes."""
    tally = Tally()
    path, out = tmp_path / 'in.parquet', tmp_path / 'out.parquet'
    for _ in range(12):
        form = random_tables.write(chance, random_tables.table(chance, chance.choice([0, 1, 300])),
                                   path)
        print('FORM', form)
        for _ in range(3):
            check_file(path, out, chance, duck, tally)
    print(tally)
    assert tally['pyarrow'] >= 30


DUCKDB_COLUMNS = {
    'yes': '(i % 3 = 0)', 'tiny': '(i % 100)::TINYINT', 'small': 'i::SMALLINT', 'number': 'i::INT',
    'big': 'i::BIGINT', 'utiny': '(i % 200)::UTINYINT', 'usmall': 'i::USMALLINT',
    'unumber': 'i::UINTEGER', 'ubig': 'i::UBIGINT', 'huge': 'i::HUGEINT', 'real': '(i / 7)::FLOAT',
    'wide': 'i / 7', 'money': '(i / 8)::DECIMAL(9, 2)', 'more': '(i / 8)::DECIMAL(18, 3)',
    'most': 'i::DECIMAL(38, 4)', 'word': "'word ' || (i % 50)", 'bytes': "('b' || i)::BLOB",
    'day': "DATE '2026-01-01' + (i % 900)::INT", 'hour': "TIME '10:00:00'",
    'stamp': "TIMESTAMP '2026-01-01' + INTERVAL (i) SECOND",
    'zoned': "(TIMESTAMP '2026-01-01' + INTERVAL (i) SECOND)::TIMESTAMPTZ",
    'nano': "(TIMESTAMP '2026-01-01' + INTERVAL (i) SECOND)::TIMESTAMP_NS",
    'span': 'INTERVAL (i) HOUR', 'id': "('00000000-0000-0000-0000-' || lpad(i::TEXT, 12, '0'))::UUID",
    'kind': "(CASE WHEN i % 2 = 0 THEN 'even' ELSE 'odd' END)::ENUM('even', 'odd')",
    'list': '[i, NULL, i + 1]', 'struct': "{'a': i, 'b': {'c': 'x' || i, 'd': [{'e': i}]}}",
    'map': "MAP {'k' || i: {'v': i, 'w': NULL}}", 'sparse': 'CASE WHEN i % 50 = 0 THEN i END',
}


def test_files_of_duckdb(tmp_path, chance, duck):
    """Any columns of files with every type in every form that DuckDB writes."""
    tally = Tally()
    path, out = tmp_path / 'in.parquet', tmp_path / 'out.parquet'
    columns = ', '.join('CASE WHEN i %% 11 <> 5 THEN %s END AS "%s"' % (sql, name)
                        for name, sql in DUCKDB_COLUMNS.items())
    for codec in ['uncompressed', 'snappy', 'gzip', 'zstd', 'brotli', 'lz4', 'lz4_raw']:
        duck.execute("COPY (SELECT %s FROM range(%d) t(i)) TO '%s' (FORMAT parquet, CODEC '%s', "
                     "PARQUET_VERSION %s, ROW_GROUP_SIZE %d)"
                     % (columns, chance.choice([1, 5000]), path, codec, chance.choice(['V1', 'V2']),
                        chance.choice([2048, 100000])))
        for _ in range(3):
            check_file(path, out, chance, duck, tally)
    print(tally)
    assert tally['duckdb'] == 21


def test_no_byte_of_a_dropped_column(tmp_path, chance):
    """Neither values nor statistics, indexes, filters, names or metadata of it are in the file."""
    path, out = tmp_path / 'in.parquet', tmp_path / 'out.parquet'
    columns = {'kept': pa.array(range(5000)),
               'hiddenname': pa.array(['hiddenvalue %d' % i for i in range(5000)]),
               'group': pa.array([{'open': i, 'hiddenfield': 'hiddeninside %d' % i}
                                  for i in range(5000)])}
    of = pa.table(columns).replace_schema_metadata({'pandas': 'hiddenname', 'own': 'hiddenname'})
    pq.write_table(of, path, compression='none', write_page_index=True, row_group_size=1000,
                   bloom_filter_options={'hiddenname': True, 'kept': True}, use_dictionary=False,
                   sorting_columns=[pq.SortingColumn(0), pq.SortingColumn(1)])
    assert b'hidden' in path.read_bytes()
    present(path, out, [dict(name='kept', type='int64'),
                        dict(name='group', type='struct', fields=[dict(name='open', type='int64')]),
                        dict(name='added', type='int64')])
    assert b'hidden' not in out.read_bytes()
    got = pq.ParquetFile(out)
    assert got.read().column('kept').equals(of.column('kept'))
    group = got.metadata.row_group(3)
    assert group.sorting_columns == (pq.SortingColumn(0),)
    for column in range(3):         # some readers want them of all columns or of none
        assert group.column(column).has_column_index and group.column(column).has_offset_index
    assert group.column(0).bloom_filter_offset is not None
    assert group.column(0).statistics.max == 3999
    assert out.stat().st_size == path.stat().st_size + 65536 + path.stat().st_size // 16


# column, its values, the table's type, whether only its name changes, pyarrow's type then
WIDER = [
    (pa.int8(), dict(type='int16'), 'footer', pa.int16()),
    (pa.int8(), dict(type='int32'), 'footer', pa.int32()),
    (pa.int16(), dict(type='int32'), 'footer', pa.int32()),
    (pa.int16(), dict(type='int64'), 'rewrite', pa.int64()),
    (pa.int32(), dict(type='int64'), 'rewrite', pa.int64()),
    (pa.int32(), dict(type='double'), 'rewrite', pa.float64()),
    (pa.float32(), dict(type='double'), 'rewrite', pa.float64()),
    (pa.int16(), dict(type='decimal', precision=7, scale=2), 'rewrite', pa.decimal128(7, 2)),
    (pa.int64(), dict(type='decimal', precision=30, scale=3), 'rewrite', pa.decimal128(30, 3)),
    (pa.decimal128(5, 2), dict(type='decimal', precision=6, scale=2), 'footer',
     pa.decimal128(6, 2)),
    (pa.decimal128(5, 2), dict(type='decimal', precision=30, scale=2), 'rewrite',
     pa.decimal128(30, 2)),
    (pa.decimal128(5, 2), dict(type='decimal', precision=9, scale=4), 'rewrite',
     pa.decimal128(9, 4)),
    (pa.date32(), dict(type='timestamp_local'), 'rewrite', pa.timestamp('us')),
    (pa.binary(), dict(type='string'), 'footer', pa.string()),
    (pa.timestamp('us'), dict(type='timestamp'), 'footer', pa.timestamp('us', 'UTC')),
]


@pytest.mark.parametrize('of, table, kind, to', WIDER, ids=lambda x: str(x).replace(' ', ''))
def test_wider_types(tmp_path, chance, duck, of, table, kind, to):
    """Values of a type that the table has widened since are read as those of the wider one."""
    path, out = tmp_path / 'in.parquet', tmp_path / 'out.parquet'
    column = random_tables.flat(of, chance, 500)
    if of == pa.binary():
        column = pa.array([v and v.hex().encode() for v in column.to_pylist()], of)
    pq.write_table(pa.table({'x': column}), path, store_schema=False,
                   store_decimal_as_integer=chance.random() < 0.5)
    done = present(path, out, [dict(name='x', **table)])
    assert done['kind'] == kind
    got = by_pyarrow(out)
    assert got.schema.field('x').type == to
    if pa.types.is_decimal(to):         # pyarrow wants room for the narrow type's every value
        column = column.cast(pa.decimal128(38, to.scale))
    expected = pa.chunked_array([column.cast(to)])
    assert_same(expected, got.column(0), table)
    assert_same(expected, by_duckdb(duck, out).column(0), table)


@pytest.mark.parametrize('of, table', [
    (pa.int64(), 'int32'), (pa.float64(), 'float'), (pa.string(), 'int64'), (pa.uint32(), 'int64'),
    (pa.int64(), 'timestamp'), (pa.bool_(), 'int8'), (pa.int64(), 'double')], ids=str)
def test_other_types_are_refused(tmp_path, chance, of, table):
    """What no table widens is refused in words that name the column and both types."""
    path, out = tmp_path / 'in.parquet', tmp_path / 'out.parquet'
    pq.write_table(pa.table({'x': random_tables.flat(of, chance, 5)}), path)
    with pytest.raises(Refused, match='EOPNOTSUPP: column "x": the table has %s' % table):
        present(path, out, [dict(name='x', type=table)])


def test_the_same_columns(tmp_path, chance, duck):
    """A file that has the table's columns is padded: its bytes, zeros, its footer again."""
    path, out = tmp_path / 'in.parquet', tmp_path / 'out.parquet'
    of = random_tables.table(chance, 100)
    random_tables.write(chance, of, path)
    stored = path.read_bytes()
    tail = 8 + int.from_bytes(stored[-8:-4], 'little')
    for slack in [0, 7, tail, 200000]:
        done = present(path, out, [dict(name=n, type='stored') for n in of.schema.names],
                       slack=slack)
        assert done['kind'] == 'same'
        data = out.read_bytes()
        assert data[:-tail - slack] == stored[:-tail] and data[-tail:] == stored[-tail:]
        assert by_pyarrow(out).num_rows == by_duckdb(duck, out).num_rows == 100
    assert data[:len(stored)] == stored and not any(data[len(stored):-tail])
