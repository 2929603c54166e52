# SPDX-License-Identifier: Apache-2.0
"""
Random histories of an Iceberg table, made with the pyiceberg package, and what it says of each snapshot.

    h = History(lake, 'name', seed)
    h.run()
    h.snapshots     {id: Rows}: what the engine read when the snapshot was new, by the snapshot's own schema
    h.present()     the ids that the table has at the end
    h.refs()        {name: (kind, id, Rows)}: a branch is read by the table's schema of now, a tag by its snapshot's

The package writes format versions 1 and 2, without delete files: Spark's histories have those (tests/engines).
"""
import datetime
import decimal
import random
import uuid
import warnings
from pathlib import Path
from urllib.parse import unquote, urlparse

import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import ResolveError, ValidationError
from pyiceberg.expressions import (AlwaysTrue, And, EqualTo, GreaterThanOrEqual, In, IsNull, LessThan, Not)
from pyiceberg.io.pyarrow import ArrowScan
from pyiceberg.partitioning import UNPARTITIONED_PARTITION_SPEC
from pyiceberg.schema import Schema
from pyiceberg.transforms import (BucketTransform, DayTransform, HourTransform, IdentityTransform, MonthTransform,
                                  TruncateTransform, VoidTransform, YearTransform)
from pyiceberg.types import (BinaryType, BooleanType, DateType, DecimalType, DoubleType, FixedType, FloatType,
                             IntegerType, ListType, LongType, MapType, NestedField, StringType, StructType,
                             TimestampType, TimestamptzType, TimeType, UUIDType)

from .histories import UTC, WORDS, floating, single, text, when
from .presented import Rows

NAMESPACE = 'n'


def inner():
    return StructType(NestedField(9001, 'a', IntegerType()), NestedField(9002, 'b', StringType()))


def of_inner(c):
    return {'a': c.choice([None, c.randrange(9)]), 'b': text(c)}


def some_decimal(digits, scale):
    return lambda c: decimal.Decimal(c.randrange(-10 ** digits + 1, 10 ** digits)).scaleb(-scale)


# name: (Iceberg type, value)
KINDS = {
    'long': (LongType, lambda c: c.choice([c.randrange(100), c.randrange(-2 ** 63, 2 ** 63)])),
    'int': (IntegerType, lambda c: c.randrange(-2 ** 31, 2 ** 31)),
    'double': (DoubleType, floating),
    'float': (FloatType, single),
    'boolean': (BooleanType, lambda c: c.random() < 0.5),
    'string': (StringType, text),
    'binary': (BinaryType, lambda c: c.randbytes(c.randrange(9))),
    'fixed': (lambda: FixedType(5), lambda c: c.randbytes(5)),
    'uuid': (UUIDType, lambda c: uuid.UUID(bytes=c.randbytes(16))),
    'date': (DateType, lambda c: when(c).date()),
    'time': (TimeType, lambda c: when(c).time()),
    'timestamp': (TimestampType, when),
    'timestamptz': (TimestamptzType, lambda c: when(c).replace(tzinfo=UTC)),
    'decimal(8,2)': (lambda: DecimalType(8, 2), some_decimal(8, 2)),
    'decimal(16,4)': (lambda: DecimalType(16, 4), some_decimal(16, 4)),
    'decimal(30,3)': (lambda: DecimalType(30, 3), some_decimal(30, 3)),
    'list': (lambda: ListType(9001, IntegerType(), element_required=False),
             lambda c: [c.choice([None, c.randrange(9)]) for _ in range(c.randrange(4))]),
    'struct': (inner, of_inner),
    'map': (lambda: MapType(9001, StringType(), 9002, LongType(), value_required=False),
            lambda c: [(k, c.randrange(9)) for k in c.sample(WORDS, c.randrange(3))]),
    'structs': (lambda: ListType(9000, inner(), element_required=False),
                lambda c: [of_inner(c) for _ in range(c.randrange(3))]),
}
WIDER = {'int': ('long', LongType()), 'float': ('double', DoubleType()),
         'decimal(8,2)': ('decimal(11,2)', DecimalType(11, 2)), 'decimal(16,4)': ('decimal(38,4)', DecimalType(38, 4))}

# Few values, so that partitions are few.
FEW = {
    'string': WORDS, 'int': [-1, 0, 7, 1000003], 'long': [-2 ** 40, 5, 12345678901], 'boolean': [True, False],
    'date': [datetime.date(2024, 2, 28), datetime.date(2024, 2, 29), datetime.date(1969, 12, 31)],
    'timestamp': [datetime.datetime(2024, 1, 1, 5, 6, 7, 89), datetime.datetime(1969, 12, 31, 23, 59, 59, 999999)],
    'timestamptz': [datetime.datetime(2024, 1, 1, 5, 6, 7, 89, UTC), datetime.datetime(1999, 12, 31, tzinfo=UTC)],
    'decimal(8,2)': [decimal.Decimal('1.20'), decimal.Decimal('-777.05'), decimal.Decimal('0.00')],
    'binary': [b'', b'\0\xff', b'ab/c'],
    'uuid': [uuid.UUID(int=7), uuid.UUID(int=2 ** 127 + 5)],
}


def rows_of(table):
    """What PyIceberg has read. Where it fits lists and maps to a schema it makes empty ones of those that are null."""
    return Rows([table], empty_is_null=True)


def bucket(c):
    return BucketTransform(c.choice([2, 3]))


def truncate(c):
    return TruncateTransform(c.choice([1, 3, 10]))


def plain_transform(made):
    return lambda c: made()


IDENTITY, VOID = plain_transform(IdentityTransform), plain_transform(VoidTransform)
CALENDAR = [plain_transform(t) for t in (YearTransform, MonthTransform, DayTransform)]
TRANSFORMS = {
    'string': [IDENTITY, IDENTITY, bucket, truncate], 'int': [IDENTITY, bucket, truncate],
    'long': [IDENTITY, bucket, truncate], 'boolean': [IDENTITY], 'date': [IDENTITY, bucket] + CALENDAR,
    'timestamp': [IDENTITY, bucket, plain_transform(HourTransform)] + CALENDAR,
    'timestamptz': [bucket, plain_transform(HourTransform)] + CALENDAR,
    'decimal(8,2)': [IDENTITY, bucket, truncate], 'binary': [bucket], 'uuid': [bucket],
}


class Column:
    """A column that the table has now; `made` gives values of the kind that it was born with."""

    def __init__(self, name, kind, values=None):
        self.name, self.kind, self.values = name, kind, values
        self.made = KINDS[kind][1]
        self.grown = False                      # a struct that has got another field

    def copy(self):
        other = Column.__new__(Column)
        other.__dict__.update(self.__dict__)
        return other

    def some(self, c, count, nulls):
        return [None if c.random() < nulls else self.one(c) for _ in range(count)]

    def one(self, c):
        value = c.choice(self.values) if self.values else self.made(c)
        return value.bytes if isinstance(value, uuid.UUID) else value


def properties(c):
    """How the engine writes this table."""
    chosen = {'format-version': c.choice(['1', '2', '2', '2'])}
    for odds, name, values in (
            (0.6, 'write.parquet.compression-codec', ['uncompressed', 'snappy', 'gzip', 'zstd', 'brotli']),
            (0.3, 'write.parquet.row-group-limit', ['7', '50']),
            (0.3, 'write.parquet.page-row-limit', ['5']),
            (0.4, 'write.metadata.metrics.default', ['none', 'counts', 'truncate(2)', 'full']),
            (0.4, 'write.avro.compression-codec', ['null', 'gzip', 'zstandard']),
            (0.5, 'commit.manifest-merge.enabled', ['true']),
            (0.3, 'write.target-file-size-bytes', ['2000']),
            (0.2, 'write.metadata.delete-after-commit.enabled', ['true'])):
        if c.random() < odds:
            chosen[name] = c.choice(values)
    chosen['commit.manifest.min-count-to-merge'] = '2'
    chosen['write.metadata.previous-versions-max'] = '3'
    where = c.random()
    if where < 0.25:
        chosen['write.object-storage.enabled'] = 'true'
        chosen['write.object-storage.partitioned-paths'] = c.choice(['true', 'false'])
    else:
        chosen['write.object-storage.enabled'] = 'false'
    return chosen


def local_path(url):
    return Path(unquote(urlparse(url).path)) if '%' not in url else Path(url.removeprefix('file://'))


def at_schema(table, snapshot_id, schema):
    """A snapshot's rows, as a schema of the table names them."""
    tasks = table.scan(snapshot_id=snapshot_id).plan_files()
    return ArrowScan(table.metadata, table.io, schema, AlwaysTrue()).to_table(tasks)


UNTOLD = object()                               # rows that PyIceberg cannot tell, though the table has them


def untold(e):
    """
    Of a file without ids PyIceberg reads nothing where the name mapping does not have one of its columns, which
    the specification leaves out ("Column Projection"). Other errors are raised again.
    """
    if 'Could not find field with name' not in str(e):
        raise e
    return UNTOLD


class History:
    """One table and the steps that made it."""

    def __init__(self, lake, name, seed, location=None, catalog=None):
        """`location`: a URL of the table, elsewhere than below `lake`, with the properties of a `catalog` for it."""
        self.lake, self.name, self.seed = Path(lake), name, seed
        self.chance = random.Random(seed)
        self.location = location or 'file://%s/%s' % (self.lake, name)
        # one catalog a table: histories may be made side by side
        self.catalog = SqlCatalog('c', uri='sqlite:///%s' % (self.lake.parent / (name + '.catalog.db')),
                                  warehouse='file://%s' % self.lake, **(catalog or {}))
        self.catalog.create_namespace_if_not_exists(NAMESPACE)
        self.done, self.refused, self.snapshots, self.operations = [], [], {}, {}
        self.next_id = self.names = self.added = 0
        self.columns = [Column('id', 'long')]
        c = self.chance
        for kind in c.sample(sorted(TRANSFORMS), 2):
            self.columns.append(self.fresh(kind, few=True))
        for kind in c.sample(sorted(KINDS), c.randrange(2, 6)):
            self.columns.append(self.fresh(kind))

    def fresh(self, kind, few=None):
        """A new column with a name that no column has had."""
        self.names += 1
        odd = ['Ünïcode %d', 'Mixed%dCase', 'with space %d', '9digit-%d', 'per%%cent/%d', 'a.b%d']
        name = self.chance.choice(odd) % self.names if self.chance.random() < 0.25 else 'c%d' % self.names
        few = self.chance.random() < 0.5 if few is None else few
        return Column(name, kind, self.chance.sample(FEW[kind], min(len(FEW[kind]), 4))
                      if few and kind in FEW else None)

    @property
    def identifier(self):
        return (NAMESPACE, self.name)

    def table(self):
        return self.catalog.load_table(self.identifier)

    # ---- data

    def arrow(self, names):
        """The Arrow schema of some of the table's columns, in its order."""
        return pa.schema([f for f in self.table().schema().as_arrow() if f.name in names])

    def data(self, count=None, columns=None, ids=None):
        """New rows, with ids of their own unless `ids` are given."""
        c = self.chance
        if ids is None:
            count = c.choice([1, 5, 30, 80]) if count is None else count
            ids = range(self.next_id, self.next_id + count)
        ids = list(ids)
        self.next_id = max([self.next_id] + [i + 1 for i in ids])
        nulls = c.choice([0, 0.2, 0.2, 1.0])
        chosen = columns or self.columns
        values = {x.name: ids if x.name == 'id' else x.some(c, len(ids), 0.15 if x.values else nulls) for x in chosen}
        schema = self.arrow(values)
        return pa.table([pa.array(values[f.name], f.type) for f in schema], schema=schema)

    def some_rows(self):
        """A filter that some rows meet."""
        c, low = self.chance, self.chance.randrange(max(1, self.next_id))
        choices = [And(GreaterThanOrEqual('id', low), LessThan('id', low + c.choice([1, 30]))),
                   In('id', c.sample(range(self.next_id), min(self.next_id, 7))),
                   Not(GreaterThanOrEqual('id', low))]
        for x in self.columns:
            # PyIceberg 0.12 does not bind a name with a dot in it that is no path
            if x.values and '.' not in x.name:
                choices.append(IsNull(x.name))
                if x.kind in ('string', 'int', 'long', 'date', 'boolean'):
                    choices.append(EqualTo(x.name, c.choice(x.values)))
        return c.choice(choices)

    def branch(self):
        """Mostly main."""
        others = [n for n, r in self.table().refs().items() if str(r.snapshot_ref_type) == 'branch' and n != 'main']
        return self.chance.choice(others) if others and self.chance.random() < 0.35 else 'main'

    # ---- steps; each changes the table, or says False

    def create(self):
        schema = Schema(*(NestedField(i + 1, x.name, KINDS[x.kind][0](), required=False)
                          for i, x in enumerate(self.columns)))
        self.catalog.create_table(self.identifier, schema, location=self.location,
                                  partition_spec=UNPARTITIONED_PARTITION_SPEC, properties=properties(self.chance))
        for _ in range(self.chance.choice([0, 0, 1, 1, 2])):
            self.add_partition_field()

    def append(self):
        self.table().append(self.data(), branch=self.branch())

    def append_fewer_columns(self):
        """Columns that are not written are null."""
        kept = [x for x in self.columns if x.name == 'id' or self.chance.random() < 0.6]
        table = self.table()
        sources = {table.schema().find_field(f.source_id).name for f in table.spec().fields}
        if not sources <= {x.name for x in kept}:
            return False
        table.append(self.data(columns=kept), branch=self.branch())
        return True

    def append_file(self):
        """A file that knows no field ids, by the table's name mapping."""
        table = self.table()
        if not table.spec().is_unpartitioned() or not self.location.startswith('file:'):
            return False
        self.added += 1
        path = '%s/added/%d.parquet' % (self.lake / self.name, self.added)
        Path(path).parent.mkdir(exist_ok=True)
        data = self.data()
        plain = pa.schema([self.without_ids(f) for f in data.schema])
        pq.write_table(pa.table(data.columns, schema=plain), path)
        table.add_files(['file://' + path])
        return True

    @classmethod
    def without_ids(cls, field):
        kind = field.type
        if pa.types.is_struct(kind):
            kind = pa.struct([cls.without_ids(f) for f in kind])
        elif pa.types.is_map(kind):
            kind = pa.map_(cls.without_ids(kind.key_field), cls.without_ids(kind.item_field))
        elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
            kind = pa.list_(cls.without_ids(kind.value_field))
        return pa.field(field.name, kind, field.nullable)

    def overwrite(self):
        self.table().overwrite(self.data(), branch=self.branch())

    def overwrite_some(self):
        low = self.chance.randrange(max(1, self.next_id))
        ids = range(low, low + 20)
        self.table().overwrite(self.data(ids=ids), And(GreaterThanOrEqual('id', low), LessThan('id', low + 20)),
                               branch=self.branch())

    def overwrite_partitions(self):
        table = self.table()
        fields = table.spec().fields
        if not fields or not all(isinstance(f.transform, IdentityTransform) for f in fields):
            return False
        table.dynamic_partition_overwrite(self.data(5))
        return True

    def delete(self):
        self.table().delete(self.some_rows(), branch=self.branch())

    def upsert(self):
        c = self.chance
        known = {c.randrange(max(1, self.next_id)) for _ in range(8)}
        self.table().upsert(self.data(ids=sorted(known | {self.next_id, self.next_id + 1})), join_cols=['id'])

    def add_column(self):
        column = self.fresh(self.chance.choice(sorted(KINDS)))
        with self.table().update_schema() as update:
            update.add_column((column.name,), KINDS[column.kind][0]())
            if self.chance.random() < 0.4:
                update.move_first((column.name,))
        self.columns.append(column)

    def add_nested(self):
        """A struct gets another field."""
        structs = [x for x in self.columns if x.kind in ('struct', 'structs') and not x.grown]
        if not structs:
            return False
        column = self.chance.choice(structs)
        path = (column.name,) if column.kind == 'struct' else (column.name, 'element')
        with self.table().update_schema() as update:
            update.add_column(path + ('n',), LongType())
        column.grown = True
        return True

    def rename_nested(self):
        structs = [x for x in self.columns if x.kind == 'struct']
        if not structs:
            return False
        column = self.chance.choice(structs)
        names = [f.name for f in self.table().schema().find_type(column.name).fields]
        if 'b' not in names:
            return False
        with self.table().update_schema() as update:
            update.rename_column((column.name, 'b'), 'renamed b')
        made = column.made
        column.made = lambda c: {('renamed b' if k == 'b' else k): v for k, v in made(c).items()}
        return True

    def rename(self):
        if len(self.columns) < 2:
            return False
        column = self.chance.choice(self.columns[1:])
        name = self.fresh('long').name
        with self.table().update_schema() as update:
            update.rename_column((column.name,), name)
        column.name = name
        return True

    def droppable(self):
        table = self.table()
        sources = {f.source_id for spec in table.specs().values() for f in spec.fields}
        return [x for x in self.columns[1:] if table.schema().find_field(x.name).field_id not in sources]

    def drop(self):
        if not self.droppable():
            return False
        column = self.chance.choice(self.droppable())
        with self.table().update_schema() as update:
            update.delete_column((column.name,))
        self.columns.remove(column)
        return True

    def drop_and_add_again(self):
        """A new column of an old name: nothing of the old one may be seen in it."""
        if not self.droppable():
            return False
        column = self.chance.choice(self.droppable())
        with self.table().update_schema() as update:
            update.delete_column((column.name,))
        kind = self.chance.choice([column.kind.split('(')[0], 'string']) if column.kind in KINDS else 'string'
        again = Column(column.name, kind if kind in KINDS else 'string')
        with self.table().update_schema() as update:
            update.add_column((again.name,), KINDS[again.kind][0]())
        self.columns[self.columns.index(column)] = again
        return True

    def move(self):
        if len(self.columns) < 2:
            return False
        one, other = self.chance.sample(self.columns, 2)
        with self.table().update_schema() as update:
            self.chance.choice([update.move_before, update.move_after])((one.name,), (other.name,))
        return True

    def widen(self):
        narrow = [x for x in self.columns if x.kind in WIDER]
        if not narrow:
            return False
        column = self.chance.choice(narrow)
        kind, new = WIDER[column.kind]
        with self.table().update_schema() as update:
            update.update_column((column.name,), field_type=new)
        column.kind = kind
        return True

    def add_partition_field(self):
        table = self.table()
        sources = {f.source_id for f in table.spec().fields}
        fitting = [x for x in self.columns if x.values and x.kind in TRANSFORMS and '.' not in x.name
                   and table.schema().find_field(x.name).field_id not in sources]
        if not fitting or len(sources) > 2:
            return False
        column = self.chance.choice(fitting)
        transform = self.chance.choice(TRANSFORMS[column.kind])(self.chance)
        with table.update_spec() as update:
            update.add_field(column.name, transform)
        return True

    def remove_partition_field(self):
        fields = [f for f in self.table().spec().fields if not isinstance(f.transform, VoidTransform)]
        if not fields:
            return False
        with self.table().update_spec() as update:
            update.remove_field(self.chance.choice(fields).name)
        return True

    def create_branch(self):
        table = self.table()
        if table.current_snapshot() is None:
            return False
        name = self.chance.choice(['dev', 'b%d' % self.names, 'feature/x@%d' % self.names, 'Ünïcode %d' % self.names])
        chosen = self.chance.choice(table.snapshots()).snapshot_id
        table.manage_snapshots().create_branch(chosen, name).commit()
        return True

    def create_tag(self):
        table = self.table()
        if table.current_snapshot() is None:
            return False
        name = self.chance.choice(['gold', 'v1.%d' % self.names, 'EOY/2025@%d' % self.names, 'q%d 100%%' % self.names])
        table.manage_snapshots().create_tag(self.chance.choice(table.snapshots()).snapshot_id, name).commit()
        return True

    def remove_ref(self):
        table = self.table()
        others = {n: r for n, r in table.refs().items() if n != 'main'}
        if not others:
            return False
        name = self.chance.choice(sorted(others))
        manage = table.manage_snapshots()
        remove = manage.remove_tag if str(others[name].snapshot_ref_type) == 'tag' else manage.remove_branch
        remove(name).commit()
        return True

    def rollback(self):
        """To an ancestor of the current snapshot."""
        table, found = self.table(), []
        at = table.current_snapshot()
        while at is not None and at.parent_snapshot_id is not None:
            at = table.snapshot_by_id(at.parent_snapshot_id)
            found += [at] if at is not None else []
        if not found:
            return False
        table.manage_snapshots().rollback_to_snapshot(self.chance.choice(found).snapshot_id).commit()
        return True

    def set_current(self):
        """To any snapshot, a branch's say."""
        table = self.table()
        if not table.snapshots():
            return False
        table.manage_snapshots().set_current_snapshot(self.chance.choice(table.snapshots()).snapshot_id).commit()
        return True

    def expire(self):
        """Some snapshots go; then files that no other one names."""
        table = self.table()
        held = {r.snapshot_id for r in table.refs().values()}
        free = [s.snapshot_id for s in table.snapshots() if s.snapshot_id not in held]
        if not free:
            return False
        chosen = self.chance.sample(free, self.chance.randint(1, len(free)))
        table.maintenance.expire_snapshots().by_ids(chosen).commit()
        if self.location.startswith('file:') and self.chance.random() < 0.7:
            self.remove_unnamed()
        return True

    def remove_unnamed(self):
        table, named = self.table(), set()
        for snapshot in table.snapshots():
            named.add(local_path(snapshot.manifest_list))
            for manifest in snapshot.manifests(table.io):
                named.add(local_path(manifest.manifest_path))
                named |= {local_path(e.data_file.file_path) for e in manifest.fetch_manifest_entry(table.io)}
        for path in (self.lake / self.name).rglob('*'):
            if path.is_file() and not path.name.endswith('.metadata.json') and path not in named:
                path.unlink()

    def upgrade(self):
        if self.table().format_version != 1:
            return False
        with self.table().transaction() as t:
            t.upgrade_table_version(2)
        return True

    # ---- the whole

    def look(self, step):
        """Notes what the engine says of the snapshots that have come."""
        table = self.table()
        for snapshot in table.snapshots():
            if snapshot.snapshot_id not in self.snapshots:
                self.snapshots[snapshot.snapshot_id] = self.rows_then(table, snapshot.snapshot_id)
                self.operations[snapshot.snapshot_id] = step

    def present(self):
        return {s.snapshot_id for s in self.table().snapshots()}

    def refs(self):
        table, found = self.table(), {}
        for name, ref in table.refs().items():
            if str(ref.snapshot_ref_type) == 'tag':
                found[name] = ('tag', ref.snapshot_id, self.snapshots[ref.snapshot_id])
            else:
                found[name] = ('branch', ref.snapshot_id, self.rows_now(table, ref.snapshot_id))
        return found

    @staticmethod
    def rows_then(table, snapshot_id):
        """By the snapshot's own columns."""
        try:
            return rows_of(table.scan(snapshot_id=snapshot_id).to_arrow())
        except ValueError as e:
            return untold(e)

    @staticmethod
    def rows_now(table, snapshot_id):
        """By the columns of today. None: a file without ids has, by the name that the mapping gives to a column that
        was dropped and added again, one of a type that the new one's cannot be made of."""
        try:
            return rows_of(at_schema(table, snapshot_id, table.schema()))
        except ResolveError:
            return None
        except ValueError as e:
            return untold(e)

    def moments(self):
        """[(time in ms, id)]: when the main branch came to show what; of two at one time the later one counts."""
        return list({e.timestamp_ms: e.snapshot_id for e in self.table().history()}.items())

    STEPS = {'append': 6, 'append_fewer_columns': 2, 'append_file': 2, 'overwrite': 1, 'overwrite_some': 2,
             'overwrite_partitions': 1, 'delete': 5, 'upsert': 3, 'add_column': 2, 'add_nested': 1, 'rename_nested': 1,
             'rename': 2, 'drop': 1.5, 'drop_and_add_again': 1, 'move': 1, 'widen': 2, 'add_partition_field': 1.5,
             'remove_partition_field': 1, 'create_branch': 1.5, 'create_tag': 1.5, 'remove_ref': 0.5, 'rollback': 1,
             'set_current': 0.5, 'expire': 1, 'upgrade': 0.5}

    def run(self, steps=None):
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')     # deletes that match nothing
            self.create()
            self.append()
            self.look('create')
            names, weights = zip(*self.STEPS.items())
            steps = steps or self.chance.randrange(8, 16)
            while len(self.done) < steps:
                self.step(self.chance.choices(names, weights)[0])
            if self.added:                      # the name mapping of now counts for older snapshots too
                self.look_again()
        return self

    def look_again(self):
        table = self.table()
        for snapshot in self.present():
            self.snapshots[snapshot] = self.rows_then(table, snapshot)

    def step(self, name):
        """One step; what PyIceberg refuses for this table is noted."""
        before = [x.copy() for x in self.columns]
        try:
            if getattr(self, name)() is False:
                return
        except (ValueError, ValidationError, NotImplementedError, pa.ArrowException) as e:
            self.refused.append('%s: %s' % (name, str(e)[:200]))
            self.columns = before
            return
        self.done.append(name)
        self.look(name)
