# SPDX-License-Identifier: Apache-2.0
"""Versions that outlive VACUUM and the clean-up of the log: archived, read through a mount, verified, dropped."""
import errno
import hashlib
import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from fake.faults import FaultProxy
from support import lakes, presented_tables
from support.mounts import clean_env, run_tarn
from support.places import PATIENCE_S, TARN

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
    done = run_tarn('archive', *words, env=env, timeout=PATIENCE_S)
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
    gone = set(before) - set(live)
    assert gone and all(with_it.xattr(TABLE + '@3/' + name, 'tier') == 'archive/local' for name in gone)
    assert {with_it.xattr(TABLE + '/' + name, 'tier') for name in live} == {'local'}
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
    assert with_it.xattr(TABLE + '@3/' + sorted(before)[0], 'tier') == 'archive/STANDARD'
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


def test_a_range_brings_no_more_than_its_frames(mount, s3, bucket, tmp_path):
    """64 KiB of an archived object of 24 MiB that does not compress."""
    table, size = tmp_path / 'big', 24 << 20
    table.mkdir()
    data = os.urandom(size)
    adds = [{'path': 'a.parquet', 'size': size, 'stats': ''}]
    (table / 'a.parquet').write_bytes(data)
    presented_tables.write_log(table, [presented_tables.field('n', 'long')], adds, [], {})
    s3.copy_tree(table, bucket, 'lake/big')
    source, store = 's3://%s/lake' % bucket, 's3://%s/keep' % bucket
    with FaultProxy(s3.port) as p:
        keep(source, 'big@0', store, '--endpoint-url', p.url, env=s3.env)
        (s3.root / bucket / 'lake' / 'big' / 'a.parquet').unlink()
        p.forget()
        m = mount(source, env=s3.env, endpoint_url=p.url, archive_store=store, slack='0')
        with open(m / 'big@0/a.parquet', 'rb', buffering=0) as f:
            assert os.pread(f.fileno(), 65536, 10_000_000) == data[10_000_000:10_065_536]
        assert p.sent(key='*keep/objects/*') < 6 << 20


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
    """What arrives wrong is asked for again, and what is stored is right. (Home is read twice: an object that comes
    wrong in the same way both times is taken for what home has.)"""
    s3.copy_tree(own_lake.root, bucket, 'lake')
    source, store = 's3://%s/lake' % bucket, 's3://%s/keep' % bucket
    with FaultProxy(s3.port) as p:
        if side == 'home':
            rules = [p.rule('corrupt', method='GET', keep=40, times=1, key='*' + os.path.basename(name))
                     for name in own_lake.versions(TABLE)[3].files]
        else:
            rules = [p.rule('corrupt', method='GET', keep=40, skip=skip, times=1, key='*keep/objects/*')
                     for skip in range(0, 8, 2)]
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


def test_an_archive_store_in_the_lake_is_refused(own_lake, tmp_path):
    """By the command, by a mount, and in a lake file with its line: its objects would be the lake's own."""
    inside = own_lake.root / 'keep'
    inside.mkdir()
    for to in (inside, own_lake.root, own_lake.root.parent):
        said = archive('--quiet', '--lake', own_lake.root, TABLE + '@3', '--to', to, ok=False)
        assert 'outside of the lake' in said
    (tmp_path / 'point').mkdir()
    done = run_tarn('mount', own_lake.root, tmp_path / 'point', '--cache-dir', tmp_path / 'c', '--archive-store', inside)
    assert done.returncode != 0 and 'option archive-store: ' in done.stderr
    file = tmp_path / 'lake.yaml'
    file.write_text('layers: {a: %s}\narchive: %s\n' % (own_lake.root, inside))
    for words in (['mount', file, tmp_path / 'point', '--cache-dir', tmp_path / 'c'], ['tier', 'report', file]):
        done = run_tarn(*words)
        assert done.returncode != 0 and ':2:10: archive store: ' in done.stderr
    assert not list(inside.iterdir())


# killed, and side by side


def start(words, env=None):
    return subprocess.Popen([str(TARN), 'archive', *map(str, words)], env=clean_env(env), stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def nothing_is_half(store, *words, env=None):
    """Whatever is listed reads back as it was archived."""
    versions = listed(store, *words, env=env)
    if versions:
        archive('verify', '--quiet', store, *words, env=env)
    return [v['version'] for v in versions]


def kill_at_random(lake, store, chance, times):
    """How many were killed before their end."""
    words = ['--quiet', '--lake', lake.root, '--to', store]
    begun = time.monotonic()
    archive(*words, TABLE + '@3')
    whole_s = time.monotonic() - begun
    archive('drop', store, 'orders@3')
    killed = 0
    for _ in range(times):
        version = chance.randrange(12)
        run = start([*words, '%s@%d' % (TABLE, version)])
        try:
            run.communicate(timeout=chance.random() * whole_s)
        except subprocess.TimeoutExpired:
            run.kill()
            run.communicate()
            killed += 1
        there = nothing_is_half(store)
        if version in there:
            if chance.random() < 0.5:
                archive('drop', store, 'orders@%d' % version)
        elif run.returncode == 0:
            raise AssertionError('version %d was archived and is not there' % version)
    for version in range(12):
        archive(*words, '%s@%d' % (TABLE, version))
    assert nothing_is_half(store) == list(range(12))
    return killed


def forget_leases(store):
    """What a killed archiver holds goes stale; a test does not wait for that."""
    shutil.rmtree(Path(store) / 'leases', ignore_errors=True)


def nothing_is_left(store):
    """Without versions nothing stays, whatever killed archivers have left."""
    forget_leases(store)
    for version in listed(store):
        archive('drop', store, 'orders@%d' % version['version'])
    archive('drop', store)
    left = [f for f in Path(store).rglob('*') if f.is_file()]
    assert left == []


def test_killed_at_random(own_lake, store, chance):
    assert kill_at_random(own_lake, store, chance, 8) > 0
    nothing_is_left(store)


@pytest.mark.long
def test_killed_at_500_random_moments(own_lake, store, chance):
    assert kill_at_random(own_lake, store, chance, 500) > 100
    nothing_is_left(store)


def kill_at_calls(s3, bucket, tmp_path, kill_at, calls_of):
    """A table of one file into a bucket, killed at each of these system calls of it."""
    lake, store = tmp_path / 'lake', 's3://%s/keep' % bucket
    write_deltalake(lake / 'one', pa.table({'id': list(range(10))}))
    # the server's credentials come with the environment, its address with the store
    words = ['archive', '--quiet', '--lake', str(lake), 'one@0', '--to', store, '--threads', '1', '--to-option',
             'endpoint-url=' + s3.url]
    look = ['--endpoint-url', s3.url]

    def run(n):
        return subprocess.run([str(kill_at), str(n), str(TARN), *words], env=clean_env(s3.env), capture_output=True,
                              text=True, timeout=PATIENCE_S, stdin=subprocess.DEVNULL)

    whole = run(0)
    assert whole.returncode == 0, whole.stderr
    calls = int(whole.stderr.splitlines()[-1])
    for n in calls_of(calls):
        shutil.rmtree(s3.root / bucket / 'keep', ignore_errors=True)
        run(n)
        assert nothing_is_half(store, *look, env=s3.env) in ([], [0])
        again = run(0)
        assert again.returncode == 0, again.stderr
        assert nothing_is_half(store, *look, env=s3.env) == [0]
    return calls


def test_killed_at_system_calls_of_one_object(s3, bucket, tmp_path, kill_at, chance):
    assert kill_at_calls(s3, bucket, tmp_path, kill_at, lambda n: chance.sample(range(1, n), 5)) > 50


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_killed_at_every_system_call_of_one_object(s3, bucket, tmp_path, kill_at):
    assert kill_at_calls(s3, bucket, tmp_path, kill_at, lambda n: range(1, n + 1)) > 50


def test_two_archivers_at_once(own_lake, store):
    words = ['--quiet', '--lake', own_lake.root, '--to', store]
    runs = [start([*words, '%s@%d' % (TABLE, version)]) for version in (2, 3, 3, 2)]
    for run in runs:
        out, err = run.communicate(timeout=PATIENCE_S)
        assert run.returncode == 0, out + err
    assert nothing_is_half(store) == [2, 3]
    nothing_is_left(store)


def drop_beside(lake, store, chance, rounds):
    """One archives and one drops, the same versions, of one store: whatever is listed in the end is whole."""
    words = ['--quiet', '--lake', lake.root, '--to', store]
    archive(*words, TABLE + '@1')
    for _ in range(rounds):
        a, b = chance.sample(range(12), 2)
        runs = [start([*words, '%s@%d' % (TABLE, a)]), start(['drop', store, 'orders@%d' % chance.choice((1, a, b))]),
                start([*words, '%s@%d' % (TABLE, b)]), start(['drop', store])]
        done = [(run, *run.communicate(timeout=PATIENCE_S)) for run in runs]
        for archiver in (done[0], done[2]):
            assert archiver[0].returncode == 0, archiver
        nothing_is_half(store)


def test_drop_beside_archive(own_lake, store, chance):
    drop_beside(own_lake, store, chance, 4)
    nothing_is_left(store)


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_drop_beside_archive_for_long(own_lake, store, chance):
    drop_beside(own_lake, store, chance, 150)
    nothing_is_left(store)


def test_an_archive_store_that_is_dead_disturbs_nobody(own_lake, mount, s3, bucket):
    """What home has is read; what it has lost is EIO, as nobody can tell whether it is archived."""
    vacuum(own_lake / TABLE)
    m = mount(own_lake.root, env=s3.env, endpoint_url='http://127.0.0.1:1', archive_store='s3://%s/keep' % bucket,
              deadline='1')
    assert len(contents(m / TABLE)) == len(own_lake.versions(TABLE)[11].files)
    gone = set(lakes.tree(m / (TABLE + '@3')))
    assert gone
    with pytest.raises(OSError) as e:
        (m / (TABLE + '@3') / gone.pop()).read_bytes()
    assert e.value.errno == errno.EIO
