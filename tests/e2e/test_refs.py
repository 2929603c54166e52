# SPDX-License-Identifier: Apache-2.0
"""Ranges of versions and their change data."""
import errno
import json
import os

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake

from support import lakes, presented_tables

TABLE = 'silver/orders'


@pytest.fixture(scope='module')
def m(module_mount, lake):
    return module_mount(lake.root)


def actions(table, version):
    text = (table / '_delta_log' / ('%020d.json' % version)).read_text()
    return [json.loads(line) for line in text.splitlines() if line.strip()]


def added(table, versions):
    """What the commits of those versions added as new data, by name."""
    found = {}
    for v in versions:
        for a in actions(table, v):
            if 'add' in a and a['add'].get('dataChange'):
                found[a['add']['path'].rsplit('/', 1)[-1]] = a['add']['size']
    return found


def names(top):
    return {os.path.basename(p): os.path.getsize(os.path.join(top, p)) for p in lakes.tree(top)}


def test_every_range_has_what_its_commits_added(m, lake):
    last = len(lake.versions(TABLE)) - 1
    for a in range(last + 1):
        for b in range(a, last + 1):
            there = m / ('%s@%d..%d' % (TABLE, a, b))
            assert names(there) == added(lake / TABLE, range(a + 1, b + 1)), (a, b)


def test_a_compaction_does_not_appear(m, lake):
    found = [v for v in range(len(lake.versions(TABLE)))
             if any(a.get('commitInfo', {}).get('operation') == 'OPTIMIZE'
                    for a in actions(lake / TABLE, v))]
    assert found, 'the lake has a compaction'
    for v in found:
        assert os.listdir(m / ('%s@%d..%d' % (TABLE, v - 1, v))) == []


def test_spellings_of_a_range(m, lake):
    """Each end is a ref as any other; `@REF` stands in the table's directory too."""
    want = lakes.tree(m / (TABLE + '@2..5'))
    assert want
    at = [lake.versions(TABLE)[v].time.strftime('%Y-%m-%dT%H%M%S.%f')[:-3] + 'Z' for v in (2, 5)]
    for ref in ('v2..v5', 'version=2..version=5', '%s..%s' % tuple(at), '2..timestamp=' + at[1]):
        assert lakes.tree(m / (TABLE + '@' + ref)) == want
        assert lakes.tree(m / TABLE / ('@' + ref)) == want


@pytest.mark.parametrize('ref', ['2..', '..2', '..', '5..2', '2..999', '1..2..3', '1...3',
                                 '2..nosuchtag', '2..2099-01-01'])
def test_what_is_no_range_is_enoent(m, ref):
    with pytest.raises(FileNotFoundError):
        os.stat(m / (TABLE + '@' + ref))


def test_a_file_is_the_same_in_a_range_and_in_its_version(m, lake):
    """One inode number, the same bytes."""
    there = m / (TABLE + '@2..5')
    for path in lakes.tree(there):
        version = os.getxattr(there / path, 'user.tarn.version').decode()
        assert 3 <= int(version) <= 5
        own = m / ('%s@%s' % (TABLE, version)) / path
        assert os.stat(own).st_ino == os.stat(there / path).st_ino
        assert own.read_bytes() == (there / path).read_bytes()


def test_what_a_range_says_of_itself(m):
    there = m / (TABLE + '@2..5')
    assert (there / '.tarn/version').read_text() == '2..5\n'
    assert [v['version'] for v in json.loads((there / '.tarn/history.json').read_text())] == [3, 4, 5]
    assert os.getxattr(there, 'user.tarn.version') == b'2..5'
    assert os.getxattr(there, 'user.tarn.path').decode() == TABLE + '@2..5'
    lines = (there / '.tarn/files.jsonl').read_text().splitlines()
    assert {json.loads(x)['path'] for x in lines} == set(lakes.tree(there))


def test_a_range_does_not_change_when_the_table_goes_on(own_lake, mount):
    m = mount(own_lake.root, refresh='0.1')
    before = lakes.tree(m / (TABLE + '@2..5'))
    inode = os.stat(m / (TABLE + '@2..5')).st_ino
    write_deltalake(own_lake / TABLE, lakes.rows(10_000, 3), mode='append')
    assert lakes.tree(m / (TABLE + '@2..5')) == before
    assert os.stat(m / (TABLE + '@2..5')).st_ino == inode


def test_increments_are_all_rows(tmp_path, mount):
    """Of a table that only grows, versions 0, 0..1, 1..2 ... together are the table."""
    table = tmp_path / 'lake/silver/t'
    for n in range(6):
        write_deltalake(table, pa.table({'id': list(range(n * 10, n * 10 + 10))}), mode='append')
        if n == 3:
            DeltaTable(table).optimize.compact()
    m = mount(tmp_path / 'lake')
    last = DeltaTable(table).version()
    read = lambda ref: [x for f in lakes.tree(m / ('silver/t@' + ref))                # noqa: E731
                        for x in pq.read_table(m / ('silver/t@' + ref) / f)['id'].to_pylist()]
    found = read('0') + [x for v in range(last) for x in read('%d..%d' % (v, v + 1))]
    assert sorted(found) == list(range(60))
    assert sorted(read('0') + read('0..%d' % last)) == list(range(60))


def test_a_file_that_is_added_twice_is_there_once(tmp_path, mount):
    """Removed and restored within a range: one file, as the last commit says."""
    table = tmp_path / 'lake/silver/t'
    write_deltalake(table, pa.table({'id': [1]}))
    write_deltalake(table, pa.table({'id': [2]}), mode='append')
    DeltaTable(table).delete()
    DeltaTable(table).restore(1)
    m = mount(tmp_path / 'lake')
    found = lakes.tree(m / 'silver/t@0..3')
    assert len(found) == 2
    assert sorted(x for f in found
                  for x in pq.read_table(m / 'silver/t@0..3' / f)['id'].to_pylist()) == [1, 2]


def test_a_raw_table_has_no_ranges(m):
    with pytest.raises(FileNotFoundError):
        os.stat(m / 'bronze/events@2024-01-01..2024-02-01')


# change data

@pytest.fixture
def changing(tmp_path):
    """A table with change data: versions 1 to 3 have some."""
    table = tmp_path / 'lake/silver/t'
    rows = pa.table({'id': list(range(12)), 'p': ['a', 'b', 'c'] * 4})
    write_deltalake(table, rows, partition_by=['p'],
                    configuration={'delta.enableChangeDataFeed': 'true'})
    DeltaTable(table).delete('id = 3')
    DeltaTable(table).update(predicate='id >= 9', updates={'id': 'id + 100'})
    DeltaTable(table).delete('id < 2')
    write_deltalake(table, rows.slice(0, 3), mode='append', partition_by=['p'])
    return table


def cdc(table, versions):
    return {a['cdc']['path'].rsplit('/', 1)[-1]: a['cdc']
            for v in versions for a in actions(table, v) if 'cdc' in a}


def test_change_data_of_versions_and_ranges(changing, mount):
    m = mount(changing.parents[1])
    assert cdc(changing, [1]) and cdc(changing, [2])
    for ref, versions in (('@1', [1]), ('@2', [2]), ('@3', [3]), ('@4', [4]), ('@0..3', [1, 2, 3]),
                          ('@1..2', [2]), ('', [4]), ('@0', [0])):
        there = m / ('silver/t%s/.tarn/changes' % ref)
        want = cdc(changing, versions)
        found = lakes.tree(there)
        assert {os.path.basename(p) for p in found} == set(want), ref
        for path in found:
            action = want[os.path.basename(path)]
            assert path.startswith('p=%s/' % action['partitionValues']['p'])
            assert (there / path).read_bytes() == (changing / action['path']).read_bytes()
            assert '_change_type' in pq.read_schema(there / path).names


def test_change_data_is_found_and_not_listed(changing, mount):
    m = mount(changing.parents[1])
    assert os.path.isdir(m / 'silver/t@2/.tarn/changes')
    assert 'changes' not in os.listdir(m / 'silver/t@2/.tarn')
    changes = {os.path.basename(a) for a in cdc(changing, [1, 2, 3, 4])}
    assert changes and not changes & {os.path.basename(p) for p in lakes.tree(m / 'silver/t')}
    with pytest.raises(FileNotFoundError):
        os.stat(m / 'silver/t@2/.tarn/changes/.tarn')


def test_a_reader_counts_the_changes(changing, mount):
    """Deleted and updated rows, as the commits say."""
    m = mount(changing.parents[1])
    rows = ds.dataset(str(m / 'silver/t@0..3/.tarn/changes'), partitioning='hive').to_table()
    kinds = rows['_change_type'].to_pylist()
    assert kinds.count('delete') == 3
    assert kinds.count('update_preimage') == kinds.count('update_postimage') == 3


def test_a_cdc_action_without_a_size_is_an_error_of_its_changes_only(changing, mount):
    log = changing / '_delta_log' / ('%020d.json' % 1)
    found = actions(changing, 1)
    for a in found:
        a.get('cdc', {}).pop('size', None)
    log.write_text('\n'.join(map(json.dumps, found)) + '\n')
    m = mount(changing.parents[1])
    assert lakes.tree(m / 'silver/t@1')
    with pytest.raises(OSError) as caught:
        os.listdir(m / 'silver/t@1/.tarn/changes')
    assert caught.value.errno == errno.EIO


# what a range presents

def commit(table, version, adds, removes=(), **more):
    """Appends a commit to a hand-made log."""
    found = [{'remove': dict({'deletionTimestamp': presented_tables.TIME_MS, 'dataChange': True}, **r)}
             for r in removes]
    found += [{'add': dict({'partitionValues': {}, 'modificationTime': presented_tables.TIME_MS,
                            'dataChange': True}, **a)} for a in adds]
    found += [{k: v} for k, v in more.items()]
    (table / '_delta_log' / ('%020d.json' % version)).write_text('\n'.join(map(json.dumps, found)))


def test_rows_that_were_deleted_in_the_range_are_not_there(tmp_path, mount):
    """Version 1 adds a file, version 2 deletes rows of it and of an older one by vectors."""
    table = tmp_path / 'lake/silver/t'
    presented_tables.with_deletes(table, [300], every=100)
    second = presented_tables.numbers(200, 7)
    add = presented_tables.store(table, 'second.parquet', second)
    commit(table, 1, [add])
    gone = presented_tables.inline_vector({0, 50, 199})
    commit(table, 2, [dict(add, deletionVector=gone)], [{'path': add['path']}])
    m = mount(tmp_path / 'lake')
    left = [n for i, n in enumerate(second['n'].to_pylist()) if i not in (0, 50, 199)]
    for ref, want in (('0..1', second['n'].to_pylist()), ('0..2', left), ('1..2', left)):
        there = m / ('silver/t@' + ref)
        assert os.listdir(there) == ['second.parquet']
        assert pq.read_table(there / 'second.parquet')['n'].to_pylist() == want
    assert os.stat(m / 'silver/t@0..2/second.parquet').st_ino == \
        os.stat(m / 'silver/t@2/second.parquet').st_ino


def test_a_range_has_the_columns_of_its_last_version(tmp_path, mount):
    """A file of version 1, in a range up to a version with a column more, has that column."""
    table = tmp_path / 'lake/silver/t'
    for n in range(3):
        write_deltalake(table, pa.table({'id': [n]}), mode='append')
    write_deltalake(table, pa.table({'id': [3], 'late': ['x']}), mode='append',
                    schema_mode='merge')
    m = mount(tmp_path / 'lake')
    for ref, columns in (('0..2', ['id']), ('0..3', ['id', 'late'])):
        there = m / ('silver/t@' + ref)
        for name in os.listdir(there):
            assert pq.read_schema(there / name).names == columns
    rows = [r for n in os.listdir(m / 'silver/t@0..3')
            for r in pq.read_table(m / 'silver/t@0..3' / n).to_pylist()]
    assert sorted(rows, key=lambda r: r['id']) == [{'id': 1, 'late': None}, {'id': 2, 'late': None},
                                                   {'id': 3, 'late': 'x'}]
    for name in os.listdir(m / 'silver/t@0..3'):
        here, own = m / 'silver/t@0..3' / name, m / 'silver/t@3' / name
        assert os.stat(here).st_ino == os.stat(own).st_ino
        assert os.stat(here).st_mtime == os.stat(own).st_mtime


def test_raw_files_of_a_range(m, lake):
    there = m / (TABLE + '@2..5/.tarn/raw')
    assert names(there) == added(lake / TABLE, range(3, 6))
