# SPDX-License-Identifier: Apache-2.0
"""Tables at random with every type that Parquet files have, and files of them in every form."""
import decimal

import pyarrow as pa
import pyarrow.parquet as pq

FLAT = [pa.bool_(), pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(),
        pa.uint32(), pa.uint64(), pa.float16(), pa.float32(), pa.float64(), pa.decimal128(5, 2),
        pa.decimal128(18, 3), pa.decimal128(38, 10), pa.string(), pa.large_string(), pa.binary(),
        pa.binary(7), pa.date32(), pa.date64(), pa.time32('ms'), pa.time64('us'), pa.time64('ns'),
        pa.timestamp('ms'), pa.timestamp('us'), pa.timestamp('ns'), pa.timestamp('us', 'UTC'),
        pa.timestamp('ms', 'Europe/Berlin'), pa.duration('us'), pa.null()]
# Those of which the file says all without `ARROW:schema`.
PLAIN = [kind for kind in FLAT if not pa.types.is_duration(kind)
         and not (pa.types.is_timestamp(kind) and kind.tz)]
CODECS = ['none', 'snappy', 'gzip', 'brotli', 'zstd', 'lz4']
PER_SECOND = {'s': 1, 'ms': 10**3, 'us': 10**6, 'ns': 10**9}


def _one(kind, chance):
    """A value of a type that is no time."""
    if pa.types.is_boolean(kind):
        return chance.random() < 0.5
    if pa.types.is_integer(kind):
        low = -(1 << kind.bit_width - 1) if pa.types.is_signed_integer(kind) else 0
        return chance.randrange(low, low + (1 << kind.bit_width))
    if pa.types.is_floating(kind):
        return chance.choice([chance.uniform(-100, 100), float('nan'), -0.0, float('inf')])
    if pa.types.is_decimal(kind):
        top = 10 ** kind.precision
        return decimal.Decimal(chance.randrange(1 - top, top)).scaleb(
            -kind.scale, decimal.Context(prec=100))
    if pa.types.is_fixed_size_binary(kind):
        return chance.randbytes(kind.byte_width)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return ''.join(chance.choice('abcäö€ 𝄞') for _ in range(chance.randrange(20)))
    return chance.randbytes(chance.randrange(30))


def _time(kind, chance):
    """The number that a value of a time's type is: no nanoseconds, which Python does not have."""
    if pa.types.is_date(kind):
        return chance.randrange(-20000, 20000) * (1 if kind == pa.date32() else 86400000)
    if pa.types.is_time(kind):
        return chance.randrange(86400 * PER_SECOND[kind.unit]) // 1000 * 1000
    unit = PER_SECOND[kind.unit]
    return chance.randrange(-1 << 31, 1 << 31) * unit + chance.randrange(unit) // 1000 * 1000


def flat(kind, chance, rows, nulls=0.2):
    """An array, some of whose values are frequent."""
    if pa.types.is_null(kind):
        return pa.nulls(rows)
    make, made = _one, kind
    if pa.types.is_temporal(kind):
        make, made = _time, pa.int32() if kind.bit_width == 32 else pa.int64()
    elif kind == pa.float16():
        made = pa.float32()
    frequent = [make(kind, chance) for _ in range(10)]
    values = [None if chance.random() < nulls else
              chance.choice(frequent) if chance.random() < 0.8 else make(kind, chance)
              for _ in range(rows)]
    return pa.array(values, made).cast(kind)


def _offsets(chance, rows):
    """Offsets of lists, None where a list is null."""
    at, offsets = 0, []
    for _ in range(rows):
        null = chance.random() < 0.15
        offsets.append(None if null else at)
        at += 0 if null else chance.choice([0, 1, 1, 2, 5])
    return pa.array([*offsets, at], pa.int32()), at


def array(chance, rows, depth=3):
    """An array of any type, nested up to so deep."""
    how = chance.choice(['flat', 'struct', 'list', 'map']) if depth else 'flat'
    if how == 'struct':
        parts = [array(chance, rows, depth - 1) for _ in range(chance.randint(1, 4))]
        mask = pa.array([chance.random() < 0.2 for _ in range(rows)], pa.bool_())
        return pa.StructArray.from_arrays(parts, ['part %d' % i for i in range(len(parts))],
                                          mask=mask)
    if how == 'flat':
        return flat(chance.choice(PLAIN), chance, rows)
    offsets, n = _offsets(chance, rows)
    values = array(chance, n, depth - 1)
    if how == 'list':
        return pa.ListArray.from_arrays(offsets, values)
    keys = flat(chance.choice([pa.string(), pa.int64(), pa.date32()]), chance, n, nulls=0)
    return pa.MapArray.from_arrays(offsets, keys, values)


def table(chance, rows):
    """Every flat type once, some dictionaries, some nested columns."""
    columns = {'flat %d %s' % (i, kind): flat(kind, chance, rows) for i, kind in enumerate(FLAT)}
    columns['dictionary'] = flat(pa.string(), chance, rows).dictionary_encode()
    for i in range(6):
        columns['nested %d' % i] = array(chance, rows)
    fields = [pa.field(name, values.type, True) for name, values in columns.items()]
    required = flat(pa.int64(), chance, rows, nulls=0)
    return pa.Table.from_arrays([*columns.values(), required],
                                schema=pa.schema([*fields, pa.field('required', pa.int64(), False)]))


def _encodings(chance, of):
    """For some of the columns an encoding that their type may have."""
    found = {}
    for field in of.schema:
        kind = field.type
        fitting = ['PLAIN']
        if pa.types.is_integer(kind) or pa.types.is_temporal(kind):
            fitting += ['DELTA_BINARY_PACKED', 'BYTE_STREAM_SPLIT']
        elif pa.types.is_floating(kind) and kind != pa.float16():
            fitting += ['BYTE_STREAM_SPLIT']
        elif pa.types.is_string(kind) or pa.types.is_large_string(kind) or kind == pa.binary():
            fitting += ['DELTA_LENGTH_BYTE_ARRAY', 'DELTA_BYTE_ARRAY']
        elif pa.types.is_boolean(kind):
            fitting += ['RLE']
        if not pa.types.is_nested(kind) and not pa.types.is_dictionary(kind):
            found[field.name] = chance.choice(fitting)
    return found


def write(chance, of, path):
    """A file in a form at random; the form, for messages."""
    form = dict(
        compression=chance.choice(CODECS),
        version=chance.choice(['1.0', '2.4', '2.6']),
        data_page_version=chance.choice(['1.0', '2.0']),
        data_page_size=chance.choice([200, 4000, 1 << 20]),
        row_group_size=max(1, chance.choice([len(of), len(of) // 3])),
        write_page_index=chance.random() < 0.5,
        write_page_checksum=chance.random() < 0.5,
        write_statistics=chance.random() < 0.8,
        store_schema=chance.random() < 0.7,
        use_compliant_nested_type=chance.random() < 0.7,
        store_decimal_as_integer=chance.random() < 0.5,
        use_dictionary=chance.random() < 0.6,
    )
    if not form['use_dictionary']:
        form['column_encoding'] = _encodings(chance, of)
    if form['version'] != '2.6' and form['use_dictionary']:
        form['use_deprecated_int96_timestamps'] = chance.random() < 0.5
    if chance.random() < 0.5:
        form['bloom_filter_options'] = {'required': True, 'flat 15 string': True}
    if chance.random() < 0.3:
        form['sorting_columns'] = [pq.SortingColumn(of.num_columns - 1)]
    pq.write_table(of, path, **form)
    return form
