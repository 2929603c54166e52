# SPDX-License-Identifier: Apache-2.0
"""
Random histories of Iceberg tables by Spark, and what Spark reads at each snapshot, branch and tag: see
spark_histories.py, whose session makes these too.

    DIR/lake/iceberg/NAME               the tables, of a Hadoop catalog
    DIR/truth/iceberg-NAME/SNAPSHOT     what Spark reads of it when it is new; main, branches and tags at the end
    DIR/iceberg.jsonl                   one line a table
"""
import json
import random
import shutil
import uuid
from pathlib import Path

from py4j.protocol import Py4JJavaError
from pyspark.errors import PySparkException
from pyspark.sql.functions import col
from pyspark.sql.types import LongType, StructField, StructType

from spark_histories import WORDS, Column, words, KINDS as ALL_KINDS

SETTINGS = {'spark.sql.catalog.ice': 'org.apache.iceberg.spark.SparkCatalog', 'spark.sql.catalog.ice.type': 'hadoop',
            'spark.sql.catalog.ice.cache-enabled': 'false'}
EXTENSIONS = 'org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions'

KINDS = {k: v for k, v in ALL_KINDS.items() if k not in ('smallint', 'tinyint')}
WIDER = {'int': ['bigint'], 'float': ['double'], 'decimal(8,2)': ['decimal(9,2)', 'decimal(12,2)', 'decimal(38,2)']}
FEW = {
    'string': 'element_at(' + words() + ', CAST(1 + pmod({h}, 5) * 4 AS INT))', 'int': 'CAST(pmod({h}, 3) * 1000 - 1 AS INT)',
    'bigint': 'pmod({h}, 3) * 5000000000 - 1', 'date': "date_add(DATE'1969-12-31', CAST(pmod({h}, 3) * 20 AS INT))",
    'boolean': 'pmod({h}, 2) = 0', 'timestamp': 'timestamp_micros(pmod({h}, 3) * 3700000000 - 89)',
    'timestamp_ntz': 'CAST(timestamp_micros(pmod({h}, 2) * 86400000000 + 89) AS TIMESTAMP_NTZ)',
    'decimal(8,2)': 'CAST(pmod({h}, 3) - 1.5 AS DECIMAL(8,2))', 'binary': 'unhex(hex(pmod({h}, 3)))',
}
TRANSFORMS = {
    'string': ['{c}', '{c}', 'bucket(3, {c})', 'truncate(1, {c})'], 'int': ['{c}', 'bucket(2, {c})', 'truncate(10, {c})'],
    'bigint': ['{c}', 'bucket(2, {c})', 'truncate(100, {c})'], 'boolean': ['{c}'],
    'date': ['{c}', 'years({c})', 'months({c})', 'days({c})', 'bucket(2, {c})'],
    'timestamp': ['{c}', 'years({c})', 'months({c})', 'days({c})', 'hours({c})', 'bucket(2, {c})'],
    'timestamp_ntz': ['{c}', 'days({c})', 'hours({c})'], 'decimal(8,2)': ['{c}', 'bucket(2, {c})', 'truncate(10, {c})'],
    'binary': ['{c}', 'bucket(2, {c})', 'truncate(1, {c})'],
}
# kind: a value that Iceberg's literals take
DEFAULTS = {'int': 17, 'bigint': -5000000000, 'string': 'dé fault', 'boolean': True, 'double': 0.5, 'date': '2024-02-29',
            'decimal(8,2)': '1.25'}


class History:
    def __init__(self, spark, base, name, seed):
        self.spark, self.base, self.name, self.seed = spark, base, name, seed
        self.chance = random.Random(seed)
        self.next_id = self.names = self.staged = 0
        self.steps, self.refused, self.snapshots, self.fields, self.set = [], [], [], [], {}
        c = self.chance
        self.version = c.choice([1, 2, 2, 3, 3, 3])
        self.columns = [Column('id', 'bigint', 'id')]
        self.columns += [self.fresh(kind, FEW[kind]) for kind in c.sample(sorted(FEW), 2)]
        self.columns += [self.fresh() for _ in range(c.randrange(2, 6))]

    def fresh(self, kind=None, made=None):
        self.names += 1
        kind = kind or self.chance.choice(sorted(KINDS))
        odd = self.chance.random() < 0.25
        name = self.chance.choice(['Ünïcode %d', 'with, comma%d', 'a.b%d', 'Mixed%dCase', '9th/%d%%']) % self.names \
            if odd else 'c%d' % self.names
        return Column(name, kind, made or KINDS[kind])

    # ---- what is written

    @property
    def path(self):
        return Path(self.base) / 'lake' / 'iceberg' / self.name

    @property
    def table(self):
        return 'ice.iceberg.`%s`' % self.name

    def sql(self, text):
        return self.spark.sql(text)

    def call(self, procedure, more=''):
        return self.sql("CALL ice.system.%s(table => 'iceberg.%s'%s)" % (procedure, self.name, more)).collect()

    def loaded(self):
        """Iceberg's own object."""
        return self.spark._jvm.org.apache.iceberg.spark.Spark3Util.loadIcebergTable(self.spark._jsparkSession,
                                                                                    self.table.replace('`', ''))

    def rows(self, count=None, first=None, columns=None):
        """A query that gives new rows; first: ids that the table may have."""
        count = count or self.chance.choice([1, 20, 100])
        if first is None:
            first = self.next_id
        self.next_id = max(self.next_id, first + count)
        salt, chosen = self.chance.randrange(1 << 20), []
        for i, column in enumerate(columns or self.columns):
            if column.name == 'id':
                chosen.append('id')
                continue
            value = column.made.format(h='xxhash64(id, %d)' % (salt + 7 * i))
            one_in = self.chance.choice([0, 3, 6])
            if one_in:
                value = 'IF(pmod(xxhash64(id, %d), %d) = 0, NULL, %s)' % (salt + 7 * i + 3, one_in, value)
            chosen.append('CAST(%s AS %s) AS %s' % (value, column.kind, column.quoted))
        return 'SELECT %s FROM range(%d, %d, 1, %d)' % (', '.join(chosen), first, first + count,
                                                        self.chance.choice([1, 1, 2]))

    def some(self):
        c, low = self.chance, self.chance.randrange(max(1, self.next_id))
        return c.choice(['id %% %d = %d' % (n, c.randrange(n)) for n in (2, 5, 13)]
                        + ['id BETWEEN %d AND %d' % (low, low + c.choice([0, 30]))]
                        + ['%s IS NULL' % x.quoted for x in self.columns if x.made in FEW.values()])

    def target(self):
        """The table, or a branch of it."""
        branches = [r['name'] for r in self.refs() if r['type'] == 'BRANCH' and r['name'] != 'main']
        if branches and self.chance.random() < 0.3:
            return self.table + '.`branch_%s`' % self.chance.choice(branches)
        return self.table

    def refs(self):
        return [r.asDict() for r in self.sql('SELECT * FROM %s.refs' % self.table).collect()]

    def ids(self):
        return [r[0] for r in self.sql('SELECT snapshot_id FROM %s.snapshots' % self.table).collect()]

    # ---- steps

    def create(self):
        c = self.chance
        properties = {'format-version': self.version, 'write.distribution-mode': 'none',
                      'commit.manifest.min-count-to-merge': c.choice([2, 100])}
        for what in ('delete', 'update', 'merge'):
            if self.version > 1:
                properties['write.%s.mode' % what] = c.choice(['merge-on-read', 'merge-on-read', 'copy-on-write'])
        for odds, name, values in (
                (0.5, 'write.delete.granularity', ['file', 'partition']),
                (0.3, 'write.delete.format.default', ['avro', 'parquet']),
                (0.4, 'write.metadata.compression-codec', ['gzip']),
                (0.5, 'write.avro.compression-codec', ['snappy', 'zstd', 'gzip', 'uncompressed']),
                (0.5, 'write.parquet.compression-codec', ['snappy', 'gzip', 'lz4', 'uncompressed']),
                (0.3, 'write.metadata.metrics.default', ['none', 'counts', 'full']),
                (0.3, 'write.object-storage.enabled', ['true']),
                (0.3, 'write.spark.fanout.enabled', ['true']),
                (0.3, 'write.parquet.page-row-limit', ['7'])):
            if c.random() < odds:
                properties[name] = c.choice(values)
        layout = ''
        fields = [self.partition_field() for _ in range(c.choice([0, 0, 1, 1, 2]))]
        if fields:
            layout = 'PARTITIONED BY (%s)' % ', '.join(sorted(set(fields)))
        self.sql('CREATE TABLE %s (%s) USING iceberg %s TBLPROPERTIES (%s)' % (
            self.table, ', '.join('%s %s' % (x.quoted, x.kind) for x in self.columns), layout,
            ', '.join("'%s' = '%s'" % item for item in properties.items())))
        # partitions of what is written are not in order
        self.sql("ALTER TABLE %s SET TBLPROPERTIES ('write.spark.fanout.enabled' = 'true')" % self.table)
        self.fields = sorted(set(fields))

    def partition_field(self):
        column = self.chance.choice([x for x in self.columns if x.made in FEW.values() and x.kind in TRANSFORMS])
        return self.chance.choice(TRANSFORMS[column.kind]).format(c=column.quoted)

    def insert(self, query, columns=None, how='INTO', target=None):
        names = ', '.join(x.quoted for x in columns or self.columns)
        self.sql('INSERT %s %s (%s) %s' % (how, target or self.table, names, query))

    def append(self):
        self.insert(self.rows(), target=self.target())

    def overwrite(self):
        self.insert(self.rows(), how='OVERWRITE')

    def overwrite_some(self):
        low = self.chance.randrange(max(1, self.next_id))
        self.spark.sql(self.rows(21, low)).writeTo(self.table).overwrite((col('id') >= low) & (col('id') < low + 21))

    def delete(self):
        self.sql('DELETE FROM %s WHERE %s' % (self.target(), self.some()))

    def update(self):
        column = self.chance.choice(self.columns[1:])
        value = column.made.format(h='xxhash64(id, %d)' % self.chance.randrange(99))
        self.sql('UPDATE %s SET %s = CAST(%s AS %s) WHERE %s' % (self.target(), column.quoted, value, column.kind,
                                                               self.some()))

    def merge(self):
        c = self.chance
        first, count = c.randrange(max(1, self.next_id)), c.choice([5, 80])
        source = self.rows(count, first)
        matched = c.choice(['UPDATE SET *', 'DELETE'])
        extra = c.choice(['', 'WHEN NOT MATCHED BY SOURCE AND t.id % 7 = 0 THEN DELETE'])
        self.sql('MERGE INTO %s t USING (%s) s ON t.id = s.id WHEN MATCHED AND s.id %% 3 <> 0 THEN %s '
                 'WHEN NOT MATCHED THEN INSERT * %s' % (self.table, source, matched, extra))

    def equality_delete(self):
        """As streaming writers delete: rows whose id a file names, in one partition, or in all."""
        if self.version < 2:
            raise ValueError('version 1 has no deletes')
        c, jvm, table = self.chance, self.spark._jvm, self.loaded()
        files = _all(table.newScan().planFiles().iterator())
        chosen = c.choice(files)
        names = sorted({c.randrange(max(1, self.next_id)) for _ in range(c.choice([1, 9]))})
        schema = StructType([StructField('id', LongType(), True, {'parquet.field.id': 1})])
        to = Path(self.base) / 'deletes' / str(uuid.uuid4())
        self.spark.createDataFrame([(i,) for i in names] + ([(None,)] if c.random() < 0.2 else []),
                                   schema).coalesce(1).write.parquet(str(to))
        part, = to.glob('*.parquet')
        size, count = part.stat().st_size, len(names)
        path = self.path / 'data' / ('eq-%s.parquet' % uuid.uuid4())
        shutil.move(part, path)
        ids = self.spark._sc._gateway.new_array(jvm.int, 1)
        ids[0] = 1
        whole = [s for s in table.specs().values() if s.isUnpartitioned()]
        spec = whole[0] if whole and c.random() < 0.5 else chosen.spec()
        builder = jvm.org.apache.iceberg.FileMetadata.deleteFileBuilder(spec).ofEqualityDeletes(ids) \
            .withPath('file:%s' % path).withFormat('PARQUET').withFileSizeInBytes(size).withRecordCount(count)
        if not spec.isUnpartitioned():
            builder = builder.withPartition(chosen.file().partition())
        delta = table.newRowDelta().addDeletes(builder.build())
        delta.commit()

    def rewrite_files(self):
        self.call('rewrite_data_files', self.chance.choice([
            ", options => map('rewrite-all', 'true')", ", options => map('min-input-files', '2')",
            ", options => map('delete-file-threshold', '1')",
            ", options => map('rewrite-all', 'true', 'use-starting-sequence-number', 'false')"]))

    def rewrite_manifests(self):
        self.call('rewrite_manifests')

    def rewrite_deletes(self):
        self.call('rewrite_position_delete_files', ", options => map('rewrite-all', 'true')")

    def expire(self):
        """Old snapshots go, and the files that only they name."""
        keep = self.chance.choice([1, 2, 4])
        self.call('expire_snapshots', ", older_than => TIMESTAMP '2999-01-01 00:00:00', retain_last => %d" % keep)

    def expire_one(self):
        held = {r['snapshot_id'] for r in self.refs()}
        free = [i for i in self.ids() if i not in held]
        self.call('expire_snapshots', ', snapshot_ids => array(%d)' % self.chance.choice(free))

    def rollback(self):
        ancestors = [r[0] for r in self.sql('SELECT snapshot_id FROM %s.history WHERE is_current_ancestor' % self.table)
                     .collect()]
        self.call('rollback_to_snapshot', ', snapshot_id => %d' % self.chance.choice(ancestors[:-1]))

    def set_current(self):
        self.call('set_current_snapshot', ', snapshot_id => %d' % self.chance.choice(self.ids()))

    def fast_forward(self):
        branch = self.chance.choice([r['name'] for r in self.refs() if r['type'] == 'BRANCH' and r['name'] != 'main'])
        self.call('fast_forward', ", branch => 'main', to => '%s'" % branch)

    def stage(self):
        """Write, audit, publish: a snapshot that no branch has."""
        self.staged += 1
        self.sql("ALTER TABLE %s SET TBLPROPERTIES ('write.wap.enabled' = 'true')" % self.table)
        self.spark.conf.set('spark.wap.id', 'wap%d' % self.staged)
        try:
            self.insert(self.rows())
        finally:
            self.spark.conf.unset('spark.wap.id')
        if self.chance.random() < 0.6:
            self.call('publish_changes', ", wap_id => 'wap%d'" % self.staged)

    def create_branch(self):
        name = self.chance.choice(['dev', 'b%d' % self.names, 'feature/x%d' % self.names])
        self.sql('ALTER TABLE %s CREATE OR REPLACE BRANCH `%s` AS OF VERSION %d' % (
            self.table, name, self.chance.choice(self.ids())))

    def create_tag(self):
        name = self.chance.choice(['gold', 'v1.%d' % self.names, 'EOY/2025@%d' % self.names])
        self.sql('ALTER TABLE %s CREATE OR REPLACE TAG `%s` AS OF VERSION %d' % (
            self.table, name, self.chance.choice(self.ids())))

    def drop_ref(self):
        ref = self.chance.choice([r for r in self.refs() if r['name'] != 'main'])
        self.sql('ALTER TABLE %s DROP %s `%s`' % (self.table, ref['type'], ref['name']))

    def add_column(self):
        column = self.fresh()
        where = self.chance.choice(['', ' FIRST', ' AFTER %s' % self.chance.choice(self.columns).quoted])
        self.sql('ALTER TABLE %s ADD COLUMN %s %s%s' % (self.table, column.quoted, column.kind, where))
        self.columns.append(column)

    def add_default(self):
        """A column whose value in older files is no null (version 3)."""
        if self.version < 3:
            raise ValueError('no defaults')
        kind = self.chance.choice(sorted(DEFAULTS))
        column = self.fresh(kind)
        types = self.spark._jvm.org.apache.iceberg.types.Types
        kinds = {'int': types.IntegerType.get(), 'bigint': types.LongType.get(), 'string': types.StringType.get(),
                 'boolean': types.BooleanType.get(), 'double': types.DoubleType.get(), 'date': types.DateType.get(),
                 'decimal(8,2)': types.DecimalType.of(8, 2)}
        literal = getattr(self.spark._jvm.org.apache.iceberg.expressions.Literal, 'of')(DEFAULTS[kind])
        self.loaded().updateSchema().addColumn(column.name, kinds[kind], literal.to(kinds[kind])).commit()
        self.columns.append(column)

    def add_nested(self):
        column = self.chance.choice([x for x in self.columns if x.kind.startswith('struct')])
        self.names += 1
        self.sql('ALTER TABLE %s ADD COLUMN %s.n%d INT' % (self.table, column.quoted, self.names))
        column.kind = column.kind[:-1] + ',n%d:int>' % self.names
        column.made = 'NULL'

    def rename(self):
        column = self.chance.choice(self.columns[1:])
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
        again = self.fresh(column.kind, column.made)
        again.name = column.name
        self.sql('ALTER TABLE %s ADD COLUMN %s %s' % (self.table, again.quoted, again.kind))
        self.columns.append(again)

    def widen(self):
        column = self.chance.choice([x for x in self.columns[1:] if x.kind in WIDER])
        kind = self.chance.choice(WIDER[column.kind])
        self.sql('ALTER TABLE %s ALTER COLUMN %s TYPE %s' % (self.table, column.quoted, kind))
        column.kind = kind

    def add_field(self):
        field = self.partition_field()
        self.sql('ALTER TABLE %s ADD PARTITION FIELD %s' % (self.table, field))
        self.fields.append(field)

    def drop_field(self):
        field = self.chance.choice(self.fields)
        self.sql('ALTER TABLE %s DROP PARTITION FIELD %s' % (self.table, field))
        self.fields.remove(field)

    def upgrade(self):
        if self.version == 3:
            raise ValueError('it is the last one')
        self.sql("ALTER TABLE %s SET TBLPROPERTIES ('format-version' = '%d', 'write.delete.mode' = 'merge-on-read')"
                 % (self.table, self.version + 1))
        self.version += 1

    # ---- the whole

    def write_down(self, data, name):
        data.coalesce(1).write.mode('overwrite').parquet('%s/truth/iceberg-%s/%s' % (self.base, self.name, name))

    def look(self, step):
        """Reads the snapshots that have come, and writes down what they hold."""
        known = {s['id'] for s in self.snapshots}
        for row in self.sql('SELECT snapshot_id, operation FROM %s.snapshots ORDER BY committed_at' % self.table).collect():
            if row[0] not in known:
                self.write_down(self.spark.read.option('versionAsOf', row[0]).table(self.table), row[0])
                self.snapshots.append({'id': row[0], 'step': step, 'operation': row[1]})

    def go(self, steps):
        """So many steps; what Spark refuses for this table is noted, and another taken."""
        names, weights = zip(*STEPS.items())
        while len(self.steps) < steps and len(self.refused) < 3 * steps:
            step = self.chance.choices(names, weights)[0]
            before = [Column(x.name, x.kind, x.made) for x in self.columns]
            try:
                getattr(self, step)()
            except (PySparkException, Py4JJavaError, IndexError, ValueError) as e:
                # IndexError, ValueError: there is no column or snapshot that the step needs
                self.refused.append('%s: %s' % (step, ' '.join(str(e).split())[:300]))
                self.columns = before
                continue
            self.steps.append(step)
            self.look(step)

    def run(self):
        self.create()
        self.append()
        self.look('create')
        self.go(self.chance.randrange(9, 15))
        return self

    def told(self):
        """All of it, with what branches and tags show at the end."""
        refs = {}
        for i, ref in enumerate(self.refs()):
            self.write_down(self.sql("SELECT * FROM %s VERSION AS OF '%s'" % (self.table, ref['name'])), 'ref%d' % i)
            refs[ref['name']] = {'kind': ref['type'].lower(), 'id': ref['snapshot_id'], 'truth': 'ref%d' % i}
        self.write_down(self.spark.table(self.table), 'live')
        return {'name': self.name, 'seed': self.seed, 'steps': self.steps, 'refused': self.refused,
                'snapshots': self.snapshots, 'present': self.ids(), 'refs': refs}


def _all(iterator):
    found = []
    while iterator.hasNext():
        found.append(iterator.next())
    return found


STEPS = {'append': 4, 'overwrite': 0.5, 'overwrite_some': 1, 'delete': 5, 'update': 4, 'merge': 4, 'equality_delete': 3,
         'rewrite_files': 1.5, 'rewrite_manifests': 1, 'rewrite_deletes': 1, 'expire': 0.5, 'expire_one': 1, 'rollback': 1,
         'set_current': 0.5, 'fast_forward': 0.5, 'stage': 1, 'create_branch': 1.5, 'create_tag': 1.5, 'drop_ref': 0.4,
         'add_column': 2, 'add_default': 1.5, 'add_nested': 1, 'rename': 2.5, 'drop': 1.5, 'drop_and_add_again': 1,
         'widen': 2, 'add_field': 1.5, 'drop_field': 1, 'upgrade': 1}


def make(spark, base, count, seed):
    """So many tables; what is known of them, a line each."""
    spark.conf.set('spark.sql.catalog.ice.warehouse', base + '/lake')
    with open(base + '/iceberg.jsonl', 'w', encoding='utf-8') as out:
        for i in range(count):
            h = History(spark, base, 't%d' % i, '%s/%d' % (seed, i)).run()
            print(json.dumps(h.told()), file=out, flush=True)
            print('iceberg %s: %s; refused: %s' % (h.name, h.steps, h.refused), flush=True)
