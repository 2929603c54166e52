# SPDX-License-Identifier: Apache-2.0
"""Parquet files of every kind that writers make: types, nesting, encodings, pages, codecs."""
import datetime
import decimal
import math
import random
import string

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

CODECS = ('none', 'snappy', 'gzip', 'brotli', 'lz4', 'zstd')
EPOCH = datetime.datetime(1970, 1, 1)


def text(rng):
    return ''.join(rng.choices(string.ascii_letters + 'äß漢😀', k=rng.choice((0, 1, 3, 12, 40))))


def maybe(rng, value, nulls):
    return None if rng.random() < nulls else value()


def items(rng, value, nulls):
    return [maybe(rng, value, nulls) for _ in range(rng.choice((0, 0, 1, 2, 5)))]


def column_makers(rng):
    """[(name, type, value)]: one column of every type, flat and nested."""
    def number(bits):
        return lambda: rng.randrange(-2 ** (bits - 1), 2 ** (bits - 1))

    def real():
        return rng.choice((0.0, -0.0, math.inf, -math.inf)) if rng.random() < 0.1 else rng.gauss(0, 1e3)

    def digits(precision, scale):
        return lambda: decimal.Decimal(rng.randrange(-10 ** precision + 1, 10 ** precision)).scaleb(
            -scale, decimal.Context(prec=precision))

    def struct():
        return {'a': maybe(rng, number(32), 0.2), 'b': maybe(rng, lambda: text(rng), 0.2),
                'c': maybe(rng, lambda: items(rng, number(16), 0.2), 0.2)}
    struct_type = pa.struct([('a', pa.int32()), ('b', pa.string()), ('c', pa.list_(pa.int16()))])
    words = [text(rng) for _ in range(20)]
    return [
        ('bool', pa.bool_(), lambda: rng.random() < 0.3),
        ('i8', pa.int8(), number(8)), ('i16', pa.int16(), number(16)),
        ('i32', pa.int32(), number(32)), ('i64', pa.int64(), number(64)),
        ('small', pa.int64(), lambda: rng.randrange(5)),
        ('f32', pa.float32(), real), ('f64', pa.float64(), real),
        ('str', pa.string(), lambda: text(rng)), ('bin', pa.binary(), lambda: rng.randbytes(rng.randrange(9))),
        ('word', pa.string(), lambda: rng.choice(words)),
        ('fixed', pa.binary(7), lambda: rng.randbytes(7)),
        ('dec9', pa.decimal128(9, 2), digits(9, 2)), ('dec18', pa.decimal128(18, 5), digits(18, 5)),
        ('dec38', pa.decimal128(38, 10), digits(38, 10)),
        ('date', pa.date32(), lambda: datetime.date(1900, 1, 1) + datetime.timedelta(days=rng.randrange(80000))),
        ('ts', pa.timestamp('us'), lambda: EPOCH + datetime.timedelta(microseconds=rng.randrange(2 ** 50))),
        ('tsz', pa.timestamp('us', 'UTC'),
         lambda: EPOCH + datetime.timedelta(microseconds=rng.randrange(2 ** 50))),
        ('list', pa.list_(pa.int64()), lambda: items(rng, number(64), 0.2)),
        ('lists', pa.list_(pa.list_(pa.string())),
         lambda: items(rng, lambda: items(rng, lambda: text(rng), 0.2), 0.2)),
        ('struct', struct_type, struct),
        ('structs', pa.list_(struct_type), lambda: items(rng, struct, 0.2)),
        ('map', pa.map_(pa.string(), pa.float64()),
         lambda: [(str(i), maybe(rng, real, 0.2)) for i in range(rng.choice((0, 1, 3)))]),
    ]


def make_table(rng, rows):
    """Random rows; one column in four has no nulls, and is required by the schema."""
    fields, arrays = [], []
    for i, (name, kind, value) in enumerate(column_makers(rng)):
        nulls = (0, 0.02, 0.3, 0.97)[i % 4]
        fields.append(pa.field(name, kind, nullable=nulls > 0))
        arrays.append(pa.array([maybe(rng, value, nulls) for _ in range(rows)], kind))
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


# Encodings by type; columns of other types are PLAIN.
ENCODINGS = {
    'DELTA': {'i8': 'DELTA_BINARY_PACKED', 'i16': 'DELTA_BINARY_PACKED', 'i32': 'DELTA_BINARY_PACKED',
              'i64': 'DELTA_BINARY_PACKED', 'small': 'DELTA_BINARY_PACKED', 'date': 'DELTA_BINARY_PACKED',
              'ts': 'DELTA_BINARY_PACKED', 'list.list.element': 'DELTA_BINARY_PACKED',
              'str': 'DELTA_BYTE_ARRAY', 'bin': 'DELTA_LENGTH_BYTE_ARRAY', 'word': 'DELTA_BYTE_ARRAY',
              'fixed': 'DELTA_BYTE_ARRAY', 'dec38': 'DELTA_BYTE_ARRAY', 'bool': 'RLE',
              'lists.list.element.list.element': 'DELTA_LENGTH_BYTE_ARRAY'},
    'SPLIT': {'f32': 'BYTE_STREAM_SPLIT', 'f64': 'BYTE_STREAM_SPLIT', 'i32': 'BYTE_STREAM_SPLIT',
              'i64': 'BYTE_STREAM_SPLIT', 'fixed': 'BYTE_STREAM_SPLIT', 'dec38': 'BYTE_STREAM_SPLIT',
              'map.key_value.value': 'BYTE_STREAM_SPLIT'},
}


def write_arrow(table, path, rng, codec, pages, encoding):
    """encoding: DICTIONARY (with a fallback to PLAIN), PLAIN, DELTA or SPLIT."""
    pq.write_table(table, path, compression=codec, data_page_version=pages,
                   row_group_size=rng.choice((64, 700, 100000)), data_page_size=rng.choice((100, 2000, 1 << 20)),
                   use_dictionary=encoding == 'DICTIONARY', dictionary_pagesize_limit=rng.choice((300, 1 << 20)),
                   column_encoding=ENCODINGS.get(encoding), write_page_checksum=rng.random() < 0.5,
                   store_schema=rng.random() < 0.5, write_batch_size=rng.choice((10, 1024)))


def write_duckdb(table, path, rng, codec, version):
    connection = duckdb.connect()
    connection.register('t', table)
    connection.execute("COPY t TO '%s' (FORMAT parquet, COMPRESSION '%s', PARQUET_VERSION '%s', "
                       'ROW_GROUP_SIZE %d)' % (path, codec, version, rng.choice((2048, 100000))))


def arrow_files(directory, seed, rows):
    """Each codec and page version with some encoding, each encoding with some codec: paths."""
    rng = random.Random(seed)
    kinds = [(codec, pages, encoding) for i, codec in enumerate(CODECS) for pages in ('1.0', '2.0')
             for encoding in rng.sample(('DICTIONARY', 'PLAIN', 'DELTA', 'SPLIT'), 2)]
    for codec, pages, encoding in kinds:
        path = directory / ('arrow-%s-%s-%s.parquet' % (codec, pages[0], encoding.lower()))
        write_arrow(make_table(rng, rows), path, rng, codec, pages, encoding)
        yield path


def duckdb_files(directory, seed, rows):
    rng = random.Random(seed)
    for codec in ('uncompressed', 'snappy', 'gzip', 'brotli', 'lz4_raw', 'zstd'):
        for version in ('v1', 'v2'):
            path = directory / ('duckdb-%s-%s.parquet' % (codec, version))
            write_duckdb(make_table(rng, rows), path, rng, codec, version)
            yield path
