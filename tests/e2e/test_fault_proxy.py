# SPDX-License-Identifier: Apache-2.0
"""The fault proxy does to requests what its rules say, and to others nothing."""
import concurrent.futures
import http.client
import random
import socket
import time
import urllib.parse

import boto3
import pytest
from botocore.config import Config

from fake.faults import FaultProxy
from support.mounts import wait_for
from support.places import PATIENCE_S, SLOWNESS
from support.s3 import ACCESS_KEY, SECRET_KEY

SIZE = 300_000


@pytest.fixture
def stored(s3, bucket):
    """The bytes of bucket/dir/object."""
    data = random.Random(2).randbytes(SIZE)
    s3.put(bucket, 'dir/object', data)
    return data


@pytest.fixture
def proxy(s3):
    with FaultProxy(s3.port) as p:
        yield p


@pytest.fixture
def get(s3, bucket, stored, proxy):
    """get(method): (status, fields, body) of a request for the object, signed for the server."""
    signer = boto3.client('s3', endpoint_url=s3.url, region_name='us-east-1',
                          aws_access_key_id=ACCESS_KEY, aws_secret_access_key=SECRET_KEY,
                          config=Config(signature_version='s3v4', s3={'addressing_style': 'path'}))
    url, head = (urllib.parse.urlsplit(signer.generate_presigned_url(
        what, Params={'Bucket': bucket, 'Key': 'dir/object'})) for what in ('get_object', 'head_object'))

    def get(method='GET', fields=(), timeout=PATIENCE_S):
        target = head if method == 'HEAD' else url
        client = http.client.HTTPConnection('127.0.0.1', proxy.port, timeout=timeout)
        try:
            client.request(method, '%s?%s' % (target.path, target.query),
                           headers={'Host': url.netloc, **dict(fields)})
            answer = client.getresponse()
            return answer.status, dict(answer.headers), answer.read()
        finally:
            client.close()
    return get


def test_what_no_rule_takes_goes_through(get, proxy, stored, bucket):
    """Bytes are those of the server, and requests are noted with their method, key, range and bytes."""
    assert get()[2] == stored
    assert get(fields={'Range': 'bytes=100-199'})[2] == stored[100:200]
    status, fields, body = get('HEAD')
    assert (status, fields['Content-Length'], body) == (200, str(SIZE), b'')
    wait_for(lambda: not proxy.flying(), PATIENCE_S, 'all answers noted')
    seen = proxy.seen()
    assert [(r.method, r.kind, r.range, r.status, r.sent) for r in seen] == [
        ('GET', 'data', '', 200, SIZE), ('GET', 'data', 'bytes=100-199', 206, 100),
        ('HEAD', 'head', '', 200, 0)]
    assert {r.key for r in seen} == {bucket + '/dir/object'}
    assert (proxy.counts('data'), proxy.sent('data'), proxy.connections) == (2, SIZE + 100, 3)


@pytest.mark.parametrize('status', [301, 400, 403, 404, 412, 416, 429, 500, 502, 503, 504])
def test_any_status(get, proxy, status):
    proxy.rule('status', status=status, code='TheCode', times=1)
    got, fields, body = get()
    assert got == status and b'<Code>TheCode</Code>' in body and 'x-amz-request-id' in fields
    assert get()[0] == 200


@pytest.mark.parametrize('rule, error', [
    (dict(action='reset'), ConnectionResetError),
    (dict(action='reset', keep=1000), ConnectionResetError),
    (dict(action='close'), http.client.RemoteDisconnected),
    (dict(action='truncate', keep=1000), http.client.IncompleteRead),
    (dict(action='truncate', keep=10 * SIZE), http.client.IncompleteRead),
    (dict(action='stall'), socket.timeout),
    (dict(action='stall', keep=1000), socket.timeout),
], ids=str)
def test_what_breaks(get, proxy, stored, rule, error):
    """A reset, a close, the end of a body too early, silence: of that request, and of no other."""
    rule = proxy.rule(times=1, **rule)
    with pytest.raises(error):
        get(timeout=3 if error is socket.timeout else PATIENCE_S)
    assert rule.hits == 1 and get()[2] == stored


def test_corrupt_changes_one_byte(get, proxy, stored):
    proxy.rule('corrupt', keep=200_000)
    got = get()[2]
    assert [i for i in range(SIZE) if got[i] != stored[i]] == [200_000]


def test_header_is_changed_added_or_taken_away(get, proxy, stored):
    proxy.rule('header', field='ETag', value='"other"', times=1)
    proxy.rule('header', field='ETag', value='', times=1)
    status, fields, body = get()
    assert (status, fields['ETag'], body) == (200, '"other"', stored)
    assert 'ETag' not in get()[1] and get()[1]['ETag'] != '"other"'


def test_rules_choose_by_kind_key_query_number_and_times(get, proxy):
    proxy.rule('status', kind='log')
    proxy.rule('status', key='*/other')
    proxy.rule('status', query='list-type=*')
    proxy.rule('status', number=3, status=404)
    late = proxy.rule('status', kind='data', method='GET', key='*/object', skip=3, times=1)
    assert [get()[0] for _ in range(6)] == [200, 200, 404, 200, 503, 200]
    assert late.hits == 1
    late.end()
    proxy.heal()
    assert get()[0] == 200


def takes(get, least, less):
    """No request takes less than the least; one at last, for which the machine has time, no more."""
    def in_time():
        started = time.monotonic()
        assert get()[0] == 200
        took = time.monotonic() - started
        assert took >= least
        return took < less
    wait_for(in_time, PATIENCE_S, 'an answer within %g s' % less)


def test_latency_rate_and_slow_requests(get, proxy):
    """The first byte comes late, the others at the rate, and slow requests are slower in both."""
    proxy.network(latency_ms=200)
    takes(get, 0.2, 0.5 * SLOWNESS)
    proxy.network(latency_ms=0, rate=1_000_000)
    takes(get, 0.28, 0.6 * SLOWNESS)
    proxy.network(rate=0, latency_ms=50, slow_share=1, slow_factor=4)
    takes(get, 0.2, 0.5 * SLOWNESS)
    proxy.use_profile('none')
    proxy.rule('delay', seconds=0.3, rate=1_000_000)
    takes(get, 0.58, 1 * SLOWNESS)


def test_share_of_slow_requests(get, proxy):
    """One in a hundred in the long run; which of them is decided by the seed."""
    proxy.network(latency_ms=3, slow_share=0.1, slow_factor=150)
    proxy.seed(5)
    for _ in range(100):
        get()
    slow = [r for r in proxy.requests() if r.first_byte - r.started >= 0.45]
    assert 3 <= len(slow) <= 20


def test_throttle_refuses_what_is_over_the_limit(get, proxy):
    proxy.network(requests_per_s=5)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        started = time.monotonic()
        said = list(pool.map(lambda _: get(), range(100)))
        windows = int(time.monotonic() - started) + 1
    good = [s for s, _, _ in said].count(200)
    assert 5 <= good <= 5 * windows
    assert good == 100 or b'<Code>SlowDown</Code>' in next(body for s, _, body in said if s == 503)


def test_many_connections_at_their_own_rates(proxy, get, stored):
    """Sixteen connections of 300 KB/s each do not wait for one another: that would be 16 seconds."""
    proxy.network(rate=300_000)
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        started = time.monotonic()
        assert all(r[2] == stored for r in pool.map(lambda _: get(), range(16)))
        assert time.monotonic() - started < 8
