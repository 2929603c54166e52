# SPDX-License-Identifier: Apache-2.0
"""Tags of tarn's own: set, moved, removed, listed; of this machine and shared in the lake."""
import itertools
import json
import os
import shutil
import stat
import time

import pytest
from deltalake import DeltaTable, write_deltalake

from support import lakes
from support.mounts import run_tarn, wait_for
from support.places import PATIENCE_S

TABLE = 'silver/orders'


def tag(*words, ok=True):
    done = run_tarn('tag', *words)
    assert (done.returncode == 0) == ok, done.stderr
    return done.stderr if not ok else done.stdout


def tags(path):
    told = json.loads(tag('--list', '--json', path))
    return {(t['name'], t['shared']): t['version'] for t in told}


@pytest.fixture
def m(own_lake, mount):
    return mount(own_lake.root, refresh='0.2')


def shown(path):
    return os.getxattr(path, 'user.tarn.version').decode()


@pytest.mark.parametrize('shared', [[], ['--shared']], ids=['local', 'shared'])
def test_a_tag_names_a_version(m, own_lake, shared):
    tag(*shared, m / (TABLE + '@3'), 'release')
    for ref in ('release', 'tag=release'):
        for there in (m / (TABLE + '@' + ref), m / TABLE / ('@' + ref)):
            assert shown(there) == '3'
            assert lakes.tree(there) == lakes.tree(m / (TABLE + '@3'))
    assert tags(m / TABLE) == {('release', bool(shared)): 3}


@pytest.mark.parametrize('shared', [[], ['--shared']], ids=['local', 'shared'])
def test_a_tag_is_set_anew_only_by_force(m, shared):
    tag(*shared, m / (TABLE + '@3'), 'release')
    assert 'release' in tag(*shared, m / (TABLE + '@4'), 'release', ok=False)
    assert shown(m / (TABLE + '@release')) == '3'
    tag(*shared, '--force', m / (TABLE + '@4'), 'release')
    assert shown(m / (TABLE + '@release')) == '4'
    tag('--delete', *shared, m / TABLE, 'release')
    wait_for(lambda: not os.path.exists(m / (TABLE + '@release')), PATIENCE_S, 'its end')
    tag('--delete', *shared, m / TABLE, 'release', ok=False)
    assert tags(m / TABLE) == {}
    tag(*shared, m / (TABLE + '@5'), 'release')
    assert shown(m / (TABLE + '@release')) == '5'


@pytest.mark.parametrize('name, path', [
    ('team/gold', 'team%2Fgold'), ('a@b', 'a%40b'), ('50%', '50%25'), ('übung №1', 'übung №1'),
    ('v1.2', 'v1.2'), ('with blank', 'with blank'), ('_x', '_x')])
@pytest.mark.parametrize('shared', [[], ['--shared']], ids=['local', 'shared'])
def test_names_of_tags(m, name, path, shared):
    tag(*shared, m / (TABLE + '@2'), name)
    assert shown(m / (TABLE + '@tag=' + path)) == '2'
    assert shown(m / (TABLE + '@' + path)) == '2'
    assert path in os.listdir(m / (TABLE + '@'))
    assert tags(m / TABLE) == {(name, bool(shared)): 2}


@pytest.mark.parametrize('name', ['12', 'v3', '2026-03-01', '2026-03-01T093000Z', '', 'a..b', '.x',
                                  'x' * 201, 'a\nb', 'version=3', 'tag=x', '20260301093000123'])
def test_what_can_be_no_name(m, name):
    assert tag(m / (TABLE + '@2'), '--force', name, ok=False)
    assert tags(m / TABLE) == {}


def test_tags_are_listed_beside_the_versions(m, own_lake):
    tag(m / (TABLE + '@3'), 'here')
    tag('--shared', m / (TABLE + '@5'), 'everywhere')
    there = m / (TABLE + '@')
    names = os.listdir(there)
    assert set(names) == {str(v.number) for v in own_lake.versions(TABLE)} | {'here', 'everywhere'}
    assert len(names) == len(set(names))
    assert os.readlink(there / 'here') == '../orders@3'
    assert os.readlink(m / TABLE / '@' / 'everywhere') == '../@5'
    assert stat.S_ISLNK(os.lstat(there / 'here').st_mode)
    assert lakes.tree(there / 'here') == lakes.tree(m / (TABLE + '@3'))


def test_the_local_tag_counts_where_both_have_a_name(m):
    tag('--shared', m / (TABLE + '@5'), 'release')
    assert shown(m / (TABLE + '@release')) == '5'
    tag(m / (TABLE + '@3'), 'release')
    assert shown(m / (TABLE + '@release')) == '3'
    assert tags(m / TABLE) == {('release', False): 3, ('release', True): 5}
    assert os.readlink(m / (TABLE + '@/release')) == '../orders@3'
    tag('--delete', m / TABLE, 'release')
    assert shown(m / (TABLE + '@release')) == '5'


def test_local_tags_outlive_the_daemon(own_lake, mount, tmp_path):
    m = mount(own_lake.root, cache=tmp_path / 'cache')
    tag(m / (TABLE + '@3'), 'release')
    m.unmount_and_wait_for_the_daemon()
    m = mount(own_lake.root, cache=tmp_path / 'cache')
    assert shown(m / (TABLE + '@release')) == '3'
    other = mount(own_lake.root)
    with pytest.raises(FileNotFoundError):
        os.stat(other / (TABLE + '@release'))


def test_a_shared_tag_is_seen_by_others_and_moves_for_them(own_lake, mount):
    a, b = mount(own_lake.root), mount(own_lake.root, refresh='0.2')
    tag('--shared', a / (TABLE + '@3'), 'release')
    assert shown(b / (TABLE + '@release')) == '3'
    tag('--shared', '--force', a / (TABLE + '@4'), 'release')
    time.sleep(0.5)                             # the table rests in b for more than --refresh
    assert shown(b / (TABLE + '@release')) == '4'


def test_shared_tags_in_a_bucket(own_lake, mount, s3, bucket):
    for p in own_lake.root.rglob('*'):
        if p.is_file():
            s3.put(bucket, str(p.relative_to(own_lake.root)), p.read_bytes())
    m = mount('s3://' + bucket, env=s3.env, endpoint_url=s3.url)
    tag('--shared', m / (TABLE + '@3'), 'team/release')
    tag('--shared', '--force', m / (TABLE + '@4'), 'team/release')
    other = mount('s3://' + bucket, env=s3.env, endpoint_url=s3.url)
    assert shown(other / (TABLE + '@team%2Frelease')) == '4'
    tag('--delete', '--shared', m / TABLE, 'team/release')
    assert tags(m / TABLE) == {}


def test_engines_do_not_see_shared_tags(m, own_lake):
    """They lie where readers do not look and VACUUM does not remove."""
    before = lakes.tree(m / TABLE)
    tag('--shared', m / (TABLE + '@3'), 'release')
    assert lakes.tree(m / TABLE) == before
    table = DeltaTable(own_lake / TABLE)
    rows = table.to_pyarrow_table().num_rows
    table.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    assert list((own_lake / TABLE / '_tarn/tags').iterdir())
    assert table.to_pyarrow_table().num_rows == rows


def test_a_tag_stays_while_the_table_goes_on(m, own_lake):
    tag(m / (TABLE + '@3'), 'release')
    before = lakes.tree(m / (TABLE + '@release'))
    write_deltalake(own_lake / TABLE, lakes.rows(10_000, 3), mode='append')
    time.sleep(0.5)
    assert lakes.tree(m / (TABLE + '@release')) == before


def test_tags_as_ends_of_a_range(m):
    tag(m / (TABLE + '@2'), 'seen')
    tag('--shared', m / (TABLE + '@5'), 'upto')
    assert lakes.tree(m / (TABLE + '@seen..upto')) == lakes.tree(m / (TABLE + '@2..5'))
    assert lakes.tree(m / (TABLE + '@seen..5')) == lakes.tree(m / (TABLE + '@2..5'))


def test_a_tag_of_a_table_that_was_made_anew_is_gone(m, own_lake):
    """A local tag names a version of the table that was there, not one of the same number."""
    tag(m / (TABLE + '@3'), 'release')
    shutil.rmtree(own_lake / TABLE)
    for n in range(5):
        write_deltalake(own_lake / TABLE, lakes.rows(n * 10, 3), mode='append')
    time.sleep(0.5)
    assert shown(m / (TABLE + '@3')) == '3'
    with pytest.raises(FileNotFoundError):
        os.stat(m / (TABLE + '@release'))


def test_refs_alone_notice_a_table_that_was_made_anew(own_lake, mount):
    """Nobody looks at the live path: versions are those of the new table within --hold."""
    m = mount(own_lake.root, refresh='0.2', hold='1')
    before = lakes.tree(m / (TABLE + '@3'))
    shutil.rmtree(own_lake / TABLE)
    for n in range(5):
        write_deltalake(own_lake / TABLE, lakes.rows(n * 10, 3), mode='append')
    names = {os.path.basename(f) for f in DeltaTable(own_lake / TABLE, version=2).file_uris()}
    spelled = ('@%s%d' % ('v' * (i % 2), 2) for i in itertools.count())
    wait_for(lambda: set(os.listdir(m / (TABLE + next(spelled)))) == names, PATIENCE_S, 'the new table')
    assert lakes.tree(m / (TABLE + '@1')) != before


def test_what_cannot_be_tagged(m):
    assert 'no one version' in tag(m / (TABLE + '@2..5'), 'x', ok=False)
    assert tag(m / 'bronze/events', 'x', ok=False)
    assert tag(m / 'bronze', 'x', ok=False)
    assert tag('/', 'x', ok=False)


def test_a_damaged_database_is_put_aside(own_lake, mount, tmp_path):
    cache = tmp_path / 'cache'
    m = mount(own_lake.root, cache=cache)
    tag(m / (TABLE + '@3'), 'release')
    m.unmount_and_wait_for_the_daemon()
    (cache / 'tags.mdb').write_bytes(b'no database' * 1000)
    m = mount(own_lake.root, cache=cache)
    assert tags(m / TABLE) == {}
    tag(m / (TABLE + '@4'), 'release')
    assert shown(m / (TABLE + '@release')) == '4'
    assert (cache / 'tags.mdb.damaged').exists()
