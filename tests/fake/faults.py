# SPDX-License-Identifier: Apache-2.0
"""
The fault proxy (fault_proxy.c) for tests and benchmarks, a process of its own.

    with FaultProxy(server_port) as p:          # latency_ms=15, rate=90e6, profile='s3p', ...
        mount(..., endpoint_url=p.url)
        p.counts('data'), p.sent('data'), p.seen('data', '*.parquet')
        p.rule('status', kind='log', times=1, status=503)
        p.network(latency_ms=100)

Actions of rules, on requests that match kind (data, log, list, head, write), method, key and query
(shell patterns; the key is the path without its first slash, decoded) or that have a number (from 1 on),
but for the first `skip`, and at most `times` (None: all):

    status    answered with `status` and an S3 error of `code`; `field: value` is added to the head
    reset     the connection is reset: before the answer, or after `keep` bytes of its body
    close     the connection ends before the answer
    truncate  it ends after `keep` bytes of the body (100), of its head where it has no body
    stall     nothing more comes: before the answer, or after `keep` bytes of its body
    corrupt   byte `keep` (0) of the body is another one
    delay     the answer comes `seconds` later, at `rate` bytes a second where that is given
    header    the answer's `field` says `value`; the field is taken away where the value is empty

The first rule that takes a request has it. What is cut is always cut: `keep` is less than the body.
"""
import collections
import fnmatch
import json
import os
import socket
import subprocess
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / 'build/fake/fault_proxy'

Request = collections.namedtuple(
    'Request', 'method key kind range query started if_match number status sent first_byte ended '
               'done aborted rule')


class Rule:
    """`hits`: how many requests it has taken."""

    def __init__(self, proxy, number):
        self.proxy, self.number = proxy, number

    def end(self):
        """It takes no more."""
        self.proxy.ask('off', number=self.number)

    @property
    def hits(self):
        return self.proxy.ask('hits')['hits'][self.number - 1]


class FaultProxy:
    """Use as a context. May be used from any thread."""

    def __init__(self, upstream, listen=0, profile='none', **network):
        self.upstream, self.listen, self.profile, self.start = upstream, listen, profile, network
        self.lock, self.process = threading.Lock(), None

    def __enter__(self):
        subprocess.run(['make', '--no-print-directory', '-s', str(PROGRAM.relative_to(ROOT))],
                       cwd=ROOT, check=True, timeout=300, env=dict(os.environ, MAKEFLAGS=''))
        to = self.upstream if ':' in str(self.upstream) else '127.0.0.1:%d' % self.upstream
        self.process = subprocess.Popen(
            [str(PROGRAM), '--to', to, '--listen', str(self.listen), '--profile', self.profile],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        ports = json.loads(self.process.stdout.readline())
        self.port = ports['port']
        self.control = socket.create_connection(('127.0.0.1', ports['control']), 10)
        self.lines = self.control.makefile('r', encoding='utf-8')
        self.control.settimeout(60)
        if self.start:
            self.network(**self.start)
        return self

    def __exit__(self, *_):
        self.lines.close()
        self.control.close()
        self.process.stdin.close()
        self.process.wait(timeout=120)
        self.process.stdout.close()

    @property
    def url(self):
        return 'http://127.0.0.1:%d' % self.port

    @property
    def pid(self):
        return self.process.pid

    def ask(self, what, **more):
        """One line to the proxy, and its answer."""
        with self.lock:
            self.control.sendall(json.dumps({'do': what, **more}).encode() + b'\n')
            answer = json.loads(self.lines.readline())
        assert not answer['error'], answer['error']
        return answer

    # the network

    def network(self, latency_ms=None, rate=None, slow_share=None, slow_factor=None,
                requests_per_s=None):
        """Changes what is given; a rate of 0 and requests_per_s of 0 are no limits."""
        words = {'latency_us': latency_ms and int(latency_ms * 1000) or latency_ms,
                 'rate': rate, 'slow_per_mill': slow_share and int(slow_share * 1000) or slow_share,
                 'slow_factor': slow_factor, 'requests_per_s': requests_per_s}
        self.ask('set', **{k: int(v) for k, v in words.items() if v is not None})

    def use_profile(self, name):
        """`none`, or `s3p`: 15 ms to the first byte, 90 MB/s a connection, 1 % five times slower."""
        self.ask('profile', name=name)

    def seed(self, number):
        """Of the chance that decides which requests are slow."""
        self.ask('seed', seed=number)

    # rules

    def rule(self, action, seconds=None, rate=None, times=None, **more):
        """See above; kind, method, key, query, number, skip, status, code, keep, field and value."""
        if seconds is not None:
            more['ms'] = int(seconds * 1000)
        if rate is not None:
            more['rule_rate'] = int(rate)
        more['times'] = -1 if times is None else times
        return Rule(self, self.ask('rule', action=action, **more)['rule'])

    def heal(self):
        """Forgets the rules. What a stalled connection waits for does not come."""
        self.ask('heal')

    def forget(self):
        """Forgets the requests that were seen; numbers go on."""
        self.ask('forget')

    def clear(self):
        self.heal()
        self.forget()

    # what was seen

    def requests(self):
        found = []
        for r in self.ask('requests')['requests']:
            found.append(Request(r['method'], r['key'], r['kind'], r['range'], r['query'],
                                 r['started_us'] / 1e6, r['if_match'], r['number'], r['status'],
                                 r['sent'], r['first_byte_us'] / 1e6, r['ended_us'] / 1e6,
                                 r['ended'], r['aborted'], r['rule']))
        return found

    def seen(self, kind='*', key='*'):
        return [r for r in self.requests() if fnmatch.fnmatchcase(r.kind, kind)
                and fnmatch.fnmatchcase(r.key, key)]

    def flying(self, kind='*', key='*'):
        """Those whose answers have not gone out whole."""
        return [r for r in self.seen(kind, key) if not r.done]

    def counts(self, kind='*', key='*'):
        """How many requests."""
        if key == '*':
            return sum(n for k, (n, _, _) in self._sums() if fnmatch.fnmatchcase(k, kind))
        return len(self.seen(kind, key))

    def sent(self, kind='*', key='*'):
        """Bytes of bodies that went to clients, of requests that have ended."""
        if key == '*':
            return sum(n for k, (_, n, _) in self._sums() if fnmatch.fnmatchcase(k, kind))
        return sum(r.sent for r in self.seen(kind, key))

    def _sums(self):
        counts = self.ask('counts')['counts']
        del counts['connections']
        return counts.items()

    @property
    def connections(self):
        """How many clients have made since the start."""
        return self.ask('counts')['counts']['connections']
