# SPDX-License-Identifier: Apache-2.0
"""
A lake for tests of access control: whose every string is a token of 16 bytes that says by itself in
which cell it stands, and what a policy must leave of it, computed from the original.

    silver/customers/   Delta: columns mapped by name, partitions, deleted rows, three versions
    silver/plain/       Delta: nothing of that
    silver/secret/      Delta: for whom no grant names
    bronze/events/      CSV
    notes.txt           outside tables
"""
import datetime
import decimal
import hashlib
import json
import random
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from . import canaries, presented_tables

REGIONS = ('EU', 'US', 'AP')
TIME_MS = presented_tables.TIME_MS
ROWS = 400                                       # of a file
FIRST_DAY = datetime.date(1950, 1, 1)

TEXT = pa.string()
COLUMNS = pa.schema([
    ('id', pa.int64()), ('email', TEXT), ('ssn', TEXT), ('birth_date', pa.date32()),
    ('income', pa.decimal128(12, 2)), ('amount', pa.int64()), ('seen', pa.timestamp('us', 'UTC')),
    ('address', pa.struct([('street', TEXT), ('city', TEXT)])),
    ('contact', pa.struct([('phone', TEXT), ('kind', TEXT)])),
    ('phones', pa.list_(TEXT)), ('attrs', pa.map_(TEXT, TEXT)), ('note', TEXT)])


class Tokens:
    """Strings of 16 bytes, each of them once."""

    def __init__(self, seed):
        self.random, self.given = random.Random(seed), set()

    def __call__(self):
        token = 'Q%015x' % self.random.getrandbits(60)
        assert token not in self.given
        self.given.add(token)
        return token


def customers_rows(token, chance, count, first):
    """Rows of one file. A note is that of ten rows, so that files have dictionaries."""
    notes, rows = [token() for _ in range(count // 10)], []
    for i in range(count):
        rows.append({
            'id': first + i,
            'email': None if i % 13 == 0 else token(),
            'ssn': token(),
            'birth_date': None if i % 17 == 0 else
            FIRST_DAY + datetime.timedelta(days=chance.randrange(20000)),
            'income': None if i % 11 == 0 else decimal.Decimal(chance.randrange(10 ** 7)).scaleb(-2),
            'amount': None if i % 19 == 0 else chance.randrange(200),
            'seen': datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
            + datetime.timedelta(microseconds=chance.randrange(10 ** 13)),
            'address': None if i % 23 == 0 else {'street': token(), 'city': token()},
            'contact': {'phone': None if i % 7 == 0 else token(), 'kind': token()},
            'phones': [token() for _ in range(i % 3)],
            'attrs': [(token(), token()) for _ in range(i % 3)],
            'note': notes[chance.randrange(len(notes))]})
    return rows


def physical(field, numbers):
    """An Arrow field under its stored names, and the log's field for it."""
    number = numbers()
    name = 'col-%d' % number
    kind, logged = stored_type(field.type, numbers)
    return (pa.field(name, kind, metadata={b'PARQUET:field_id': str(number).encode()}),
            presented_tables.field(field.name, logged, name, number))


def stored_type(kind, numbers):
    if pa.types.is_struct(kind):
        pairs = [physical(f, numbers) for f in kind]
        return (pa.struct([p for p, _ in pairs]),
                {'type': 'struct', 'fields': [f for _, f in pairs]})
    if pa.types.is_list(kind):
        return kind, {'type': 'array', 'elementType': 'string', 'containsNull': True}
    if pa.types.is_map(kind):
        return kind, {'type': 'map', 'keyType': 'string', 'valueType': 'string',
                      'valueContainsNull': True}
    names = {pa.int64(): 'long', TEXT: 'string', pa.date32(): 'date',
             pa.decimal128(12, 2): 'decimal(12,2)', pa.timestamp('us', 'UTC'): 'timestamp'}
    return kind, names[kind]


def counter():
    at = iter(range(1, 1000))
    return lambda: next(at)


def write_file(path, rows, schema, chance):
    """One file in one of the forms that engines write; the stored columns by their places."""
    data = pa.Table.from_pylist(rows, COLUMNS)
    arrays = [restored(c.combine_chunks(), f.type) for c, f in zip(data.columns, schema)]
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_arrays(arrays, schema=schema), path,
                   row_group_size=chance.choice([97, 250, 1000]),
                   compression=chance.choice(['none', 'snappy', 'zstd', 'gzip']),
                   data_page_version=chance.choice(['1.0', '2.0']),
                   use_dictionary=chance.choice([True, False, ['col-17', 'col-3']]),
                   write_page_index=chance.random() < 0.5, data_page_size=chance.choice([500, 10 ** 6]))
    return path.stat().st_size


def restored(array, kind):
    """The same values under a type that differs in its names only."""
    if pa.types.is_struct(kind):
        return pa.StructArray.from_arrays(
            [restored(array.field(i), kind.field(i).type) for i in range(kind.num_fields)],
            fields=list(kind), mask=array.is_null())
    return array


class Customers:
    """The table and all that it holds: rows by file, and which of them are deleted."""

    def __init__(self, root, seed):
        self.root, self.chance, self.token = Path(root), random.Random(seed), Tokens(seed)
        numbers = counter()
        pairs = [physical(f, numbers) for f in COLUMNS]
        self.stored = pa.schema([p for p, _ in pairs])
        self.fields = [f for _, f in pairs] + [presented_tables.field('region', 'string', 'col-r', numbers())]
        self.files, self.deleted, self.adds = {}, {}, {}
        self.versions = []                       # of each: [(path, deleted rows)]
        self.root.joinpath('_delta_log').mkdir(parents=True)
        self.commit([self.add(r, 0) for r in REGIONS], first=True)
        self.commit([self.add(r, 1) for r in REGIONS])
        self.commit([a for p in self.files for a in self.delete(p)])

    def add(self, region, number):
        path = 'region=%s/part-%d.parquet' % (region, number)
        rows = customers_rows(self.token, self.chance, ROWS, len(self.files) * ROWS)
        self.files[path], self.deleted[path] = rows, set()
        size = write_file(self.root / path, rows, self.stored, self.chance)
        self.adds[path] = {'path': path, 'partitionValues': {'col-r': region}, 'size': size,
                           'modificationTime': TIME_MS, 'dataChange': True,
                           'stats': json.dumps({
                               'numRecords': ROWS, 'tightBounds': False,
                               'minValues': {'col-3': min(r['ssn'] for r in rows)},
                               'maxValues': {'col-3': max(r['ssn'] for r in rows)}})}
        return {'add': self.adds[path]}

    def delete(self, path):
        removed = {'remove': {'path': path, 'dataChange': True, 'deletionTimestamp': TIME_MS,
                              'partitionValues': self.adds[path]['partitionValues']}}
        self.deleted[path] = set(self.chance.sample(range(ROWS), 40))
        self.adds[path] = dict(self.adds[path],
                               deletionVector=presented_tables.inline_vector(self.deleted[path]))
        return [removed, {'add': self.adds[path]}]

    def commit(self, actions, first=False):
        number = len(self.versions)
        told = {'commitInfo': {'timestamp': TIME_MS, 'operation': 'WRITE', 'operationParameters': {
            'predicate': "ssn = '%s'" % next(iter(self.files.values()))[0]['ssn']}}}
        if first:
            features = ['columnMapping', 'deletionVectors']
            actions = [
                {'protocol': {'minReaderVersion': 3, 'minWriterVersion': 7,
                              'readerFeatures': features, 'writerFeatures': features}},
                {'metaData': {
                    'id': '6f4dd0f0-0000-4000-8000-000000000001', 'partitionColumns': ['region'],
                    'format': {'provider': 'parquet', 'options': {}}, 'createdTime': TIME_MS,
                    'schemaString': json.dumps({'type': 'struct', 'fields': self.fields}),
                    'configuration': {'delta.columnMapping.mode': 'name',
                                      'delta.columnMapping.maxColumnId': '99',
                                      'delta.constraints.c': "ssn <> '%s'" % self.token(),
                                      'delta.enableDeletionVectors': 'true'}}}, *actions]
        log = self.root / '_delta_log' / ('%020d.json' % number)
        log.write_text('\n'.join(map(json.dumps, [told, *actions])))
        self.versions.append({p: set(gone) for p, gone in self.deleted.items()})

    def rows(self, version=-1):
        """Of a version, with the partition column and in a table of DuckDB's types."""
        found = [dict(row, region=path[7:9]) for path, gone in self.versions[version].items()
                 for i, row in enumerate(self.files[path]) if i not in gone]
        return pa.Table.from_pylist(found, schema=COLUMNS.append(pa.field('region', TEXT)))


def make(root, seed):
    root = Path(root)
    customers = Customers(root / 'silver/customers', seed)
    token = customers.token
    for name in ('plain', 'secret'):
        table = root / 'silver' / name
        data = pa.table({'n': pa.array(range(300), pa.int64()),
                         'word': [token() for _ in range(300)],
                         'other': [token() for _ in range(300)]})
        table.mkdir()
        adds = [presented_tables.store(table, 'part-0.parquet', data)]
        presented_tables.write_log(
            table, [presented_tables.field('n', 'long'), presented_tables.field('word', 'string'),
                    presented_tables.field('other', 'string')], adds, ['deletionVectors'], {})
        setattr(customers, name, data)
    (root / 'bronze/events').mkdir(parents=True)
    (root / 'bronze/events/a.csv').write_text('id,word\n1,%s\n' % token())
    (root / 'notes.txt').write_text(token())
    canaries.record(token.given)
    return customers


# what a policy must leave

def mask_alphanum(text):
    return ''.join(c if c in '(),.-@' else 'n' if c.isdigit() and c.isascii() else 'x' for c in text)


def sha256_int(value, size=8):
    digest = hashlib.sha256(value.to_bytes(size, 'little', signed=True)).digest()
    return int.from_bytes(digest[:size], 'little', signed=True)


UTC_END = datetime.datetime(9999, 12, 31, tzinfo=datetime.timezone.utc)
MASKS = {
    'replace-with-null': lambda v: None,
    'mask-alphanum': mask_alphanum,
    'show-first-4': lambda v: v[:4] + mask_alphanum(v[4:]),
    'show-last-4': lambda v: mask_alphanum(v[:-4]) + v[-4:] if len(v) > 4 else v,
    'truncate-to-year': lambda v: v.replace(month=1, day=1, **midnight(v)),
    'truncate-to-month': lambda v: v.replace(day=1, **midnight(v)),
    'sha-256-global': lambda v: hashlib.sha256(v.encode()).hexdigest() if isinstance(v, str)
    else sha256_int(v),
}
FIXED = {TEXT: 'X' * 8, pa.int64(): 999999999, pa.decimal128(12, 2): decimal.Decimal(0),
         pa.date32(): datetime.date(9999, 12, 31), pa.timestamp('us', 'UTC'): UTC_END}


def midnight(value):
    timed = isinstance(value, datetime.datetime)
    return {'hour': 0, 'minute': 0, 'second': 0, 'microsecond': 0} if timed else {}


def masked(value, kind, how):
    if pa.types.is_list(kind):
        return None if value is None else [masked(v, kind.value_type, how) for v in value]
    if how == 'mask-to-fixed-value':
        return FIXED[kind]
    return None if value is None else MASKS[how](value)


def narrowed(value, kind, path, hidden, masks):
    """A value without what is hidden below it, and its type; type None: all of it is hidden."""
    if path in hidden:
        return None, None
    if pa.types.is_struct(kind):
        made = {f.name: narrowed(value and value[f.name], f.type, path + '.' + f.name, hidden, masks)
                for f in kind}
        fields = [pa.field(n, k) for n, (_, k) in made.items() if k]
        if not fields:
            return None, None
        return (None if value is None else {f.name: made[f.name][0] for f in fields}), pa.struct(fields)
    return (masked(value, kind, masks[path]) if path in masks else value), kind


def view(rows, hide=(), only=None, mask=None, where=None, partitions=('region',)):
    """What is left of a table's rows: the filter is DuckDB's, on the values before masks."""
    if where:
        with duckdb.connect() as c:
            c.execute("SET TimeZone = 'UTC'")
            rows = c.sql('SELECT * FROM rows WHERE ' + where).to_arrow_table().cast(rows.schema)
    hidden = set(hide)
    if only is not None:
        hidden |= {n for n in rows.schema.names if n not in only and n not in partitions}
    names, columns = [], []
    for field in rows.schema:
        made = [narrowed(v, field.type, field.name, hidden, mask or {})
                for v in rows[field.name].to_pylist()]
        kind = narrowed(None, field.type, field.name, hidden, {})[1]
        if kind:
            names.append(field.name)
            columns.append(pa.array([v for v, _ in made], kind))
    return pa.table(columns, names)


def tokens_in(data):
    """All tokens in bytes."""
    found, at = set(), data.find(b'Q')
    while at >= 0:
        found.add(bytes(data[at:at + 16]))
        at = data.find(b'Q', at + 1)
    return found


def strings_of(table):
    """All strings of a table, as bytes."""
    def walk(value):
        if isinstance(value, str):
            yield value.encode()
        elif isinstance(value, dict):
            for v in value.values():
                yield from walk(v)
        elif isinstance(value, (list, tuple)):
            for v in value:
                yield from walk(v)
    return {s for name in table.column_names for v in table[name].to_pylist() for s in walk(v)}


def write_policy(path, text):
    """In one step, as an editor does it."""
    new = Path(str(path) + '.new')
    new.write_text(text)
    new.rename(path)


def policy(**grant):
    """One grant for role `trainer` on silver/customers, as YAML (which JSON is)."""
    return json.dumps({'grants': [dict({'to': ['role:trainer'], 'tables': ['silver/customers']},
                                       **grant)]})
