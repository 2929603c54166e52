#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Makes random histories of Delta and Iceberg tables with Spark, and writes down what Spark reads at each version.

usage: spark_histories.py DIR COUNT SEED JARS FORMAT...    so many of each: delta, iceberg
    DIR/lake/NAME             the tables; a clone is a table of its own
    DIR/truth/NAME/VERSION    what `SELECT *` gives, as Parquet
    DIR/delta.jsonl           one line a table: its name, steps, and versions

Of Iceberg see spark_iceberg_histories.py. Runs in Spark's own Python environment; one session makes all tables.
"""
import base64
import copy
import glob
import json
import random
import string
import sys
import time
import urllib.parse
import uuid
from pathlib import Path

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

WORDS = ['a', 'b c', 'x/y', '100%', 'd%20e', 'é☃', 'k=v', '...', '"quoted"', "it\\'s", 'a+b', '[1]*',
         'UPPER', 'upper', ' lead', 'trail ', '__HIVE', ':', '']


def words():
    return 'array(%s)' % ', '.join("'%s'" % w for w in WORDS)


# kind: an expression of {h}, a hash of the row's id that differs from column to column
KINDS = {
    'bigint': '{h}', 'int': 'CAST(pmod({h}, 4294967296) - 2147483648 AS INT)',
    'smallint': 'CAST(pmod({h}, 65536) - 32768 AS SMALLINT)', 'tinyint': 'CAST(pmod({h}, 256) - 128 AS TINYINT)',
    'double': 'CAST({h} AS DOUBLE) / 1e5', 'float': 'CAST(pmod({h}, 2000) - 1000 AS FLOAT) / 8',
    'boolean': 'pmod({h}, 2) = 0', 'string': 'element_at(' + words() + ', CAST(1 + pmod({h}, %d) AS INT))' % len(WORDS),
    'binary': 'unhex(hex({h}))', 'date': "date_add(DATE'1969-06-01', CAST(pmod({h}, 30000) AS INT))",
    'timestamp': 'timestamp_micros(pmod({h}, 4000000000000000) - 100000000000000)',
    'timestamp_ntz': 'CAST(timestamp_micros(pmod({h}, 4000000000000000)) AS TIMESTAMP_NTZ)',
    'decimal(8,2)': 'CAST(CAST(pmod({h}, 99999999) AS DECIMAL(20,0)) / 100 AS DECIMAL(8,2))',
    'decimal(25,3)': 'CAST(CAST({h} AS DECIMAL(20,0)) / 1000 AS DECIMAL(25,3))',
    'array<int>': 'transform(sequence(1, CAST(1 + pmod({h}, 3) AS INT)), i -> IF(i = 2, NULL, i))',
    'struct<a:int,b:string>': "named_struct('a', CAST(pmod({h}, 9) AS INT), 'b', CAST({h} AS STRING))",
    'map<string,bigint>': "map('k', {h}, 'é', CAST(NULL AS BIGINT))",
    'array<struct<a:int,b:string>>':
        "array(named_struct('a', CAST(pmod({h}, 9) AS INT), 'b', CAST(NULL AS STRING)))",
}
FLAT = sorted(kind for kind in KINDS if '<' not in kind)
WIDER = {'tinyint': ['smallint', 'int', 'bigint', 'double', 'decimal(12,2)'], 'smallint': ['int', 'bigint', 'double'],
         'int': ['bigint', 'double', 'decimal(13,3)'], 'bigint': ['decimal(22,2)'], 'float': ['double'],
         'decimal(8,2)': ['decimal(9,2)', 'decimal(12,2)', 'decimal(25,3)', 'decimal(30,5)'], 'date': ['timestamp_ntz']}
PARTITIONS = {
    'string': 'element_at(' + words() + ', CAST(1 + pmod({h}, 7) * 2 AS INT))', 'int': 'CAST(pmod({h}, 3) - 1 AS INT)',
    'date': "date_add(DATE'1969-12-31', CAST(pmod({h}, 2) AS INT))", 'boolean': 'pmod({h}, 2) = 0',
    'timestamp': 'timestamp_micros(pmod({h}, 2) * 86400000000 + 89)',
    'decimal(8,2)': 'CAST(pmod({h}, 2) - 1.5 AS DECIMAL(8,2))',
}


def local_path(url):
    """Of a file that Spark has read; the names of some it gives as they are, of others as URLs have them."""
    path = urllib.parse.urlparse(url).path
    return path if Path(path).exists() else urllib.parse.unquote(path)


# ZeroMQ's base 85, of PROTOCOL.md "Deletion Vector Descriptor Schema", in the digits that Python has.
Z85 = str.maketrans(string.digits + string.ascii_letters + '.-:+=^!/*?&<>()[]{}@%$#',
                    string.digits + string.ascii_uppercase + string.ascii_lowercase + '!#$%&()*+-;<=>?@^_`{|}~')


def leaf(kind):
    return {'leaf': kind, 'made': KINDS[kind]}


def struct(**fields):
    return {'fields': [[name, node] for name, node in fields.items()]}


def pairs(key, value):
    return {'key': key, 'value': value}


def items(element):
    return {'element': element}


# Nested types as trees, in which fields come and go and become wider.
NESTED = [
    items(leaf('int')), struct(a=leaf('int'), b=leaf('string')), pairs(leaf('string'), leaf('bigint')),
    items(struct(a=leaf('tinyint'), b=leaf('string'))), items(items(leaf('smallint'))),
    struct(a=struct(x=leaf('float'), y=leaf('date')), b=items(leaf('int')), c=leaf('decimal(8,2)')),
    pairs(leaf('int'), struct(a=leaf('int'), b=items(leaf('string')))),
    items(struct(m=pairs(leaf('string'), leaf('int')), s=struct(z=leaf('timestamp_ntz')))),
]


def kind_of(node):
    """A tree's type, in Spark's words."""
    if 'fields' in node:
        return 'struct<%s>' % ','.join('`%s`:%s' % (name, kind_of(of)) for name, of in node['fields'])
    if 'element' in node:
        return 'array<%s>' % kind_of(node['element'])
    if 'key' in node:
        return 'map<%s,%s>' % (kind_of(node['key']), kind_of(node['value']))
    return node['leaf']


def below(node, path=()):
    """A tree's nodes with their paths, from the top."""
    yield path, node
    for name, inner in node.get('fields', []):
        yield from below(inner, (*path, name))
    for name in ('element', 'key', 'value'):
        if name in node:
            yield from below(node[name], (*path, name))


def made_of(node, h='{h}', null=True):
    """An expression of a hash that gives values of a tree, with nulls and empty lists in it."""
    def inner(name, n, null=True):
        return made_of(name, 'xxhash64(%s, %d)' % (h, n), null)
    if 'fields' in node:
        made = 'named_struct(%s)' % ', '.join("'%s', %s" % (name, inner(of, n))
                                              for n, (name, of) in enumerate(node['fields']))
    elif 'element' in node:
        made = 'slice(array(%s), 1, CAST(pmod(%s, 4) AS INT))' % (
            ', '.join(inner(node['element'], n) for n in range(3)), h)
    elif 'key' in node:
        made = 'map_filter(map(%s, %s), (k, v) -> pmod(%s, 3) > 0)' % (
            inner(node['key'], 1, null=False), inner(node['value'], 2), h)
    else:
        made = node['made'].format(h=h)
    made = 'CAST(%s AS %s)' % (made, kind_of(node))
    return 'IF(pmod(xxhash64(%s, 99), 5) = 0, NULL, %s)' % (h, made) if null else made


def vector_path(table, vector):
    """Of the file that a deletion vector of the log lies in; one that lies in the log has none."""
    if vector['storageType'] == 'p':
        return local_path(vector['pathOrInlineDv'])
    if vector['storageType'] == 'i':
        return None
    prefix, name = vector['pathOrInlineDv'][:-20], vector['pathOrInlineDv'][-20:]
    name = uuid.UUID(bytes=base64.b85decode(name.translate(Z85)))
    return str(Path(table) / prefix / ('deletion_vector_%s.bin' % name))


class Column:
    def __init__(self, name, kind, made, tree=None):
        self.name, self.kind, self.made = name, kind, made      # `made` gives values of the first kind
        self.tree = tree                                        # of a nested type
        self.grow()

    def grow(self):
        """The tree has changed."""
        if self.tree:
            self.kind, self.made = kind_of(self.tree), made_of(self.tree)

    @property
    def state(self):
        return [self.name, self.kind, self.made, copy.deepcopy(self.tree)]

    @property
    def quoted(self):
        return '`%s`' % self.name

    def below(self, path):
        return '.'.join([self.quoted] + ['`%s`' % name for name in path])


class History:
    def __init__(self, spark, base, name, seed):
        self.spark, self.base, self.name, self.seed = spark, base, name, seed
        self.chance = random.Random(seed)
        self.next_id = self.names = 0
        self.steps, self.refused, self.versions, self.clones = [], [], [], []
        self.vectors, self.partitioned_by = {}, []          # of the last version that was looked at
        c = self.chance
        self.mapping = c.choice(['none', 'name', 'name', 'id'])
        self.columns, self.partitions = [], []
        self.invent()

    def invent(self):
        """Columns of a new table."""
        c = self.chance
        self.columns = [Column('id', 'bigint', 'id')]
        self.columns += [self.fresh() for _ in range(c.randrange(3, 8))]
        self.partitions = [self.fresh(kind, PARTITIONS[kind]) for kind in c.sample(
            sorted(PARTITIONS), c.choice([0, 0, 1, 1, 2]))]

    def fresh(self, kind=None, made=None):
        self.names += 1
        tree = None
        if not kind and self.chance.random() < 0.35:
            tree = copy.deepcopy(self.chance.choice(NESTED))
        elif not kind:
            kind = self.chance.choice(FLAT)
        odd = self.mapping != 'none' and self.chance.random() < 0.3
        name = self.chance.choice(['Ünïcode %d', 'with, comma%d', 'a.b%d', 'Mixed%dCase']) % self.names \
            if odd else 'c%d' % self.names
        return Column(name, kind, made or KINDS.get(kind), tree)

    # ---- what is written

    @property
    def path(self):
        return '%s/lake/%s' % (self.base, self.name)

    @property
    def table(self):
        return 'delta.`%s`' % self.path

    def sql(self, text):
        return self.spark.sql(text)

    def rows(self, count=None, first=None):
        """A query that gives new rows; first: ids that the table may have."""
        count = count or self.chance.choice([1, 20, 200])
        if first is None:
            first, self.next_id = self.next_id, self.next_id + count
        salt, words_ = self.chance.randrange(1 << 20), []
        for i, column in enumerate(self.columns + self.partitions):
            if column.name == 'id':
                words_.append('id')
                continue
            value = column.made.format(h='xxhash64(id, %d)' % (salt + 7 * i))
            one_in = self.chance.choice([0, 3, 6])
            if one_in:
                value = 'IF(pmod(xxhash64(id, %d), %d) = 0, NULL, %s)' % (salt + 7 * i + 3, one_in, value)
            words_.append('CAST(%s AS %s) AS %s' % (value, column.kind, column.quoted))
        return 'SELECT %s FROM range(%d, %d, 1, %d)' % (
            ', '.join(words_), first, first + count, self.chance.choice([1, 1, 3]))

    def some(self):
        c, low = self.chance, self.chance.randrange(max(1, self.next_id))
        return c.choice(['id %% %d = %d' % (n, c.randrange(n)) for n in (2, 5, 13)]
                        + ['id BETWEEN %d AND %d' % (low, low + c.choice([0, 30]))]
                        + ['%s IS NULL' % p.quoted for p in self.partitions])

    def insert(self, query, how='INTO'):
        names = ', '.join(x.quoted for x in self.columns + self.partitions)
        self.sql('INSERT %s %s (%s) %s' % (how, self.table, names, query))

    # ---- steps

    def create(self, replace=False):
        c = self.chance
        properties = {'delta.enableExpiredLogCleanup': 'false',
                      'delta.checkpointInterval': c.choice([2, 5, 100])}
        if self.mapping != 'none':
            properties['delta.columnMapping.mode'] = self.mapping
        for name, odds, value in (('enableDeletionVectors', 0.8, 'true'), ('enableTypeWidening', 0.6, 'true'),
                                  ('checkpointPolicy', 0.4, 'v2'), ('enableRowTracking', 0.2, 'true'),
                                  ('enableInCommitTimestamps', 0.3, 'true'), ('enableChangeDataFeed', 0.2, 'true')):
            if c.random() < odds:
                properties['delta.' + name] = value
        layout = ''
        if self.partitions:
            layout = 'PARTITIONED BY (%s)' % ', '.join(p.quoted for p in self.partitions)
        elif c.random() < 0.2:
            layout = 'CLUSTER BY (id)'
        self.sql('%s %s (%s) USING delta %s TBLPROPERTIES (%s)' % (
            'CREATE OR REPLACE TABLE' if replace else 'CREATE TABLE', self.table,
            ', '.join('%s %s' % (x.quoted, x.kind) for x in self.columns + self.partitions), layout,
            ', '.join("'%s' = '%s'" % item for item in properties.items())))

    def replace(self):
        self.invent()
        self.create(replace=True)
        self.append()

    def append(self):
        self.insert(self.rows())

    def append_evolved(self):
        self.columns.append(self.fresh())
        self.spark.sql(self.rows()).write.format('delta').mode('append').option('mergeSchema', 'true').save(self.path)

    def append_fewer(self):
        """Columns that are not written are null."""
        kept = [x.quoted for x in self.columns if x.name == 'id' or self.chance.random() < 0.5]
        data = self.spark.sql(self.rows()).select(kept + [p.quoted for p in self.partitions])
        data.write.format('delta').mode('append').save(self.path)

    def overwrite(self):
        self.insert(self.rows(), 'OVERWRITE')

    def overwrite_some(self):
        low = self.chance.randrange(max(1, self.next_id))
        data = self.spark.sql(self.rows(21, low)).write.format('delta').mode('overwrite')
        data.option('replaceWhere', 'id >= %d AND id < %d' % (low, low + 21)).save(self.path)
        self.next_id = max(self.next_id, low + 21)

    def delete(self):
        self.sql('DELETE FROM %s WHERE %s' % (self.table, self.some()))

    def update(self):
        column = self.chance.choice(self.columns[1:] + self.partitions)
        value = column.made.format(h='xxhash64(id, %d)' % self.chance.randrange(99))
        self.sql('UPDATE %s SET %s = CAST(%s AS %s) WHERE %s' % (self.table, column.quoted, value, column.kind,
                                                               self.some()))

    def merge(self):
        c = self.chance
        first, count = c.randrange(max(1, self.next_id)), c.choice([5, 80])
        source = self.rows(count, first)
        self.next_id = max(self.next_id, first + count)
        matched = c.choice(['UPDATE SET *', 'DELETE'])
        extra = c.choice(['', 'WHEN NOT MATCHED BY SOURCE AND t.id % 7 = 0 THEN DELETE'])
        self.sql('MERGE INTO %s t USING (%s) s ON t.id = s.id WHEN MATCHED AND s.id %% 3 <> 0 THEN %s '
                 'WHEN NOT MATCHED THEN INSERT * %s' % (self.table, source, matched, extra))

    def optimize(self):
        self.sql('OPTIMIZE %s' % self.table)

    def z_order(self):
        self.sql('OPTIMIZE %s ZORDER BY (id)' % self.table)

    def purge(self):
        self.sql('REORG TABLE %s APPLY (PURGE)' % self.table)

    def vacuum(self):
        self.sql('VACUUM %s RETAIN 0 HOURS' % self.table)

    def checkpoint(self):
        logs = self.spark._jvm.org.apache.spark.sql.delta.DeltaLog
        logs.forTable(self.spark._jsparkSession, self.path).checkpoint()

    def add_column(self):
        column = self.fresh()
        where = self.chance.choice(['', ' FIRST', ' AFTER %s' % self.chance.choice(self.columns).quoted])
        self.sql('ALTER TABLE %s ADD COLUMN %s %s%s' % (self.table, column.quoted, column.kind, where))
        self.columns.append(column)

    def some_nested(self, which):
        """A part of a nested column: the column, the path, the part."""
        return self.chance.choice([(x, path, node) for x in self.columns if x.tree
                                   for path, node in below(x.tree) if which(node, path)])

    def add_nested(self):
        column, path, node = self.some_nested(lambda node, _: 'fields' in node)
        self.names += 1
        new = copy.deepcopy(self.chance.choice(NESTED + [leaf(kind) for kind in FLAT]))
        name = 'n%d' % self.names
        self.sql('ALTER TABLE %s ADD COLUMN %s %s' % (self.table, column.below((*path, name)), kind_of(new)))
        node['fields'].append([name, new])
        column.grow()

    def some_field(self):
        """A field of a struct: the column, the path, the struct, its place there."""
        column, path, node = self.some_nested(lambda node, _: len(node.get('fields', [])) > 1)
        at = self.chance.randrange(len(node['fields']))
        return column, (*path, node['fields'][at][0]), node['fields'], at

    def rename_nested(self):
        column, path, fields, at = self.some_field()
        self.names += 1
        name = self.chance.choice(['Ü %d', 'r%d', 'R%d']) % self.names
        self.sql('ALTER TABLE %s RENAME COLUMN %s TO `%s`' % (self.table, column.below(path), name))
        fields[at][0] = name
        column.grow()

    def drop_nested(self):
        column, path, fields, at = self.some_field()
        self.sql('ALTER TABLE %s DROP COLUMN %s' % (self.table, column.below(path)))
        fields.pop(at)
        column.grow()

    def swap_nested(self):
        """A new field of an old name and another type."""
        column, path, fields, at = self.some_field()
        self.sql('ALTER TABLE %s DROP COLUMN %s' % (self.table, column.below(path)))
        new = leaf(self.chance.choice(FLAT))
        self.sql('ALTER TABLE %s ADD COLUMN %s %s' % (self.table, column.below(path), kind_of(new)))
        fields.append([fields.pop(at)[0], new])
        column.grow()

    def widen_nested(self):
        column, path, node = self.some_nested(lambda node, path: path and node.get('leaf') in WIDER)
        kind = self.chance.choice(WIDER[node['leaf']])
        self.sql('ALTER TABLE %s ALTER COLUMN %s TYPE %s' % (self.table, column.below(path), kind))
        node['leaf'] = kind
        column.grow()

    def rename(self):
        column = self.chance.choice(self.columns[1:] + self.partitions)
        name = self.fresh().name
        self.sql('ALTER TABLE %s RENAME COLUMN %s TO `%s`' % (self.table, column.quoted, name))
        column.name = name

    def drop(self):
        if len(self.columns) > 2:
            column = self.chance.choice(self.columns[1:])
            self.sql('ALTER TABLE %s DROP COLUMN %s' % (self.table, column.quoted))
            self.columns.remove(column)

    def drop_and_add_again(self):
        """A new column of an old name: nothing of the old one may be seen in it."""
        column = self.chance.choice(self.columns[1:])
        self.sql('ALTER TABLE %s DROP COLUMN %s' % (self.table, column.quoted))
        self.columns.remove(column)
        again = Column(*column.state)
        self.sql('ALTER TABLE %s ADD COLUMN %s %s' % (self.table, again.quoted, again.kind))
        self.columns.append(again)

    def widen(self):
        column = self.chance.choice([x for x in self.columns[1:] if x.kind in WIDER])
        kind = self.chance.choice(WIDER[column.kind])
        self.sql('ALTER TABLE %s ALTER COLUMN %s TYPE %s' % (self.table, column.quoted, kind))
        column.kind = kind

    def map_columns(self):
        """Column mapping of a table that has files already."""
        self.sql("ALTER TABLE %s SET TBLPROPERTIES ('delta.columnMapping.mode' = 'name', 'delta.minReaderVersion' = "
                 "'2', 'delta.minWriterVersion' = '5')" % self.table)
        self.mapping = 'name'

    def restore(self):
        whole = [v for v in self.versions[:-1] if v['number'] >= self.earliest()
                 and all(Path(f).exists() for f in v['files'] + list(v['vectors'].values()))]
        to = self.chance.choice(whole)
        self.sql('RESTORE TABLE %s TO VERSION AS OF %d' % (self.table, to['number']))
        self.columns, self.partitions = [[Column(*x) for x in copy.deepcopy(part)] for part in to['state']]

    def clone(self):
        """A shallow clone: its files are those of the table, till it is written to."""
        other = History(self.spark, self.base, '%s-clone%d' % (self.name, len(self.clones)),
                        self.chance.randrange(1 << 30))
        other.columns, other.partitions = [[Column(*x.state) for x in part]
                                           for part in (self.columns, self.partitions)]
        other.next_id, other.names, other.mapping = self.next_id, self.names + 100, self.mapping
        self.sql('CREATE TABLE %s SHALLOW CLONE %s' % (other.table, self.table))
        other.look('clone of ' + self.name)
        self.clones.append(other)
        other.go(3, {k: v for k, v in STEPS.items() if k not in ('clone', 'vacuum', 'replace')})

    def forget(self):
        """The log's commits before the last checkpoint are cleaned up."""
        last = max(int(p.name[:20]) for p in self.log.glob('*.checkpoint.*') if p.suffix in ('.parquet', '.json'))
        for p in self.log.iterdir():
            if p.name[:20].isdigit() and int(p.name[:20]) < last:
                p.unlink()

    # ---- the whole

    @property
    def log(self):
        return Path(self.path) / '_delta_log'

    def earliest(self):
        names = [p.name for p in self.log.iterdir() if p.name[:20].isdigit()]
        if '%020d.json' % 0 in names:
            return 0
        return min(int(n[:20]) for n in names if '.checkpoint' in n)

    def look(self, step):
        """Reads the versions that have come, and writes down what they hold."""
        last = max(int(p.stem) for p in self.log.glob('*.json') if len(p.stem) == 20)
        first = self.versions[-1]['number'] + 1 if self.versions else 0
        state = [[x.state for x in part] for part in (self.columns, self.partitions)]
        for number in range(first, last + 1):
            data = self.spark.read.format('delta').option('versionAsOf', number).load(self.path)
            data.coalesce(1).write.parquet('%s/truth/%s/%d' % (self.base, self.name, number))
            files = [local_path(f) for f in data.inputFiles()]
            self.go_on(number)
            self.versions.append({'number': number, 'operation': step, 'files': files, 'state': state,
                                  'vectors': dict(self.vectors), 'partitions': self.partitioned_by})

    def go_on(self, number):
        """What a commit says of the partition columns, and of the deletion vectors that files of it need."""
        with open(self.log / ('%020d.json' % number), encoding='utf-8') as f:
            actions = [json.loads(line) for line in f]
        for action in (a['metaData'] for a in actions if 'metaData' in a):
            self.partitioned_by = action['partitionColumns']
        for action in (a['remove'] for a in actions if 'remove' in a):
            self.vectors.pop(self.data_path(action), None)
        for action in (a['add'] for a in actions if 'add' in a):
            vector = action.get('deletionVector')
            path = vector_path(self.path, vector) if vector else None
            self.vectors.pop(self.data_path(action), None)
            if path:
                self.vectors[self.data_path(action)] = path

    def data_path(self, action):
        return str(Path(self.path) / urllib.parse.unquote(urllib.parse.urlparse(action['path']).path))

    def go(self, steps, weighted):
        """So many steps; what Spark refuses for this table is noted, and another taken."""
        names, weights = zip(*weighted.items())
        while len(self.steps) < steps and len(self.refused) < 3 * steps:
            step = self.chance.choices(names, weights)[0]
            before = [[Column(*x.state) for x in part] for part in (self.columns, self.partitions)]
            try:
                getattr(self, step)()
            except (PySparkException, Py4JJavaError, IndexError, ValueError) as e:
                # IndexError, ValueError: there is no column or version that the step needs
                self.refused.append('%s: %s' % (step, str(e).split('\n')[0][:300]))
                self.columns, self.partitions = before
                continue
            self.steps.append(step)
            self.look(step)

    def run(self):
        self.create()
        self.append()
        self.look('create')
        self.go(self.chance.randrange(8, 14), STEPS)
        return self

    def told(self):
        return {'name': self.name, 'seed': self.seed, 'steps': self.steps, 'refused': self.refused,
                'earliest': self.earliest(), 'versions': self.versions}


STEPS = {'append': 4, 'append_fewer': 1, 'append_evolved': 2, 'overwrite': 0.5, 'overwrite_some': 1, 'delete': 5, 'update': 4,
         'merge': 4, 'optimize': 1, 'z_order': 1, 'purge': 1, 'vacuum': 0.7, 'checkpoint': 1, 'add_column': 2, 'rename': 3,
         'drop': 2, 'drop_and_add_again': 1, 'widen': 4, 'add_nested': 2, 'rename_nested': 1.5, 'drop_nested': 1.5,
         'swap_nested': 0.5, 'widen_nested': 2, 'map_columns': 0.5, 'restore': 1, 'clone': 0.7, 'forget': 0.4,
         'replace': 0.4}


def session(base, jars, more, extensions):
    settings = {
        **more,
        'spark.driver.extraClassPath': ':'.join(sorted(glob.glob(jars + '/*.jar'))),
        'spark.sql.extensions': ','.join(['io.delta.sql.DeltaSparkSessionExtension'] + extensions),
        'spark.sql.catalog.spark_catalog': 'org.apache.spark.sql.delta.catalog.DeltaCatalog',
        'spark.sql.warehouse.dir': base + '/warehouse', 'spark.local.dir': base + '/local',
        'spark.ui.enabled': 'false', 'spark.ui.showConsoleProgress': 'false', 'spark.driver.memory': '1g',
        'spark.driver.bindAddress': '127.0.0.1', 'spark.driver.host': '127.0.0.1',
        'spark.sql.session.timeZone': 'UTC', 'spark.sql.parquet.outputTimestampType': 'TIMESTAMP_MICROS',
        # small tables: no more tasks than rows
        'spark.sql.shuffle.partitions': '1', 'spark.databricks.delta.snapshotPartitions': '1',
        'spark.sql.sources.parallelPartitionDiscovery.parallelism': '1',
        'spark.databricks.delta.retentionDurationCheck.enabled': 'false',
        'spark.databricks.delta.vacuum.parallelDelete.enabled': 'false',
    }
    builder = SparkSession.builder.master('local[2]').appName('histories')
    for key, value in settings.items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel('OFF')
    return spark


def make(spark, base, count, seed):
    with open(base + '/delta.jsonl', 'w', encoding='utf-8') as out:
        for i in range(count):
            started = time.monotonic()
            h = History(spark, base, 't%d' % i, '%s/%d' % (seed, i)).run()
            for table in [h] + h.clones:
                print(json.dumps(table.told()), file=out, flush=True)
            print('%s: %.1f s, %s; refused: %s' % (h.name, time.monotonic() - started, h.steps, h.refused), flush=True)


def main():
    import spark_iceberg_histories as iceberg       # which takes words and columns from here
    base, count, seed, jars = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
    spark = session(base, jars, iceberg.SETTINGS, [iceberg.EXTENSIONS])
    for name in sys.argv[5:]:
        {'delta': make, 'iceberg': iceberg.make}[name](spark, base, count, seed)
    spark.stop()


if __name__ == '__main__':
    main()
