# SPDX-License-Identifier: Apache-2.0
"""`tarn recall` and `--archive=recall`: archived files are restored, waited for, and read without a remount."""
import errno
import json
import os
import signal
import subprocess
import time

import pytest

from fake.proxy import DelayProxy
from support import azure, moto
from support.archived import BIG, SMALL, VECTORS, big_lake, refusal, with_vectors
from support.mounts import clean_env, run_tarn, wait_for
from support.places import PATIENCE_S, TARN


@pytest.fixture(scope='module')
def server(tmp_path_factory):
    """moto: an S3 whose archive classes refuse reads."""
    s = moto.Server(tmp_path_factory.mktemp('moto'))
    yield s
    s.stop()


@pytest.fixture(scope='module')
def source(tmp_path_factory):
    """A lake with one Delta table of a large and a small file, and raw files beside it."""
    return big_lake(tmp_path_factory.mktemp('recall') / 'lake')


@pytest.fixture
def lake_bucket(server, source, request):
    """That lake in a bucket of the test's own; both files of the table are archived."""
    name = 'b%08x' % (hash(request.node.nodeid) & 0xffffffff)
    server.copy_tree(source.root, server.make_bucket(name))
    for which in (BIG, SMALL):
        server.move(name, source.keys[which], 'GLACIER')
    return name


@pytest.fixture
def front(server):
    """A proxy before moto, which changes what it says."""
    with DelayProxy(server.port) as p:
        yield p


@pytest.fixture
def m(mount, server, lake_bucket):
    return mount('s3://' + lake_bucket, endpoint_url=server.url, env=server.env)


@pytest.fixture
def slow(mount, server, lake_bucket, front, source):
    """A mount of a store that takes hours: until front.done() objects are asked for, and stay away."""
    rules = []

    def under_way(which):
        """As S3 answers while a restore that was asked for is under way."""
        key = '*/' + source.keys[which].rsplit('/', 1)[1]
        rules.append(front.rule('field', kind='head', key=key, name='x-amz-restore',
                                value='ongoing-request="true"'))
        rules.append(front.rule('status', kind='write', key=key, status=409, body=(
            '<Error><Code>RestoreAlreadyInProgress</Code><Message>Object restore is already in '
            'progress</Message></Error>')))

    def done():
        for rule in rules:
            front.remove(rule)
        rules.clear()

    front.under_way, front.done = under_way, done
    return mount('s3://' + lake_bucket, endpoint_url=front.url, env=server.env)


def recall(*args, code=0, **more):
    done = run_tarn('recall', *args, **more)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def test_a_table(m, source):
    """`tarn recall TABLE` asks for what is archived of it, says when it will be there, and it reads."""
    said = recall(m / 'silver/orders')
    assert said.startswith('2 files,') and ': 2 asked for now, 0 before; expected within 5 hours' in said
    for which in (BIG, SMALL):
        assert (m / source.names[which]).read_bytes() == source.bytes(which)
    assert recall(m / 'silver/orders').startswith('nothing is archived of 2 files')


def test_a_version_and_a_file(m, source, server, lake_bucket):
    """Only what the path shows is asked for: a version's files, or one file."""
    other = source.keys[SMALL] if source.added[BIG] == 0 else source.keys[BIG]
    assert recall(m / 'silver/orders@0').startswith('1 files,')
    assert 'Restore' not in server.head(lake_bucket, other)
    assert recall(m / other).startswith('1 files,')
    assert 'Restore' in server.head(lake_bucket, other)


def test_check(m, source, server, lake_bucket):
    """--check asks for nothing, tells how much is archived, and its status says whether anything is."""
    said = recall('--check', m / 'silver/orders', m / 'raw/scans', code=1)
    assert '2 of 2 files' in said.splitlines()[0] and '0 of 2 files' in said.splitlines()[1]
    told = json.loads(recall('--check', '--json', m / 'silver/orders', code=1))
    assert told['archivedFiles'] == 2 and told['archivedBytes'] == sum(source.sizes.values())
    assert 'Restore' not in server.head(lake_bucket, source.keys[BIG])
    recall('--check', m / 'raw/scans')


def test_days_and_speed_reach_the_store(m, source, server, mount, lake_bucket, front):
    """--days and --speed are what the store is asked for."""
    n = mount('s3://' + lake_bucket, endpoint_url=front.url, env=server.env)
    assert 'within 12 hours' in recall('--speed', 'bulk', '--days=3', n / source.names[BIG])
    body = front.seen('write', '*' + source.keys[BIG].rsplit('/', 1)[1])
    assert len(body) == 1 and 'restore' in body[0].query
    assert b'<Days>3</Days>' in front.uploads[-1] and b'<Tier>Bulk</Tier>' in front.uploads[-1]


def test_wrong_use_is_told(m):
    """Wrong options and paths outside of mounts are errors with a sentence."""
    for words in (['--speed', 'soon', m], ['--days', '0', m], [], ['--json', m],
                  ['--check', '--wait', m]):
        recall(*words, code=2)
    assert 'is not in a mount of tarn' in run_tarn('recall', '/tmp').stderr


def test_waiting(slow, source, front, server, lake_bucket):
    """--wait ends when all of it is there, and not before; readers need no remount."""
    for which in (BIG, SMALL):
        front.under_way(which)
    waiting = subprocess.Popen([str(TARN), 'recall', '--wait', str(slow / 'silver/orders')],
                               stdout=subprocess.PIPE, text=True, env=clean_env())
    try:
        assert 'being restored' in waiting.stdout.readline()
        looks = front.counts('head')
        wait_for(lambda: front.counts('head') > looks + 2, PATIENCE_S, 'it looks again')
        assert waiting.poll() is None
        assert refusal(slow / source.names[BIG]) == errno.EREMOTE
        front.done()
        for which in (BIG, SMALL):
            server.restore(lake_bucket, source.keys[which])
        out, _ = waiting.communicate(timeout=PATIENCE_S)
    finally:
        waiting.kill()
        waiting.wait()
    assert waiting.returncode == 0 and out.startswith('2 files,') and 'can be read' in out
    for which in (BIG, SMALL):
        assert (slow / source.names[which]).read_bytes() == source.bytes(which)


def test_interrupted_and_run_again(slow, source, front):
    """A command that was interrupted is begun again: what was asked for is told as under way."""
    for which in (BIG, SMALL):
        front.under_way(which)
    waiting = subprocess.Popen([str(TARN), 'recall', '--wait', str(slow / 'silver/orders')],
                               stdout=subprocess.PIPE, text=True, env=clean_env())
    waiting.stdout.readline()
    waiting.send_signal(signal.SIGINT)
    assert waiting.wait(60) == -signal.SIGINT
    waiting.stdout.close()
    assert ': 0 asked for now, 2 before' in recall(slow / 'silver/orders')


def test_opening_recalls(mount, server, source, lake_bucket):
    """With --archive=recall an open that is refused also begins the restore; the next one reads."""
    m = mount('s3://' + lake_bucket, endpoint_url=server.url, env=server.env, archive='recall',
              recall_days='2')
    for which in (BIG, SMALL):
        assert refusal(m / source.names[which]) == errno.EREMOTE
        wait_for(lambda: refusal(m / source.names[which]) == 0, PATIENCE_S, 'it is restored')
        assert (m / source.names[which]).read_bytes() == source.bytes(which)
    assert 'is being restored from now on' in (m.cache / 'tarn.log').read_text()
    for wrong in ({'archive': 'yes'}, {'recall_days': '0'}, {'recall_speed': 'soon'}):
        with pytest.raises(AssertionError):
            mount('s3://' + lake_bucket, endpoint_url=server.url, env=server.env, **wrong)


@pytest.mark.parametrize('how', ['command', 'open'])
def test_what_tells_deleted_rows_is_restored_too(mount, server, tmp_path, how):
    """Archived deletion vectors, of files that are archived or not: nothing is said to be readable that is not."""
    bucket = server.make_bucket('vectors-' + how)
    files = with_vectors(tmp_path, bucket)
    server.copy_tree(tmp_path, bucket)
    for key in (*VECTORS, files[0]):
        server.move(bucket, key, 'GLACIER')
    m = mount('s3://' + bucket, endpoint_url=server.url, env=server.env, **({'archive': 'recall'} if how == 'open' else {}))
    if how == 'command':
        assert '3 files' in recall('--check', m / 'silver/t', code=1)
        assert [refusal(m / f) for f in files] == [errno.EREMOTE] * 3
        recall(m / 'silver/t')
    else:
        assert [refusal(m / f) for f in files][::2] == [errno.EREMOTE] * 2
    for file in files:
        wait_for(lambda: refusal(m / file) == 0, PATIENCE_S, 'it is restored')
    recall('--check', m / 'silver/t')


def test_a_store_that_may_not_be_asked(mount, server, source, lake_bucket, front):
    """Who may read and not restore is told so, by command and by open; nothing else changes."""
    front.rule('status', kind='write', status=403,
               body='<Error><Code>AccessDenied</Code><Message>no RestoreObject</Message></Error>')
    m = mount('s3://' + lake_bucket, endpoint_url=front.url, env=server.env, archive='recall')
    assert refusal(m / source.names[BIG]) == errno.EREMOTE
    assert 'cannot be restored' in (m.cache / 'tarn.log').read_text()
    done = run_tarn('recall', m / 'silver/orders')
    assert done.returncode == 1 and done.stderr.count('AccessDenied') == 2


def test_a_table_whose_log_is_archived(mount, server, source, lake_bucket):
    """`tarn recall --wait TABLE` has the log restored first, then the files."""
    server.move(lake_bucket, source.log_key, 'DEEP_ARCHIVE')
    m = mount('s3://' + lake_bucket, endpoint_url=server.url, env=server.env)
    with pytest.raises(OSError) as e:
        os.listdir(m / 'silver/orders')
    assert e.value.errno == errno.EREMOTE
    said = recall('--wait', m / 'silver/orders', timeout=PATIENCE_S)
    assert 'can be read' in said
    for which in (BIG, SMALL):
        assert (m / source.names[which]).read_bytes() == source.bytes(which)


# Azure


@pytest.fixture(scope='module')
def azurite(tmp_path_factory):
    s = azure.Server(tmp_path_factory.mktemp('azurite'))
    yield s
    s.stop()


@pytest.fixture
def container(azurite, source, request):
    name = 'c%08x' % (hash(request.node.nodeid) & 0xffffffff)
    azurite.copy_tree(source.root, azurite.make_container(name))
    for which in (BIG, SMALL):
        azurite.archive(name, source.keys[which])
    return name


def test_azure(mount, azurite, source, container):
    """Blobs of the Archive tier are refused at once and told; `tarn recall` has them rehydrated, and they read."""
    m = mount('az://%s/%s' % (azure.ACCOUNT, container), endpoint_url=azurite.url, env=azurite.env)
    for which in (BIG, SMALL):
        assert refusal(m / source.names[which]) == errno.EREMOTE
        assert m.xattr(source.names[which], 'tier') == 'Archive,archived'
    assert '2 asked for now, 0 before; expected within 15 hours' in recall(m / 'silver/orders')
    wait_for(lambda: refusal(m / source.names[BIG]) == 0, PATIENCE_S, 'it is there')
    for which in (BIG, SMALL):
        assert (m / source.names[which]).read_bytes() == source.bytes(which)
        assert m.xattr(source.names[which], 'tier') == 'Hot'


def test_azure_under_way(mount, azurite, source, container):
    """While Azure rehydrates a blob its tier says so, and it is EREMOTE still."""
    with DelayProxy(azurite.port) as front:
        rule = front.rule('field', kind='head', key='*/' + source.keys[BIG].rsplit('/', 1)[1],
                          name='x-ms-archive-status', value='rehydrate-pending-to-hot')
        m = mount('az://%s/%s' % (azure.ACCOUNT, container), endpoint_url=front.url,
                  env=azurite.env)
        assert m.xattr(source.names[BIG], 'tier') == 'Archive,restoring'
        assert refusal(m / source.names[BIG]) == errno.EREMOTE
        assert ': 0 asked for now, 1 before' in recall(m / source.names[BIG])
        front.remove(rule)
        assert ': 1 asked for now, 0 before' in recall(m / source.names[BIG])
        wait_for(lambda: refusal(m / source.names[BIG]) == 0, PATIENCE_S, 'it is there')
