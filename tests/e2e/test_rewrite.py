# SPDX-License-Identifier: Apache-2.0
"""Parquet files without some of their rows, and with wider values, read as just that."""
import decimal
import subprocess

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from support import parquet_files
from support.places import TABLES
from support.present import Projection, Refused, assert_same, present


pytestmark = pytest.mark.usefixtures('present_program')


def by_pyarrow(path, _=None):
    return pq.ParquetFile(path).read()


def by_duckdb(path, duck):
    """What DuckDB has no words for is left out: binaries of fixed length that are split."""
    table = pq.ParquetFile(path).schema_arrow
    names = ', '.join('"%s"' % f.name.replace('"', '""') for f in table
                      if not (pa.types.is_fixed_size_binary(f.type) or f.name == 'dec38'))
    return duck.sql('SELECT %s FROM read_parquet(?, hive_partitioning = false)' % (names or '1'),
                    params=[str(path)]).to_arrow_table()


READ_ERRORS = (pa.ArrowException, OSError, duckdb.Error, OverflowError, NotImplementedError)


def patterns(chance, n):
    """Rows to be taken out, by name."""
    start = chance.randrange(n) if n else 0
    kept = set(chance.sample(range(n), min(n, 3)))
    return {'none': [],
            'some': sorted(chance.sample(range(n), min(n, 1 + n // 50))),
            'run': list(range(start, min(n, start + n // 3 + 1))),
            'half': [i for i in range(n) if chance.random() < 0.5],
            'nearly all': [i for i in range(n) if i not in kept],
            'all': list(range(n))}


def without(table, gone):
    gone = set(gone)
    return table.filter(pa.array([i not in gone for i in range(table.num_rows)], pa.bool_()))


def assert_table(expected, got, what):
    assert got.num_rows == expected.num_rows, what
    assert got.schema.names == expected.schema.names, what
    for i, name in enumerate(expected.schema.names):
        assert_same(expected.column(i), got.column(i), (what, name))


def check_rows(path, out, gone, what, read, duck):
    """False: the reader does not know the original either."""
    try:
        original = read(path, duck)
    except READ_ERRORS as e:
        print('unread', path.name, str(e)[:100])
        return False
    assert_table(without(original, gone), read(out, duck), (path.name, what))
    return True


@pytest.mark.parametrize('make', [parquet_files.arrow_files, parquet_files.duckdb_files])
def test_rows_of_written_files(make, tmp_path, chance, duck):
    """All types, nestings, encodings, page versions, codecs, page and row group sizes: none, some,
    half, nearly all, all of the rows taken out."""
    read = 0
    for path in make(tmp_path, chance.random(), 900):
        rows = pq.ParquetFile(path).metadata.num_rows
        for what, gone in patterns(chance, rows).items():
            out = tmp_path / 'out.parquet'
            assert present(path, out, rows=gone)['kind'] == 'rewrite'
            for reader in (by_pyarrow, by_duckdb):
                read += check_rows(path, out, gone, what, reader, duck)
    print(read, 'reads')
    assert read >= 12 * 6 * 1.5


@pytest.fixture(scope='session')
def files(tmp_path_factory):
    """The corpus's data files, each content once."""
    root = tmp_path_factory.mktemp('corpus') / 'lake'
    subprocess.run([str(TABLES / 'unpack'), str(root)], check=True, capture_output=True)
    contents = {p.read_bytes(): p for p in sorted(root.rglob('*.parquet'))}
    return sorted(contents.values())


# Files that lie about themselves, on purpose; pages of a gigabyte; and rows whose regularity was all
# that made the file small: half of a million of them missing takes more than the file did.
REFUSED = ('EIO: ', 'EOPNOTSUPP: ', 'EOVERFLOW: ')


def test_rows_of_real_tables(files, tmp_path, chance, duck):
    """Rows taken out of every file that real engines wrote."""
    out = tmp_path / 'out.parquet'
    counts = {'pyarrow': 0, 'duckdb': 0, 'refused': 0}
    for path in files:
        try:
            rows = pq.ParquetFile(path).metadata.num_rows
        except READ_ERRORS:
            continue
        what, gone = chance.choice(list(patterns(chance, rows).items()))
        try:
            present(path, out, rows=gone)
        except Refused as e:
            print('refused', path.name, what, e)
            assert str(e).startswith(REFUSED), (path, e)
            counts['refused'] += 1
            continue
        try:
            counts['pyarrow'] += check_rows(path, out, gone, what, by_pyarrow, duck)
            if chance.random() < 0.3:
                counts['duckdb'] += check_rows(path, out, gone, what, by_duckdb, duck)
        except Exception:
            print('FILE', path, what)
            raise
    print(counts)
    assert counts['pyarrow'] > 1000 and counts['duckdb'] > 200 and counts['refused'] < 20


def test_columns_and_rows(tmp_path, chance, duck):
    """Columns chosen, renamed, added (inside lists, too), while rows are taken out."""
    done = 0
    for path in parquet_files.arrow_files(tmp_path, chance.random(), 200):
        original = by_pyarrow(path)
        for what, gone in patterns(chance, original.num_rows).items():
            projection = Projection(chance, original.schema, nulls_inside=True)
            out = tmp_path / 'out.parquet'
            try:
                present(path, out, projection.fields, rows=gone)
            except Refused as e:
                assert 'slack' in str(e) or 'room' in str(e), e
                continue
            projection.check(without(original, gone), by_pyarrow(out))
            done += 1
    assert done > 100


# Column types, what a table widens them to, and what pyarrow reads then.
WIDER = [
    (pa.int8(), dict(type='int16'), pa.int16()),
    (pa.int8(), dict(type='int32'), pa.int32()),
    (pa.int8(), dict(type='int64'), pa.int64()),
    (pa.int16(), dict(type='int32'), pa.int32()),
    (pa.int16(), dict(type='int64'), pa.int64()),
    (pa.int32(), dict(type='int64'), pa.int64()),
    (pa.int8(), dict(type='double'), pa.float64()),
    (pa.int16(), dict(type='double'), pa.float64()),
    (pa.int32(), dict(type='double'), pa.float64()),
    (pa.float32(), dict(type='double'), pa.float64()),
    (pa.int8(), dict(type='decimal', precision=10, scale=0), pa.decimal128(10, 0)),
    (pa.int16(), dict(type='decimal', precision=12, scale=2), pa.decimal128(12, 2)),
    (pa.int32(), dict(type='decimal', precision=18, scale=8), pa.decimal128(18, 8)),
    (pa.int32(), dict(type='decimal', precision=38, scale=20), pa.decimal128(38, 20)),
    (pa.int64(), dict(type='decimal', precision=20, scale=0), pa.decimal128(20, 0)),
    (pa.int64(), dict(type='decimal', precision=38, scale=18), pa.decimal128(38, 18)),
    (pa.decimal128(5, 2), dict(type='decimal', precision=9, scale=2), pa.decimal128(9, 2)),
    (pa.decimal128(5, 2), dict(type='decimal', precision=12, scale=4), pa.decimal128(12, 4)),
    (pa.decimal128(9, 3), dict(type='decimal', precision=38, scale=10), pa.decimal128(38, 10)),
    (pa.decimal128(18, 0), dict(type='decimal', precision=19, scale=1), pa.decimal128(19, 1)),
    (pa.decimal128(20, 5), dict(type='decimal', precision=38, scale=6), pa.decimal128(38, 6)),
    (pa.date32(), dict(type='timestamp_local'), pa.timestamp('us')),
]
BITS = {pa.int8(): 8, pa.int16(): 16, pa.int32(): 32, pa.int64(): 64}


def value_of(chance, kind):
    if kind in BITS:
        return chance.randrange(-2 ** (BITS[kind] - 1), 2 ** (BITS[kind] - 1)) >> chance.randrange(BITS[kind])
    if pa.types.is_decimal(kind):
        limit = 10 ** chance.randint(1, kind.precision)
        return decimal.Decimal(chance.randrange(1 - limit, limit)).scaleb(
            -kind.scale, decimal.Context(prec=38))
    if pa.types.is_date(kind):
        return chance.randrange(-700000, 2900000)
    return chance.gauss(0, 1) * 10 ** chance.randint(-30, 30)


def narrow_table(chance, rows):
    """A column of each narrow type, alone, in lists and in structs in lists."""
    arrays, names = [], []
    for i, (kind, _, _) in enumerate(WIDER):
        few = [value_of(chance, kind) for _ in range(7)]
        values = [None if chance.random() < 0.1 else chance.choice(few) if i % 2 else value_of(chance, kind)
                  for _ in range(rows)]
        flat = pa.array(values, kind)
        ends = sorted(chance.randrange(rows + 1) for _ in range(rows - 1))
        offsets = pa.array([0, *ends, rows], pa.int32())
        arrays += [flat, pa.ListArray.from_arrays(offsets, flat),
                   pa.ListArray.from_arrays(offsets, pa.StructArray.from_arrays([flat], ['x']))]
        names += ['c%d' % i, 'l%d' % i, 's%d' % i]
    return pa.table(arrays, names)


def wide_fields():
    for i, (_, wide, _) in enumerate(WIDER):
        yield dict(name='c%d' % i, **wide)
        yield dict(name='l%d' % i, type='list', fields=[dict(name='element', **wide)])
        yield dict(name='s%d' % i, type='list',
                   fields=[dict(name='element', type='struct', fields=[dict(name='x', **wide)])])


def cast(array, kind):
    """As SQL's CAST. pyarrow has no rescaling in one step where digits are not enough in between."""
    if pa.types.is_decimal(kind):
        return pa.array([None if v is None else decimal.Decimal(v) for v in array.to_pylist()], kind)
    return pc.cast(array, kind, safe=False)


def widened(table, name, wide):
    column = table.column(name).combine_chunks()
    if name[0] == 'c':
        return cast(column, wide).to_pylist()
    inner = column.flatten()
    if name[0] == 's':
        inner = cast(inner.field('x'), wide)
        return regroup(column, [{'x': v} for v in inner.to_pylist()])
    return regroup(column, cast(inner, wide).to_pylist())


def regroup(lists, values):
    found = iter(values)
    return [[next(found) for _ in range(n)] for n in pc.list_value_length(lists).to_pylist()]


@pytest.mark.parametrize('encoding', ['DICTIONARY', 'PLAIN', 'DELTA', 'SPLIT'])
@pytest.mark.parametrize('pages', ['1.0', '2.0'])
def test_wider_values(encoding, pages, tmp_path, chance, duck):
    """Every widening of a column's type gives what CAST gives, with all rows and with some."""
    table = narrow_table(chance, 600)
    path, out = tmp_path / 'narrow.parquet', tmp_path / 'wide.parquet'
    column_encoding = {'DELTA': {}, 'SPLIT': {}}.get(encoding)
    if column_encoding is not None:
        for i, (kind, _, _) in enumerate(WIDER):
            if kind in BITS or (pa.types.is_date(kind) and encoding == 'DELTA') or kind == pa.float32():
                if encoding == 'SPLIT' or kind != pa.float32():
                    column_encoding['c%d' % i] = {'DELTA': 'DELTA_BINARY_PACKED',
                                                  'SPLIT': 'BYTE_STREAM_SPLIT'}[encoding]
    pq.write_table(table, path, use_dictionary=encoding == 'DICTIONARY', data_page_version=pages,
                   column_encoding=column_encoding, compression=chance.choice(parquet_files.CODECS),
                   store_decimal_as_integer=chance.random() < 0.5, data_page_size=chance.choice((300, 1 << 20)),
                   row_group_size=chance.choice((200, 10000)), write_page_checksum=True,
                   dictionary_pagesize_limit=chance.choice((50, 300, 1 << 20)), write_batch_size=20)
    for what in ('none', 'some', 'half'):
        gone = patterns(chance, table.num_rows)[what]
        slack = chance.choice((1 << 22, None))          # or as little as there is: compact forms
        try:
            present(path, out, list(wide_fields()), rows=gone, slack=slack)
        except Refused as e:
            assert slack is None and 'slack' in str(e), e
            present(path, out, list(wide_fields()), rows=gone, slack=1 << 22)
        got, original = by_pyarrow(out), without(table, gone)
        shown = by_duckdb(out, duck)
        for i, (_, _, wide) in enumerate(WIDER):
            for name in ('c%d' % i, 'l%d' % i, 's%d' % i):
                expected = widened(original, name, wide)
                assert got.column(name).to_pylist() == expected, (name, what)
                if name[0] == 'c':
                    assert got.column(name).type == wide
                assert shown.column(name).to_pylist() == expected, (name, what)


def test_wide_values_fit_into_the_slack(tmp_path, chance, duck):
    """Numbers that do not compress become wider within the room that every file is given."""
    n = 300000
    table = pa.table({'i': pa.array([chance.randrange(-2 ** 31, 2 ** 31) for _ in range(n)], pa.int32()),
                      'f': pa.array([chance.gauss(0, 1) for _ in range(n)], pa.float32()),
                      'd': pa.array([chance.randrange(10 ** 9) for _ in range(n)], pa.int32())})
    fields = [dict(name='i', type='int64'), dict(name='f', type='double'),
              dict(name='d', type='decimal', precision=20, scale=0)]
    path, out = tmp_path / 'narrow.parquet', tmp_path / 'wide.parquet'
    for codec in ('none', 'snappy', 'zstd'):
        pq.write_table(table, path, compression=codec, use_dictionary=codec == 'snappy')
        present(path, out, fields)
        for got in (by_pyarrow(out), by_duckdb(out, duck)):
            assert got.column('i').combine_chunks().equals(table.column('i').cast(pa.int64()).combine_chunks())
            assert got.column('f').combine_chunks().equals(table.column('f').cast(pa.float64()).combine_chunks())
            assert got.column('d').cast(pa.int64()).combine_chunks().equals(
                table.column('d').cast(pa.int64()).combine_chunks())


def test_untouched_pages_are_copied(tmp_path, chance):
    """Pages that lose no row keep their bytes; others are as small as before."""
    table = parquet_files.make_table(chance, 4000)
    path, out = tmp_path / 'in.parquet', tmp_path / 'out.parquet'
    pq.write_table(table, path, row_group_size=1000, compression='zstd')
    present(path, out, rows=[5, 1007, 1008])
    data, presented = path.read_bytes(), out.read_bytes()
    metadata = pq.ParquetFile(path).metadata
    for group in range(4):
        for c in range(metadata.num_columns):
            column = metadata.row_group(group).column(c)
            start = column.dictionary_page_offset or column.data_page_offset
            pages = data[start:start + column.total_compressed_size]
            assert (pages in presented) == (group > 1), (group, column.path_in_schema)


def test_what_does_not_fit_is_refused(tmp_path, chance):
    """Without room the reason is given, and no file of another size than promised."""
    path, out = tmp_path / 'in.parquet', tmp_path / 'out.parquet'
    pq.write_table(pa.table({'a': range(1000000)}), path, use_dictionary=False, compression='none',
                   column_encoding={'a': 'DELTA_BINARY_PACKED'})
    with pytest.raises(Refused, match='EOPNOTSUPP: .*slack'):
        present(path, out, rows=[i for i in range(1000000) if chance.random() < 0.5])


def test_files_that_cannot_be_read_are_refused(tmp_path):
    """An encoding and a codec that nobody knows, encryption, and pages cut short: with the reason."""
    path, out = tmp_path / 'in.parquet', tmp_path / 'out.parquet'
    pq.write_table(pa.table({'a': list(range(1000))}), path, use_dictionary=False, compression='none',
                   data_page_size=100000)
    good = path.read_bytes()
    head = good.find(bytes([0x15, 0xd0, 0x0f, 0x15, 0x00]))     # 1,000 values, PLAIN
    assert head > 0
    bad = bytearray(good)
    bad[head + 4] = 0x36                                        # encoding 27
    path.write_bytes(bad)
    with pytest.raises(Refused, match='EOPNOTSUPP: .*encoding 27'):
        present(path, out, rows=[1])
    bad[head + 1:head + 3] = b'\xd2\x0f'                        # 1,001 values
    path.write_bytes(bad)
    with pytest.raises(Refused, match='EIO: '):
        present(path, out, rows=[1])
