# SPDX-License-Identifier: Apache-2.0
"""Versions that outlive VACUUM and the clean-up of the log: archived, read through a mount, verified, dropped."""
import errno
import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from fake.faults import FaultProxy
from support import lakes, presented_tables
from support.mounts import run_tarn

TABLE = 'silver/orders'


def contents(path):
    """{relative path: (size, mtime, bytes)} of all files below a directory."""
    found = {}
    for name in lakes.tree(path):
        at = Path(path) / name
        stat = at.stat()
        found[name] = (stat.st_size, stat.st_mtime_ns, at.read_bytes())
    return found


def archive(*words, ok=True, env=None):
    done = run_tarn('archive', *words, env=env, timeout=120)
    assert (done.returncode == 0) == ok, done.stdout + done.stderr
    return done.stdout if ok else done.stderr


def keep(source, ref, store, *words, env=None):
    """Archives a version: what the command says of it."""
    return json.loads(archive('--json', '--quiet', '--lake', source, ref, '--to', store, *words, env=env))


def listed(store, *words, env=None):
    return [json.loads(line) for line in archive('list', '--json', store, *words, env=env).splitlines()]


def vacuum(table):
    """As the deltalake package does it: only the files of the newest version stay."""
    gone = DeltaTable(table).vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False)
    assert gone, 'VACUUM had nothing to remove'
    return gone


def clean_log(table):
    """As log clean-up does it: the commits before the checkpoint go."""
    log = Path(table) / '_delta_log'
    checkpoint = max(log.glob('*.checkpoint.parquet')).name[:20]
    gone = [f for f in log.iterdir() if f.name[:20].isdigit() and f.name[:20] < checkpoint]
    assert gone
    for f in gone:
        f.unlink()


def objects(store):
    return {f.name: f for f in (Path(store) / 'objects').rglob('*.zst')}


@pytest.fixture
def store(tmp_path):
    there = tmp_path / 'keep'
    there.mkdir()
    return there


# reading


def test_a_version_reads_bit_for_bit_after_vacuum(own_lake, mount, store):
    m = mount(own_lake.root)
    before, live = contents(m / (TABLE + '@3')), contents(m / TABLE)
    assert keep(own_lake.root, TABLE + '@3', store)['files'] == len(before)
    m.unmount()
    vacuum(own_lake / TABLE)
    with_it = mount(own_lake.root, archive_store=store)
    assert contents(with_it / (TABLE + '@3')) == before
    assert contents(with_it / TABLE) == live
    without = mount(own_lake.root)
    with pytest.raises(FileNotFoundError):
        contents(without / (TABLE + '@3'))


def test_a_version_of_which_the_log_is_gone_is_found_as_before(own_lake, mount, store):
    m = mount(own_lake.root)
    ref, when = TABLE + '@3', own_lake.versions(TABLE)[3].time.strftime('%Y-%m-%dT%H%M%S.%fZ')
    before, stamp = contents(m / ref), os.getxattr(m / ref, 'user.tarn.timestamp')
    keep(own_lake.root, ref, store)
    m.unmount()
    vacuum(own_lake / TABLE)
    clean_log(own_lake / TABLE)
    without = mount(own_lake.root)
    assert not (without / ref).exists()
    with_it = mount(own_lake.root, archive_store=store)
    assert '3' in os.listdir(with_it / (TABLE + '@'))
    assert contents(with_it / ref) == before
    assert os.getxattr(with_it / ref, 'user.tarn.timestamp') == stamp
    assert contents(with_it / (TABLE + '@' + when)) == before


def test_times_between_what_is_left_show_nothing(own_lake, mount, store):
    """Version 5 was current then, and nobody has it: it is not shown as version 3."""
    keep(own_lake.root, TABLE + '@3', store)
    clean_log(own_lake / TABLE)
    m = mount(own_lake.root, archive_store=store)
    when = own_lake.versions(TABLE)[5].time + lakes.DAY / 2
    assert not (m / (TABLE + '@' + when.strftime('%Y-%m-%dT%H%M%SZ'))).exists()
    assert not (m / (TABLE + '@5')).exists()
    newest = own_lake.versions(TABLE)[11].time + lakes.DAY
    assert lakes.tree(m / (TABLE + '@' + newest.strftime('%Y-%m-%dT%H%M%SZ'))) == lakes.tree(m / TABLE)


def test_a_mount_path_names_what_is_archived(own_lake, mount, store):
    m = mount(own_lake.root)
    archive('--quiet', m / (TABLE + '@3'), '--to', store)
    archive('--quiet', m / TABLE, '--to', store)
    assert [v['version'] for v in listed(store)] == [3, 11]
    assert all(v['table'] == 'file://%s/%s' % (own_lake.root, TABLE) for v in listed(store))


def test_buckets_are_archived_into_buckets(own_lake, mount, s3, bucket, tmp_path):
    s3.copy_tree(own_lake.root, bucket, 'lake')
    source, store = 's3://%s/lake' % bucket, 's3://%s/keep' % bucket
    server = ['--endpoint-url', s3.url]
    m = mount(source, env=s3.env, endpoint_url=s3.url)
    before = contents(m / (TABLE + '@3'))
    keep(source, TABLE + '@3', store, *server, env=s3.env)
    m.unmount()
    table = s3.root / bucket / 'lake' / TABLE
    vacuum(table)
    clean_log(table)
    with_it = mount(source, env=s3.env, endpoint_url=s3.url, archive_store=store)
    assert contents(with_it / (TABLE + '@3')) == before
    assert '1 versions' in archive('verify', store, *server, env=s3.env)


def test_a_lake_file_names_the_archive(own_lake, mount, store, tmp_path):
    file = tmp_path / 'lake.yaml'
    file.write_text('layers:\n  silver: %s/silver\narchive: %s\n' % (own_lake.root, store))
    m = mount(file)
    before = contents(m / (TABLE + '@3'))
    archive('--quiet', '--lake', file, TABLE + '@3')
    m.unmount()
    vacuum(own_lake / TABLE)
    clean_log(own_lake / TABLE)
    assert contents(mount(file) / (TABLE + '@3')) == before
    assert [v['version'] for v in listed(file)] == [3]


# what is in the store


def test_contents_are_kept_once(own_lake, store):
    first = keep(own_lake.root, TABLE + '@2', store)
    assert first['known'] == 0
    second = keep(own_lake.root, TABLE + '@3', store)
    assert second['known'] == first['objects'] - 0
    assert keep(own_lake.root, TABLE + '@3', store)['wasThere']
    plain = subprocess.run(['zstd', '-dc', *map(str, objects(store).values())], capture_output=True, check=True)
    assert len(plain.stdout) > sum(own_lake.versions(TABLE)[3].files.values())


def test_dropping_a_version_leaves_what_others_need(own_lake, mount, store):
    for version in (2, 3):
        keep(own_lake.root, TABLE + '@%d' % version, store)
    m = mount(own_lake.root)
    before = contents(m / (TABLE + '@2'))
    m.unmount()
    archive('drop', store, 'orders@3')
    assert [v['version'] for v in listed(store)] == [2]
    archive('verify', store)
    vacuum(own_lake / TABLE)
    assert contents(mount(own_lake.root, archive_store=store) / (TABLE + '@2')) == before
    archive('drop', store, 'orders@2')
    assert not objects(store) and not listed(store)
    archive('drop', store, 'orders@2', ok=False)


def test_damage_is_found_and_never_shown(own_lake, mount, store):
    m = mount(own_lake.root)
    before = contents(m / (TABLE + '@3'))
    m.unmount()
    keep(own_lake.root, TABLE + '@3', store)
    vacuum(own_lake / TABLE)
    for file in objects(store).values():
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
    said = archive('verify', store, ok=False)
    assert 'damaged' in said
    m = mount(own_lake.root, archive_store=store)
    wrong = 0
    for name in before:
        try:
            assert (m / (TABLE + '@3') / name).read_bytes() == before[name][2]
        except OSError as e:
            assert e.errno == errno.EIO
            wrong += 1
    assert wrong


@pytest.mark.parametrize('side', ['home', 'archive'])
def test_a_copy_that_is_corrupted_in_flight_is_found(own_lake, mount, s3, bucket, side):
    """What arrives wrong is asked for again, and what is stored is right."""
    s3.copy_tree(own_lake.root, bucket, 'lake')
    source, store = 's3://%s/lake' % bucket, 's3://%s/keep' % bucket
    with FaultProxy(s3.port) as p:
        rules = [p.rule('corrupt', method='GET', keep=40, skip=skip, times=1,
                        key='*keep/objects/*' if side == 'archive' else '*.parquet') for skip in range(0, 8, 2)]
        own, other = (p.url, s3.url) if side == 'home' else (s3.url, p.url)
        keep(source, TABLE + '@3', store, '--endpoint-url', own, '--to-option', 'endpoint-url=' + other, env=s3.env)
        assert all(rule.hits for rule in rules), 'nothing was corrupted'
    archive('verify', store, '--endpoint-url', s3.url, env=s3.env)
    assert contents_of_bucket_hold(s3, bucket, own_lake)


def contents_of_bucket_hold(s3, bucket, lake):
    """Every file of the version is among the contents, by its own bytes."""
    there = {f.name[:64] for f in (s3.root / bucket / 'keep' / 'objects').rglob('*.zst')}
    sums = {hashlib.sha256((lake / TABLE / name).read_bytes()).hexdigest() for name in lake.versions(TABLE)[3].files}
    return sums <= there


def test_a_copy_that_stays_corrupted_makes_no_version(own_lake, s3, bucket):
    s3.copy_tree(own_lake.root, bucket, 'lake')
    source, store = 's3://%s/lake' % bucket, 's3://%s/keep' % bucket
    with FaultProxy(s3.port) as p:
        p.rule('corrupt', method='GET', keep=40, key='*keep/objects/*')
        archive('--quiet', '--lake', source, TABLE + '@3', '--to', store, '--endpoint-url', s3.url, '--to-option',
                'endpoint-url=' + p.url, env=s3.env, ok=False)
    assert listed(store, '--endpoint-url', s3.url, env=s3.env) == []


# what is archived


@pytest.mark.parametrize('kind', ['mapped', 'with_deletes'])
def test_column_mapping_and_deletion_vectors(tmp_path, mount, store, kind):
    table = tmp_path / 'lake' / 'silver' / 'odd'
    getattr(presented_tables, kind)(table, [3000, 500])
    m = mount(tmp_path / 'lake')
    before = contents(m / 'silver/odd@0')
    m.unmount()
    keep(tmp_path / 'lake', 'silver/odd@0', store)
    for file in table.glob('*.parquet'):
        file.unlink()
    assert contents(mount(tmp_path / 'lake', archive_store=store) / 'silver/odd@0') == before


def test_names_that_are_hard_to_write(tmp_path, mount, store):
    table = tmp_path / 'lake' / 'silver' / 'o d@d%s'
    values = ['a b', 'c/d', 'e%f', 'ü', "q'q", 'x=1&y', 'n\nl', '#', '+']
    write_deltalake(table, pa.table({'id': list(range(len(values))), 'p': values}), partition_by=['p'])
    write_deltalake(table, pa.table({'id': [100], 'p': ['new']}), mode='overwrite')
    m = mount(tmp_path / 'lake')
    before = contents(m / 'silver/o d@d%s@0')
    assert len(before) == len(values)
    m.unmount()
    keep(tmp_path / 'lake', 'silver/o d@d%s@0', store)
    vacuum(table)
    assert contents(mount(tmp_path / 'lake', archive_store=store) / 'silver/o d@d%s@0') == before


def test_files_of_a_clone_lie_elsewhere(tmp_path, mount, store):
    source, clone = tmp_path / 'elsewhere' / 'source', tmp_path / 'lake' / 'silver' / 'clone'
    write_deltalake(source, pa.table({'id': list(range(20))}))
    shutil.copytree(source / '_delta_log', clone / '_delta_log')
    log = clone / '_delta_log' / ('0' * 20 + '.json')
    log.write_text(log.read_text().replace('"path":"', '"path":"file://%s/' % source))
    outside = '/%s/' % str(source).strip('/')
    m = mount(tmp_path / 'lake', outside=outside)
    before = contents(m / 'silver/clone@0')
    m.unmount()
    keep(tmp_path / 'lake', 'silver/clone@0', store, '--outside', outside)
    for file in source.glob('*.parquet'):
        file.unlink()
    m = mount(tmp_path / 'lake', outside=outside, archive_store=store)
    assert contents(m / 'silver/clone@0') == before


def test_a_directory_is_archived_as_it_is_now(own_lake, mount, store):
    """Files of the moment are shown at that moment, whatever the directory has later."""
    m = mount(own_lake.root)
    before = contents(m / 'bronze/images')
    said = keep(own_lake.root, 'bronze/images', store)
    m.unmount()
    images = own_lake / 'bronze' / 'images'
    for name in before:
        same_size = os.urandom(before[name][0])
        (images / name).write_bytes(same_size)
    (images / 'later.bin').write_bytes(b'later')
    m = mount(own_lake.root, archive_store=store)
    assert contents(m / ('bronze/images@' + said['ref'])) == before
    assert 'later.bin' in os.listdir(m / 'bronze/images')


def test_what_home_never_had_is_not_archived(own_lake, store):
    said = archive('--quiet', '--lake', own_lake.root, TABLE + '@99', '--to', store, ok=False)
    assert '99' in said
    vacuum(own_lake / TABLE)
    archive('--quiet', '--lake', own_lake.root, TABLE + '@3', '--to', store, ok=False)
    assert listed(store) == []
