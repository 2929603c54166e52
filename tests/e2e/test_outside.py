# SPDX-License-Identifier: Apache-2.0
"""Absolute paths and shallow clones: what `-o outside=` allows to be read, and what nothing does."""
import json
import os
import subprocess
from urllib.parse import quote, unquote

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake

from support import lakes
from support.mounts import run_tarn
from support.places import TABLES

CLONED = 'delta/trino/deltalake/clone_merge/clone_merge_cloned_no_checkpoint'


def rewrite(table, change):
    """Applies change(action) to the adds and removes of the commits."""
    for log in sorted((table / '_delta_log').glob('*.json')):
        found = [json.loads(line) for line in log.read_text().splitlines() if line.strip()]
        for action in found:
            for kind in ('add', 'remove'):
                if kind in action:
                    change(action[kind])
        log.write_text('\n'.join(map(json.dumps, found)) + '\n')


@pytest.fixture
def clone(tmp_path):
    """(mounted lake, table in it, where its files are): every file has an absolute path."""
    table = tmp_path / 'lake' / 'silver' / 'clone'
    rows = pa.table({'id': list(range(20)), 'p': ['a b', 'c/d'] * 10})
    write_deltalake(table, rows, partition_by=['p'])
    write_deltalake(table, rows, mode='append', partition_by=['p'])
    there = tmp_path / 'elsewhere' / 'source'
    for path in table.rglob('*.parquet'):
        to = there / path.relative_to(table)
        to.parent.mkdir(parents=True, exist_ok=True)
        path.rename(to)
    return tmp_path / 'lake', table, there


def absolute(there, prefix='file://'):
    def change(file):
        file['path'] = prefix + quote(str(there)) + '/' + file['path']
    return change


def read(path):
    return ds.dataset(str(path), partitioning='hive').to_table()['id'].to_pylist()


def test_outside_is_listed_and_denied(clone, mount):
    lake, table, there = clone
    rewrite(table, absolute(there))
    m = mount(lake)
    found = [p for p in (m / 'silver/clone').rglob('*.parquet')]
    assert len(found) == 4
    for path in found:
        with pytest.raises(PermissionError):
            path.read_bytes()


@pytest.mark.parametrize('prefix', ['file://', 'file:', ''])
def test_what_is_allowed_is_read(clone, mount, prefix):
    lake, table, there = clone
    rewrite(table, absolute(there, prefix))
    m = mount(lake, o='outside=%s' % there.parent)
    assert sorted(read(m / 'silver/clone')) == sorted(list(range(20)) * 2)
    assert sorted(read(m / 'silver/clone@0')) == list(range(20))
    assert sorted(os.listdir(m / 'silver/clone')) == ['p=a b', 'p=c%2Fd']
    one = next((m / 'silver/clone').rglob('*.parquet'))
    said = os.getxattr(one, 'user.tarn.object').decode()
    assert said.startswith('file://%s/' % there)


def test_raw_names_are_those_of_the_files(clone, mount):
    """Not as the log spells them: `a b.parquet`, not `a%20b.parquet`."""
    lake, table, there = clone
    renamed = {}

    def change(file):
        old = there / unquote(file['path'])
        renamed[old] = renamed.get(old, old.with_name('50%% of %d.parquet' % len(renamed)))
        file['path'] = 'file://' + quote(str(renamed[old]))
    rewrite(table, change)
    for old, new in renamed.items():
        old.rename(new)
    m = mount(lake, o='outside=%s' % there)
    raw = m / 'silver/clone/.tarn/raw/outside'
    assert sorted(os.listdir(raw)) == sorted(p.name for p in renamed.values())
    for path in renamed.values():
        assert (raw / path.name).read_bytes() == path.read_bytes()


def test_several_prefixes_and_only_those(clone, mount):
    """Files in two allowed places are read, those in a third are denied."""
    lake, table, there = clone
    places = [there.parent / n for n in ('one', 'two', 'three')]
    for i, path in enumerate(sorted(there.rglob('*.parquet'))):
        to = places[i % 3] / path.name
        to.parent.mkdir(exist_ok=True)
        path.rename(to)
    where = {p.name: p for place in places for p in place.iterdir()}

    def change(file):
        file['path'] = str(where[os.path.basename(file['path'])])
    rewrite(table, change)
    m = mount(lake, o='outside=%s,outside=file://%s/' % (places[0], places[1]))
    for path in (m / 'silver/clone').rglob('*.parquet'):
        allowed = where[path.name].parent != places[2]
        if allowed:
            assert path.read_bytes() == where[path.name].read_bytes()
        else:
            with pytest.raises(PermissionError):
                path.read_bytes()


def test_a_prefix_is_whole_components(clone, mount):
    lake, table, there = clone
    rewrite(table, absolute(there))
    (there.parent / 'sour').mkdir()
    m = mount(lake, o='outside=%s' % (there.parent / 'sour'))
    with pytest.raises(PermissionError):
        next((m / 'silver/clone').rglob('*.parquet')).read_bytes()


def test_files_outside_are_presented_as_the_table(clone, mount):
    """A column that was added later is there, as nulls, in files that lie outside."""
    lake, table, there = clone
    rewrite(table, absolute(there))
    write_deltalake(table, pa.table({'id': [100], 'p': ['a b'], 'note': ['x']}), mode='append',
                    schema_mode='merge', partition_by=['p'])
    m = mount(lake, o='outside=%s' % there)
    files = list((m / 'silver/clone').rglob('*.parquet'))
    assert len(files) == 5
    for path in files:
        assert pq.read_schema(path).names == ['id', 'note']
    assert sorted(read(m / 'silver/clone')) == sorted(list(range(20)) * 2 + [100])
    assert any(os.getxattr(p, 'user.tarn.transform') != b'none' for p in files)


def upload(s3, bucket, root, prefix=''):
    for path in root.rglob('*'):
        if path.is_file():
            s3.put(bucket, prefix + str(path.relative_to(root)), path.read_bytes())


def test_another_bucket(clone, mount, s3, bucket):
    """Files in another bucket are read with the mount's credentials, and kept in the cache."""
    lake, table, there = clone
    other = s3.make_bucket(bucket[:40] + '-other')
    rewrite(table, lambda f: f.update(path='s3a://%s/x/%s' % (other, f['path'])))
    upload(s3, bucket, lake)
    upload(s3, other, there, 'x/')
    m = mount('s3://' + bucket, env=s3.env, endpoint_url=s3.url, o='outside=s3://%s/x' % other)
    assert sorted(read(m / 'silver/clone')) == sorted(list(range(20)) * 2)
    one = next((m / 'silver/clone').rglob('*.parquet'))
    assert os.getxattr(one, 'user.tarn.object').decode().startswith('s3://%s/x/' % other)
    assert int(os.getxattr(one, 'user.tarn.cached')) == os.path.getsize(one)
    denied = mount('s3://' + bucket, env=s3.env, endpoint_url=s3.url)
    with pytest.raises(PermissionError):
        next((denied / 'silver/clone').rglob('*.parquet')).read_bytes()


def test_a_table_here_with_files_in_a_bucket(clone, mount, s3, bucket):
    lake, table, there = clone
    rewrite(table, lambda f: f.update(path='s3://%s/%s' % (bucket, f['path'])))
    upload(s3, bucket, there)
    env = dict(s3.env, AWS_ENDPOINT_URL=s3.url)
    m = mount(lake, env=env, o='outside=s3://' + bucket)
    assert sorted(read(m / 'silver/clone')) == sorted(list(range(20)) * 2)


def test_a_bucket_never_names_files_of_this_machine(clone, mount, s3, bucket, tmp_path):
    """Not by its log, and not if somebody allows it."""
    lake, table, there = clone
    rewrite(table, absolute(there))
    upload(s3, bucket, lake)
    m = mount('s3://' + bucket, env=s3.env, endpoint_url=s3.url)
    with pytest.raises(PermissionError):
        next((m / 'silver/clone').rglob('*.parquet')).read_bytes()
    mnt = tmp_path / 'mnt'
    mnt.mkdir()
    done = run_tarn('mount', 's3://' + bucket, mnt, '--cache-dir', tmp_path / 'cache',
                    '--endpoint-url', s3.url, '-o', 'outside=file://%s' % there, env=s3.env)
    assert done.returncode == 1 and 'outside' in done.stderr


def test_wrong_prefixes_are_told(clone, tmp_path):
    lake, _, _ = clone
    mnt = tmp_path / 'mnt'
    mnt.mkdir()
    for prefix, status in (('relative/dir', 2), ('/no/such/dir', 1), ('gopher://x', 1)):
        done = run_tarn('mount', lake, mnt, '--cache-dir', tmp_path / 'cache', '-o',
                        'outside=' + prefix)
        assert done.returncode == status and 'outside' in done.stderr, done.stderr


def test_a_shallow_clone_of_the_corpus(mount, tmp_path):
    """Trino's clone: its own directory alone is mounted, its source is what is allowed."""
    root = tmp_path / 'corpus'
    subprocess.run([str(TABLES / 'unpack'), str(root)], check=True, capture_output=True)
    whole = mount(root)
    want = {p: (whole / CLONED / p).read_bytes() for p in lakes.tree(whole / CLONED)}
    assert any((whole / CLONED / p).stat().st_size for p in want)
    alone = mount(root / CLONED)
    outside = [p for p in lakes_names(alone) if not (root / CLONED / p).exists()]
    assert outside
    with pytest.raises(PermissionError):
        (alone / outside[0]).read_bytes()
    allowed = mount(root / CLONED, o='outside=%s' % (root / CLONED).parent)
    assert {p: (allowed / p).read_bytes() for p in want} == want


def lakes_names(top):
    return [os.path.relpath(os.path.join(where, n), top)
            for where, _, names in os.walk(top) for n in names]
