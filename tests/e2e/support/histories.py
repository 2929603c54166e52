# SPDX-License-Identifier: Apache-2.0
"""
Random histories of a Delta table, made with the deltalake package, and what it says of each version.

    h = History(table, seed)
    h.run()
    h.versions      {number: Version}: what the engine read when the version was new

The package cannot rename, drop or widen columns, nor make deletion vectors: where it can read what
comes of that, the commit is written here as the protocol has it (Commits).
"""
import dataclasses
import datetime
import decimal
import os
import random
import string
from pathlib import Path

import pyarrow as pa
from deltalake import DeltaTable, QueryBuilder, WriterProperties, write_deltalake
from deltalake.schema import Field, PrimitiveType

from .presented import Rows

UTC = datetime.timezone.utc
MAPPED = {'delta.columnMapping.mode': 'name', 'delta.minReaderVersion': '2',
          'delta.minWriterVersion': '5'}
# Commits are never cleaned up but by the step that does so.
KEPT = {'delta.enableExpiredLogCleanup': 'false'}

WORDS = ['', 'a', 'b c', 'x/y', '100%', 'd%20e', 'é☃𝄞', 'k=v', '...', 'tab\there', '"quoted"', "it's",
         'a+b', 'a#b?c', '[1]*', 'back\\slash', 'UPPER', 'upper', ' lead', 'trail ', '__HIVE', ':']
LETTERS = string.ascii_letters + ' éß中'


@dataclasses.dataclass
class Version:
    """What the engine says of one version."""
    number: int
    operation: str
    rows: Rows
    partitions: list
    files: list                                 # paths on disk


def text(chance):
    if chance.random() < 0.5:
        return chance.choice(WORDS)
    return ''.join(chance.choices(LETTERS, k=chance.randrange(12)))


def when(chance):
    return datetime.datetime(1970, 1, 1) + datetime.timedelta(
        microseconds=chance.randrange(-10 ** 15, 4 * 10 ** 15))


def floating(chance):
    return chance.choice([0.0, -0.0, 1.5, -1e300, 1e-300, chance.uniform(-1e6, 1e6)])


def single(chance):
    return chance.choice([0.0, 1.5, -2.25, float(chance.randrange(-1000, 1000)) / 8])


INNER = pa.struct([('a', pa.int32()), ('b', pa.string())])

# name: (Arrow type, value)
KINDS = {
    'long': (pa.int64(), lambda c: c.choice([c.randrange(100), c.randrange(-2 ** 63, 2 ** 63)])),
    'integer': (pa.int32(), lambda c: c.randrange(-2 ** 31, 2 ** 31)),
    'short': (pa.int16(), lambda c: c.randrange(-2 ** 15, 2 ** 15)),
    'byte': (pa.int8(), lambda c: c.randrange(-128, 128)),
    'double': (pa.float64(), floating),
    'float': (pa.float32(), single),
    'boolean': (pa.bool_(), lambda c: c.random() < 0.5),
    'string': (pa.string(), text),
    'binary': (pa.binary(), lambda c: c.randbytes(c.randrange(9))),
    'date': (pa.date32(), lambda c: when(c).date()),
    'timestamp': (pa.timestamp('us', 'UTC'), lambda c: when(c).replace(tzinfo=UTC)),
    'timestamp_ntz': (pa.timestamp('us'), when),
    'decimal': (pa.decimal128(12, 3), lambda c: decimal.Decimal(c.randrange(-10 ** 12 + 1, 10 ** 12)).scaleb(-3)),
    'list': (pa.list_(pa.int32()), lambda c: [c.choice([None, c.randrange(9)]) for _ in range(c.randrange(4))]),
    'struct': (INNER, lambda c: {'a': c.choice([None, c.randrange(9)]), 'b': text(c)}),
    'map': (pa.map_(pa.string(), pa.int64()),
            lambda c: [(k, c.randrange(9)) for k in c.sample(WORDS, c.randrange(3))]),
    'structs': (pa.list_(INNER), lambda c: [{'a': c.randrange(9), 'b': None} for _ in range(c.randrange(3))]),
}
PRIMITIVE = [k for k in KINDS if k not in ('list', 'struct', 'map', 'structs')]
# Kinds of partition columns, with few values each.
PARTITIONS = {
    'string': WORDS, 'date': [datetime.date(2024, 2, 28 + i % 2) for i in range(2)] + [datetime.date(1969, 12, 31)],
    'integer': [-1, 0, 7], 'boolean': [True, False],
    'timestamp': [datetime.datetime(2024, 1, 1, 5, 6, 7, 89, UTC), datetime.datetime(1999, 12, 31, tzinfo=UTC)],
    'decimal': [decimal.Decimal('1.230'), decimal.Decimal('-7.000')],
}


class Column:
    def __init__(self, name, kind, values=None):
        self.name, self.kind, self.values = name, kind, values
        self.type = KINDS[kind][0]

    def some(self, chance, count, nulls):
        make = KINDS[self.kind][1]
        return pa.array([None if chance.random() < nulls else
                         chance.choice(self.values) if self.values else make(chance)
                         for _ in range(count)], self.type)


def properties(chance):
    """How the engine writes files this time: codecs, sizes of pages and row groups."""
    if chance.random() < 0.4:
        return None
    return WriterProperties(
        compression=chance.choice(['UNCOMPRESSED', 'SNAPPY', 'GZIP', 'BROTLI', 'LZ4_RAW', 'ZSTD']),
        max_row_group_size=chance.choice([None, 10, 100]),
        data_page_row_count_limit=chance.choice([None, 7, 50]),
        write_batch_size=chance.choice([None, 5]))


class History:
    """One table and the steps that made it."""

    def __init__(self, path, seed):
        self.path, self.seed, self.chance = Path(path), seed, random.Random(seed)
        self.versions, self.done, self.next_id, self.names = {}, [], 0, 0
        c = self.chance
        self.mapped = c.random() < 0.3
        self.columns = [Column('id', 'long')]
        self.partitions = [self.fresh(kind, values)
                           for kind, values in c.sample(sorted(PARTITIONS.items()), c.choice([0, 0, 1, 1, 2]))]
        if self.partitions and c.random() < 0.7:        # most that can go wrong is in strings
            self.partitions[0] = self.fresh('string', c.sample(WORDS, 6))
        for kind in c.sample(sorted(KINDS), c.randrange(2, 7)):
            self.columns.append(self.fresh(kind))

    def fresh(self, kind, values=None):
        """A new column with a name that no column has had."""
        self.names += 1
        plain = 'c%d_%s' % (self.names, kind)
        odd = ['Ünïcode %d' % self.names, 'Mixed%dCase' % self.names, 'with space %d' % self.names]
        name = self.chance.choice(odd) if self.chance.random() < 0.2 else plain
        return Column(name, kind, values)

    # ---- data

    def data(self, count=None, columns=None):
        """New rows with ids of their own."""
        c = self.chance
        count = c.choice([1, 5, 40, 120]) if count is None else count
        nulls = c.choice([0, 0.2, 0.2, 1.0])
        arrays = {}
        for column in (columns or self.columns) + self.partitions:
            if column.name == 'id':
                arrays['id'] = pa.array(range(self.next_id, self.next_id + count), pa.int64())
            else:
                arrays[column.name] = column.some(c, count, 0.15 if column in self.partitions else nulls)
        self.next_id += count
        return pa.table(arrays)

    def some_rows(self):
        """A predicate that some rows meet."""
        c = self.chance
        low = c.randrange(max(1, self.next_id))
        choices = ['id %% %d = %d' % (n, c.randrange(n)) for n in (2, 5, 13)]
        choices += ['id BETWEEN %d AND %d' % (low, low + c.choice([0, 30]))]
        for p in self.partitions:
            if p.kind == 'string':
                choices += ["\"%s\" = '%s'" % (p.name, c.choice(p.values).replace("'", "''")),
                            '"%s" IS NULL' % p.name]
        return c.choice(choices)

    # ---- steps; each makes at least one version, or none and says False

    def table(self):
        return DeltaTable(self.path)

    def create(self):
        config = dict(KEPT, **(MAPPED if self.mapped else {}))
        if self.chance.random() < 0.4:
            config['delta.checkpointInterval'] = str(self.chance.randrange(1, 6))
        if self.chance.random() < 0.15 and not self.mapped:
            config['delta.enableChangeDataFeed'] = 'true'
        write_deltalake(self.path, self.data(), partition_by=[p.name for p in self.partitions] or None,
                        configuration=config, writer_properties=properties(self.chance))

    def append(self):
        write_deltalake(self.path, self.data(), mode='append', writer_properties=properties(self.chance),
                        target_file_size=self.chance.choice([None, 2000]))

    def append_fewer_columns(self):
        """Columns that are not written are null."""
        if self.mapped:
            return False
        kept = [c for c in self.columns if c.name == 'id' or self.chance.random() < 0.5]
        write_deltalake(self.path, self.data(columns=kept), mode='append', schema_mode='merge')
        return True

    def append_more_columns(self):
        if self.mapped:
            return False
        for kind in self.chance.sample(sorted(KINDS), self.chance.randrange(1, 3)):
            self.columns.append(self.fresh(kind))
        write_deltalake(self.path, self.data(), mode='append', schema_mode='merge')
        return True

    def add_column(self):
        if self.mapped:
            return False
        kind = self.chance.choice([k for k in PRIMITIVE if k not in ('decimal', 'timestamp_ntz')])
        column = self.fresh(kind)
        self.table().alter.add_columns([Field(column.name, PrimitiveType(kind))])
        self.columns.append(column)
        return True

    def overwrite(self):
        write_deltalake(self.path, self.data(), mode='overwrite', writer_properties=properties(self.chance))

    def overwrite_other_columns(self):
        """Some columns go, some come, in another order."""
        if self.mapped:
            return False
        c = self.chance
        kept = [x for x in self.columns if x.name == 'id' or c.random() < 0.5]
        self.columns = kept + [self.fresh(c.choice(sorted(KINDS)))]
        c.shuffle(self.columns)
        write_deltalake(self.path, self.data(), mode='overwrite', schema_mode='overwrite',
                        partition_by=[p.name for p in self.partitions] or None)
        return True

    def overwrite_some(self):
        chosen = self.chance.randrange(max(1, self.next_id))
        first = self.next_id
        write_deltalake(self.path, self.data(), mode='overwrite',
                        predicate='id BETWEEN %d AND %d OR id >= %d' % (chosen, chosen + 20, first))

    def delete(self):
        self.table().delete(self.some_rows())

    def update(self):
        column = self.chance.choice(self.columns)
        value = {'long': 'id * 2', 'string': "'updated é'", 'double': '0.25', 'integer': '17'}.get(column.kind)
        if column.name == 'id' or value is None:
            return False
        self.table().update(updates={'"%s"' % column.name: value}, predicate=self.some_rows())
        return True

    def merge(self):
        """Rows of the table are replaced or deleted, new ones come."""
        c = self.chance
        source = self.data(c.choice([5, 60]))
        known = pa.array([c.randrange(max(1, self.next_id)) if c.random() < 0.5 else i
                          for i in source['id'].to_pylist()], pa.int64())
        known = pa.array(sorted(set(known.to_pylist())), pa.int64())
        source = source.slice(0, len(known)).set_column(source.schema.get_field_index('id'), 'id', known)
        m = self.table().merge(source, 't.id = s.id', source_alias='s', target_alias='t')
        if c.random() < 0.7:
            m = m.when_matched_update_all()
        else:
            m = m.when_matched_delete('s.id % 2 = 0')
        if c.random() < 0.8:
            m = m.when_not_matched_insert_all()
        if c.random() < 0.2:
            m = m.when_not_matched_by_source_delete('t.id % 3 = 0')
        m.execute()

    def optimize(self):
        if self.mapped:
            return False
        self.table().optimize.compact(writer_properties=properties(self.chance))
        return True

    def z_order(self):
        if self.mapped:
            return False
        self.table().optimize.z_order(['id'])
        return True

    def vacuum(self):
        self.table().vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False,
                            full=self.chance.random() < 0.3)

    def checkpoint(self):
        self.table().create_checkpoint()

    def compact_logs(self):
        last = self.table().version()
        first = self.chance.randrange(last + 1)
        if first == last or not all(self.commit(n).exists() for n in range(first, last + 1)):
            return False
        self.table().compact_logs(first, last)
        return True

    def restore(self):
        whole = [v for v in self.versions.values() if all(os.path.exists(f) for f in v.files)
                 and self.earliest() <= v.number < self.table().version()]
        if not whole or self.table().version() == 0:
            return False
        to = self.chance.choice(whole)
        self.table().restore(to.number, protocol_downgrade_allowed=True)
        self.columns = to.columns[:]
        self.partitions = to.partition_columns[:]
        return True

    def forget(self):
        """The log's commits before the last checkpoint are cleaned up."""
        checkpoints = [int(p.name[:20]) for p in self.log.glob('*.checkpoint*.parquet')]
        if not checkpoints:
            return False
        for p in self.log.iterdir():
            if p.name[:20].isdigit() and int(p.name[:20]) < max(checkpoints):
                p.unlink()
        return True

    # ---- the whole

    @property
    def log(self):
        return self.path / '_delta_log'

    def commit(self, number):
        return self.log / ('%020d.json' % number)

    def earliest(self):
        """The first version that the log still gives."""
        commits = {int(p.name[:20]) for p in self.log.iterdir()
                   if p.suffix == '.json' and len(p.stem) == 20}
        if 0 in commits:
            return 0
        return min(int(p.name[:20]) for p in self.log.glob('*.checkpoint*.parquet'))

    def look(self, operation):
        """Notes what the engine says of the versions that have come."""
        for number in range(max(self.versions, default=-1) + 1, self.table().version() + 1):
            t = DeltaTable(self.path, version=number)
            data = pa.table(QueryBuilder().register('t', t).execute('SELECT * FROM t'))
            order = [f.name for f in t.schema().fields]
            partitions = t.metadata().partition_columns
            v = Version(number, operation, Rows([data.select(order)], partitions), partitions,
                        [str(self.path / p) for p in self.stored(t)])
            v.columns, v.partition_columns = self.columns[:], self.partitions[:]
            self.versions[number] = v

    @staticmethod
    def stored(table):
        from urllib.parse import unquote
        return [unquote(p) for p in pa.table(table.get_add_actions())['path'].to_pylist()]

    STEPS = {'append': 6, 'append_fewer_columns': 2, 'append_more_columns': 2, 'add_column': 1,
             'overwrite': 1, 'overwrite_other_columns': 1, 'overwrite_some': 1, 'delete': 4,
             'update': 3, 'merge': 3, 'optimize': 2, 'z_order': 1, 'vacuum': 1, 'checkpoint': 2,
             'compact_logs': 1, 'restore': 1, 'forget': 0.5}

    def run(self, steps=None):
        self.create()
        self.look('create')
        names, weights = zip(*self.STEPS.items())
        steps = steps or self.chance.randrange(6, 16)
        while len(self.done) < steps:
            step = self.chance.choices(names, weights)[0]
            if getattr(self, step)() is False:
                continue
            self.done.append(step)
            self.look(step)
        return self
