# SPDX-License-Identifier: Apache-2.0
"""Iceberg tables as directories: paths, refs, documents, attributes, and what changes below a mount."""
import dataclasses
import datetime
import errno
import gzip
import json
import os
import shutil
import subprocess
from pathlib import Path
from urllib.parse import unquote

import duckdb
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from support import iceberg_lakes, lakes
from support.iceberg_lakes import BRANCH, NEWEST, ON_BRANCH, TABLE, TAGS, spelled
from support.iceberg_tables import newest
from support.mounts import run_tarn, wait_for
from support.places import PATIENCE_S, SUPPORT, TOOLS

DAY = lakes.DAY


@pytest.fixture(scope='module')
def berg(tmp_path_factory):
    """Nobody changes it."""
    return iceberg_lakes.make(tmp_path_factory.mktemp('iceberg') / 'lake')


@pytest.fixture(scope='module')
def m(module_mount, berg):
    return module_mount(berg.root)


@pytest.fixture
def own(tmp_path):
    """One that the test may change."""
    return iceberg_lakes.make(tmp_path / 'lake')


@pytest.fixture
def copied(berg, tmp_path):
    """Another one, of which the files may be changed: a copy, so its metadata names another place."""
    shutil.copytree(berg.root, tmp_path / 'lake')
    return dataclasses.replace(berg, root=tmp_path / 'lake')


@pytest.fixture
def live(mount, own):
    return mount(own.root, refresh='0.1', hold='1')


def paths(snapshot):
    """The files of a snapshot, as they are shown."""
    return set(snapshot.files)


def read(directory):
    """(rows, sum of the amounts, columns) by plain Parquet readers, which agree."""
    files = [str(p) for p in Path(directory).rglob('*.parquet')]
    t = ds.dataset(files, format='parquet').to_table()
    with duckdb.connect() as c:
        counted = c.execute('SELECT count(*), sum(amount)::BIGINT FROM read_parquet(?, hive_partitioning = false)',
                            [files]).fetchone()
    assert counted == (t.num_rows, sum(t['amount'].to_pylist()))
    return (*counted, t.schema.names)


def wanted(snapshot):
    return (snapshot.rows, snapshot.total, snapshot.columns)


def when(time):
    return time.strftime('%Y-%m-%dT%H%M%S.') + '%03dZ' % (time.microsecond // 1000)


# paths


def test_the_live_path_has_the_files_of_the_current_snapshot(m, berg):
    assert lakes.tree(m / TABLE).keys() == paths(berg.snapshots[NEWEST])
    assert m.xattr(TABLE, 'version') == str(berg.id(NEWEST))
    assert read(m / TABLE) == wanted(berg.snapshots[NEWEST])


@pytest.mark.parametrize('number', range(1, 8))
def test_every_snapshot_is_found_by_its_id(m, berg, number):
    """In each spelling; what it holds has the columns that it had."""
    snapshot = berg.snapshots[number]
    for ref in ('%s@%d', '%s@v%d', '%s@version=%d', '%s/@%d'):
        there = m / (ref % (TABLE, snapshot.id))
        assert lakes.tree(there).keys() == paths(snapshot)
        assert os.getxattr(there, 'user.tarn.version').decode() == str(snapshot.id)
    assert read(m / berg.at(number)) == wanted(snapshot)


def test_tags_show_their_snapshot_as_it_was(m, berg):
    for name, number in TAGS.items():
        for ref in (spelled(name), 'tag=' + spelled(name)):
            there = m / ('%s@%s' % (TABLE, ref))
            assert os.getxattr(there, 'user.tarn.version').decode() == str(berg.id(number))
            assert read(there) == wanted(berg.snapshots[number])
        with pytest.raises(FileNotFoundError):
            os.stat(m / ('%s@branch=%s' % (TABLE, spelled(name))))


def test_branches_have_the_columns_of_today(m, berg):
    """As Iceberg reads them: a branch goes on, so it is read by the table's schema of now."""
    for name, number in ((BRANCH, ON_BRANCH), ('main', NEWEST)):
        for ref in (spelled(name), 'branch=' + spelled(name)):
            there = m / ('%s@%s' % (TABLE, ref))
            assert os.getxattr(there, 'user.tarn.version').decode() == str(berg.id(number))
            assert read(there) == wanted(berg.snapshots[number])
        with pytest.raises(FileNotFoundError):
            os.stat(m / ('%s@tag=%s' % (TABLE, spelled(name))))


def test_times_are_those_of_the_snapshot_log(m, berg):
    """What the main branch showed: never what a branch alone has had."""
    for number in range(1, 7):
        time = berg.snapshots[number].time
        for t in (time, time + DAY / 2):
            assert m.xattr('%s@%s' % (TABLE, when(t)), 'version') == str(berg.id(number)), t
    with pytest.raises(FileNotFoundError):
        os.stat(m / ('%s@%s' % (TABLE, when(berg.snapshots[1].time - datetime.timedelta(milliseconds=1)))))
    day = '%s@%s' % (TABLE, '2024-03-04')
    assert m.xattr(day, 'version') == str(berg.id(2))
    later = when(datetime.datetime.now(datetime.timezone.utc) + DAY)
    with pytest.raises(FileNotFoundError):
        os.stat(m / ('%s@%s' % (TABLE, later)))


def test_a_layer_at_a_moment(m, berg):
    there = 'silver@%s/orders' % when(berg.snapshots[4].time)
    assert m.xattr(there, 'version') == str(berg.id(4))
    assert read(m / there) == wanted(berg.snapshots[4])


def test_an_expired_snapshot_is_not_there(m, berg):
    for ref in ('%s@%d', '%s@v%d', '%s/@%d'):
        with pytest.raises(FileNotFoundError):
            os.stat(m / (ref % (TABLE, berg.id(0))))


def test_a_snapshot_that_only_the_log_of_snapshots_names_has_expired(mount, copied):
    """It is not there, nor is the time at which it was current; the log says why."""
    path, lost = newest(copied.path), copied.snapshots[0]
    told = json.loads(path.read_text())
    told['snapshot-log'].insert(0, {'snapshot-id': lost.id, 'timestamp-ms': int(lost.time.timestamp()) * 1000 + 123})
    path.write_text(json.dumps(told))
    m = mount(copied.root)
    for ref in (copied.at(0), '%s@%s' % (TABLE, when(lost.time)), '%s@%s' % (TABLE, when(lost.time + DAY / 2))):
        with pytest.raises(FileNotFoundError):
            os.stat(m / ref)
    assert 'version %d has expired' % lost.id in (m.cache / 'tarn.log').read_text()
    assert read(m / copied.at(1)) == wanted(copied.snapshots[1])


@pytest.mark.parametrize('ref', ['12', 'v12', 'nothing', 'tag=nothing', 'branch=nothing', '2024-13-01', '1..2', 'v1.0..'])
def test_what_names_no_snapshot_is_not_there(m, ref):
    with pytest.raises(FileNotFoundError):
        os.stat(m / ('%s@%s' % (TABLE, ref)))


@pytest.mark.parametrize('branch', [False, True])
@pytest.mark.parametrize('name', ['2026-03-01', '20260301', 'v7', 'a..b', '..', '.x', '-x', 'tag=x', 'a\nb', '%41', None])
def test_names_that_read_as_something_else(live, own, name, branch):
    """Tags and branches may be called as dates, numbers or ranges are spelled: said to be one they are found, and
    TABLE@/ lists how."""
    name, kind, other = name or str(own.id(2)), *(('branch', 'tag') if branch else ('tag', 'branch'))
    listing = lambda: os.listdir(live / (TABLE + '@'))
    before, change = listing(), own.table().manage_snapshots()
    (change.create_branch if branch else change.create_tag)(own.id(1), name).commit()
    wait_for(lambda: len(listing()) > len(before), PATIENCE_S, 'the name is listed')
    assert len(set(listing())) == len(listing())
    listed, = set(listing()) - set(before)
    spelling = name if listed == name else listed.removeprefix(kind + '=')
    assert unquote(spelling) == name
    for ref in (listed, '%s=%s' % (kind, spelling)):
        assert read(live / ('%s@%s' % (TABLE, ref)))[:2] == wanted(own.snapshots[1])[:2], ref
    assert os.readlink(live / (TABLE + '@') / listed) == '../orders@%d' % own.id(1)
    assert not (live / ('%s@%s=%s' % (TABLE, other, spelling))).exists()


def test_names_are_found_as_soon_as_they_are_made(live, own):
    """As new snapshots are: a program that makes a tag or a branch, and then opens it, finds it."""
    for i in range(5):
        os.listdir(live / TABLE)
        own.table().manage_snapshots().create_tag(own.id(1), 'made%d' % i).commit()
        assert (live / ('%s@made%d' % (TABLE, i))).is_dir()
        own.table().manage_snapshots().create_branch(own.id(1), 'grown%d' % i).commit()
        assert (live / ('%s@branch=grown%d' % (TABLE, i))).is_dir()


def test_a_range_has_the_files_that_were_appended(m, berg):
    """Of snapshots on one line; ends may be any refs."""
    one, two, four, six = (berg.snapshots[i] for i in (1, 2, 4, 6))
    there = m / ('%s@%d..%d' % (TABLE, one.id, two.id))
    assert lakes.tree(there).keys() == paths(two) - paths(one)
    assert read(there)[0] == two.rows - one.rows
    there = m / ('%s@%d..main' % (TABLE, four.id))
    assert lakes.tree(there).keys() == paths(six) - paths(four)
    assert read(there)[:2] == (six.rows - four.rows, six.total - four.total)


def test_a_range_over_two_lines_does_not_exist(m, berg):
    """Snapshot 4 is no ancestor of the branch's newest one."""
    with pytest.raises(OSError):
        os.listdir(m / ('%s@%d..%d' % (TABLE, berg.id(4), berg.id(ON_BRANCH))))


def test_all_snapshots_and_refs_are_listed(m, berg):
    """Symbolic links to snapshots; names as they are in paths."""
    found = {n: os.readlink(m / (TABLE + '@') / n) for n in os.listdir(m / (TABLE + '@'))}
    for number in range(1, 8):
        assert found[str(berg.id(number))] == '../orders@%d' % berg.id(number)
    for name, number in {**TAGS, BRANCH: ON_BRANCH, 'main': NEWEST}.items():
        there = os.path.normpath(m / (TABLE + '@') / found[spelled(name)])
        assert os.getxattr(there, 'user.tarn.version').decode() == str(berg.id(number)), name
    assert str(berg.id(0)) not in found


# attributes and documents


def test_attributes_of_tables_and_files(m, berg):
    for there, number in ((TABLE, NEWEST), (berg.at(2), 2)):
        assert m.xattr(there, 'format') == 'iceberg'
        assert m.xattr(there, 'table') == TABLE
        assert m.xattr(there, 'version') == str(berg.id(number))
        assert m.xattr(there, 'path').endswith('%s@%d' % (TABLE, berg.id(number)))
        stamp = m.xattr(there, 'timestamp')
        assert datetime.datetime.fromisoformat(stamp.replace('Z', '+00:00')) == berg.snapshots[number].time
    added = paths(berg.snapshots[2]) - paths(berg.snapshots[1])
    for name in added:
        file = '%s/%s' % (berg.at(2), name)
        assert m.xattr(file, 'version') == str(berg.id(2))
        assert m.xattr(file, 'tier') == 'local'
        assert m.xattr(file, 'object').endswith(name)
        assert m.xattr(file, 'transform') in ('none', 'padded')
        when_added = berg.snapshots[2].time.timestamp()
        assert abs(os.stat(m / file).st_mtime - when_added) < 0.001


def test_a_file_is_one_file_in_all_snapshots_that_read_it_alike(m, berg):
    """The same inode number, so readers which cache by it are right."""
    common = paths(berg.snapshots[1]) & paths(berg.snapshots[2])
    assert common
    for name in common:
        assert os.stat(m / berg.at(1) / name).st_ino == os.stat(m / berg.at(2) / name).st_ino


def test_objects_under_the_columns_that_they_were_written_with_are_shown_byte_for_byte(m, berg):
    """As they are, or with room behind them where the table has had other names for these columns."""
    for name in lakes.tree(m / berg.at(2)):
        done = m.xattr('%s/%s' % (berg.at(2), name), 'transform')
        shown, stored = (m / berg.at(2) / name).read_bytes(), (berg.path / name).read_bytes()
        assert done in ('none', 'padded')
        assert shown == stored if done == 'none' else shown.startswith(stored)
    raw = m / berg.at(2) / '.tarn/raw'
    for name in paths(berg.snapshots[2]):
        assert (raw / name).read_bytes() == (berg.path / name).read_bytes()


def documents(m, where):
    return {n: (m / where / '.tarn' / n).read_text() for n in os.listdir(m / where / '.tarn')
            if (m / where / '.tarn' / n).is_file() and n != 'prefetch'}


def test_refs_json_names_branches_and_tags(m, berg):
    told = {r['name']: r for r in json.loads((m / TABLE / '.tarn/refs.json').read_text())}
    assert told.keys() == {'main', BRANCH, *TAGS}
    for name, number in {**TAGS, BRANCH: ON_BRANCH, 'main': NEWEST}.items():
        assert told[name]['version'] == berg.id(number)
        assert told[name]['type'] == ('tag' if name in TAGS else 'branch')


def test_history_json_has_a_snapshot_each(m, berg):
    told = json.loads((m / TABLE / '.tarn/history.json').read_text())
    by_id = {v['version']: v for v in told}
    assert {berg.id(i) for i in range(1, 7)} <= by_id.keys() <= {berg.id(i) for i in range(1, 8)}
    assert [v['timestampMs'] for v in told] == sorted(v['timestampMs'] for v in told)
    for number in range(1, 7):
        v, snapshot = by_id[berg.id(number)], berg.snapshots[number]
        assert v['timestampMs'] == int(snapshot.time.timestamp()) * 1000 + 123
        assert v['operation'] == ('overwrite' if number == 3 else 'append')
    assert by_id[berg.id(2)]['numAddedFiles'] == 3 and by_id[berg.id(2)]['numRemovedFiles'] in (0, None)


def test_schema_files_and_version_are_told(m, berg):
    for number in (1, 5, 6):
        told = documents(m, berg.at(number))
        snapshot = berg.snapshots[number]
        assert told['version'] == '%d\n' % snapshot.id
        schema = json.loads(told['schema.json'])['schema']
        assert [f['name'] for f in schema['fields']] == snapshot.columns
        lines = [json.loads(line) for line in told['files.jsonl'].splitlines()]
        assert {f['path'] for f in lines} == paths(snapshot)
    properties = json.loads((m / TABLE / '.tarn/properties.json').read_text())
    assert 'write.object-storage.enabled' in json.dumps(properties)


# tables that change, and tables that cannot be read


def shown_rows(m, path=TABLE):
    return m.xattr(path, 'version')


def test_a_commit_moves_the_live_path_and_nothing_else(live, own):
    assert shown_rows(live) == str(own.id(NEWEST))
    before = lakes.tree(live / own.at(4))
    own.table().append(iceberg_lakes.nation(iceberg_lakes.note(lakes.rows(9000, 12))))
    new = str(own.table().current_snapshot().snapshot_id)
    wait_for(lambda: shown_rows(live) == new, PATIENCE_S, 'the new snapshot')
    assert read(live / TABLE)[0] == own.snapshots[NEWEST].rows + 12
    assert lakes.tree(live / own.at(4)) == before
    assert shown_rows(live, '%s@%s' % (TABLE, new)) == new


def test_a_rollback_moves_the_live_path_back(live, own):
    assert shown_rows(live) == str(own.id(NEWEST))
    own.table().manage_snapshots().rollback_to_snapshot(own.id(2)).commit()
    wait_for(lambda: shown_rows(live) == str(own.id(2)), PATIENCE_S, 'the older snapshot')
    there = read(live / TABLE)
    assert there == (own.snapshots[2].rows, own.snapshots[2].total, own.snapshots[NEWEST].columns)
    assert read(live / own.at(NEWEST)) == wanted(own.snapshots[NEWEST])


def test_a_column_that_is_added_is_there_at_once_in_the_live_path_alone(live, own):
    """A change of the schema makes no snapshot."""
    from pyiceberg.types import IntegerType
    assert read(live / TABLE) == wanted(own.snapshots[NEWEST])
    with own.table().update_schema() as update:
        update.add_column('added', IntegerType())
    wait_for(lambda: 'added' in read(live / TABLE)[2], PATIENCE_S, 'the column')
    assert read(live / own.at(NEWEST)) == wanted(own.snapshots[NEWEST])


def test_a_snapshot_that_expires_under_a_mount_is_gone(live, own):
    assert read(live / own.at(2)) == wanted(own.snapshots[2])
    own.table().maintenance.expire_snapshots().by_id(own.id(2)).commit()
    wait_for(lambda: not (live / own.at(2)).exists(), PATIENCE_S, 'its end')
    assert str(own.id(2)) not in os.listdir(live / (TABLE + '@'))


def test_a_branch_follows_its_commits_and_a_new_tag_appears(live, own):
    at = '%s@%s' % (TABLE, spelled(BRANCH))
    assert shown_rows(live, at) == str(own.id(ON_BRANCH))
    own.table().append(iceberg_lakes.nation(iceberg_lakes.note(lakes.rows(9000, 3))), branch=BRANCH)
    head = own.table().snapshot_by_name(BRANCH).snapshot_id
    wait_for(lambda: shown_rows(live, at) == str(head), PATIENCE_S, 'the new snapshot')
    own.table().manage_snapshots().create_tag(head, 'new').commit()
    wait_for((live / (TABLE + '@new')).exists, PATIENCE_S, 'the tag')
    assert read(live / (TABLE + '@new')) == read(live / at)


def test_a_table_that_was_moved_reads_as_before(mount, copied, tmp_path):
    """Its metadata names files where they were once."""
    shutil.move(copied.root, tmp_path / 'elsewhere')
    os.rename(tmp_path / 'elsewhere/silver/orders', tmp_path / 'elsewhere/silver/renamed')
    m = mount(tmp_path / 'elsewhere')
    for number in range(1, 8):
        there = m / ('silver/renamed@%d' % copied.id(number))
        assert lakes.tree(there).keys() == paths(copied.snapshots[number])
        assert read(there) == wanted(copied.snapshots[number])


def test_a_table_made_anew_is_another_table(live, own):
    assert read(live / TABLE) == wanted(own.snapshots[NEWEST])
    shutil.rmtree(own.path)
    again = iceberg_lakes.make(own.root.parent / 'again')
    shutil.move(again.path, own.path)
    wait_for(lambda: shown_rows(live) == str(again.id(NEWEST)), PATIENCE_S, 'the new table')
    assert read(live / TABLE) == wanted(again.snapshots[NEWEST])
    wait_for(lambda: not (live / own.at(2)).exists(), PATIENCE_S, 'the end of the old one')


HINTS = {'number': ('v%d.metadata.json', '%d'), 'gzip': ('v%d.gz.metadata.json', '%d'),
         'gzip behind': ('v%d.metadata.json.gz', '%d'), 'name': ('v%d.metadata.json', 'v%d.metadata.json'),
         'none': ('v%d.metadata.json', None)}


@pytest.mark.parametrize('form', HINTS)
def test_the_newest_metadata_is_found_by_hint_or_number(mount, copied, form):
    """As Hadoop's tables name it; packed or not."""
    name, hint = HINTS[form]
    path = newest(copied.path)
    data = path.read_bytes()
    for old in path.parent.glob('*.metadata.json'):
        old.unlink()
    (path.parent / (name % 14)).write_bytes(gzip.compress(data) if 'gz' in name else data)
    if hint:
        (path.parent / 'version-hint.text').write_text(hint % 14)
    m = mount(copied.root)
    assert read(m / TABLE) == wanted(copied.snapshots[NEWEST])
    assert read(m / copied.at(2)) == wanted(copied.snapshots[2])


def test_a_format_version_of_tomorrow_is_refused_with_its_reason(mount, copied):
    path = newest(copied.path)
    told = json.loads(path.read_text())
    told['format-version'] = 4
    path.write_text(json.dumps(told))
    m = mount(copied.root)
    assert os.listdir(m / 'silver') == ['orders']
    with pytest.raises(OSError) as e:
        os.listdir(m / TABLE)
    assert e.value.errno == errno.EOPNOTSUPP
    assert '4' in m.xattr(TABLE, 'error')


@pytest.mark.parametrize('how', ['cut', 'empty', 'noise'])
def test_damaged_metadata_is_an_error_and_no_older_version_stands_in(mount, copied, how):
    path = newest(copied.path)
    data = path.read_bytes()
    path.write_bytes({'cut': data[:len(data) // 2], 'empty': b'', 'noise': b'\0' * 100}[how])
    m = mount(copied.root)
    with pytest.raises(OSError) as e:
        os.listdir(m / TABLE)
    assert e.value.errno == errno.EIO
    assert m.xattr(TABLE, 'error')


@pytest.mark.parametrize('what', ['snap-*.avro', '*-m0.avro'])
def test_a_damaged_manifest_is_an_error_never_fewer_files(mount, copied, what):
    """Of a list or a manifest that the snapshot needs."""
    for path in (copied.path / 'metadata').glob(what):
        data = bytearray(path.read_bytes())
        data[-20:-16] = bytes(b ^ 0xff for b in data[-20:-16])      # the last block's end or its mark
        path.write_bytes(data)
    m = mount(copied.root)
    for there in (TABLE, copied.at(2)):
        with pytest.raises(OSError) as e:
            os.listdir(m / there)
        assert e.value.errno == errno.EIO


def test_a_manifest_that_is_gone_is_an_error(mount, copied):
    for path in (copied.path / 'metadata').glob('*-m0.avro'):
        path.unlink()
    m = mount(copied.root)
    with pytest.raises(OSError):
        os.listdir(m / TABLE)


def test_of_delta_and_iceberg_delta_counts(mount, copied):
    """As in tables with UniForm."""
    write_deltalake(copied.path, lakes.rows(0, 7))
    m = mount(copied.root)
    assert m.xattr(TABLE, 'format') == 'delta'
    assert sum(pq.read_table(p).num_rows for p in (m / TABLE).rglob('*.parquet')) == 7


def test_a_table_without_snapshots_is_an_empty_directory(mount, tmp_path):
    root = tmp_path / 'lake'
    root.mkdir()
    iceberg_lakes.catalog(root).create_table(('n', 't'), iceberg_lakes.SCHEMA, location='file://%s/silver/t' % root)
    m = mount(root)
    assert os.listdir(m / 'silver/t') == []
    assert m.xattr('silver/t', 'format') == 'iceberg'


# in a bucket, and for training


@pytest.fixture
def in_s3(mount, s3, bucket, tmp_path):
    """(lake, mount) of a table that PyIceberg has written to a bucket."""
    lake = iceberg_lakes.make(tmp_path / 'lake', 's3://%s/lake' % bucket, {
        's3.endpoint': s3.url, 's3.access-key-id': s3.env['AWS_ACCESS_KEY_ID'], 's3.region': 'us-east-1',
        's3.secret-access-key': s3.env['AWS_SECRET_ACCESS_KEY']})
    return lake, mount('s3://%s/lake' % bucket, endpoint_url=s3.url, env=s3.env)


def test_a_table_in_a_bucket(in_s3):
    """Twice, as the second time what was made is in the cache."""
    lake, m = in_s3
    for _ in range(2):
        for number in range(1, 8):
            assert lakes.tree(m / lake.at(number)).keys() == paths(lake.snapshots[number])
            assert read(m / lake.at(number)) == wanted(lake.snapshots[number])
        assert read(m / ('%s@%s' % (TABLE, spelled(BRANCH)))) == wanted(lake.snapshots[ON_BRANCH])
    file = sorted(paths(lake.snapshots[NEWEST]))[0]
    assert m.xattr('%s/%s' % (TABLE, file), 'tier') == 'STANDARD'
    assert m.xattr('%s/%s' % (TABLE, file), 'object').endswith(file)
    with pytest.raises(FileNotFoundError):
        os.stat(m / lake.at(0))


def test_a_bucket_that_holds_a_copy(mount, s3, bucket, berg):
    """Metadata that names files of another machine's disk."""
    s3.copy_tree(berg.root, bucket, 'copy')
    m = mount('s3://%s/copy' % bucket, endpoint_url=s3.url, env=s3.env)
    for number in (1, 3, 6, 7):
        assert read(m / berg.at(number)) == wanted(berg.snapshots[number])


@pytest.mark.parametrize('place', ['disk', 'bucket'])
def test_a_training_loop_reads_snapshots(request, berg, place):
    """A PyTorch DataLoader with 4 workers reads the rows and sums of each snapshot, in shuffled order too."""
    lake, m = request.getfixturevalue('in_s3') if place == 'bucket' else (berg, request.getfixturevalue('m'))
    snapshots = lake.snapshots[1:]
    for more in ([], ['--shuffle']):
        done = subprocess.run(
            [str(TOOLS / 'venv-torch/bin/python'), str(SUPPORT / 'torch_reader.py'), *more,
             *['%s/%s@%d' % (m, TABLE, s.id) for s in snapshots]], capture_output=True, text=True, timeout=PATIENCE_S)
        assert done.returncode == 0, done.stderr
        got = [tuple(map(int, line.split())) for line in done.stdout.splitlines()]
        assert got == [(s.rows, s.total) for s in snapshots]


def test_doctor_tells_the_format_and_the_version(m, berg):
    done = run_tarn('doctor', m.path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert 'iceberg' in done.stdout and str(berg.id(NEWEST)) in done.stdout and TABLE in done.stdout
