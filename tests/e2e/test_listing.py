# SPDX-License-Identifier: Apache-2.0
"""Listings that are fetched in parts are whole, whatever the keys look like; one part that fails
fails the listing; and the parts are worth it."""
import json
import os
import random
import time

import pytest

from fake.any_key import AnyKeyServer
from fake.proxy import DelayProxy

PAGE = 11


def keys_of(kind):
    rng = random.Random(kind)
    if kind == 'flat':
        return ['img_%06d.jpg' % i for i in range(700)]
    if kind == 'dates':
        return ['date=2026-%02d-%02d/part-%d' % (m, d, n)
                for m in range(1, 13) for d in range(1, 29) for n in range(2)]
    if kind == 'one-huge':
        return ['a/x', 'z/y'] + ['train/class/%05x' % rng.randrange(1 << 20) for _ in range(600)]
    if kind == 'deep':
        return ['/'.join(rng.choice('abc') for _ in range(rng.randrange(1, 9))) + '/f%d' % i
                for i in range(600)]
    if kind == 'many-dirs':
        return ['%d/one' % i for i in range(600)]
    return [''.join(rng.choice('a-./0Aé~\x7f') for _ in range(rng.randrange(1, 12))) + str(i)
            for i in range(500)]


@pytest.fixture(scope='module', params=['ordered', 'unordered'])
def server(request):
    with AnyKeyServer(page=PAGE, ordered=request.param == 'ordered') as s:
        yield s


def objects(table):
    """The keys of a table's files below its root."""
    lines = (table / '.tarn/files.jsonl').read_text().splitlines()
    return sorted(json.loads(line)['object'] for line in lines)


@pytest.mark.parametrize('kind', ['flat', 'dates', 'one-huge', 'deep', 'many-dirs', 'random'])
def test_a_listing_in_parts_has_every_key_once(mount, server, kind):
    keys, bucket = set(keys_of(kind)), server.make_bucket(kind)
    for key in keys:
        server.put(bucket, b'raw/t/' + key.encode(), b'x')
    server.put(bucket, b'raw/t0', b'behind')    # what is around it is not the table's
    server.put(bucket, b'raw/s/z', b'before')
    m = mount('s3://%s/' % bucket, o='no-sign-request', endpoint_url=server.url)
    assert objects(m / 'raw/t') == sorted(keys)


def test_a_listing_of_one_page_is_one_request(mount, server):
    bucket = server.make_bucket('small')
    for i in range(PAGE):
        server.put(bucket, b'raw/t/%d' % i, b'x')
    m = mount('s3://small/', o='no-sign-request', endpoint_url=server.url)
    os.listdir(m / 'raw')
    server.requests.clear()
    assert len(os.listdir(m / 'raw/t')) == PAGE
    # what the directory is, whether a table is below, and the table's listing
    assert len([q for q in server.requests if 'list-type' in q[3]]) == 3


def test_one_part_that_fails_fails_the_listing(mount):
    """Never a partial listing: EIO, and all of it once the store answers again."""
    with AnyKeyServer(page=PAGE) as server, DelayProxy(server.port) as proxy:
        server.make_bucket('bbb')
        for i in range(400):
            server.put('bbb', b'raw/t/d%02d/%d' % (i % 40, i), b'x')
        m = mount('s3://bbb/', o='no-sign-request', endpoint_url=proxy.url)
        os.listdir(m / 'raw')
        broken = proxy.rule('status', kind='list', status=403)
        broken.takes = lambda request: 'start-after' in request.query and '%2Ft%2Fd2' in request.query
        with pytest.raises(PermissionError):
            os.listdir(m / 'raw/t')
        proxy.clear()
        time.sleep(1.2)                         # errors are kept for a second
        assert sum(len(f) for _, _, f in os.walk(m / 'raw/t')) == 400
