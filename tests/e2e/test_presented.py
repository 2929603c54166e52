# SPDX-License-Identifier: Apache-2.0
"""
Files that are not presented as they are stored: opened with a plain Parquet reader they are the
table's columns and rows.
"""
import concurrent.futures
import errno
import json
import os
import signal
import subprocess
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, QueryBuilder

from support import delta_log
from support import presented_tables as tables
from support.mounts import detach, run_tarn, wait_for
from support.places import PATIENCE_S, TABLES
from test_passthrough import Counted, needs_passthrough

MIB = 1 << 20
SMALL, LARGE = 500, 150_000             # rows: 20 KB, and 6 MiB with several row groups


def read(path):
    return pq.ParquetFile(path).read()


def transform(path):
    return os.getxattr(path, 'user.tarn.transform').decode()


def duck(path):
    return duckdb.sql("select * from read_parquet('%s')" % path).to_arrow_table()


def check_all(root, shown):
    """Each part is what it must show, in both readers."""
    for i, want in enumerate(shown):
        path = root / ('part-%d.parquet' % i)
        assert read(path).equals(want), path
        assert pa.table(duck(path)).to_pylist() == want.to_pylist(), path


@pytest.fixture
def source(tmp_path):
    """(root, {table: what each of its parts shows})"""
    root = tmp_path / 'source'
    shown = {'mapped': tables.mapped(root / 'mapped', [SMALL, LARGE]),
             'deletes': tables.with_deletes(root / 'deletes', [SMALL, LARGE])}
    return root, shown


@pytest.fixture
def far(source, s3, bucket):
    """The same in a bucket: (url, shown)"""
    s3.copy_tree(source[0], bucket, 'lake')
    return 's3://%s/lake' % bucket, source[1]


def test_columns_and_rows_are_the_tables(mount, source):
    """Columns have the table's names, added ones are null, dropped ones and deleted rows are gone."""
    root, shown = source
    m = mount(root)
    for table, parts in shown.items():
        check_all(m / table, parts)
    assert transform(m / 'mapped/part-0.parquet') == 'columns'
    assert transform(m / 'deletes/part-1.parquet') == 'rows'


def test_from_a_bucket(mount, far, s3):
    """The same from S3, on the first read and on the second."""
    url, shown = far
    m = mount(url, endpoint_url=s3.url, env=s3.env)
    for _ in range(2):
        for table, parts in shown.items():
            check_all(m / table, parts)


def test_sizes_are_those_of_the_rule(mount, source):
    """stat tells the object's size with 64 KiB and a sixteenth, and that many bytes can be read."""
    root, shown = source
    m = mount(root)
    for table, parts in shown.items():
        for i in range(len(parts)):
            name = '%s/part-%d.parquet' % (table, i)
            stored = (root / name).stat().st_size
            assert (m / name).stat().st_size == stored + 65536 + stored // 16
            assert len((m / name).read_bytes()) == (m / name).stat().st_size


def test_a_directory_of_deletes_is_listed_without_requests_for_data(mount, tmp_path, s3, bucket,
                                                                    proxy):
    """ls -l of 10,000 files with deletion vectors asks for the log and for nothing else."""
    vector = tables.inline_vector({1, 2, 3})
    adds = [{'path': 'part-%05d.parquet' % i, 'size': 5000 + i, 'deletionVector': vector}
            for i in range(10_000)]
    tables.write_log(tmp_path / 'lake/t', [tables.field('n', 'long')], adds, ['deletionVectors'],
                     {'delta.enableDeletionVectors': 'true'})
    s3.copy_tree(tmp_path / 'lake', bucket, 'lake')
    m = mount('s3://%s/lake' % bucket, endpoint_url=proxy.url, env=s3.env)
    lines = subprocess.run(['ls', '-l', str(m / 't')], check=True, capture_output=True,
                           text=True).stdout.splitlines()
    assert len(lines) == 10_001
    assert lines[1].split()[4] == str(5000 + 65536 + 5000 // 16)
    assert proxy.counts('data') == 0


@needs_passthrough
@pytest.mark.parametrize('table', ['mapped', 'deletes'])
def test_the_second_read_passes(mount, far, s3, table):
    """Once all of it is in the cache, its bytes do not come through the daemon."""
    url, shown = far
    m = mount(url, endpoint_url=s3.url, env=s3.env)
    for part in ('part-0.parquet', 'part-1.parquet'):
        path = m / table / part
        size = path.stat().st_size
        first = path.read_bytes()
        wait_for(lambda: int(os.getxattr(path, 'user.tarn.cached')) == size, PATIENCE_S, 'all is cached')

        def passes():
            with Counted(m) as counted:
                assert path.read_bytes() == first
            return counted.bytes < 256 * 1024
        if size > MIB:
            wait_for(passes, PATIENCE_S, '%s passes' % path)
    check_all(m / table, shown[table])


def test_two_readers_at_once_cause_one_rewrite(mount, far, s3, proxy):
    """However many open a file with deleted rows, its object is fetched once."""
    url, shown = far
    m = mount(url, endpoint_url=proxy.url, env=s3.env)
    path = m / 'deletes/part-1.parquet'
    stored = path.stat().st_size * 16 // 17
    os.listdir(m / 'deletes')
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for got in pool.map(lambda _: read(path), range(8)):
            assert got.equals(shown['deletes'][1])
    blocks = stored // MIB + 1
    assert 2 <= proxy.counts('data') <= 2 * blocks + 2


def test_after_a_restart(mount, far, s3, proxy, tmp_path):
    """Another daemon finds what was made in the cache, and asks for no data again."""
    url, shown = far
    cache = tmp_path / 'cache'
    m = mount(url, cache=cache, endpoint_url=proxy.url, env=s3.env)
    for table, parts in shown.items():
        check_all(m / table, parts)
        for path in (m / table).iterdir():
            path.read_bytes()
            wait_for(lambda p=path: int(os.getxattr(p, 'user.tarn.cached')) == p.stat().st_size, PATIENCE_S,
                     'all is cached')
    m.unmount_and_wait_for_the_daemon()
    before = proxy.counts('data')
    m = mount(url, cache=cache, endpoint_url=proxy.url, env=s3.env)
    for table, parts in shown.items():
        check_all(m / table, parts)
    assert proxy.counts('data') == before


def test_after_kill_9(mount, far, s3, tmp_path):
    """A daemon that is killed while files are made leaves nothing that is wrong."""
    url, shown = far
    cache = tmp_path / 'cache'
    for after in (0.0, 0.05, 0.2, 0.5):
        m = mount(url, cache=cache, endpoint_url=s3.url, env=s3.env, foreground=True)
        reader = subprocess.Popen(['cat', *map(str, sorted(m.path.glob('*/*.parquet')))],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            reader.wait(timeout=after)
        except subprocess.TimeoutExpired:
            pass
        os.kill(m.process.pid, signal.SIGKILL)
        m.process.wait()
        detach(m.path)
        reader.wait(timeout=PATIENCE_S)
    m = mount(url, cache=cache, endpoint_url=s3.url, env=s3.env)
    for table, parts in shown.items():
        check_all(m / table, parts)
    left = [p for p in cache.iterdir() if p.is_file() and p.name.startswith('tmp')]
    assert not left


@pytest.mark.parametrize('size', ['0', '4M'])
def test_with_no_cache_or_one_that_is_too_small(mount, far, s3, size):
    """What the cache cannot keep is read all the same, again and again."""
    url, shown = far
    m = mount(url, endpoint_url=s3.url, env=s3.env, cache_size=size)
    for _ in range(2):
        for table, parts in shown.items():
            check_all(m / table, parts)


def test_the_cache_evicts_what_was_made(mount, tmp_path, s3, bucket):
    """Made files leave the cache as objects do, and are made again."""
    shown = tables.with_deletes(tmp_path / 'lake/t', [LARGE] * 4)
    s3.copy_tree(tmp_path / 'lake', bucket, 'lake')
    m = mount('s3://%s/lake' % bucket, endpoint_url=s3.url, env=s3.env, cache_size='16M')
    for _ in range(2):
        check_all(m / 't', shown)
    blocks = subprocess.run(['du', '-s', '-B1', str(m.cache / 'objects')], check=True,
                            capture_output=True, text=True).stdout.split()[0]
    assert int(blocks) <= 20 * MIB


def test_what_cannot_be_presented_is_refused_on_open(mount, source):
    """A footer for which there is no room is EOPNOTSUPP with its reason; -o slack= makes room."""
    root, shown = source
    long = [tables.field('x' * 200 + str(i), 'long', 'gone-%d' % i, i) for i in range(2000)]
    (root / 'wide').mkdir()
    (root / 'wide/part-0.parquet').write_bytes((root / 'mapped/part-0.parquet').read_bytes())
    size = (root / 'wide/part-0.parquet').stat().st_size
    tables.write_log(root / 'wide', long, [{'path': 'part-0.parquet', 'size': size}],
                     ['columnMapping'], {'delta.columnMapping.mode': 'name'})
    m = mount(root)
    with pytest.raises(OSError) as refused:
        (m / 'wide/part-0.parquet').read_bytes()
    assert refused.value.errno == errno.EOPNOTSUPP
    assert 'wide' in (m.cache / 'tarn.log').read_text()
    m = mount(root, o='slack=2M+1/16')
    assert read(m / 'wide/part-0.parquet').num_columns == 2000
    check_all(m / 'mapped', shown['mapped'])


REFUSED = {         # what is wrong with it: what is done to the stored bytes, the add action; the words
    'a type that the table never had': (None, {}, 'the table has date, the file has INT64'),
    'cut off': (lambda b: b[:-3], {}, 'does not end as Parquet files do'),
    'grown': (lambda b: b + b'x', {'size': 1}, 'size 1 expected, the store has'),
    'a vector of another count': (None, {'deletionVector': dict(tables.inline_vector([1, 2]), cardinality=3)},
                                  'a deletion vector of 2 rows, 3 in the log'),
    'a vector that is gone': (None, {'deletionVector': {
        'storageType': 'u', 'pathOrInlineDv': 'ab^-aqEH.-t@S}K{vb[*k^', 'offset': 4, 'sizeInBytes': 40,
        'cardinality': 6}}, 'VACUUM may remove'),
    'a vector elsewhere': (None, {'deletionVector': {
        'storageType': 'p', 'pathOrInlineDv': 'file:///etc/passwd', 'sizeInBytes': 40, 'cardinality': 6}},
        'outside of what is mounted'),
    'a file elsewhere': (None, {'path': 'file:///etc/passwd', 'size': os.stat('/etc/passwd').st_size},
                         'outside of what is mounted'),
}


@pytest.mark.parametrize('what', REFUSED)
def test_a_refused_file_says_why(mount, tmp_path, what):
    """Who cannot open a file is told the reason by the file itself, and by tarn doctor."""
    damage, add, words = REFUSED[what]
    table = tmp_path / 'lake' / 't'
    part = tables.store(table, 'part-0.parquet', pa.table({'a': [1, 2, 3]}))
    other = tables.store(table, 'good.parquet', pa.table({'a': [1, 2, 3]}))
    if damage:
        (table / 'part-0.parquet').write_bytes(damage((table / 'part-0.parquet').read_bytes()))
        part['size'] = (table / 'part-0.parquet').stat().st_size
    wrong = what == 'a type that the table never had'
    tables.write_log(table, [tables.field('b', 'date' if wrong else 'long', 'a', 1)],
                     [dict(part, **add)] + [other] * (not wrong), ['columnMapping', 'deletionVectors'],
                     {'delta.columnMapping.mode': 'name'})
    m = mount(table.parent)
    (name,) = (n for n in os.listdir(m / 't') if n != 'good.parquet')
    for _ in range(2):
        with pytest.raises(OSError):
            (m / 't' / name).read_bytes()
        assert words in m.xattr('t/' + name, 'error')
    done = run_tarn('doctor', m / 't' / name)
    assert done.returncode == 1 and words in done.stdout
    if not wrong:
        done = run_tarn('doctor', m / 't/good.parquet')
        assert done.returncode == 0 and 'columns, good' in done.stdout
        with pytest.raises(OSError):
            m.xattr('t/good.parquet', 'error')


LEFT_OUT = {        # a column of the type that a file of Spark's lacks: its schema, what its statistics say
    'array': ({'type': 'array', 'elementType': 'integer', 'containsNull': True}, {'b': 2}),
    'array, not counted': ({'type': 'array', 'elementType': 'integer', 'containsNull': True}, {}),
    'map': ({'type': 'map', 'keyType': 'string', 'valueType': 'integer', 'valueContainsNull': True}, {'b': 2}),
    'struct': ({'type': 'struct', 'fields': [tables.field('x', 'integer'), tables.field('y', 'date')]},
               {'b': {'x': 2, 'y': 2}}),
    'binary': ('binary', {'b': 2}),
}


@pytest.mark.parametrize('engine', ['Apache-Spark/4.1.4 Delta-Lake/4.4.0', 'Databricks-Runtime/16.4.x-scala2.12'])
@pytest.mark.parametrize('kind', LEFT_OUT)
def test_columns_that_spark_left_out_are_null(mount, tmp_path, kind, engine):
    """Spark appends frames without columns of any type as they are: the table has nulls there."""
    kind, counts = LEFT_OUT[kind]
    table = tmp_path / 'lake' / 't'
    part = tables.store(table, 'part-0.parquet', pa.table({'a': [1, 2]}))
    stats = {'numRecords': 2, 'minValues': {'a': 1}, 'maxValues': {'a': 2}, 'nullCount': {'a': 0, **counts}}
    tables.write_log(table, [tables.field('a', 'long'), tables.field('b', kind)],
                     [dict(part, stats=json.dumps(stats, separators=(',', ':')))], [], {})
    log = table / '_delta_log' / ('%020d.json' % 0)
    info = {'commitInfo': {'operation': 'WRITE', 'engineInfo': engine}}
    log.write_text(json.dumps(info) + '\n' + log.read_text())
    m = mount(table.parent)
    found = read(m / 't/part-0.parquet')
    assert found.column_names == ['a', 'b'] and found['b'].null_count == 2
    assert m.xattr('t/part-0.parquet', 'transform') == 'columns'


PAIR = {'type': 'struct', 'fields': [tables.field('x', 'long'), tables.field('y', 'date')]}
HALF = pa.struct([('x', pa.int64())])
UNTOLD = {          # what no statistics tell: the type of b, what the file has of it, properties, and what is read
    'in a list': ({'type': 'array', 'elementType': PAIR, 'containsNull': True},
                  pa.array([[{'x': 1}]], pa.list_(HALF)), {}, [{'x': 1, 'y': None}]),
    'in a map': ({'type': 'map', 'keyType': 'string', 'valueType': PAIR, 'valueContainsNull': True},
                 pa.array([[('k', {'x': 1})]], pa.map_(pa.string(), HALF)), {}, [('k', {'x': 1, 'y': None})]),
    'none counted': ('string', None, {'delta.dataSkippingNumIndexedCols': '0'}, None),
    'a alone counted': ('string', None, {'delta.dataSkippingStatsColumns': 'a'}, None),
}


@pytest.mark.parametrize('where', UNTOLD)
def test_what_spark_left_out_untold_is_null(mount, tmp_path, where):
    """Where statistics cannot tell what a frame lacked, the file itself is asked."""
    kind, stored, properties, shown = UNTOLD[where]
    table = tmp_path / 'lake' / 't'
    data = pa.table({'a': [1], **({'b': stored} if stored is not None else {})})
    part = tables.store(table, 'part-0.parquet', data)
    stats = {'numRecords': 1, 'nullCount': {'a': 0, **({'b': 0} if stored is not None else {})}}
    tables.write_log(table, [tables.field('a', 'long'), tables.field('b', kind)],
                     [dict(part, stats=json.dumps(stats, separators=(',', ':')))], [], properties)
    log = table / '_delta_log' / ('%020d.json' % 0)
    info = {'commitInfo': {'operation': 'WRITE', 'engineInfo': 'Apache-Spark/4.1.4 Delta-Lake/4.4.0'}}
    log.write_text(json.dumps(info) + '\n' + log.read_text())
    m = mount(table.parent)
    assert read(m / 't/part-0.parquet').to_pylist() == [{'a': 1, 'b': shown}]


LATE = {            # what a commit tells behind its files: the columns, and what of the file's statistics
    'restore': ('RESTORE', 'Apache-Spark/3.2.1 Delta-Lake/1.2.1', 'date', None),
    'restore by delta-rs': ('RESTORE', 'delta-rs:0.8.1', 'date', None),
    'uncounted': ('WRITE', 'Apache-Spark/3.3.0 Delta-Lake/2.0.0', 'binary', {'a': 0}),
    'in a list': ('WRITE', 'Apache-Spark/3.3.0 Delta-Lake/2.0.0',
                  {'type': 'array', 'elementType': PAIR, 'containsNull': True}, {'a': 0, 'b': 0}),
}


@pytest.mark.parametrize('checkpoint', [False, True])
@pytest.mark.parametrize('case', LATE)
def test_what_a_commit_tells_behind_its_files_counts(mount, tmp_path, case, checkpoint):
    """Older writers put commitInfo last: files that it says to be old or Spark's are looked into."""
    operation, engine, kind, counts = LATE[case]
    table = tmp_path / 'lake' / 't'
    part = tables.store(table, 'part-0.parquet', pa.table({'a': [1]}))
    stats = {'numRecords': 1, **({'nullCount': counts} if counts else {})}
    tables.write_log(table, [tables.field('a', 'long'), tables.field('b', kind)],
                     [dict(part, stats=json.dumps(stats, separators=(',', ':')))], [], {})
    log = table / '_delta_log' / ('%020d.json' % 0)
    log.write_text(log.read_text() + '\n' + json.dumps(
        {'commitInfo': {'operation': operation, 'engineInfo': engine}}))
    if checkpoint:
        DeltaTable(table).create_checkpoint()
    m = mount(table.parent)
    assert read(m / 't/part-0.parquet').to_pylist() == [{'a': 1, 'b': None}]


def test_compacted_commits_prove_no_columns(mount, tmp_path):
    """They do not say that RESTORE has named a file again which is older than a column."""
    table = tmp_path / 'lake' / 't'
    part = dict(tables.store(table, 'part-0.parquet', pa.table({'a': [1]})), partitionValues={},
                modificationTime=1700000000000, dataChange=True)
    tables.write_log(table, [tables.field('a', 'long'), tables.field('b', 'date')], [], [], {})
    log = table / '_delta_log'
    (log / ('%020d.json' % 1)).write_text('{"commitInfo":{"operation":"RESTORE"}}\n' + json.dumps({'add': part}))
    (log / ('%020d.json' % 2)).write_text('{"commitInfo":{"operation":"WRITE"}}\n')
    (log / ('%020d.%020d.compacted.json' % (1, 2))).write_text(json.dumps({'add': part}))
    m = mount(table.parent)
    for version in '@2', '@1', '':
        assert read(m / ('t%s/part-0.parquet' % version)).to_pylist() == [{'a': 1, 'b': None}]


@pytest.mark.parametrize('mode', ['name', 'id'])
def test_change_data_has_the_tables_columns(mount, tmp_path, mode):
    """Renamed columns have their names, later ones are null, and each row tells its change."""
    table = tmp_path / 'lake' / 't'
    part = tables.store(table, 'part-0.parquet', pa.table({'col-1': [1, 2]}))
    configuration = {'delta.columnMapping.mode': mode, 'delta.columnMapping.maxColumnId': '2',
                     'delta.enableChangeDataFeed': 'true'}
    fields = [tables.field('number', 'long', 'col-1', 1), tables.field('later', 'double', 'col-2', 2)]
    tables.write_log(table, fields, [part], ['columnMapping', 'changeDataFeed'], configuration)
    ids = [pa.field('col-1', pa.int64(), metadata={'PARQUET:field_id': '1'} if mode == 'id' else {}),
           pa.field('_change_type', pa.string())]
    cdc = tables.store(table, '_change_data/cdc-0.parquet',
                       pa.table({'col-1': [2], '_change_type': ['delete']}, schema=pa.schema(ids)))
    (table / '_delta_log' / ('%020d.json' % 1)).write_text(json.dumps(
        {'cdc': dict(cdc, partitionValues={}, dataChange=False)}))
    m = mount(table.parent)
    changes = m / 't@1/.tarn/changes'
    (name,) = os.listdir(changes)
    want = [{'number': 2, 'later': None, '_change_type': 'delete'}]
    assert read(changes / name).to_pylist() == want
    assert pa.table(duck(changes / name)).to_pylist() == want
    assert read(m / 't@1/part-0.parquet').column_names == ['number', 'later']


def test_a_type_that_is_not_known_hides_no_names(mount, tmp_path):
    """What needs no look at the columns is read; other files are listed, and opening says why not."""
    table = tmp_path / 'lake' / 't'
    delta_log.write_log(table, {})
    adds = {}
    for i in range(2):
        pq.write_table(pa.table({'a': [i]}), table / ('part-%d.parquet' % i))
        adds[i] = {'add': {'path': 'part-%d.parquet' % i, 'partitionValues': {},
                           'size': (table / ('part-%d.parquet' % i)).stat().st_size,
                           'modificationTime': 1700000000000, 'dataChange': True}}
    first = table / '_delta_log' / ('%020d.json' % 0)
    first.write_text(first.read_text() + '\n' + json.dumps(adds[0]))
    made = next(json.loads(x) for x in first.read_text().splitlines() if 'metaData' in x)
    strange = {'name': 'b', 'type': 'geometry(4326)', 'nullable': True, 'metadata': {}}
    made['metaData']['schemaString'] = json.dumps(
        {'type': 'struct', 'fields': delta_log.SCHEMA['fields'] + [strange]})
    info = {'commitInfo': {'operation': 'OPTIMIZE', 'engineInfo': 'Apache-Spark/3.5 Delta-Lake/3.2'}}
    (table / '_delta_log' / ('%020d.json' % 1)).write_text(
        '\n'.join(map(json.dumps, [info, made, adds[1]])))
    m = mount(table.parent)
    assert sorted(os.listdir(m / 't')) == ['part-0.parquet', 'part-1.parquet']
    assert read(m / 't/part-1.parquet').to_pylist() == [{'a': 1}]
    assert (m / 't/part-0.parquet').stat().st_size > 0
    with pytest.raises(OSError) as refused:
        (m / 't/part-0.parquet').read_bytes()
    assert refused.value.errno == errno.EOPNOTSUPP
    assert 'geometry' in (m.cache / 'tarn.log').read_text()
    done = run_tarn('doctor', m / 't')
    assert 'cannot be opened' in done.stdout and 'geometry' in done.stdout
    assert read(m / 't@0/part-0.parquet').to_pylist() == [{'a': 0}]
    assert 'cannot' not in run_tarn('doctor', m / 't@0').stdout


def test_what_is_no_parquet_is_an_error_of_the_open(mount, source):
    """Damage is EIO where the file is opened, and is not listed away."""
    root, _ = source
    (root / 'mapped/part-0.parquet').write_bytes(
        bytes((root / 'mapped/part-0.parquet').stat().st_size))
    m = mount(root)
    assert sorted(os.listdir(m / 'mapped')) == ['part-0.parquet', 'part-1.parquet']
    with pytest.raises(OSError) as damaged:
        (m / 'mapped/part-0.parquet').open('rb')
    assert damaged.value.errno == errno.EIO


def test_an_object_of_another_size_is_stale(mount, source):
    """The log says another size than the object has: ESTALE, never half of it."""
    root, _ = source
    with open(root / 'mapped/part-0.parquet', 'ab') as f:
        f.write(b'more')
    m = mount(root)
    with pytest.raises(OSError) as stale:
        (m / 'mapped/part-0.parquet').open('rb')
    assert stale.value.errno == errno.ESTALE


def test_raw_files_are_the_stored_ones(mount, source):
    """`.tarn/raw/` has the objects byte for byte at their stored paths, at every ref."""
    root, shown = source
    m = mount(root)
    for table, parts in shown.items():
        for at in (m / table, m / (table + '@0')):
            raw = at / '.tarn/raw'
            assert sorted(os.listdir(raw)) == sorted(os.listdir(at))
            for i in range(len(parts)):
                name = 'part-%d.parquet' % i
                assert (raw / name).read_bytes() == (root / table / name).read_bytes()
                assert transform(raw / name) == 'none'
                assert (raw / name).stat().st_ino != (at / name).stat().st_ino
                path = os.getxattr(raw / name, 'user.tarn.path').decode()
                assert (m / path).read_bytes() == (raw / name).read_bytes()
            assert '.tarn' not in os.listdir(at) and not (raw / '.tarn').exists()


@pytest.mark.parametrize('source_is', ['near', 'far'])
def test_without_passthrough(mount, source, far, s3, source_is):
    """Where the kernel reads nothing by itself, the daemon's bytes are the same, also mapped twice."""
    url, shown = far
    m = (mount(source[0], passthrough='off') if source_is == 'near' else
         mount(url, endpoint_url=s3.url, env=s3.env, passthrough='off'))
    for _ in range(2):
        for table, parts in shown.items():
            check_all(m / table, parts)
            for i, want in enumerate(parts):
                path = str(m / table / ('part-%d.parquet' % i))
                assert pq.read_table(path, memory_map=True).equals(want)


# Real tables with features that need a transform; deltalake reads some of them, and the number of
# rows is known of all.
REAL = ['delta/golden/table-with-columnmapping-mode-id',
        'delta/golden/data-reader-timestamp_ntz-name-mode',
        'delta/golden/dv-partitioned-with-checkpoint',
        'delta/golden/type-widening',
        'delta/kernel-rs/cdf-table-with-cdc-and-dvs',
        'delta/kernel-rs/partition_cm/name',
        'delta/kernel-rs/table-with-dv-small',
        'delta/kernel-rs/with-short-dv',
        'delta/kernel/data-reader-primitives-column-mapping-name',
        'delta/trino/databricks153/type_widening_nested']


# Partition columns that a hive reader takes for text.
TIMES = ('tsNtzPartition',)


def of_engine(table, version):
    """What `deltalake` says of a version, or None where it cannot read it."""
    try:
        t = DeltaTable(str(table), version=version)
        return pa.table(QueryBuilder().register('t', t).execute('select * from t'))
    except Exception as e:                  # noqa: BLE001 ; whatever it cannot, others say
        print('deltalake cannot read %s@%d: %s' % (table, version, e))
        return None


def of_mount(root):
    """All its files as a hive reader sees them; None where there is none."""
    if not any(root.rglob('*.parquet')):
        return None
    return duckdb.sql("select * from read_parquet('%s/**/*.parquet', hive_partitioning=true, "
                      "union_by_name=true)" % root).to_arrow_table()


def sums(table):
    """Of each column: how many values, and a hash of them all that knows no order."""
    rows = pa.table(table)                  # DuckDB finds it by this name
    found = {}
    for column in rows.schema:
        text = '"%s"::varchar'
        if pa.types.is_timestamp(column.type) or column.name in TIMES:
            text = 'epoch_us("%s"::timestamptz)'
        found[column.name] = duckdb.sql('select count(*), count("%s"), sum(hash(%s)::hugeint) from rows'
                                        % (column.name, text % column.name)).fetchall()
    return found


@pytest.fixture(scope='module')
def real(tmp_path_factory):
    root = tmp_path_factory.mktemp('real') / 'lake'
    subprocess.run([str(TABLES / 'unpack'), str(root)], check=True, capture_output=True)
    return root


def test_raw_paths_of_real_tables(mount, real):
    """Wherever a file is shown, `.tarn/raw/` has its object where it is stored below the table, or
    in `outside/`."""
    m, seen = mount(real), 0
    for expected in sorted((TABLES / 'expected/delta').glob('*.json')):
        answer = json.loads(expected.read_text())
        for version in answer.get('versions', [])[-1:]:
            inside = [f['stored'] for f in version.get('files', ())
                      if 'stored' in f and (real / answer['table'] / f['stored']).is_file()]
            for stored in inside:
                raw = m / ('%s@%s' % (answer['table'], version['version'])) / '.tarn/raw'
                if stored.startswith('../'):    # it is another table's, which need not be readable
                    assert (raw / 'outside' / Path(stored).name).stat().st_size > 0
                    continue
                assert (raw / stored).read_bytes() == (real / answer['table'] / stored).read_bytes()
            seen += len(inside)
    assert seen >= 10


@pytest.mark.parametrize('table', REAL)
def test_real_tables(mount, real, table):
    """Each version of real tables has the engine's rows and columns."""
    name = table.split('/', 1)[1].replace('/', '__')
    expected = json.loads((TABLES / 'expected/delta' / (name + '.json')).read_text())
    m = mount(real)
    for version in expected['versions']:
        at = m / ('%s@%s' % (table, version['version']))
        files = [p for p in at.rglob('*') if p.is_file()]
        if version['rows'] is not None:
            assert sum(read(p).num_rows for p in files) == version['rows'], at
        engine, ours = of_engine(real / table, int(version['version'])), of_mount(at)
        if engine is not None and ours is not None:
            assert sums(ours) == sums(engine), at
