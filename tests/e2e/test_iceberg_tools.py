# SPDX-License-Identifier: Apache-2.0
"""The commands on Iceberg tables: versions, log, diff, tag, archive, tier, warm."""
import collections
import json
import os
import time
import uuid
from pathlib import Path

import pyarrow as pa
import pytest

from support import iceberg_lakes, lakes
from support.iceberg_lakes import BRANCH, NEWEST, ON_BRANCH, TABLE, TAGS, spelled
from support.iceberg_tables import newest
from support.mounts import run_tarn, wait_for
from support.places import PATIENCE_S


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


def tarn(*words, **more):
    done = run_tarn(*words, timeout=PATIENCE_S, **more)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def contents(path):
    """{relative path: (size, mtime, bytes)} of all files below a directory."""
    return {name: ((Path(path) / name).stat().st_size, (Path(path) / name).stat().st_mtime_ns,
                   (Path(path) / name).read_bytes()) for name in lakes.tree(path)}


def test_versions_are_snapshots_with_what_they_did(m, berg):
    told = {v['version']: v for v in json.loads(tarn('versions', '--json', m / TABLE))}
    assert {berg.id(i) for i in range(1, 7)} <= told.keys()
    for number in (1, 2, 4, 5, 6):
        v, new = told[berg.id(number)], set(berg.snapshots[number].files) - set(berg.snapshots[number - 1].files)
        assert v['operation'] == 'append' and v['numAddedFiles'] == len(new)
        assert v['addedBytes'] == sum(berg.snapshots[number].files[f] for f in new)
    deleted = told[berg.id(3)]
    gone = set(berg.snapshots[2].files) - set(berg.snapshots[3].files)
    assert deleted['operation'] == 'overwrite' and deleted['numRemovedFiles'] == len(gone)


def test_versions_and_log_for_a_person(m, berg):
    heading, *lines = tarn('versions', m / TABLE).splitlines()
    assert heading.split()[:3] == ['version', 'time', 'operation']
    for number in range(1, 7):
        assert any(line.split()[0].rstrip('!') == str(berg.id(number)) for line in lines)
    logged = [line for line in tarn('log', '-n', '2', m / TABLE).splitlines() if line.startswith('version ')]
    assert [line.split()[1] for line in logged][:1] == [str(berg.id(NEWEST))] and len(logged) == 2


def test_diff_of_any_two_snapshots_is_the_difference_of_their_files(m, berg):
    for a in range(1, 8):
        for b in range(1, 8):
            told = json.loads(tarn('diff', '--json', m / berg.at(a), m / berg.at(b)))
            before, after = set(berg.snapshots[a].files), set(berg.snapshots[b].files)
            found = {kind: {f['path'] for f in told['files'] if f['change'] == kind} for kind in ('added', 'removed')}
            assert found == {'added': after - before, 'removed': before - after}, (a, b)


def test_diff_tells_columns(m, berg):
    told = json.loads(tarn('diff', '--json', m / berg.at(4), m / berg.at(5)))
    assert [(c['name'], c['before'], c['after']) for c in told['schema']] == [('note', None, 'string')]
    text = tarn('diff', '--summary', m / berg.at(4), m / ('%s@%s' % (TABLE, spelled('EOY/2023'))))
    assert 'removed' in text


# tags


def test_a_tag_of_tarns_own_names_a_snapshot(m, berg):
    tarn('tag', m / berg.at(2), 'release')
    assert m.xattr(TABLE + '@release', 'version') == str(berg.id(2))
    assert lakes.tree(m / (TABLE + '@release')) == lakes.tree(m / berg.at(2))
    assert 'release' in os.listdir(m / (TABLE + '@'))
    told = {t['name']: t['version'] for t in json.loads(tarn('tag', '--list', '--json', m / TABLE))}
    assert told['release'] == berg.id(2)
    tarn('tag', '--delete', m / TABLE, 'release')
    wait_for(lambda: not (m / (TABLE + '@release')).exists(), PATIENCE_S, 'its end')


def test_the_tables_own_names_come_first(m, berg):
    """A tag of tarn's takes no name from a branch or tag of the table."""
    run_tarn('tag', m / berg.at(2), 'v1.0')
    assert m.xattr(TABLE + '@v1.0', 'version') == str(berg.id(TAGS['v1.0']))
    run_tarn('tag', '--force', m / berg.at(2), 'main')
    assert m.xattr(TABLE + '@main', 'version') == str(berg.id(NEWEST))


def test_a_shared_tag_lies_in_the_lake(mount, own):
    m = mount(own.root)
    tarn('tag', '--shared', m / own.at(4), 'shared')
    other = mount(own.root)
    assert other.xattr(TABLE + '@shared', 'version') == str(own.id(4))
    assert lakes.tree(other / TABLE).keys() == set(own.snapshots[NEWEST].files)


# archives


def test_a_snapshot_whose_files_are_lost_reads_from_an_archive(mount, own, tmp_path):
    """Bit for bit: its data files, its manifests, and its manifest list."""
    store = tmp_path / 'keep'
    store.mkdir()
    m = mount(own.root)
    before, live = contents(m / own.at(2)), lakes.tree(m / TABLE)
    tarn('archive', '--json', '--quiet', '--lake', own.root, own.at(2), '--to', store)
    m.unmount()
    table = own.table()
    snapshot = table.snapshot_by_id(own.id(2))
    lost = [own.path / f for f in set(own.snapshots[2].files) - set(own.snapshots[NEWEST].files)]
    lost += [Path(snapshot.manifest_list.removeprefix('file://'))]
    assert len(lost) > 1
    for path in lost:
        path.unlink()
    without = mount(own.root)
    with pytest.raises(OSError):
        contents(without / own.at(2))
    with_it = mount(own.root, archive_store=store)
    assert contents(with_it / own.at(2)) == before
    assert lakes.tree(with_it / TABLE) == live
    listed = [json.loads(line) for line in tarn('archive', 'list', '--json', store).splitlines()]
    assert [v['version'] for v in listed] == [own.id(2)]
    tarn('archive', 'verify', store)


def expire(lake, *numbers):
    """As engines do: with all files that only these snapshots named, and older metadata."""
    def named(snapshots):
        manifests = [m for s in snapshots for m in s.manifests(table.io)]
        return {f for s in snapshots for f in [s.manifest_list]} | {m.manifest_path for m in manifests} | {
            e.data_file.file_path for m in manifests for e in m.fetch_manifest_entry(table.io)}
    table, ids = lake.table(), {lake.id(n) for n in numbers}
    gone = named([s for s in table.snapshots() if s.snapshot_id in ids]) - named(
        [s for s in table.snapshots() if s.snapshot_id not in ids])
    change = table.maintenance.expire_snapshots()
    for id in ids:
        change = change.by_id(id)
    change.commit()
    for path in [Path(f.removeprefix('file://')) for f in gone] + list((lake.path / 'metadata').glob('*.metadata.json')):
        if path != newest(lake.path):
            path.unlink()


def test_archived_snapshots_outlive_their_expiry(mount, own, tmp_path):
    """By their ids, with the columns that they had, though no metadata of the table names them any more; further
    commits change nothing of that."""
    store = tmp_path / 'keep'
    store.mkdir()
    m = mount(own.root)
    before = {n: contents(m / own.at(n)) for n in (2, 4)}
    for n in before:
        tarn('archive', '--quiet', m / own.at(n), '--to', store)
    m.unmount()
    expire(own, 2, 4)
    without = mount(own.root)
    assert not any((without / own.at(n)).exists() for n in before)
    m = mount(own.root, archive_store=store, refresh='0.1', hold='1')
    for _ in range(2):
        assert {n: contents(m / own.at(n)) for n in before} == before
        assert {str(own.id(n)) for n in before} <= set(os.listdir(m / (TABLE + '@')))
        assert {own.id(n) for n in before} <= {v['version'] for v in json.loads(tarn('versions', '--json', m / TABLE))}
        assert m.xattr(TABLE, 'version') == str(own.table().current_snapshot().snapshot_id)
        own.table().append(pa.Table.from_pylist([{'id': 1, 'date': '2026-01-01'}], schema=own.table().schema().as_arrow()))
        wait_for(lambda: m.xattr(TABLE, 'version') == str(own.table().current_snapshot().snapshot_id), PATIENCE_S, 'the commit')
    tarn('tag', m / own.at(4), 'kept')
    assert contents(m / (TABLE + '@kept')) == before[4]


def test_a_snapshot_that_expires_under_a_mount_with_an_archive_stays(mount, own, tmp_path):
    store = tmp_path / 'keep'
    store.mkdir()
    m = mount(own.root, archive_store=store, refresh='0.1', hold='1')
    before = contents(m / own.at(2))
    tarn('archive', '--quiet', m / own.at(2), '--to', store)
    assert m.xattr(TABLE, 'version') == str(own.id(NEWEST))
    expire(own, 2)
    own.table().append(pa.Table.from_pylist([{'id': 1, 'date': '2026-01-01'}], schema=own.table().schema().as_arrow()))
    wait_for(lambda: m.xattr(TABLE, 'version') != str(own.id(NEWEST)), PATIENCE_S, 'the commit')
    wait_for(lambda: (m / own.at(2)).exists(), PATIENCE_S, 'what is archived is heard of')
    assert contents(m / own.at(2)) == before


def test_archived_snapshots_of_a_table_that_was_dropped_are_not_its_successors(mount, own, tmp_path):
    store = tmp_path / 'keep'
    store.mkdir()
    tarn('archive', '--quiet', '--lake', own.root, own.at(2), '--to', store)
    expire(own, 2)
    told = json.loads(newest(own.path).read_text())
    told['table-uuid'] = str(uuid.uuid4())
    newest(own.path).write_text(json.dumps(told))
    m = mount(own.root, archive_store=store)
    assert contents(m / TABLE)
    assert not (m / own.at(2)).exists()


def test_a_branch_and_a_tag_are_archived_by_name(mount, own, tmp_path):
    store = tmp_path / 'keep'
    store.mkdir()
    m = mount(own.root)
    tarn('archive', '--quiet', m / ('%s@%s' % (TABLE, spelled(BRANCH))), '--to', store)
    tarn('archive', '--quiet', m / ('%s@v1.0' % TABLE), '--to', store)
    listed = [json.loads(line) for line in tarn('archive', 'list', '--json', store).splitlines()]
    assert {v['version'] for v in listed} == {own.id(ON_BRANCH), own.id(1)}


# tiers


def report(source, *more, env=None):
    return json.loads(tarn('tier', 'report', source, '--json', *more, env=env))


def test_report_tells_what_each_object_is_there_for(own):
    """Files of the newest snapshots of the table and its branches, of older ones, the metadata; and what nobody names."""
    stray = own.path / 'data' / 'stray.parquet'
    stray.write_bytes(b'x' * 1000)
    sizes = {os.path.relpath(p, own.path): p.stat().st_size for p in own.path.rglob('*') if p.is_file()}
    held = {f for s in own.snapshots[1:] for f in s.files}
    newest_files = set(own.snapshots[NEWEST].files) | set(own.snapshots[ON_BRANCH].files)
    log = ({p.name for p in (own.path / 'metadata').glob('*.metadata.json')} | {Path(s.manifest_list).name for s in own.table().snapshots()} |
           {Path(m.manifest_path).name for s in own.table().snapshots() for m in s.manifests(own.table().io)})
    wanted = collections.Counter()
    for name, size in sizes.items():
        wanted['live' if name in newest_files else 'older' if name in held else
               'log' if Path(name).name in log else 'unnamed'] += size
    found = collections.Counter()
    told = report(own.root)
    for row in told['rows']:
        if row['table'] == TABLE:
            found[row['use'] if row['use'] != 'leftover' else 'older'] += row['bytes']
    assert found == wanted and wanted['unnamed'] >= 1000 and wanted['older']


def test_a_plan_moves_what_only_older_snapshots_hold(s3, bucket, own, tmp_path):
    """Never a file of the newest one or of a branch, nor metadata; tags are older versions like others."""
    moved = planned(s3, bucket, own, tmp_path)
    assert moved == ({f for s in own.snapshots[1:] for f in s.files} - set(own.snapshots[NEWEST].files) -
                     set(own.snapshots[ON_BRANCH].files))
    assert not [k for k in moved if k.startswith('metadata/')]


def test_a_plan_after_a_rollback(s3, bucket, own, tmp_path):
    """What the live path shows is newest though others were committed later; what it has left is old."""
    own.table().manage_snapshots().rollback_to_snapshot(own.id(2)).commit()
    moved = planned(s3, bucket, own, tmp_path)
    assert moved == ({f for s in own.snapshots[1:] for f in s.files} - set(own.snapshots[2].files) -
                     set(own.snapshots[ON_BRANCH].files))
    assert moved & set(own.snapshots[NEWEST].files)


def planned(s3, bucket, own, tmp_path):
    """The files that a rule of age alone would move."""
    s3.copy_tree(own.path.parent, bucket)
    file = tmp_path / 'lake.yaml'
    file.write_text(json.dumps(dict(
        layers={'silver': 's3://' + bucket}, prices={'STANDARD': 3, 'GLACIER_IR': 0},
        rules=[{'tables': ['silver/**'], 'move': [{'to': 'GLACIER_IR', 'after': '0d'}]}])))
    told = json.loads(tarn('tier', 'plan', file, '--json', '--files', '--endpoint-url', s3.url, env=s3.env))
    return {m['key'].removeprefix('orders/') for m in told['moves']}


def test_the_cache_is_warmed_and_reads_without_the_store(mount, s3, bucket, own):
    """A snapshot that was read ahead whole."""
    s3.copy_tree(own.root, bucket)
    m = mount('s3://' + bucket, endpoint_url=s3.url, env=s3.env)
    tarn('warm', m / own.at(4))
    tarn('warm', '--check', m / own.at(4))
    assert sum(len(Path(m / own.at(4) / f).read_bytes()) for f in own.snapshots[4].files) > 0


def test_commands_tell_why_a_table_is_refused(mount, own):
    path = newest(own.path)
    told = json.loads(path.read_text())
    told['format-version'] = 4
    path.write_text(json.dumps(told))
    m = mount(own.root)
    for words in (['versions', m / TABLE], ['log', m / TABLE], ['diff', m / TABLE, m / TABLE], ['tag', m / TABLE, 'x']):
        done = run_tarn(*words)
        assert done.returncode != 0 and '4' in done.stderr, words
    done = run_tarn('doctor', m.path)
    assert done.returncode == 1 and TABLE in done.stdout


def test_expiry_under_a_long_reader_is_told(mount, own):
    """Who holds a snapshot open reads on; a file that is gone is ENOENT with its reason."""
    m = mount(own.root, refresh='0.1', hold='1')
    names = sorted(set(own.snapshots[2].files) - set(own.snapshots[NEWEST].files) - set(own.snapshots[3].files))
    assert names
    held = open(m / own.at(2) / names[0], 'rb')
    with held:
        data = held.read()
        own.table().maintenance.expire_snapshots().by_id(own.id(2)).commit()
        held.seek(0)
        assert held.read() == data
        deadline = time.monotonic() + PATIENCE_S
        while (m / own.at(2)).exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
