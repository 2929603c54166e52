# SPDX-License-Identifier: Apache-2.0
"""Row filters: the rows that stay are those for which DuckDB says that the expression is true."""
import datetime
import decimal
import math
import struct

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.parquet_files import CODECS, EPOCH, maybe
from support.present import Refused, present

pytestmark = pytest.mark.usefixtures('present_program')

ROWS = 2500
FILES = 8
EXPRESSIONS = 40
WORDS = ('', 'a', 'ab', 'abc', 'b', 'EU', 'eu', 'é', '漢字', '😀x', "it's", '100%', 'a_b', 'a!b', '\x7f', 'ÿ')


def quoted(text):
    return "'%s'" % text.replace("'", "''")


def float32(v):
    return struct.unpack('f', struct.pack('f', v))[0]


class Kind:
    """Columns of one type: what a table calls it, its values, and how the two languages compare."""

    def __init__(self, field, arrow, value, ours, duck, column='%s', wider=()):
        self.field, self.arrow, self.value = field, arrow, value
        self.ours, self.duck, self.column, self.wider = ours, duck, column, wider


def instant(unit):
    return lambda v: str(v.value if hasattr(v, 'value') else v) + unit


def kinds(rng):
    def number(bits):
        def value():
            near = rng.choice((0, 2 ** (bits - 1) - 1, -2 ** (bits - 1), 7))
            v = near + rng.randrange(-3, 4) if rng.random() < 0.9 else rng.getrandbits(bits) - 2 ** (bits - 1)
            return max(-2 ** (bits - 1), min(2 ** (bits - 1) - 1, v))
        return value

    def integer(bits, wider):
        def ours(v):
            return '%d' % v if rng.random() < 0.7 else '%d.50' % v if rng.random() < 0.5 else '%d.0' % v
        return Kind(dict(type='int%d' % bits), getattr(pa, 'int%d' % bits)(), number(bits), ours,
                    lambda text: "CAST('%s' AS DECIMAL(38,4))" % text, 'CAST(%s AS DECIMAL(38,4))', wider)

    def real():
        return rng.choice((0.0, -0.0, math.inf, -math.inf, math.nan, 0.1, 1.5, -2.75, 1e30, 16777216.0, rng.gauss(0, 3)))

    def digits(precision, scale):
        def value():
            v = rng.choice((0, 1, 10 ** precision - 1, 1 - 10 ** precision, 12345, rng.randrange(10 ** precision)))
            return decimal.Decimal(v).scaleb(-scale, decimal.Context(prec=precision))
        return Kind(dict(type='decimal', precision=precision, scale=scale), pa.decimal128(precision, scale), value,
                    lambda v: format(v, 'f'), lambda text: "CAST('%s' AS DECIMAL(%d,%d))" % (text, precision, scale))

    def moment(digits):
        def value():
            us = rng.choice((0, -1, 1, 10 ** 15, -10 ** 13, rng.randrange(-2 ** 50, 2 ** 50)))
            return EPOCH + datetime.timedelta(microseconds=us - us % 10 ** (6 - digits))
        return value

    def timestamp(type_, unit, zone, duck_type, digits):
        return Kind(dict(type=type_), pa.timestamp(unit, zone), moment(digits),
                    lambda v: 'timestamp %s' % quoted(str(v) + ('Z' if zone and rng.random() < 0.5 else '')),
                    lambda text: 'CAST(%s AS %s)' % (
                        text[len('timestamp '):].replace("Z'", "'")[:-1] + ("+00'" if zone else "'"), duck_type),
                    'CAST(%s AS ' + duck_type + ')')

    def day():
        return datetime.date(1970, 1, 1) + datetime.timedelta(days=rng.choice((0, -1, 1, 20000, -30000, 150000)))

    def blob(text):
        return "'%s'::BLOB" % ''.join('\\x' + text[i:i + 2] for i in range(2, len(text) - 1, 2))

    def finite(v):
        return v if math.isfinite(v) else 3.5

    wide = {16: 'int16', 32: 'int32', 64: 'int64'}
    return {
        'b': Kind(dict(type='boolean'), pa.bool_(), lambda: rng.random() < 0.5, lambda v: str(v).lower(), str),
        'i8': integer(8, [wide[16], wide[32], wide[64]]), 'i16': integer(16, [wide[32], wide[64]]),
        'i32': integer(32, [wide[64]]), 'i64': integer(64, []),
        'f32': Kind(dict(type='float'), pa.float32(), lambda: float32(real()),
                    lambda v: '%.9g' % finite(v), lambda text: "CAST('%s' AS FLOAT)" % text),
        'f64': Kind(dict(type='double'), pa.float64(), real, lambda v: repr(finite(v)),
                    lambda text: "CAST('%s' AS DOUBLE)" % text),
        'd9': digits(9, 2), 'd18': digits(18, 5), 'd38': digits(38, 10),
        's': Kind(dict(type='string'), pa.string(), lambda: rng.choice(WORDS), quoted, str),
        'y': Kind(dict(type='binary'), pa.binary(), lambda: rng.choice((b'', b'a', b'\0\xff', b'\xff', b'ab')),
                  lambda v: "x'%s'" % v.hex(), blob),
        'day': Kind(dict(type='date'), pa.date32(), day, lambda v: 'date %s' % quoted(str(v)), str),
        'ms': timestamp('timestamp_local', 'ms', None, 'TIMESTAMP', 3),
        'us': timestamp('timestamp_local', 'us', None, 'TIMESTAMP', 6),
        'ns': timestamp('timestamp_local', 'ns', None, 'TIMESTAMP_NS', 6),
        'tsz': timestamp('timestamp', 'us', 'UTC', 'TIMESTAMPTZ', 6),
    }


class Lake:
    """A file, the table as it is meant to be, and random expressions over its columns."""

    def __init__(self, rng, where):
        self.rng, self.kinds, self.columns, self.fields, self.partitions = rng, kinds(rng), [], [], []
        stored, truth = {'id': pa.array(range(ROWS), pa.int64())}, {'id': pa.array(range(ROWS), pa.int64())}
        self.fields.append(dict(name='id', type='int64', nullable=False))
        for name, kind in self.kinds.items():
            nulls = rng.choice((0, 0.1, 0.9))
            array = pa.array([maybe(rng, kind.value, nulls) for _ in range(ROWS)], kind.arrow)
            stored['_' + name] = truth[name] = array
            field = dict(kind.field, name=name, stored='_' + name)
            if kind.wider and rng.random() < 0.5:
                field['type'] = rng.choice(kind.wider)
            self.fields.append(field)
            self.columns.append((name, name, kind))
        self._add_struct(stored, truth)
        self._add_missing(truth)
        self._add_partitions(truth)
        rng.shuffle(self.fields)
        self.truth = pa.table(truth)
        self.path = where / 'in.parquet'
        self._write(pa.table(stored))

    def _add_struct(self, stored, truth):
        rng, i32, s = self.rng, self.kinds['i32'], self.kinds['s']
        rows = [maybe(rng, lambda: {'n': maybe(rng, i32.value, 0.2),
                                    't': maybe(rng, lambda: {'w': maybe(rng, s.value, 0.2)}, 0.2)}, 0.2)
                for _ in range(ROWS)]
        stored['st'] = truth['st'] = pa.array(rows, pa.struct([('n', i32.arrow), ('t', pa.struct([('w', pa.string())]))]))
        self.fields.append(dict(name='st', type='struct', fields=[
            dict(name='t', type='struct', fields=[dict(name='w', type='string')]),
            dict(name='new', type='int32', constant='05000000'), dict(name='n', type='int32')]))
        truth['st_new'] = pa.array([None if r is None else 5 for r in rows], pa.int32())
        self.columns += [('st.n', 'st.n', i32), ('st.t.w', 'st.t.w', s), ('st.new', 'st_new', i32)]

    def _add_missing(self, truth):
        self.fields.append(dict(name='gone', type='string'))
        self.fields.append(dict(name='given', type='int32', constant='07000000', nullable=False))
        truth['gone'] = pa.nulls(ROWS, pa.string())
        truth['given'] = pa.array([7] * ROWS, pa.int32())
        self.columns += [('gone', 'gone', self.kinds['s']), ('given', 'given', self.kinds['i32'])]

    def _add_partitions(self, truth):
        for name in self.rng.sample(['i32', 'f64', 'd18', 's', 'day', 'us', 'tsz', 'b'], 3):
            kind, column = self.kinds[name], 'part_' + name
            value = maybe(self.rng, kind.value, 0.3)
            truth[column] = pa.array([value] * ROWS, kind.arrow)
            text = None if value is None else str(value).lower() if name == 'b' else str(value)
            if name == 'f64' and value is not None:
                text = {'nan': 'NaN', 'inf': 'Infinity', '-inf': '-Infinity'}.get(text, text)
            if text == '':                                          # Delta's NULL
                truth[column] = pa.nulls(ROWS, kind.arrow)
            self.partitions.append((dict(kind.field, name=column), text))
            self.columns.append((column, column, kind))

    def _write(self, table):
        rng = self.rng
        dictionary = rng.choice((True, False, ['_s', '_i32', '_d38', '_us', '_f64', '_y']))
        plain = {} if dictionary is True else {
            name: rng.choice(encodings) for name, encodings in {
                '_i64': ['DELTA_BINARY_PACKED', 'BYTE_STREAM_SPLIT'], '_f32': ['BYTE_STREAM_SPLIT'],
                '_i8': ['DELTA_BINARY_PACKED']}.items()}
        if dictionary is False:
            plain['_s'] = rng.choice(['DELTA_BYTE_ARRAY', 'DELTA_LENGTH_BYTE_ARRAY'])
        pq.write_table(table, self.path, compression=rng.choice(CODECS), use_dictionary=dictionary,
                       column_encoding=plain or None, row_group_size=rng.choice((700, 10000)),
                       data_page_size=rng.choice((500, 1 << 20)), write_statistics=rng.random() < 0.5,
                       data_page_version=rng.choice(('1.0', '2.0')), store_decimal_as_integer=rng.random() < 0.5,
                       use_deprecated_int96_timestamps=rng.random() < 0.3)

    def literal(self, kind):
        ours = kind.ours(kind.value())
        return ours, kind.duck(ours)

    def term(self):
        rng = self.rng
        name, column, kind = rng.choice(self.columns)
        duck = kind.column % column
        what = rng.randrange(8)
        if what == 0:
            negation = rng.choice(('', 'NOT '))
            return '%s is %snull' % (name, negation), '%s IS %sNULL' % (column, negation)
        if what == 1:
            n = rng.choice((1, 2, 9))
            pairs = [self.literal(kind) for _ in range(n)] + [('NULL', 'NULL')] * (rng.random() < 0.3)
            word = rng.choice(('in', 'not in'))
            return ('%s %s (%s)' % (name, word, ', '.join(p[0] for p in pairs)),
                    '%s %s (%s)' % (duck, word, ', '.join(p[1] for p in pairs)))
        if what == 2:
            (a, x), (b, y) = (self.literal(kind) if rng.random() < 0.9 else ('null', 'NULL') for _ in 'ab')
            word = rng.choice(('between', 'not between'))
            return '%s %s %s and %s' % (name, word, a, b), '%s %s %s AND %s' % (duck, word, x, y)
        if what == 3 and kind is self.kinds['s']:
            pattern = ''.join(rng.choice(('%', '_', 'a', 'b', '!%', '!!', 'é', '%')) for _ in range(rng.randrange(5)))
            same = '%s %s %s escape %s' % (name, rng.choice(('like', 'NOT LIKE')), quoted(pattern), quoted('!'))
            return same, column + same[len(name):]
        if what == 4 and kind is self.kinds['b']:
            return name, column
        ours, theirs = self.literal(kind)
        sign = rng.choice(('=', '<>', '!=', '<', '<=', '>', '>='))
        if rng.random() < 0.2:
            return '%s %s %s' % (ours, sign, name), '%s %s %s' % (theirs, sign, duck)
        return '%s%s%s' % (name, sign, ours), '%s %s %s' % (duck, sign, theirs)

    def expression(self, depth):
        rng = self.rng
        if depth == 0 or rng.random() < 0.2:
            return self.term()
        if rng.random() < 0.25:
            ours, duck = self.expression(depth - 1)
            return 'not (%s)' % ours, 'NOT (%s)' % duck
        word = rng.choice(('and', 'OR'))
        parts = [self.expression(depth - 1) for _ in range(rng.choice((2, 2, 3)))]
        return tuple((' %s ' % word).join('(%s)' % p[i] for p in parts) for i in (0, 1))


def test_same_rows_as_duckdb(chance, tmp_path, duck):
    """Columns of all types with all their special values, stored in all ways, with columns that became
    wider, that files do not have, inside structs, or of partitions; random expressions."""
    kept = 0
    for _ in range(FILES):
        lake = Lake(chance, tmp_path)
        truth = lake.truth                                          # noqa: F841 (DuckDB reads it)
        duck.sql("SET TimeZone = 'UTC'")
        duck.register('truth', lake.truth)
        for _ in range(EXPRESSIONS):
            ours, theirs = lake.expression(chance.randrange(4))
            out = tmp_path / 'out.parquet'
            present(lake.path, out, [types_last(f) for f in lake.fields], row_filter=ours,
                    partitions=[(types_last(f), v) for f, v in lake.partitions])
            got = pq.ParquetFile(out).read(['id']).column(0).to_pylist()
            expected = duck.sql('SELECT id FROM truth WHERE %s ORDER BY id' % theirs).to_arrow_table()
            assert got == expected.column(0).to_pylist(), (ours, theirs, lake.partitions)
            kept += 0 < len(got) < ROWS
        duck.unregister('truth')
    assert kept > FILES * EXPRESSIONS / 4


def test_original_values_decide(tmp_path):
    """Masks come after the filter: it sees what its reader does not, of columns that are hidden, too."""
    source, out = tmp_path / 'in.parquet', tmp_path / 'out.parquet'
    names = ['anna', 'bert', None, 'carl-gustav']
    pq.write_table(pa.table({'id': [1, 2, 3, 4], 'name': names, 'year': [1990, 2001, 1987, 1970]}), source)
    fields = [dict(name='id', type='int64'), dict(name='year', type='int64', mask='replace-with-null'),
              dict(name='name', type='string', mask='mask-alphanum')]
    present(source, out, fields, row_filter="name > 'b' or year < 1988", confined=True)
    assert pq.read_table(out).to_pylist() == [
        dict(id=2, year=None, name='xxxx'), dict(id=3, year=None, name=None),
        dict(id=4, year=None, name='xxxx-xxxxxx')]


def test_deleted_rows_stay_deleted(tmp_path, chance):
    """The table's own deletions and the filter's take rows out together."""
    source, out = tmp_path / 'in.parquet', tmp_path / 'out.parquet'
    values = [chance.randrange(10) for _ in range(5000)]
    gone = sorted(chance.sample(range(5000), 1700))
    pq.write_table(pa.table({'id': range(5000), 'v': values}), source, row_group_size=777)
    fields = [dict(name='id', type='int64'), dict(name='v', type='int64')]
    present(source, out, fields, rows=gone, row_filter='v in (1, 2, 3)')
    expected = [i for i in range(5000) if values[i] in (1, 2, 3) and i not in set(gone)]
    assert pq.read_table(out).column('id').to_pylist() == expected


REFUSED = [
    ('EOPNOTSUPP', "x = 'a'", dict(type='string'), 'the table has string, the file has INT64'),
    ('EINVAL', "x = 'a'", dict(type='int64'), 'is not the text a'),
    ('EINVAL', 'x = ', dict(type='int64'), 'at character 5'),
]


@pytest.mark.parametrize('errno, row_filter, field, reason', REFUSED)
def test_refused(errno, row_filter, field, reason, tmp_path):
    """What cannot be decided exactly is refused with the reason."""
    source = tmp_path / 'in.parquet'
    pq.write_table(pa.table({'x': [1, 2]}), source)
    with pytest.raises(Refused) as refusal:
        present(source, tmp_path / 'out.parquet', [{'name': 'x', **field}], row_filter=row_filter)
    assert str(refusal.value).startswith(errno) and reason in str(refusal.value)


def test_damaged_columns(tmp_path, chance):
    """Bytes of the filter's columns that are changed are an error, or rows as of other values; never a crash.
    With checksums of pages they are always an error."""
    source, damaged, out = (tmp_path / name for name in ('in.parquet', 'damaged.parquet', 'out.parquet'))
    pq.write_table(pa.table({'x': pa.array(range(3000), pa.int32())}), source, write_page_checksum=True,
                   use_dictionary=False, write_statistics=False, compression='snappy')
    chunk = pq.ParquetFile(source).metadata.row_group(0).column(0)
    start = chunk.data_page_offset + 40                             # behind the page's header, which has no checksum
    for _ in range(20):
        bytes_ = bytearray(source.read_bytes())
        bytes_[chance.randrange(start, start + chunk.total_compressed_size - 40)] ^= 1 << chance.randrange(8)
        damaged.write_bytes(bytes_)
        with pytest.raises(Refused, match='EIO: row filter: row group 0, column x'):
            present(damaged, out, [dict(name='x', type='int32')], row_filter='x > 5')


def types_last(field):
    inner = field.get('fields')
    rest = {k: v for k, v in field.items() if k != 'fields'}
    return {**rest, 'fields': [types_last(f) for f in inner]} if inner else rest
