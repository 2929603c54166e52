# SPDX-License-Identifier: Apache-2.0
"""A lake file mounted: layers of S3, Azure and this machine's disk in one lake."""
import contextlib
import errno
import filecmp
import json
import os
import socket
from pathlib import Path
from urllib.parse import quote

import pytest
from deltalake import write_deltalake

from support import azure, lakes
from support.azure import ACCOUNT
from support.mounts import run_tarn, wait_for
from support.s3 import free_port

BUCKET, CONTAINER = 'of-a-lake-file', 'gold'


@pytest.fixture(scope='module')
def azurite(tmp_path_factory):
    s = azure.Server(tmp_path_factory.mktemp('azurite'))
    yield s
    s.stop()


@pytest.fixture(scope='module')
def stores(lake, s3, azurite, tmp_path_factory):
    """
    The lake of the other tests, a layer in each place:
        bronze   s3://of-a-lake-file/raw      silver   s3://of-a-lake-file/curated/silver
        gold     a container of Azurite's     scratch  the local directory, all of it
    """
    s3.make_bucket(BUCKET)
    s3.copy_tree(lake / 'bronze', BUCKET, 'raw')
    s3.copy_tree(lake / 'silver', BUCKET, 'curated/silver')
    azurite.copy_tree(lake / 'gold', azurite.make_container(CONTAINER))
    return {'bronze': 's3://%s/raw' % BUCKET, 'silver': 's3://%s/curated/silver/' % BUCKET,
            'gold': 'abfss://%s@%s.dfs.core.windows.net/' % (CONTAINER, ACCOUNT),
            'scratch': str(lake.root)}


@pytest.fixture(scope='module')
def env(s3, azurite):
    return dict(s3.env, **azurite.env)


def text_of(stores, s3, azurite, **more):
    """A lake file; `more` are further keys of the layers of that name."""
    servers = {'bronze': s3.url, 'silver': s3.url, 'gold': azurite.url}
    layers = {name: dict({'url': url}, **({'endpoint-url': servers[name]} if name in servers else {}),
                         **more.get(name, {})) for name, url in stores.items()}
    return json.dumps({'layers': layers}, indent=1)


@pytest.fixture(scope='module')
def file(stores, s3, azurite, tmp_path_factory):
    path = tmp_path_factory.mktemp('file') / 'lake.yaml'
    path.write_text(text_of(stores, s3, azurite))
    return path


@pytest.fixture(scope='module')
def m(module_mount, file, env):
    return module_mount(file, env=env)


def refused(file, tmp_path, env=None, *more):
    """What `tarn mount` says where it must fail."""
    (tmp_path / 'point').mkdir(exist_ok=True)
    done = run_tarn('mount', file, tmp_path / 'point', '--cache-dir', tmp_path / 'refused', *more, env=env)
    if done.returncode == 0:
        run_tarn('umount', tmp_path / 'point')
    assert done.returncode == 1, done.stdout + done.stderr
    assert not os.listdir(tmp_path / 'point')
    return done.stderr


def is_equal(at, want):
    names = list(lakes.tree(want))
    assert lakes.tree(at) == lakes.tree(want)
    _, different, broken = filecmp.cmpfiles(at, want, names, shallow=False)
    assert not different and not broken


# One lake

def test_the_root_lists_the_layers(m, file):
    assert m.said == '%s mounted on %s\n' % (file, m.path)
    assert sorted(os.listdir(m.path)) == ['bronze', 'gold', 'scratch', 'silver']
    for name in ('nothing', 'bronze@', 'silver@0', '@1', 'silver@2999-01-01'):
        with pytest.raises(FileNotFoundError):
            os.stat(m / name)


@pytest.mark.parametrize('table', ['silver/orders', 'silver/eu/fr/clients', 'gold/daily',
                                   'scratch/silver/orders', 'scratch/gold/daily'])
def test_every_version_of_a_table_is_that_of_its_store(m, lake, table, tmp_path):
    below = table.replace('scratch/', '')
    versions = lake.versions(below)
    assert lakes.tree(m / table) == versions[-1].files
    assert m.xattr(table, 'table') == table
    for version in range(len(versions)):
        want = lakes.reference(lake, below, version, tmp_path / str(version))
        is_equal(m / ('%s@%d' % (table, version)), want)
    assert len(os.listdir(m / (table + '@'))) == len(versions)
    # 12..12 added what 12 has and 11 had not
    for version in range(1, len(versions)):
        assert (m / ('%s@%d..%d' % (table, version - 1, version))).is_dir()
    assert m.xattr('%s@0' % table, 'path') == '%s@0' % table


def test_files_that_no_format_has_are_tables_of_files(m, lake):
    is_equal(m / 'bronze/events', lake / 'bronze/events')
    is_equal(m / 'bronze/images', lake / 'bronze/images')
    assert m.xattr('bronze/images', 'format') == 'files'
    assert m.xattr('bronze/images', 'table') == 'bronze/images'


def test_a_time_behind_a_layer_is_that_of_each_table_below(m, lake):
    for version in (0, 4):
        at = (lakes.FIRST + version * lakes.DAY + lakes.DAY / 2).strftime('%Y-%m-%dT%H%M%SZ')
        assert lakes.tree(m / ('silver@%s' % at) / 'orders') == lake.versions('silver/orders')[version].files
        assert lakes.tree(m / 'scratch' / ('silver@%s' % at) / 'orders') == \
            lake.versions('silver/orders')[version].files
    with pytest.raises(FileNotFoundError):
        os.listdir(m / 'silver@2024-02-01/orders')


def test_what_is_said_of_a_file_is_said_of_its_own_store(m, s3, azurite, stores, lake):
    for layer, table in (('silver', 'orders'), ('gold', 'daily')):
        name = next(iter(lake.versions('%s/%s' % (layer, table))[-1].files))
        said = m.xattr('%s/%s/%s' % (layer, table, name), 'object')
        assert said.startswith(stores[layer].rstrip('/') + '/' + table + '/')
    name = next(iter(lake.versions('gold/daily')[-1].files))
    assert m.xattr('scratch/gold/daily/' + name, 'object').startswith('file://%s/' % lake.root)
    assert m.xattr('scratch/gold/daily/' + name, 'tier') == 'local'


def test_only_layers_elsewhere_take_room_in_the_cache(mount, file, env):
    """Files of this machine are opened in place, beside those that are fetched."""
    def cached(m):
        return {p for p in (m.cache / 'objects').rglob('*') if p.is_file()}
    m = mount(file, env=env)
    is_equal(m / 'scratch/gold/daily', m / 'scratch/gold/daily@2')
    assert not cached(m)
    is_equal(m / 'gold/daily', m / 'scratch/gold/daily')
    assert cached(m)


def test_nodes_of_two_layers_are_two(m):
    """The same table in two layers: other directories, and other inode numbers."""
    seen = {}
    for at in ('silver', 'silver/orders', 'scratch', 'scratch/silver', 'scratch/silver/orders'):
        seen.setdefault(os.stat(m / at).st_ino, []).append(at)
    assert all(len(at) == 1 for at in seen.values()), seen


def test_a_layer_and_a_mount_of_its_url_share_the_cache(mount, file, env, stores, s3, tmp_path):
    """An object is kept once, whichever of the two has fetched it."""
    cache = tmp_path / 'one-cache'
    alone = mount(stores['silver'], cache=cache, env=env, endpoint_url=s3.url)
    size = {}
    for where in lakes.tree(alone / 'orders'):
        size[where] = len((alone / 'orders' / where).read_bytes())
    files = sorted(p.name for p in (cache / 'objects').rglob('*') if p.is_file())
    both = mount(file, cache=cache, env=env)
    for where, n in size.items():
        assert len((both / 'silver/orders' / where).read_bytes()) == n
    assert sorted(p.name for p in (cache / 'objects').rglob('*') if p.is_file()) == files
    both.unmount()
    for where, n in size.items():                # the store of the other mount is still open
        assert len((alone / 'orders' / where).read_bytes()) == n


def test_a_mount_of_another_lake_file_does_not_mix_with_the_first(mount, file, env, stores, s3, azurite,
                                                                  lake, tmp_path):
    """Names that the kernel and the daemon know are those of their lake: the layers change places."""
    other = tmp_path / 'other.yml'
    layers = {'silver': {'url': stores['gold'], 'endpoint-url': azurite.url},
              'gold': {'url': stores['silver'], 'endpoint-url': s3.url}}
    other.write_text(json.dumps({'layers': layers}))
    cache = tmp_path / 'cache'
    a, b = mount(file, cache=cache, env=env), mount(other, cache=cache, env=env)
    for _ in range(2):
        assert lakes.tree(a / 'silver/orders') == lake.versions('silver/orders')[-1].files
        assert lakes.tree(b / 'gold/orders') == lake.versions('silver/orders')[-1].files
        assert lakes.tree(b / 'silver/daily') == lake.versions('gold/daily')[-1].files
        for where, at in ((a, 'gold/orders'), (b, 'silver/orders')):
            with pytest.raises(FileNotFoundError):
                os.stat(where / at)


def test_a_daemon_that_is_new_knows_the_names(mount, file, env, lake, tmp_path):
    """Node numbers in the cache directory are found again."""
    cache = tmp_path / 'cache'
    first = mount(file, cache=cache, env=env)
    number = os.stat(first / 'silver/orders').st_ino
    lakes.tree(first / 'silver/orders@3')
    first.unmount_and_wait_for_the_daemon()
    again = mount(file, cache=cache, env=env)
    assert os.stat(again / 'silver/orders').st_ino == number
    assert lakes.tree(again / 'silver/orders@3') == lake.versions('silver/orders')[3].files


def test_as_of_is_that_of_all_layers(mount, file, env, lake):
    at = (lakes.FIRST + lakes.DAY * 1.5).strftime('%Y-%m-%dT%H:%M:%SZ')
    m = mount(file, env=env, as_of=at)
    assert lakes.tree(m / 'silver/orders') == lake.versions('silver/orders')[1].files
    assert lakes.tree(m / 'scratch/gold/daily') == lake.versions('gold/daily')[1].files
    with pytest.raises(FileNotFoundError):       # in Azure its commits are of today
        os.listdir(m / 'gold/daily')


# A layer may be a table itself

def test_a_layer_that_is_a_table(mount, s3, env, lake, tmp_path):
    path = tmp_path / 'tables.yaml'
    path.write_text(json.dumps({'layers': {
        'orders': {'url': 's3://%s/curated/silver/orders' % BUCKET, 'endpoint-url': s3.url},
        'daily': str(lake / 'gold/daily')}}))
    m = mount(path, env=env)
    assert lakes.tree(m / 'orders') == lake.versions('silver/orders')[-1].files
    assert lakes.tree(m / 'orders@2') == lake.versions('silver/orders')[2].files
    assert lakes.tree(m / 'orders/@2') == lake.versions('silver/orders')[2].files
    assert lakes.tree(m / 'daily@0') == lake.versions('gold/daily')[0].files
    assert len(os.listdir(m / 'daily@')) == 3


# Commands

def test_commands_take_paths_of_layers(m, lake):
    done = run_tarn('versions', m / 'gold/daily')
    assert done.returncode == 0 and len(done.stdout.splitlines()) >= 3, done.stderr
    for path in (m.path, m / 'silver', m / 'gold/daily'):
        done = run_tarn('doctor', path)
        assert done.returncode == 0, done.stdout + done.stderr
    assert 'silver/orders' in run_tarn('doctor', m.path).stdout
    done = run_tarn('warm', m / 'silver/orders@2', m / 'gold/daily')
    assert done.returncode == 0, done.stderr
    for table in ('silver/orders@2', 'gold/daily'):
        for name, size in lakes.tree(m / table).items():
            assert int(m.xattr('%s/%s' % (table, name), 'cached')) == size
    done = run_tarn('diff', m / 'silver/orders@2', m / 'silver/orders@3')
    assert done.returncode in (0, 1) and not done.stderr, done.stderr


def test_doctor_names_a_refused_table_by_its_layer(mount, tmp_path, s3, env, lake):
    bad = tmp_path / 'bad' / 'broken' / '_delta_log'
    bad.mkdir(parents=True)
    (bad / ('%020d.json' % 0)).write_text('{"protocol": \n')
    path = tmp_path / 'lake.yaml'
    path.write_text(json.dumps({'layers': {
        'good': {'url': 's3://%s/curated/silver' % BUCKET, 'endpoint-url': s3.url},
        'bad': str(tmp_path / 'bad')}}))
    m = mount(path, env=env)
    done = run_tarn('doctor', m.path)
    assert done.returncode == 1 and 'bad/broken' in done.stdout
    assert lakes.tree(m / 'good/orders') == lake.versions('silver/orders')[-1].files
    with pytest.raises(OSError) as e:
        os.listdir(m / 'bad/broken')
    assert e.value.errno == errno.EIO


def test_tags_are_those_of_the_layer(mount, file, env, own_lake, tmp_path):
    """A local tag, and one that lies in the layer's own store."""
    path = tmp_path / 'own.yaml'
    path.write_text('layers:\n  a: %s\n  b: %s\n' % (own_lake / 'silver', own_lake / 'gold'))
    m = mount(path)
    assert run_tarn('tag', m / 'a/orders@3', 'before').returncode == 0
    assert run_tarn('tag', '--shared', m / 'b/daily@1', 'good').returncode == 0
    want = own_lake.versions('silver/orders')[3].files
    wait_for(lambda: (m / 'a/orders@before').is_dir(), 10, 'the tag')
    assert lakes.tree(m / 'a/orders@before') == want
    wait_for(lambda: (m / 'b/daily@good').is_dir(), 10, 'the shared tag')
    assert lakes.tree(m / 'b/daily@good') == own_lake.versions('gold/daily')[1].files
    assert (own_lake / 'gold/daily/_tarn/tags').is_dir()
    plain = mount(own_lake.root)
    assert lakes.tree(plain / 'gold/daily@good') == own_lake.versions('gold/daily')[1].files


# Tables that reach beyond their layer

def clone_into(table, source, prefix):
    """A shallow clone of a table: its log names all files by absolute URLs."""
    log = Path(table) / '_delta_log'
    log.mkdir(parents=True)
    first = Path(source) / '_delta_log'
    for commit in sorted(first.glob('*.json')):
        actions = [json.loads(line) for line in commit.read_text().splitlines() if line.strip()]
        for action in actions:
            for kind in ('add', 'remove'):
                if kind in action:
                    action[kind]['path'] = '%s/%s' % (prefix, quote(action[kind]['path'], safe='/%='))
        (log / commit.name).write_text('\n'.join(map(json.dumps, actions)) + '\n')


@pytest.fixture
def clone(lake, s3, bucket, tmp_path, env):
    """layers(**keys of `mine`): a lake file, of whose layer `mine` a table has its files in the layer `silver`."""
    clone_into(tmp_path / 'mine' / 'clone', lake / 'gold/daily', 's3://%s/silver/daily' % bucket)
    s3.copy_tree(tmp_path / 'mine', bucket, 'mine')
    s3.copy_tree(lake / 'gold', bucket, 'silver')

    def layers(with_silver=True, **more):
        path = tmp_path / 'lake.yaml'
        at = {'mine': dict({'url': 's3://%s/mine' % bucket, 'endpoint-url': s3.url}, **more)}
        if with_silver:
            at['silver'] = {'url': 's3://%s/silver' % bucket, 'endpoint-url': s3.url}
        path.write_text(json.dumps({'layers': at}))
        return path
    return layers


def test_objects_of_other_layers_are_below_the_root(clone, mount, env, lake):
    m = mount(clone(), env=env)
    files = lakes.tree(m / 'mine/clone')
    assert len(files) == len(lake.versions('gold/daily')[-1].files)
    for name in files:
        assert (m / 'mine/clone' / name).read_bytes() == (lake / 'gold/daily' / name).read_bytes()
        assert '/silver/daily/' in m.xattr('mine/clone/' + name, 'object')


def test_what_no_layer_has_and_none_allows_is_denied(clone, mount, env):
    m = mount(clone(with_silver=False), env=env)
    for name in lakes.tree(m / 'mine/clone'):
        with pytest.raises(PermissionError):
            (m / 'mine/clone' / name).read_bytes()


def test_outside_of_a_layer_is_for_its_tables(clone, mount, env, lake, bucket):
    m = mount(clone(with_silver=False, outside=['s3://%s/silver/' % bucket]), env=env)
    for name in lakes.tree(m / 'mine/clone'):
        assert (m / 'mine/clone' / name).read_bytes() == (lake / 'gold/daily' / name).read_bytes()


def test_outside_that_is_a_layer_besides_is_no_contradiction(clone, mount, env, lake, bucket):
    m = mount(clone(outside=['s3://%s/silver/' % bucket, 's3://%s/silver/daily' % bucket]), env=env)
    for name in lakes.tree(m / 'mine/clone'):
        assert (m / 'mine/clone' / name).read_bytes() == (lake / 'gold/daily' / name).read_bytes()


def test_a_bucket_does_not_reach_layers_of_this_machine(mount, s3, bucket, lake, tmp_path, env):
    """Who may write a table in a bucket must not read files of whoever mounts."""
    clone_into(tmp_path / 'evil' / 'clone', lake / 'gold/daily', 'file://%s/gold/daily' % lake.root)
    s3.copy_tree(tmp_path / 'evil', bucket, 'evil')
    path = tmp_path / 'lake.yaml'
    path.write_text(json.dumps({'layers': {
        'evil': {'url': 's3://%s/evil' % bucket, 'endpoint-url': s3.url}, 'here': str(lake.root)}}))
    m = mount(path, env=env)
    for name in lakes.tree(m / 'evil/clone'):
        with pytest.raises(PermissionError):
            (m / 'evil/clone' / name).read_bytes()
    assert lakes.tree(m / 'here/gold/daily') == lake.versions('gold/daily')[-1].files


# Policies

def test_a_policy_is_over_all_layers(mount, file, env, lake, tmp_path):
    policy = tmp_path / 'policy.yaml'
    policy.write_text('grants:\n  - {to: ["role:a"], tables: [silver/orders, "scratch/gold/**"]}\n'
                      '  - {to: ["role:b"], tables: ["gold/**"]}\n')
    a = mount(file, env=env, policy=policy, **{'as': 'a'})
    b = mount(file, env=env, policy=policy, **{'as': 'b'})
    assert lakes.tree(a / 'silver/orders@2') == lake.versions('silver/orders')[2].files
    assert lakes.tree(a / 'scratch/gold/daily') == lake.versions('gold/daily')[-1].files
    assert lakes.tree(b / 'gold/daily') == lake.versions('gold/daily')[-1].files
    assert sorted(os.listdir(a.path)) == ['scratch', 'silver']
    assert os.listdir(b.path) == ['gold']
    for m, path in ((a, 'gold/daily'), (a, 'silver/eu/fr/clients'), (a, 'scratch/silver/orders'),
                    (b, 'silver/orders'), (b, 'bronze/images'), (b, 'scratch/gold/daily')):
        with pytest.raises(FileNotFoundError):
            os.stat(m / path)


def test_a_clone_over_layers_needs_both_grants(clone, mount, env, lake, tmp_path):
    policy = tmp_path / 'policy.yaml'
    policy.write_text('grants:\n  - {to: ["role:both"], tables: ["mine/**", "silver/daily"]}\n'
                      '  - {to: ["role:one"], tables: ["mine/**"]}\n')
    path = clone()
    both = mount(path, env=env, policy=policy, **{'as': 'both'})
    one = mount(path, env=env, policy=policy, **{'as': 'one'})
    for name in lakes.tree(both / 'mine/clone'):
        assert (both / 'mine/clone' / name).read_bytes() == (lake / 'gold/daily' / name).read_bytes()
        with pytest.raises(PermissionError):
            (one / 'mine/clone' / name).read_bytes()


# What is refused, and how it is told

@pytest.mark.parametrize('text, told', [
    ('layers:\n  a: s3://bucket\nrule: []\n', '3:1: a lake file has no "rule"'),
    ('layers:\n  a: {url: s3://bucket, regions: x}\n', '2:25: a layer has no "regions"'),
    ('layers:\n  a: bucket\n', '2:6: a store is a URL'),
    ('layers:\n  a: s3://bucket\n  a: s3://bucket2\n', '3:3: "a" is there twice'),
    ('layers:\n  a: [\n', '3:1: '),
    ('layers: {a: s3://key:hunter2@bucket}\n', '1:13: '),
    ('', '1:1: the file is empty'),
])
def test_a_mistake_is_told_by_line_and_column(tmp_path, text, told):
    path = tmp_path / 'lake.yaml'
    path.write_text(text)
    said = refused(path, tmp_path)
    assert said.startswith('tarn mount: %s:%s' % (path, told)) and 'hunter2' not in said
    assert not (tmp_path / 'refused').exists() or not os.listdir(tmp_path / 'refused')   # nobody was started


def test_a_file_that_is_not_there_or_no_file(tmp_path, mount, lake):
    assert 'none.yaml' in refused(tmp_path / 'none.yaml', tmp_path)
    directory = tmp_path / 'dir.yaml'            # a lake of that name, as any directory
    directory.symlink_to(lake.root)
    m = mount(directory)
    assert sorted(os.listdir(m.path)) == sorted(os.listdir(lake.root))


def test_options_of_one_store_are_said_in_the_file(tmp_path, file, env):
    assert 'outside' in refused(file, tmp_path, env, '-o', 'outside=s3://x')


@contextlib.contextmanager
def closed_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', free_port()))
        yield s.getsockname()[1]                 # bound and not listening: connections are refused


def test_a_layer_that_cannot_be_reached_is_named(tmp_path, lake, s3, env):
    with closed_port() as port:
        path = tmp_path / 'lake.yaml'
        path.write_text('layers:\n  here: %s\n  far: {url: s3://bucket/x, endpoint-url: "http://127.0.0.1:%d"}\n'
                        % (lake.root, port))
        said = refused(path, tmp_path, env, '--deadline', '2')
    assert said.startswith('tarn mount: %s:3:14: layer far: ' % path), said


@pytest.mark.parametrize('layer, told', [
    ('{url: s3://no-such-bucket-of-ours, endpoint-url: "%s"}', '2:12: layer a: '),
    ('/no/such/directory', '2:6: layer a: '),
])
def test_a_layer_that_is_not_there_is_named(tmp_path, s3, env, layer, told):
    path = tmp_path / 'lake.yaml'
    path.write_text('layers:\n  a: %s\n' % (layer % s3.url if '%' in layer else layer))
    assert refused(path, tmp_path, env).startswith('tarn mount: %s:%s' % (path, told))


def test_wrong_credentials_name_the_layer(tmp_path, s3, env, stores):
    path = tmp_path / 'lake.yaml'
    path.write_text('layers:\n  a: {url: "%s", endpoint-url: "%s", no-sign-request: true}\n'
                    % (stores['silver'], s3.url))
    assert ':2:12: layer a: ' in refused(path, tmp_path, env)


@pytest.mark.parametrize('a, b', [('', ''), ('', '/silver'), ('/silver', '')])
def test_layers_have_no_object_in_common(tmp_path, lake, a, b):
    path = tmp_path / 'lake.yaml'
    path.write_text('layers:\n  one: %s%s\n  two: %s%s\n' % (lake.root, a, lake.root, b))
    said = refused(path, tmp_path)
    assert said.startswith('tarn mount: %s:3:8: layer two: ' % path) and 'layer one' in said
    (tmp_path / 'silver-2').mkdir()
    (tmp_path / 'silver').mkdir()
    path.write_text('layers:\n  one: %s\n  two: %s\n' % (tmp_path / 'silver', tmp_path / 'silver-2'))
    (tmp_path / 'point').mkdir(exist_ok=True)
    done = run_tarn('mount', path, tmp_path / 'point', '--cache-dir', tmp_path / 'cache')
    assert done.returncode == 0, done.stderr
    assert sorted(os.listdir(tmp_path / 'point')) == ['one', 'two']
    assert run_tarn('umount', tmp_path / 'point').returncode == 0


def test_a_mount_point_inside_a_layer(tmp_path, own_lake):
    path = tmp_path / 'lake.yaml'
    (tmp_path / 'b').mkdir()
    path.write_text('layers:\n  b: %s\n  a: %s\n' % (tmp_path / 'b', own_lake.root))
    (own_lake.root / 'm').mkdir()
    done = run_tarn('mount', path, own_lake.root / 'm', '--cache-dir', tmp_path / 'cache')
    assert done.returncode == 1 and 'lies inside the source' in done.stderr


def test_a_layer_that_fails_later_fails_alone(mount, s3, azurite, env, lake, stores, tmp_path):
    """The other layers answer as before."""
    from fake.proxy import DelayProxy
    with DelayProxy(s3.port) as proxy:
        path = tmp_path / 'lake.yaml'
        path.write_text(json.dumps({'layers': {
            'far': {'url': stores['silver'], 'endpoint-url': proxy.url},
            'here': str(lake.root)}}))
        m = mount(path, env=env, deadline=2, refresh=0.1)
        assert lakes.tree(m / 'far/orders@1') == lake.versions('silver/orders')[1].files
    wait_for(lambda: fails(m / 'far/eu'), 60, 'the layer without a server fails')
    assert lakes.tree(m / 'here/silver/orders@1') == lake.versions('silver/orders')[1].files
    assert sorted(os.listdir(m.path)) == ['far', 'here']


def fails(path):
    try:
        os.listdir(path)
        return False
    except OSError as e:
        return e.errno == errno.EIO


def test_a_change_of_the_file_is_for_the_next_mount(mount, lake, tmp_path):
    path = tmp_path / 'lake.yaml'
    path.write_text('layers: {a: %s}\n' % (lake / 'silver'))
    cache = tmp_path / 'cache'
    m = mount(path, cache=cache)
    path.write_text('layers: {b: %s}\n' % (lake / 'gold'))
    assert os.listdir(m.path) == ['a']
    assert os.listdir(mount(path, cache=cache).path) == ['b']
    assert lakes.tree(m / 'a/orders@1') == lake.versions('silver/orders')[1].files


def test_a_table_that_is_written_to_is_followed(mount, tmp_path, own_lake):
    path = tmp_path / 'lake.yaml'
    path.write_text('layers: {a: %s, b: %s}\n' % (own_lake / 'silver', own_lake / 'gold'))
    m = mount(path, refresh=0.1)
    before = len(os.listdir(m / 'b/daily@'))
    write_deltalake(own_lake / 'gold/daily', lakes.rows(9000, 10), mode='append')
    wait_for(lambda: len(os.listdir(m / 'b/daily@')) == before + 1, 60, 'the new version')
    wait_for(lambda: m.xattr('b/daily', 'version') == str(before), 60, 'the live path has it')
