# SPDX-License-Identifier: Apache-2.0
"""Objects whose bytes are archived: refused at once and by name, readable as soon as they are restored."""
import errno
import json
import os
import threading
import time

import pytest

from fake.proxy import DelayProxy
from support import moto, presented_tables
from support.archived import ARCHIVES, BIG, SMALL, VECTORS, big_lake, refusal, with_vectors
from support.mounts import wait_for
from support.places import PATIENCE_S


@pytest.fixture(scope='module')
def server(tmp_path_factory):
    """moto: an S3 whose archive classes refuse reads."""
    s = moto.Server(tmp_path_factory.mktemp('moto'))
    yield s
    s.stop()


@pytest.fixture(scope='module')
def source(tmp_path_factory):
    """A lake with one Delta table of a large and a small file, and raw files beside it."""
    return big_lake(tmp_path_factory.mktemp('archived') / 'lake')


@pytest.fixture
def lake_bucket(server, source, request):
    """That lake in a bucket of the test's own, all of it in STANDARD."""
    name = 'b%08x' % (hash(request.node.nodeid) & 0xffffffff)
    server.copy_tree(source.root, server.make_bucket(name))
    return name


@pytest.fixture
def front(server):
    """A proxy before moto, which counts."""
    with DelayProxy(server.port) as p:
        yield p


def opens(path):
    os.close(os.open(path, os.O_RDONLY))
    return True


def logged(m):
    return (m.cache / 'tarn.log').read_text()


@pytest.mark.parametrize('storage_class', ARCHIVES)
@pytest.mark.parametrize('which', [BIG, SMALL])
@pytest.mark.parametrize('passthrough', ['auto', 'off'])
def test_archived_is_refused_at_once(mount, server, source, lake_bucket, storage_class, which,
                                     passthrough):
    """Opening an archived file of a table is EREMOTE at once; its class is told, and the log has the command."""
    server.move(lake_bucket, source.keys[which], storage_class)
    m = mount('s3://' + lake_bucket, endpoint_url=server.url, env=server.env,
              passthrough=passthrough)
    name = source.names[which]
    assert os.stat(m / name).st_size == source.sizes[which]
    started = time.monotonic()
    assert refusal(m / name) == errno.EREMOTE
    assert time.monotonic() - started < 30        # not only when a deadline ends
    assert m.xattr(name, 'tier') == storage_class + ',archived'
    pinned = m / m.xattr(name, 'path')
    assert '`tarn recall %s`' % pinned in logged(m)
    other = SMALL if which == BIG else BIG
    assert (m / source.names[other]).read_bytes() == source.bytes(other)
    assert m.xattr(source.names[other], 'tier') == 'STANDARD'


@pytest.mark.parametrize('storage_class', ['STANDARD_IA', 'ONEZONE_IA', 'GLACIER_IR',
                                           'INTELLIGENT_TIERING'])
def test_other_classes_read(mount, server, source, lake_bucket, storage_class):
    """Classes that are not archives read like any other, GLACIER_IR too."""
    for which in (BIG, SMALL):
        server.move(lake_bucket, source.keys[which], storage_class)
    m = mount('s3://' + lake_bucket, endpoint_url=server.url, env=server.env)
    for which in (BIG, SMALL):
        assert (m / source.names[which]).read_bytes() == source.bytes(which)
        assert m.xattr(source.names[which], 'tier') == storage_class


@pytest.mark.parametrize('which', [BIG, SMALL])
def test_restored_reads_without_a_remount(mount, server, source, lake_bucket, which):
    """Nothing that was remembered stands in the way of what has been restored."""
    server.move(lake_bucket, source.keys[which], 'GLACIER')
    m = mount('s3://' + lake_bucket, endpoint_url=server.url, env=server.env)
    for _ in range(3):
        assert refusal(m / source.names[which]) == errno.EREMOTE
    server.restore(lake_bucket, source.keys[which])
    assert (m / source.names[which]).read_bytes() == source.bytes(which)
    assert m.xattr(source.names[which], 'tier') == 'GLACIER'


def test_restore_that_takes_hours(mount, server, source, lake_bucket, front):
    """While the store is at it the file is EREMOTE still, and its tier says so."""
    server.move(lake_bucket, source.keys[BIG], 'DEEP_ARCHIVE')
    under_way = front.rule('field', kind='head', key='*.parquet', name='x-amz-restore',
                           value='ongoing-request="true"')
    m = mount('s3://' + lake_bucket, endpoint_url=front.url, env=server.env)
    assert m.xattr(source.names[BIG], 'tier') == 'DEEP_ARCHIVE,restoring'
    for _ in range(2):
        assert refusal(m / source.names[BIG]) == errno.EREMOTE
    assert 'being restored; `tarn recall --wait ' in logged(m)
    front.remove(under_way)
    server.restore(lake_bucket, source.keys[BIG])
    assert (m / source.names[BIG]).read_bytes() == source.bytes(BIG)


@pytest.mark.parametrize('status', ['ARCHIVE_ACCESS', 'DEEP_ARCHIVE_ACCESS'])
def test_archive_tiers_of_intelligent_tiering(mount, server, source, lake_bucket, front, status):
    """What INTELLIGENT_TIERING has moved into its archive tiers is archived; only the store's answers tell."""
    server.move(lake_bucket, source.keys[BIG], 'INTELLIGENT_TIERING')
    key = '*/' + source.keys[BIG].rsplit('/', 1)[1]
    archived = front.rule('status', key=key, kind='data', status=403, body=(
        '<Error><Code>InvalidObjectState</Code><Message>The operation is not valid</Message>'
        '<StorageClass>INTELLIGENT_TIERING</StorageClass><AccessTier>%s</AccessTier></Error>'
        % status))
    told = front.rule('field', key=key, kind='head', name='x-amz-archive-status', value=status)
    m = mount('s3://' + lake_bucket, endpoint_url=front.url, env=server.env)
    assert refusal(m / source.names[BIG]) == errno.EREMOTE
    assert m.xattr(source.names[BIG], 'tier') == 'INTELLIGENT_TIERING,archived'
    front.remove(archived), front.remove(told)
    assert (m / source.names[BIG]).read_bytes() == source.bytes(BIG)
    assert m.xattr(source.names[BIG], 'tier') == 'INTELLIGENT_TIERING'


def test_what_is_cached_is_read_from_the_cache(mount, server, source, lake_bucket):
    """A file that was read before it was archived goes on being read; only its tier tells of it."""
    m = mount('s3://' + lake_bucket, endpoint_url=server.url, env=server.env)
    for which in (BIG, SMALL):
        assert (m / source.names[which]).read_bytes() == source.bytes(which)
        wait_for(lambda: int(m.xattr(source.names[which], 'cached')) == source.sizes[which], PATIENCE_S,
                 'all of it is cached')
        server.move(lake_bucket, source.keys[which], 'GLACIER')
    for which in (BIG, SMALL):
        assert (m / source.names[which]).read_bytes() == source.bytes(which)
        assert m.xattr(source.names[which], 'tier') == 'GLACIER,archived'


def test_archived_while_it_is_open(mount, server, source, lake_bucket):
    """Who has a file open that becomes archived gets EREMOTE for what is not cached, and the rest of it later."""
    m = mount('s3://' + lake_bucket, endpoint_url=server.url, env=server.env)
    fd = os.open(m / source.names[BIG], os.O_RDONLY)
    try:
        server.move(lake_bucket, source.keys[BIG], 'GLACIER')
        with pytest.raises(OSError) as e:
            os.pread(fd, 100, 1 << 20)
        assert e.value.errno == errno.EREMOTE
        assert '`tarn recall %s`' % (m / m.xattr(source.names[BIG], 'path')) in logged(m)
        assert refusal(m / source.names[BIG]) == errno.EREMOTE    # it is known now
        server.restore(lake_bucket, source.keys[BIG])
        assert os.pread(fd, 100, 1 << 20) == source.bytes(BIG)[1 << 20:(1 << 20) + 100]
        assert refusal(m / source.names[BIG]) == 0
    finally:
        os.close(fd)


def test_files_and_loose_objects(mount, server, source, lake_bucket):
    """Files of a directory without a table format, whose class the listing tells: also when it changes."""
    m = mount('s3://' + lake_bucket, endpoint_url=server.url, env=server.env)
    for name in ('raw/scans/large.bin', 'raw/scans/small.bin'):
        assert refusal(m / name) == 0
    server.move(lake_bucket, 'raw/scans/large.bin', 'GLACIER')
    server.move(lake_bucket, 'raw/scans/small.bin', 'DEEP_ARCHIVE')
    n = mount('s3://' + lake_bucket, endpoint_url=server.url, env=server.env)
    for name, tier in (('raw/scans/large.bin', 'GLACIER'), ('raw/scans/small.bin', 'DEEP_ARCHIVE')):
        assert refusal(n / name) == errno.EREMOTE
        assert n.xattr(name, 'tier') == tier + ',archived'
        assert '`tarn recall %s`' % (n / name) in logged(n)
        server.restore(lake_bucket, name)
        assert (n / name).read_bytes() == (source.root / name).read_bytes()


def test_what_is_learned_of_a_listing_costs_nothing(mount, server, source, lake_bucket, front):
    """Opening a large file of a class that is never archived asks for nothing."""
    m = mount('s3://' + lake_bucket, endpoint_url=front.url, env=server.env)
    os.listdir(m / 'raw/scans')
    front.clear()
    assert opens(m / 'raw/scans/large.bin')
    assert not front.seen('*', '*/large.bin')


def test_an_open_asks_for_what_its_reader_reads_next(mount, server, source, lake_bucket, front):
    """A Parquet file of which nothing is known costs its end at the open, which is not fetched again."""
    m = mount('s3://' + lake_bucket, endpoint_url=front.url, env=server.env)
    os.stat(m / source.names[BIG])
    front.clear()
    with open(m / source.names[BIG], 'rb') as f:
        f.seek(-(64 << 10), os.SEEK_END)
        assert f.read() == source.bytes(BIG)[-(64 << 10):]
    assert front.counts('data') == 1
    assert opens(m / source.names[BIG])
    assert front.counts('data') == 1


def test_warm_and_lists_pass_archived_files_by(mount, server, source, lake_bucket):
    """`tarn warm` fetches what it can and names what is archived; a list goes on behind it."""
    from support.mounts import run_tarn
    server.move(lake_bucket, source.keys[BIG], 'GLACIER')
    m = mount('s3://' + lake_bucket, endpoint_url=server.url, env=server.env)
    done = run_tarn('warm', m / 'silver/orders')
    assert done.returncode == 1
    assert source.names[BIG].rsplit('/', 1)[1] in done.stderr and 'archived' in done.stderr
    assert int(m.xattr(source.names[SMALL], 'cached')) == source.sizes[SMALL]
    table = m / 'silver/orders'
    (table / '.tarn/prefetch').write_text(''.join(
        source.names[w].removeprefix('silver/orders/') + '\n' for w in (BIG, SMALL)))
    assert (m / source.names[SMALL]).read_bytes() == source.bytes(SMALL)
    assert refusal(m / source.names[BIG]) == errno.EREMOTE


def test_many_openers_of_archived_files(mount, server, source, lake_bucket):
    """Readers that open an archived and a readable file all the while get what is theirs, and nobody hangs."""
    server.move(lake_bucket, source.keys[BIG], 'GLACIER')
    m = mount('s3://' + lake_bucket, endpoint_url=server.url, env=server.env)
    wrong = []

    def reader():
        for _ in range(20):
            if refusal(m / source.names[BIG]) != errno.EREMOTE:
                wrong.append('opened')
            if (m / source.names[SMALL]).read_bytes() != source.bytes(SMALL):
                wrong.append('bytes')

    threads = [threading.Thread(target=reader) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(100)
        assert not t.is_alive()
    assert not wrong


@pytest.mark.parametrize('what', ['commit', 'checkpoint'])
def test_archived_log(mount, server, source, lake_bucket, what):
    """A table whose log or checkpoint somebody has archived is EREMOTE as a whole, with the reason; others are well."""
    key = source.log_key if what == 'commit' else source.checkpoint_key
    table = 'silver/orders' if what == 'commit' else 'silver/pointed'
    server.move(lake_bucket, key, 'GLACIER')
    m = mount('s3://' + lake_bucket, endpoint_url=server.url, env=server.env)
    with pytest.raises(OSError) as e:
        os.listdir(m / table)
    assert e.value.errno == errno.EREMOTE
    assert key.rsplit('/', 1)[1] in logged(m) and 'tarn recall' in logged(m)
    assert (m / 'raw/scans/small.bin').read_bytes()
    server.restore(lake_bucket, key)
    wait_for(lambda: listed(m / table), PATIENCE_S, 'the table is there again')


def listed(path):
    try:
        return os.listdir(path)
    except OSError:
        return []


@pytest.fixture(scope='module')
def shaped(server, tmp_path_factory):
    """A bucket with tables whose files are presented otherwise than they are stored: (root, what they show)."""
    root = tmp_path_factory.mktemp('shaped')
    shown = {'mapped': presented_tables.mapped(root / 'silver/mapped', [60_000, 500]),
             'deletes': presented_tables.with_deletes(root / 'silver/deletes', [60_000, 500])}
    server.copy_tree(root, server.make_bucket('shaped'))
    return root, shown


@pytest.mark.parametrize('narrowed', [False, True], ids=['all', 'policy'])
@pytest.mark.parametrize('table', ['mapped', 'deletes'])
@pytest.mark.parametrize('part', [0, 1], ids=['large', 'small'])
def test_presented_files(mount, server, shaped, table, part, narrowed, tmp_path):
    """Renamed columns, deleted rows, hidden columns: what is made of an archived object is EREMOTE, and reads once it is restored."""
    import pyarrow.parquet as pq
    root, shown = shaped
    key = 'silver/%s/part-%d.parquet' % (table, part)
    hidden = {'mapped': 'words', 'deletes': 'text'}[table]
    wanted = shown[table][part].drop_columns([hidden]) if narrowed else shown[table][part]
    options = {}
    if narrowed:
        policy = tmp_path / 'policy.yaml'
        policy.write_text(json.dumps({'grants': [{'to': ['role:trainer'], 'tables': ['silver/*'],
                                                  'hide': [hidden]}]}))
        options = {'policy': policy, 'as': 'trainer'}
    server.move('shaped', key, 'GLACIER')
    try:
        m = mount('s3://shaped', endpoint_url=server.url, env=server.env, **options)
        for _ in range(2):
            assert refusal(m / key) == errno.EREMOTE
        assert '`tarn recall ' in logged(m)
        assert m.xattr(key, 'tier') == 'GLACIER,archived'
    finally:
        server.restore('shaped', key)
    wait_for(lambda: refusal(m / key) == 0, PATIENCE_S, 'it can be read')
    assert pq.read_table(m / key).equals(wanted)
    server.put('shaped', key, (root / key).read_bytes())


def test_a_deletion_vector_that_is_archived(mount, server, tmp_path):
    """A file whose deleted rows are told by an archived object is EREMOTE, never shown with its deleted rows."""
    files = with_vectors(tmp_path, 'vectors')
    server.copy_tree(tmp_path, server.make_bucket('vectors'))
    server.move('vectors', VECTORS[0], 'GLACIER')
    m = mount('s3://vectors', endpoint_url=server.url, env=server.env)
    assert [refusal(m / f) for f in files] == [errno.EREMOTE, errno.EREMOTE, 0]
    assert [m.xattr(f, 'tier') for f in files] == ['GLACIER,archived', 'GLACIER,archived', 'STANDARD']
    said = [line for line in logged(m).splitlines() if VECTORS[0] in line]
    assert said and all('tarn recall' in line for line in said)
    server.restore('vectors', VECTORS[0])
    for file in files:
        wait_for(lambda: refusal(m / file) == 0, PATIENCE_S, 'it can be read')
    assert [m.xattr(f, 'tier') for f in files] == ['STANDARD'] * 3
