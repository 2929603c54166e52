# SPDX-License-Identifier: Apache-2.0
"""
Every fault at every request of a scenario, at the first try only and at all tries: right bytes or
the errno of the table (docs/SEMANTICS.md) within the deadline, and nothing is left behind.
"""
import concurrent.futures
import errno
import json
import os
import random
import threading
import time

import pytest

from fake.faults import FaultProxy
from support import fault_scenario
from support.mounts import run_tarn, wait_for
from support.places import PATIENCE_S, SLOWNESS

DEADLINE_S = 6
# A call may need an answer of the store, and look again after the failure of somebody else's.
CALL_S = 2 * DEADLINE_S + 2
TOGETHER, FAILURES_MAX, SOCKETS_MORE = 6, 12, 8
SOME = 8                                        # faults of the short test

EIO, EACCES, ENOENT = errno.EIO, errno.EACCES, errno.ENOENT
ESTALE, EREMOTE = errno.ESTALE, errno.EREMOTE

# What passes by itself: name: (rule, kinds of requests)
READS = 'data log list head'
PASSING = {
    'latency': (dict(action='delay', seconds=0.5), READS),
    'slow body': (dict(action='delay', rate=2e6), READS),
    '429': (dict(action='status', status=429), READS),
    '500': (dict(action='status', status=500), READS),
    '502': (dict(action='status', status=502), READS),
    '503': (dict(action='status', status=503), READS),
    '504': (dict(action='status', status=504), READS),
    'reset': (dict(action='reset'), READS),
    'reset in the body': (dict(action='reset', keep=500), READS),
    'close': (dict(action='close'), READS),
    'truncate': (dict(action='truncate', keep=500), READS),
    'stall': (dict(action='stall'), READS),
    'stall in the body': (dict(action='stall', keep=500), READS),
    'another range': (dict(action='header', field='Content-Range', value='bytes 1-2/3'), 'data'),
}
# What does not: name: (rule, kinds, errnos beside right bytes)
LASTING = {
    '400': (dict(action='status', status=400), READS, {EIO}),
    '401': (dict(action='status', status=401), READS, {EACCES}),
    '403': (dict(action='status', status=403), READS, {EACCES}),
    'archived': (dict(action='status', status=403, code='InvalidObjectState'), 'data', {EREMOTE}),
    '404': (dict(action='status', status=404), READS, {ENOENT, ESTALE, EIO}),
    '412': (dict(action='status', status=412), 'data', {ESTALE}),
    '416': (dict(action='status', status=416), 'data', {EIO, ESTALE}),
    'another ETag': (dict(action='header', field='ETag', value='"another"'), 'data', {ESTALE}),
    # the body of a log or a listing is parsed; that of data has nothing to be compared with
    'corrupt': (dict(action='corrupt', keep=0), 'log list', {EIO}),
}
FAULTS = {**{k: (*v, {EIO}) for k, v in PASSING.items()}, **LASTING}


class Place:
    """The lake's copies, the proxy before them, and one daemon for all mounts."""

    def __init__(self, server, proxy, mount, copies):
        self.server, self.proxy, self.mount, self.copies = server, proxy, mount, copies
        self.lock = threading.Lock()
        self.keeper = mount(str(copies.lake), deadline=DEADLINE_S)
        self.pid = self.keeper.pid

    def reader(self):
        with self.lock:
            prefix, move = self.copies.make()
            m = self.mount('s3://%s/%s' % (self.copies.bucket, prefix), cache=self.keeper.cache,
                           endpoint_url=self.proxy.url, env=self.server.env, deadline=DEADLINE_S,
                           refresh=fault_scenario.REFRESH_S)
        return fault_scenario.Reader(m, self.copies.lake, move), prefix

    def gauge(self):
        """Flights and transfer buffers that are under way."""
        said = run_tarn('cache', 'stat', '--json', '--cache-dir', self.keeper.cache)
        stat = json.loads(said.stdout)
        return stat['flights'], stat['buffers']

    def idle(self):
        return fault_scenario.use_of(self.pid)


@pytest.fixture(scope='module')
def place(s3, module_mount, tmp_path_factory):
    lake = fault_scenario.make(tmp_path_factory.mktemp('faults') / 'lake')
    bucket = s3.new_bucket('every-fault')
    copies = fault_scenario.Copies(s3, bucket, lake)
    with FaultProxy(s3.port) as proxy:
        yield Place(s3, proxy, module_mount, copies)


def faultless(place):
    """What the scenario asks for, and what the daemon has when it is over."""
    place.proxy.clear()
    reader, prefix = place.reader()
    calls = reader.run()
    assert not [c for c in calls if c.code], calls
    wait_for(reader.moved, PATIENCE_S, 'the new version')
    asked = place.copies.asked(place.proxy.requests(), prefix)
    reader.m.unmount()
    return asked


@pytest.fixture(scope='module')
def scenario(place):
    """[Asked]: the requests of the scenario, and what the daemon has afterwards."""
    faultless(place)
    asked = faultless(place)
    time.sleep(1)
    assert len(asked) >= 12 and {a.kind for a in asked} >= {'data', 'log', 'list'}, asked
    return asked, place.idle()


def nothing_is_left(place, idle, within=PATIENCE_S):
    """
    No descriptor, no thread, no buffer more than before; of the cache's objects as soon as they are
    synced. Connections that are kept alive are some more, never many.
    """
    def back():
        now = place.idle()
        return (len(now.descriptors) <= len(idle.descriptors) and now.threads <= idle.threads
                and now.sockets <= idle.sockets + SOCKETS_MORE and place.gauge() == (0, 0))
    try:
        wait_for(back, within, 'what it had at the start')
        wait_for(lambda: not place.idle().objects, PATIENCE_S, 'all objects are closed')
    except TimeoutError:
        raise AssertionError('left: %s, at the start %s; flights and buffers %s' % (
            place.idle(), idle, place.gauge())) from None


def one(place, fault, request, all_tries):
    """The scenario with one fault at one request: [Call]; None where that was not asked for."""
    reader, prefix = place.reader()
    rule = place.proxy.rule(
        kind=request.kind, method=request.method, skip=request.nth,
        key=fault_scenario.of_copy(request.key, prefix),
        query=fault_scenario.of_copy(request.query, prefix),
        times=None if all_tries else 1, **FAULTS[fault][0])
    try:
        calls = reader.run()
        hit = rule.hits > 0
        rule.end()
        judge(calls, set() if fault in PASSING and not all_tries else FAULTS[fault][2])
        fault_scenario.until_right(reader, PATIENCE_S)
        return calls if hit else None
    finally:
        reader.m.unmount()


def judge(calls, allowed):
    slow = [c for c in calls if c.seconds > CALL_S * SLOWNESS]
    assert not slow, 'longer than %d s: %s' % (CALL_S, slow)
    codes = {c.code for c in calls} - {0}
    assert codes <= allowed, 'errors %s, only %s may be: %s' % (
        fault_scenario.names_of(codes), fault_scenario.names_of(allowed),
        [c for c in calls if c.code])


def pairs(asked, all_tries):
    """All (fault, request); with all tries a fault lasts, so one at each key is enough."""
    for fault, (_, kinds, _) in FAULTS.items():
        for request in asked:
            if request.kind in kinds.split() and not (all_tries and request.nth):
                yield fault, request


def told(fault, request, all_tries, failure):
    return '%s, %s at %s %s %s (%d): %s' % (
        fault, 'all tries' if all_tries else 'first try', request.kind, request.key,
        request.query, request.nth, failure)


def run_pairs(place, scenario, chosen, all_tries, within=PATIENCE_S):
    """Some side by side; after each of these rounds nothing may be left of them."""
    asked, idle = scenario
    met, longest, failures = 0, fault_scenario.Call('none', 0, 0), []
    for first in range(0, len(chosen), TOGETHER):
        place.proxy.clear()
        some = chosen[first:first + TOGETHER]
        with concurrent.futures.ThreadPoolExecutor(TOGETHER) as pool:
            runs = [(pair, pool.submit(one, place, *pair, all_tries)) for pair in some]
        for pair, run in runs:
            if run.exception():
                failures.append(told(*pair, all_tries, run.exception()))
            elif run.result() is not None:
                met += 1
                longest = max([longest, *run.result()], key=lambda c: c.seconds)
        try:
            nothing_is_left(place, idle, within)
        except AssertionError as e:
            failures += [told(*pair, all_tries, e) for pair in some]
        if len(failures) > FAILURES_MAX:
            break
    print('%d of %d met their fault; the longest call: %s' % (met, len(chosen), longest))
    assert not failures, '\n'.join(failures)
    assert met >= len(chosen) * 3 // 4, '%d of %d faults were met' % (met, len(chosen))


@pytest.mark.parametrize('all_tries', [False, True], ids=['first-try', 'all-tries'])
def test_each_fault_somewhere(place, scenario, all_tries):
    """Each fault at a request chosen by chance; of those that last, which take longer, some."""
    seed = int(os.environ.get('SEED', random.randrange(1 << 32)))
    print('SEED', seed)
    chance = random.Random(seed)
    faults = chance.sample(list(FAULTS), SOME) if all_tries else list(FAULTS)
    chosen = [(fault, chance.choice([r for f, r in pairs(scenario[0], all_tries) if f == fault]))
              for fault in faults]
    run_pairs(place, scenario, chosen, all_tries)


@pytest.mark.parametrize('network', [
    dict(requests_per_s=10), dict(latency_ms=100, slow_share=0.2, slow_factor=5),
    dict(rate=2_000_000)], ids=['throttled', 'slow', 'narrow'])
def test_a_bad_network_is_only_slow(place, scenario, network):
    """Where the store throttles, answers late, or has a narrow way, everything is right in the end."""
    place.proxy.clear()
    reader, _ = place.reader()
    place.proxy.network(**network)
    try:
        calls = reader.run()
    finally:
        place.proxy.use_profile('none')
        reader.m.unmount()
    assert not [c for c in calls if c.code], calls
    nothing_is_left(place, scenario[1])


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize('all_tries', [False, True], ids=['first-try', 'all-tries'])
@pytest.mark.parametrize('fault', FAULTS)
def test_every_fault_at_every_request(place, scenario, fault, all_tries):
    """The same, at each request of the scenario; a second later nothing is left of it."""
    run_pairs(place, scenario, [p for p in pairs(scenario[0], all_tries) if p[0] == fault],
              all_tries, 1 * SLOWNESS)
