# SPDX-License-Identifier: Apache-2.0
"""Objects written to real stores: whole or not at all, whoever is killed meanwhile."""
import hashlib
import os
import random
import signal
import socket
import subprocess
import threading

import pytest
from botocore.exceptions import ClientError

from fake.faults import FaultProxy
from fake.gcs import FakeGcs
from support import azure, s3
from support.places import PATIENCE_S, TARN

MIB = 1 << 20
PROGRAM = TARN.parent / 'tests' / 'store_put'


class Writer:
    """The program that writes one object, fed and watched."""

    def __init__(self, server, url, *args, endpoint=None):
        env = dict(server.env, STORE_ENDPOINT=endpoint or server.url, PATH=os.environ['PATH'],
                   HOME='/nonexistent')
        self.process = subprocess.Popen([str(PROGRAM), url, *map(str, args)], env=env,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=False)

    def feed(self, data):
        """Returns when as much has been added."""
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def wait_for(self, word):
        for line in self.process.stdout:
            if line.decode().strip() == word:
                return
        raise AssertionError('no line ' + word)

    def end(self):
        """The last line: ok ..., or -ERRNO ..."""
        out, _ = self.process.communicate(timeout=PATIENCE_S)
        return out.decode().splitlines()[-1]


def put(server, url, key, data, *args, endpoint=None):
    w = Writer(server, url, 'put', key, len(data), *args, endpoint=endpoint)
    try:
        w.feed(data)
    except BrokenPipeError:
        pass
    return w.end()


@pytest.fixture(scope='module', params=[s3.Server, pytest.param(s3.Minio, marks=pytest.mark.long)],
                ids=['versitygw', 'minio'])      # MinIO takes minutes to build
def server(request, tmp_path_factory):
    it = request.param(tmp_path_factory.mktemp('s3'))
    it.make_bucket('keep')
    yield it
    it.stop()


URL = 's3://keep/below'


def body(server, key):
    return server.client.get_object(Bucket='keep', Key='below/' + key)['Body'].read()


def uploads(server, key=''):
    """Of an answer that was lost to who began one, an upload without parts may stay."""
    found = server.client.list_multipart_uploads(Bucket='keep').get('Uploads', [])
    return [u['Key'] for u in found if u['Key'].startswith('below/' + key)]


def names(server, prefix):
    found = server.client.list_objects_v2(Bucket='keep', Prefix='below/' + prefix)
    return [c['Key'][6:] for c in found.get('Contents', [])]


@pytest.mark.parametrize('size', [0, 1, 8 * MIB - 1, 8 * MIB, 8 * MIB + 1, 16 * MIB, 25 * MIB + 7])
def test_any_size_arrives_whole(server, size):
    """An object of any size, in one request or in parts, is what was written, with its ETag."""
    data = random.Random(size).randbytes(size)
    key = 'sizes/%d' % size
    answer = put(server, URL, key, data)
    assert answer.startswith('ok ')
    assert hashlib.sha256(body(server, key)).digest() == hashlib.sha256(data).digest()
    head = server.client.head_object(Bucket='keep', Key='below/' + key)
    assert answer == 'ok ' + head['ETag']
    assert uploads(server) == []


@pytest.mark.parametrize('size', [100, 20 * MIB])
def test_what_is_there_is_not_replaced(server, size):
    """With if_absent the first one stays, in one request as in parts; else the second replaces."""
    first, second = (random.Random(n).randbytes(size) for n in (1, 2))
    key = 'once/%d' % size
    assert put(server, URL, key, first, 'if-absent').startswith('ok')
    answer = put(server, URL, key, second, 'if-absent')
    if size > 8 * MIB and answer.startswith('ok'):
        pytest.skip('this server does not know conditions of what completes an upload')
    assert answer.startswith('-17 ')
    assert body(server, key) == first
    assert put(server, URL, key, second).startswith('ok')
    assert body(server, key) == second
    assert uploads(server) == []


def test_nothing_is_there_before_the_end(server):
    """While parts are sent no listing names the object; given up, its parts go too."""
    data = random.Random(3).randbytes(30 * MIB)
    w = Writer(server, URL, 'put', 'slow/x', len(data))
    w.feed(data[:20 * MIB])
    w.wait_for('added %d' % (16 * MIB // 102400 * 102400))
    assert names(server, 'slow/') == []
    assert uploads(server) == ['below/slow/x']
    assert w.end().startswith('-5 ')  # its input ends too early
    assert names(server, 'slow/') == []
    assert uploads(server) == []


def test_killed_while_it_writes(server):
    """Killed at any moment, a writer leaves the old object or the new one, whole, or none."""
    seed = random.randrange(1 << 32)
    print('seed', seed)
    rng = random.Random(seed)
    old, new = rng.randbytes(100), rng.randbytes(17 * MIB)
    for turn in range(12):
        key = 'killed/%d' % (turn % 2)
        if turn % 2:
            server.put('keep', 'below/' + key, old)
        w = Writer(server, URL, 'put', key, len(new))
        sent = rng.choice([0, 5 * MIB, 9 * MIB, len(new)])
        w.feed(new[:sent])
        w.wait_for('begun')
        if sent == len(new):
            w.process.stdin.close()
            try:
                w.process.wait(timeout=rng.random() * 0.3)
            except subprocess.TimeoutExpired:
                pass
        w.process.send_signal(signal.SIGKILL)
        w.process.wait()
        try:
            there = body(server, key)
        except ClientError as e:
            assert e.response['Error']['Code'] == 'NoSuchKey' and not turn % 2
            continue
        assert there == new or (turn % 2 and there == old)
        server.client.delete_object(Bucket='keep', Key='below/' + key)


def test_removed(server):
    """What is removed is gone; to remove what is not there is no error."""
    server.put('keep', 'below/gone', b'x')
    for _ in range(2):
        assert Writer(server, URL, 'remove', 'gone').end() == 'ok'
    assert names(server, 'gone') == []
    assert Writer(server, 's3://nobucket', 'remove', 'gone').end().startswith('-2 ')


class Corrupting:
    """Passes connections on to a port; byte `at` of the first that sends so many is another one."""

    def __init__(self, port, at):
        self.to, self.at, self.changed = port, at, 0
        self.listener = socket.create_server(('127.0.0.1', 0))
        self.url = 'http://127.0.0.1:%d' % self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(('127.0.0.1', self.to))
            for args in ((client, server, True), (server, client, False)):
                threading.Thread(target=self.pump, args=args, daemon=True).start()

    def pump(self, a, b, up):
        passed = 0
        try:
            while data := a.recv(65536):
                if up and not self.changed and passed <= self.at < passed + len(data):
                    data = bytearray(data)
                    data[self.at - passed] ^= 1
                    self.changed += 1
                passed += len(data)
                b.sendall(data)
            b.shutdown(socket.SHUT_WR)
        except OSError:
            pass


@pytest.mark.parametrize('size', [MIB, 18 * MIB])
def test_corrupted_on_the_way(server, size):
    """A byte that is changed on its way up is found by the server, and sent again."""
    data = random.Random(size).randbytes(size)
    relay = Corrupting(server.port, at=500_000)
    key = 'corrupted/%d' % size
    answer = put(server, URL, key, data, endpoint=relay.url)
    assert relay.changed == 1
    assert answer.startswith('ok ')
    assert body(server, key) == data
    assert uploads(server, key) == []


@pytest.mark.parametrize('args', [[], ['if-absent']])
@pytest.mark.parametrize('size', [1000, 18 * MIB])
def test_answers_that_are_lost(server, size, args):
    """Each write's answer is lost once: what is there in the end is right, and is said to be."""
    data = random.Random(size).randbytes(size)
    for nth in range(1, 3 if size < MIB else 6):
        with FaultProxy(server.port) as p:
            lost = p.rule('truncate', kind='write', skip=nth - 1, times=1, keep=0)
            key = 'lost/%d/%d/%d' % (size, nth, len(args))
            answer = put(server, URL, key, data, *args, endpoint=p.url)
            assert answer.startswith('ok '), (nth, answer)
            assert lost.hits == (nth <= (1 if size < MIB else 5))
        assert body(server, key) == data


@pytest.mark.parametrize('size', [1000, 18 * MIB])
def test_throttled(server, size):
    """503 SlowDown to every third write slows it down and no more."""
    data = random.Random(size).randbytes(size)
    with FaultProxy(server.port) as p:
        for n in range(0, 9, 3):
            p.rule('status', kind='write', skip=n, times=1, status=503, code='SlowDown')
        key = 'throttled/%d' % size
        assert put(server, URL, key, data, endpoint=p.url).startswith('ok ')
    assert body(server, key) == data


def test_refused(server):
    """A write that is refused for good says so, and leaves neither object nor parts."""
    data = random.Random(5).randbytes(18 * MIB)
    with FaultProxy(server.port) as p:
        p.rule('status', kind='write', query='partNumber=2*', status=403, code='AccessDenied')
        answer = put(server, URL, 'refused', data, endpoint=p.url)
    assert answer.startswith('-13 ')
    assert 'AccessDenied' in answer
    assert names(server, 'refused') == []
    assert uploads(server, 'refused') == []


class Azure(azure.Server):
    """Azurite as a server that objects are written to."""

    def __init__(self, below):
        super().__init__(below)
        self.make_container('keep')
        self.target = 'abfss://keep@%s.dfs.core.windows.net/below' % azure.ACCOUNT
        self.endpoint = self.url + '/' + azure.ACCOUNT

    def body(self, key):
        try:
            return self.request('GET', 'keep/below/' + key)[2]
        except AssertionError as e:
            if e.args[0][2] == 404:
                return None
            raise

    def class_of(self, key):
        return self.request('HEAD', 'keep/below/' + key)[1]['x-ms-access-tier']


class Gcs(FakeGcs):
    """The fake as a server that objects are written to."""

    env = {'GS_ACCESS_KEY_ID': 'GOOG1', 'GS_SECRET_ACCESS_KEY': 'secret', 'NO_GCE_CHECK': 'true'}
    target = 'gs://keep/below'

    def __init__(self):
        super().__init__()
        self.hmac_keys['GOOG1'] = 'secret'
        self.buckets['keep'] = {}

    @property
    def endpoint(self):
        return self.url

    def body(self, key):
        stored = self.buckets['keep'].get('below/' + key)
        return stored and stored.data


@pytest.fixture(scope='module', params=['azure', 'gcs'])
def other(request, tmp_path_factory):
    if request.param == 'gcs':
        with Gcs() as it:
            yield it
    else:
        it = Azure(tmp_path_factory.mktemp('azure'))
        yield it
        it.stop()


def put_other(other, key, data, *args, endpoint=None):
    return put(other, other.target, key, data, *args, endpoint=endpoint or other.endpoint)


@pytest.mark.parametrize('size', [0, 1, 8 * MIB, 8 * MIB + 1, 17 * MIB])
def test_others_take_any_size(other, size):
    """Azure and GCS as well have what was written, whole."""
    data = random.Random(size).randbytes(size)
    answer = put_other(other, 'sizes/%d' % size, data)
    assert answer.startswith('ok "')
    assert other.body('sizes/%d' % size) == data


@pytest.mark.parametrize('size', [100, 9 * MIB])
def test_others_do_not_replace(other, size):
    """With if_absent the first one stays there too; else the second replaces it."""
    first, second = (random.Random(n).randbytes(size) for n in (1, 2))
    key = 'once/%d' % size
    assert put_other(other, key, first, 'if-absent').startswith('ok')
    assert put_other(other, key, second, 'if-absent').startswith('-17 ')
    assert other.body(key) == first
    assert put_other(other, key, second).startswith('ok')
    assert other.body(key) == second


def test_others_have_nothing_before_the_end(other):
    """Killed or given up, a writer leaves no object there either; what is removed is gone."""
    data = random.Random(3).randbytes(20 * MIB)
    for kill in (False, True):
        w = Writer(other, other.target, 'put', 'half', len(data), endpoint=other.endpoint)
        w.feed(data[:18 * MIB])
        w.wait_for('added %d' % (16 * MIB // 102400 * 102400))
        assert other.body('half') is None
        if kill:
            w.process.kill()
            w.process.wait()
        else:
            assert w.end().startswith('-5 ')
        assert other.body('half') is None
    assert put_other(other, 'half', b'whole').startswith('ok')
    for _ in range(2):
        assert Writer(other, other.target, 'remove', 'half', endpoint=other.endpoint).end() == 'ok'
    assert other.body('half') is None


@pytest.mark.parametrize('args', [[], ['if-absent']])
@pytest.mark.parametrize('size', [1000, 9 * MIB])
def test_answers_that_are_lost_there(other, size, args):
    """Each write's answer is lost once: what is there in the end is right, and is said to be."""
    data = random.Random(size).randbytes(size)
    port = int(other.url.rsplit(':', 1)[1])
    for nth in range(1, 2 if size < MIB else 4):
        with FaultProxy(port) as p:
            lost = p.rule('close', kind='write', skip=nth - 1, times=1)
            key = 'lost/%d/%d/%d' % (size, nth, len(args))
            answer = put_other(other, key, data, *args,
                               endpoint=other.endpoint.replace(':%d' % port, ':%d' % p.port))
            assert answer.startswith('ok '), (nth, answer)
            assert lost.hits == 1
        assert other.body(key) == data


def test_corrupted_on_the_way_there(other):
    """A changed byte is found and sent again: by the server, or of a GCS session by its sum."""
    data = random.Random(8).randbytes(MIB)
    port = int(other.url.rsplit(':', 1)[1])
    relay = Corrupting(port, at=500_000)
    answer = put_other(other, 'corrupted', data,
                       endpoint=other.endpoint.replace('http://127.0.0.1:%d' % port, relay.url))
    assert relay.changed == 1
    if answer.startswith('ok '):
        assert other.body('corrupted') == data
    else:       # the HMAC of GCS signs the bytes; Azurite has no code of its own for a wrong MD5
        assert 'SignatureDoesNotMatch' in answer or 'contentMD5' in answer
        assert other.body('corrupted') is None


def test_azure_class(tmp_path):
    """A storage class is that of what is written, in one request as in blocks."""
    it = Azure(tmp_path)
    try:
        for size in (10, 9 * MIB):
            data = bytes(size)
            assert put_other(it, 'cool%d' % size, data, 'class=Cool').startswith('ok')
            assert it.class_of('cool%d' % size) == 'Cool'
        assert put_other(it, 'x', b'x', 'class=Lukewarm').startswith('-')
    finally:
        it.stop()


def test_gcs_takes_parts_in_pieces():
    """A session that takes less than was sent is sent the rest."""
    with Gcs() as it:
        it.takes = 3 * MIB
        data = random.Random(4).randbytes(9 * MIB)
        assert put_other(it, 'pieces', data).startswith('ok')
        assert it.body('pieces') == data


def test_gcs_sum_of_a_session():
    """What arrived otherwise than it was sent is removed again, and no success is told."""
    with Gcs() as it:
        it.hmac_keys.clear()
        it.env = {'NO_GCE_CHECK': 'true', 'GOOGLE_OAUTH_ACCESS_TOKEN': 'token'}
        it.tokens['token'] = 1e12
        relay = Corrupting(int(it.url.rsplit(':', 1)[1]), at=500_000)
        answer = put_other(it, 'wrong', random.Random(4).randbytes(9 * MIB), endpoint=relay.url)
        assert relay.changed == 1
        assert answer.startswith('-5 ') and 'CRC32C' in answer
        assert it.body('wrong') is None
