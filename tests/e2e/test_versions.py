# SPDX-License-Identifier: Apache-2.0
"""`files` tables over a versioned bucket: `@TIME` shows the bucket as it was, read by version id."""
import datetime
import os
import time
import zlib

import pytest

from fake.any_key import AnyKeyServer
from support.s3 import Minio

# It takes minutes to build: the quick suite does without it.
with_minio = pytest.mark.long


@pytest.fixture(scope='module')
def server(tmp_path_factory):
    """MinIO: versitygw tells of an old version when it was replaced and not when it was written."""
    s = Minio(tmp_path_factory.mktemp('minio'))
    yield s
    s.stop()


@pytest.fixture(params=[pytest.param('minio', marks=with_minio), 'versitygw'])
def each_server(request, s3):
    return request.getfixturevalue('server') if request.param == 'minio' else s3


@pytest.fixture
def versioned(server, request):
    return server.make_bucket('versioned-%08x' % zlib.crc32(request.node.nodeid.encode()),
                              versioned=True)


def stamp(seconds):
    """A ref of that moment."""
    when = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return when.strftime('%Y-%m-%dT%H%M%S.') + '%03dZ' % (when.microsecond // 1000)


def moment():
    """A time that is clear of what was and what will be written, for stores that count seconds."""
    time.sleep(1.2)
    now = time.time()
    time.sleep(1.2)
    return stamp(now)


def tree(top):
    found = {}
    for where, _, names in os.walk(top, onerror=lambda e: (_ for _ in ()).throw(e)):
        for name in names:
            path = os.path.join(where, name)
            with open(path, 'rb') as f:
                found[os.path.relpath(path, top)] = f.read()
    return found


@pytest.fixture
def past(server, versioned, mount):
    """(mount, {ref: what raw/t was then}) of a bucket with overwritten, deleted and new objects."""
    put = lambda key, data: server.put(versioned, 'raw/t/' + key, data)     # noqa: E731
    refs = {}
    put('kept', b'always the same')
    put('changed', b'one')
    put('deleted/later', b'gone soon')
    refs[moment()] = {'kept': b'always the same', 'changed': b'one', 'deleted/later': b'gone soon'}
    put('changed', b'two, longer')
    put('changed', b'three')
    server.client.delete_object(Bucket=versioned, Key='raw/t/deleted/later')
    put('new', b'new')
    refs[moment()] = {'kept': b'always the same', 'changed': b'three', 'new': b'new'}
    server.client.delete_object(Bucket=versioned, Key='raw/t/new')
    put('deleted/later', b'back')
    refs[moment()] = {'kept': b'always the same', 'changed': b'three', 'deleted/later': b'back'}
    m = mount('s3://%s/' % versioned, env=server.env, endpoint_url=server.url)
    return m, refs


@with_minio
def test_a_time_shows_the_bucket_as_it_was(past):
    m, refs = past
    for ref, files in refs.items():
        assert tree(m / ('raw/t@' + ref)) == files
        assert tree(m / 'raw/t' / ('@' + ref)) == files
    assert tree(m / 'raw/t') == list(refs.values())[-1]


@with_minio
def test_a_moment_stays_what_it_was_while_the_bucket_goes_on(past, server, versioned):
    m, refs = past
    ref, files = list(refs.items())[-1]
    with open(m / ('raw/t@' + ref) / 'changed', 'rb') as f:
        server.put(versioned, 'raw/t/changed', b'later')
        server.client.delete_object(Bucket=versioned, Key='raw/t/kept')
        assert f.read() == files['changed']
    assert tree(m / ('raw/t@' + ref)) == files
    time.sleep(1.5)                             # the live path has rested
    assert tree(m / 'raw/t') == {'changed': b'later', 'deleted/later': b'back'}


@with_minio
def test_what_is_the_same_now_and_then_is_one_object(past):
    """One inode number and one copy in the cache, read now or then."""
    m, refs = past
    ref = next(iter(refs))
    now, then = m / 'raw/t/kept', m / ('raw/t@' + ref) / 'kept'
    assert os.stat(now).st_ino == os.stat(then).st_ino
    assert os.stat(m / 'raw/t/changed').st_ino != os.stat(m / ('raw/t@' + ref) / 'changed').st_ino
    then.read_bytes()
    assert m.xattr('raw/t/kept', 'cached') == str(len(b'always the same'))


@with_minio
def test_before_the_first_object_the_table_is_empty(past, server):
    m, refs = past
    assert os.listdir(m / 'raw/t@2020-01-01') == []


@with_minio
def test_times_to_come_and_other_refs_do_not_exist(past):
    m, _ = past
    for ref in (stamp(time.time() + 3600), '0', '1', 'v1', 'main', '2020-13-01'):
        with pytest.raises(FileNotFoundError):
            os.stat(m / ('raw/t@' + ref))
    assert os.listdir(m / 'raw/t@') == []       # a bucket's moments are not counted


@with_minio
def test_a_version_that_has_expired_is_ENOENT_with_a_reason(past, server, versioned):
    m, refs = past
    ref = next(iter(refs))
    assert 'changed' in os.listdir(m / ('raw/t@' + ref))
    versions = server.client.list_object_versions(Bucket=versioned, Prefix='raw/t/changed')
    oldest = min(versions['Versions'], key=lambda v: v['LastModified'])
    server.client.delete_object(Bucket=versioned, Key='raw/t/changed', VersionId=oldest['VersionId'])
    with pytest.raises(FileNotFoundError):
        (m / ('raw/t@' + ref) / 'changed').read_bytes()
    log = (m.cache / 'tarn.log').read_text()
    assert 'raw/t/changed' in log and '404' in log


def test_pages_that_end_inside_a_key(each_server, mount, request):
    """More versions than a page holds, of few keys: versitygw tells some of them twice."""
    name = each_server.make_bucket('pages-%08x' % zlib.crc32(request.node.nodeid.encode()), True)
    for i in range(450):
        for key in ('a', 'b/c', 'd'):
            each_server.put(name, 'raw/t/' + key, b'%s %d' % (key.encode(), i))
    each_server.client.delete_object(Bucket=name, Key='raw/t/b/c')
    m = mount('s3://%s/' % name, env=each_server.env, endpoint_url=each_server.url)
    assert tree(m / ('raw/t@' + moment())) == {'a': b'a 449', 'd': b'd 449'}


def test_an_unversioned_bucket_has_no_past(each_server, mount, request):
    server = each_server
    bucket_name = server.make_bucket('plain-%08x' % zlib.crc32(request.node.nodeid.encode()))
    server.put(bucket_name, 'raw/t/x', b'x')
    m = mount('s3://%s/' % bucket_name, env=server.env, endpoint_url=server.url)
    assert tree(m / 'raw/t') == {'x': b'x'}
    with pytest.raises(FileNotFoundError):
        os.stat(m / ('raw/t@' + moment()))


@with_minio
def test_as_of_shows_a_versioned_bucket_at_that_time(past, mount, server, versioned):
    _, refs = past
    ref, files = list(refs.items())[0]
    m = mount('s3://%s/' % versioned, env=server.env, endpoint_url=server.url, as_of=ref)
    assert tree(m / 'raw/t') == files


def test_a_bucket_that_kept_no_versions_then_has_no_such_past(mount):
    """An object from before versions were kept may have replaced another one: what the bucket was
    before it is not guessed. What is deleted, and pages of a few lines, on the way."""
    day = datetime.datetime(2026, 3, 1, tzinfo=datetime.timezone.utc)
    with AnyKeyServer(page=3) as server:
        bucket = server.make_bucket('late', versioned=True)
        server.put(bucket, b'raw/t/old', b'written before', modified=day)
        server.buckets[bucket].versions[b'raw/t/old'][0] = (
            server.buckets[bucket].versions[b'raw/t/old'][0]._replace(id='null'))
        for i in range(20):
            for n in range(4):
                server.put(bucket, b'raw/t/%02d' % i, b'%d of %d' % (n, i),
                           modified=day + datetime.timedelta(days=n), marker=(i + n) % 5 == 4)
        m = mount('s3://late/', o='no-sign-request', endpoint_url=server.url)
        with pytest.raises(FileNotFoundError):
            os.stat(m / 'raw/t@2026-02-28')
        for n in range(4):
            want = {'%02d' % i: b'%d of %d' % (n, i) for i in range(20) if (i + n) % 5 != 4}
            want['old'] = b'written before'
            assert tree(m / ('raw/t@2026-03-%02d' % (n + 1))) == want
