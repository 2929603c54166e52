# SPDX-License-Identifier: Apache-2.0
"""
What plain Parquet readers find in a directory of a mount, beside what an engine says of that version.

Readers know no table format: each file must have exactly the table's columns, and partition columns
come from hive's directories.
"""
import collections
import datetime
import decimal
import os
import re
import uuid
import zlib
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds

UTC = datetime.timezone.utc
# DuckDB gives them as text.
UUID = re.compile('[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}')


def plain(kind):
    """An Arrow type without what only says how values are laid out."""
    if isinstance(kind, pa.BaseExtensionType):          # uuid
        return plain(kind.storage_type)
    if pa.types.is_dictionary(kind):
        return plain(kind.value_type)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind) \
            or pa.types.is_fixed_size_binary(kind):
        return pa.binary()
    if pa.types.is_timestamp(kind):
        return pa.timestamp('us', 'UTC' if kind.tz else None)
    if pa.types.is_decimal(kind):
        return pa.decimal128(kind.precision, kind.scale)
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(f.name, plain(f.type)) for f in kind])
    if pa.types.is_map(kind):
        return pa.map_(plain(kind.key_type), plain(kind.item_type))
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return pa.list_(plain(kind.value_type))
    return kind


def canonical(value):
    """A value in one spelling, whichever reader it came from; equal exactly when the values are."""
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, str):
        return 'x' + value.replace('-', '') if UUID.fullmatch(value) else value
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return 'x' + bytes(value).hex()
    if isinstance(value, decimal.Decimal):
        return format(value, 'f')
    if isinstance(value, datetime.datetime):
        return value.astimezone(UTC).isoformat() if value.tzinfo else value.isoformat()
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, uuid.UUID):
        return 'x' + value.bytes.hex()
    if isinstance(value, dict):
        return {k: canonical(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [canonical(v) for v in value]
    raise TypeError('%r of %s' % (value, type(value)))


def partition_value(text, kind):
    """What a directory's name says, as a value of the column's type; '' is null in Delta."""
    if text is None or text == '':
        return None
    if pa.types.is_string(kind):
        return text
    if pa.types.is_boolean(kind):
        return {'true': True, 'false': False}[text]
    if pa.types.is_integer(kind):
        return int(text)
    if pa.types.is_decimal(kind):
        return decimal.Decimal(text).quantize(decimal.Decimal(1).scaleb(-kind.scale))
    if pa.types.is_date(kind):
        return datetime.date.fromisoformat(text)
    if pa.types.is_timestamp(kind):
        when = datetime.datetime.fromisoformat(text)
        return when.replace(tzinfo=when.tzinfo or UTC) if kind.tz else when
    if pa.types.is_floating(kind):
        return float(text)
    raise TypeError(kind)


class Rows:
    """Tables as one bag of rows: columns {name: type} in order, and how often each row is there."""

    def __init__(self, tables, partitions=(), kinds=None, empty_is_null=False):
        """`partitions` are columns of a path; `kinds` their types, where they came as text. empty_is_null: what
        told the rows does not know empty lists and maps from those that are null."""
        self.empty_is_null = empty_is_null
        self.count = sum(t.num_rows for t in tables)
        self.columns = {f.name: plain(f.type) for f in tables[0].schema}
        values = {}
        for name in self.columns:
            column = [v for t in tables for v in t[name].to_pylist()]
            if name in partitions:
                column = [partition_value(v, kinds[name]) if kinds else None if v == '' else v
                          for v in column]
            values[name] = [None if empty_is_null and v == [] else canonical(v) for v in column]
        self.names = sorted(values)
        self.values = [values[n] for n in self.names]
        self.bag = collections.Counter(map(repr, zip(*self.values)))

    def __eq__(self, other):
        return (self.names, self.count, self.bag) == (other.names, other.count, other.bag)

    def summary(self):
        """Of each column: its nulls, and a sum over its values that knows no order."""
        return {n: (sum(v is None for v in column), sum(zlib.crc32(repr(v).encode()) for v in column))
                for n, column in zip(self.names, self.values)}

    def difference(self, wanted):
        """Says what is wrong with these rows, in a few lines."""
        if self.names != wanted.names:
            return 'columns %s, wanted %s' % (self.names, wanted.names)
        lines = ['%d rows, wanted %d' % (self.count, wanted.count)]
        ours, theirs = self.summary(), wanted.summary()
        lines += ['column %s: %d nulls, wanted %d%s' % (n, ours[n][0], theirs[n][0],
                                                       '' if ours[n][1] == theirs[n][1] else '; other values')
                  for n in self.names if ours[n] != theirs[n]]
        for what, more in (('too much', self.bag - wanted.bag), ('missing', wanted.bag - self.bag)):
            lines += ['%s, %d times: %s' % (what, n, row[:400]) for row, n in more.most_common(3)]
        return '\n'.join(['of %s:' % self.names] + lines)


def files_below(directory):
    """All files; what cannot be listed is an error."""
    def fail(error):
        raise error
    return sorted(os.path.join(where, n) for where, _, names in os.walk(directory, onerror=fail)
                  for n in names)


def read_all(directory):
    """Reads every byte."""
    for path in files_below(directory):
        with open(path, 'rb') as f:
            while f.read(1 << 20):
                pass


def with_pyarrow(directory, wanted, partitions):
    """
    Every file with its own schema, which must be the table's, and all rows. `wanted` are the
    engine's Rows.
    """
    own = {n: t for n, t in wanted.columns.items() if n not in partitions}
    hive = ds.partitioning(pa.schema([(p, pa.string()) for p in partitions]), flavor='hive')
    files = ds.dataset(directory, format='parquet', partitioning=hive if partitions else None,
                       ignore_prefixes=['no such'])
    tables = []
    for fragment in files.get_fragments():
        found = {f.name: plain(f.type) for f in fragment.physical_schema}
        assert found == own, \
            '%s has the columns %s, wanted %s' % (fragment.path, found, own)
        tables.append(fragment.to_table(schema=pa.schema(
            list(fragment.physical_schema) + [pa.field(p, pa.string()) for p in partitions])))
    return Rows(tables, partitions, wanted.columns, empty_is_null=wanted.empty_is_null)


def with_duckdb(directory, wanted, partitions):
    """All rows, by one scan of the directory that expects one schema."""
    with duckdb.connect() as c:
        c.execute("SET TimeZone = 'UTC'")
        table = c.sql(
            'SELECT * FROM read_parquet(?, hive_partitioning = ?, hive_types_autocast = false, '
            'union_by_name = false)',
            params=[str(directory) + '/**/*.parquet', bool(partitions)]).to_arrow_table()
    return Rows([table], partitions, wanted.columns, empty_is_null=wanted.empty_is_null)


def compare(directory, wanted, partitions, what):
    """`wanted` (an engine's Rows) is what both readers find below a directory."""
    directory = Path(directory)
    if not files_below(directory):
        assert wanted.count == 0, '%s: no files, wanted %d rows' % (what, wanted.count)
        return
    for read in (with_pyarrow, with_duckdb):
        got = read(str(directory), wanted, partitions)
        assert got == wanted, '%s by %s: %s' % (what, read.__name__, got.difference(wanted))
