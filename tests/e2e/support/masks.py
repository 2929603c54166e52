# SPDX-License-Identifier: Apache-2.0
"""Masks as the Iceberg REST catalog's read-restrictions describe them, over Python's values."""
import datetime
import decimal
import hashlib

import pyarrow as pa

NULL, FIXED, ALPHANUM = 'replace-with-null', 'mask-to-fixed-value', 'mask-alphanum'
FIRST, LAST, YEAR, MONTH = 'show-first-4', 'show-last-4', 'truncate-to-year', 'truncate-to-month'
HASH, LOCAL = 'sha-256-global', 'sha-256-query-local'
SALT = bytes(range(7, 39))

ALWAYS = (NULL, FIXED)
TEXT = (*ALWAYS, ALPHANUM, FIRST, LAST, HASH, LOCAL)
HASHED = (*ALWAYS, HASH, LOCAL)
DATED = (*ALWAYS, YEAR, MONTH)
UTC = datetime.timezone.utc


def leaf(kind):
    """What a table calls a type, and the masks that fit it."""
    if pa.types.is_decimal(kind):
        return dict(type='decimal', precision=kind.precision, scale=kind.scale), ALWAYS
    if pa.types.is_fixed_size_binary(kind):
        return dict(type='fixed', length=kind.byte_width), ALWAYS
    if pa.types.is_timestamp(kind):
        return dict(type='timestamp' if kind.tz else 'timestamp_local'), DATED
    return {
        pa.bool_(): (dict(type='boolean'), ALWAYS), pa.int8(): (dict(type='int8'), (NULL,)),
        pa.int16(): (dict(type='int16'), (NULL,)), pa.int32(): (dict(type='int32'), HASHED),
        pa.int64(): (dict(type='int64'), HASHED), pa.float32(): (dict(type='float'), ALWAYS),
        pa.float64(): (dict(type='double'), ALWAYS), pa.string(): (dict(type='string'), TEXT),
        pa.binary(): (dict(type='binary'), HASHED), pa.date32(): (dict(type='date'), DATED),
        pa.time64('us'): (dict(type='time'), ALWAYS),
    }[kind]


def alphanum(text):
    return ''.join('n' if '0' <= c <= '9' else c if c in '(),.-@' else 'x' for c in text)


def hashed(value, kind, salt):
    if isinstance(value, str):
        return hashlib.sha256(salt + value.encode()).hexdigest()
    if isinstance(value, bytes):
        return hashlib.sha256(salt + value).digest()
    size = kind.bit_width // 8
    data = value.to_bytes(size, 'little', signed=True)
    return int.from_bytes(hashlib.sha256(salt + data).digest()[:size], 'little', signed=True)


def fixed(kind):
    if pa.types.is_decimal(kind):
        return decimal.Decimal(0).scaleb(-kind.scale)
    if pa.types.is_fixed_size_binary(kind):
        return bytes(kind.byte_width)
    if pa.types.is_timestamp(kind):
        return datetime.datetime(9999, 12, 31, tzinfo=UTC if kind.tz else None)
    return {pa.bool_(): False, pa.int32(): 999999999, pa.int64(): 999999999, pa.float32(): 0.0,
            pa.float64(): 0.0, pa.string(): 'XXXXXXXX', pa.binary(): b'',
            pa.date32(): datetime.date(9999, 12, 31), pa.time64('us'): datetime.time()}[kind]


def masked(mask, kind, value):
    """What the mask makes of one value of the Arrow type; None is null."""
    if mask == FIXED:
        return fixed(kind)
    if value is None or mask == NULL:
        return None
    if mask == ALPHANUM:
        return alphanum(value)
    if mask == FIRST:
        return value[:4] + alphanum(value[4:])
    if mask == LAST:
        return alphanum(value[:-4]) + value[-4:]
    if mask in (YEAR, MONTH):
        first = value.replace(day=1, **({'month': 1} if mask == YEAR else {}))
        return first.replace(hour=0, minute=0, second=0, microsecond=0) if isinstance(
            first, datetime.datetime) else first
    assert mask in (HASH, LOCAL), mask
    return hashed(value, kind, SALT if mask == LOCAL else b'')


class View:
    """Some columns of a schema, some of their leaves masked: `fields` as the program takes them."""

    def __init__(self, chance, schema, share=0.6, hide=0.2):
        self.chance, self.share = chance, share
        self.fields, self.changes = [], {}
        for column in schema:
            if chance.random() < hide and len(schema) - len(self.fields) > 1:
                continue
            field, change = self._field(column.type)
            self.fields.append(last(dict(name=column.name, nullable=column.nullable, **field)))
            self.changes[column.name] = change

    def _mask(self, masks):
        return self.chance.choice(masks) if self.chance.random() < self.share else None

    def _field(self, kind, key=False):
        """A field without its name, and what becomes of a value."""
        if pa.types.is_struct(kind):
            inner = [(f.name, *self._field(f.type)) for f in kind]
            if self.chance.random() < 0.1:
                return self._whole('struct', [dict(name=n, **f) for n, f, _ in inner])
            return (dict(type='struct', fields=[last(dict(name=n, **f)) for n, f, _ in inner]),
                    lambda v: None if v is None else {n: c(v[n]) for n, _, c in inner})
        if pa.types.is_list(kind):
            field, change = self._field(kind.value_type)
            if self.chance.random() < 0.1:
                return self._whole('list', [dict(name='e', **field)])
            return (dict(type='list', fields=[last(dict(name='e', **field))]),
                    lambda v: None if v is None else [change(e) for e in v])
        if pa.types.is_map(kind):
            of_key, change_key = self._field(kind.key_type, key=True)
            field, change = self._field(kind.item_type)
            return (dict(type='map', fields=[dict(name='k', nullable=False, **of_key),
                                             last(dict(name='v', **field))]),
                    lambda v: None if v is None else [(change_key(k), change(e)) for k, e in v])
        field, masks = leaf(kind)
        mask = self._mask([m for m in masks if not (key and m == NULL)] or [None])
        if mask is None:
            return field, lambda v: v
        return dict(field, mask=mask), lambda v: masked(mask, kind, v)

    def _whole(self, kind, fields):
        return dict(type=kind, mask=NULL, fields=[last(f) for f in fields]), lambda v: None

    def expected(self, table, name):
        return [self.changes[name](v) for v in table.column(name).to_pylist()]


def last(field):
    """`fields` has to be the last key."""
    inner = field.pop('fields', None)
    return {**field, 'fields': inner} if inner is not None else field
