#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
An HTTP/1.1 proxy in front of an S3 server that counts requests and makes them slow or wrong.

The Host header goes on unchanged, because signatures cover it: the server behind takes the
client's signature as if the proxy were not there. A delayed answer is fetched at once and held
back until its time, so that the delay is all that the proxy adds.

In a test:      with DelayProxy(port) as p: ... p.url, p.counts('data'), p.rule(...)
As a program:   proxy.py --upstream PORT [--listen PORT] [--delay S] [--rate BYTES] [--atomic]; prints its port;
                GET /-/requests gives what was counted, POST /-/delay?SECONDS changes the delay
"""
import argparse
import asyncio
import collections
import fnmatch
import itertools
import json
import socket
import sys
import threading
import time
import urllib.parse

HEAD_BYTES_MAX = 64 << 10
BODY_BYTES_MAX = 256 << 20

Request = collections.namedtuple('Request', 'method key kind range query started if_match number')


def kind_of(method, path, query):
    """list, head, log or data for reads; write for the rest."""
    if method == 'HEAD':
        return 'head'
    if method != 'GET':
        return 'write'
    if 'list-type' in query or path.strip('/').count('/') == 0:
        return 'list'
    return 'log' if '/_delta_log/' in path else 'data'


class Rule:
    """
    What happens to requests that match: the next `times` of them (None: all).
      status    answered with that HTTP status and no request made; `body`: of the answer
      field     the answer has one more field in its head, `name: value`
      reset     the connection is reset
      truncate  the body ends after `keep` bytes, and the connection with it
      stall     nothing more comes, until the proxy ends or the client goes
      delay     answered `seconds` later
      hold      the first `keep` bytes of the body come at once, the others after release()
    """

    def __init__(self, action, kind='*', key='*', times=None, status=503, keep=100, seconds=1.0,
                 body=None, name=None, value=None):
        assert action in ('status', 'field', 'reset', 'truncate', 'stall', 'delay', 'hold'), action
        self.action, self.kind, self.key, self.times = action, kind, key, times
        self.body, self.name, self.value = body, name, value
        self.status, self.keep, self.seconds, self.hits = status, keep, seconds, 0
        self.released = threading.Event()

    def release(self):
        self.released.set()

    def takes(self, request):
        if self.times is not None and self.hits >= self.times:
            return False
        if not (fnmatch.fnmatchcase(request.kind, self.kind)
                and fnmatch.fnmatchcase(request.key, self.key)):
            return False
        self.hits += 1
        return True


async def read_head(reader):
    """The start line and header fields of a message, or None at the end of the connection."""
    try:
        raw = await reader.readuntil(b'\r\n\r\n')
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    lines = raw[:-4].decode('latin-1').split('\r\n')
    fields = {}
    for line in lines[1:]:
        name, _, value = line.partition(':')
        fields[name.strip().lower()] = value.strip()
    return raw, lines[0], fields


async def read_body(reader, fields):
    """The body as it came on the wire."""
    if fields.get('transfer-encoding', '').lower() == 'chunked':
        body = bytearray()
        while True:
            line = await reader.readuntil(b'\r\n')
            size = int(line.split(b';')[0], 16)
            body += line + await reader.readexactly(size + 2)
            if size == 0 or len(body) > BODY_BYTES_MAX:
                return bytes(body)
    length = int(fields.get('content-length', '0'))
    return await reader.readexactly(length) if length else b''


class DelayProxy:
    """
    The proxy on a thread of its own. Counters and rules may be used from any thread. `delay`:
    seconds to an answer's first byte; `rate`: bytes a second of one connection, None: no limit.
    """

    def __init__(self, upstream, listen=0, delay=0.0, rate=None, atomic=False):
        self.upstream, self.listen, self.delay, self.rate = upstream, listen, delay, rate
        self.atomic = atomic
        self.bodies = collections.Counter()     # bytes by kind
        self.requests, self.rules, self.lock = [], [], threading.Lock()
        self.uploads = collections.deque(maxlen=16)             # the last bodies that were sent
        self.numbers, self.aloft = itertools.count(1), {}       # aloft: lock; not answered yet
        self.turns = collections.defaultdict(asyncio.Lock)
        self.tasks, self.idle, self.port = set(), [], None
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self._main, name='proxy', daemon=True)

    # for tests

    def __enter__(self):
        ready = threading.Event()
        self.loop.call_soon(lambda: self.loop.create_task(self._serve(ready)))
        self.thread.start()
        assert ready.wait(10), 'the proxy did not start'
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)

    @property
    def url(self):
        return 'http://127.0.0.1:%d' % self.port

    def rule(self, action, **more):
        made = Rule(action, **more)
        with self.lock:
            self.rules.append(made)
        return made

    def remove(self, rule):
        with self.lock:
            self.rules.remove(rule)

    def clear(self):
        """Forgets rules and what was counted."""
        with self.lock:
            self.rules, self.requests = [], []
            self.bodies.clear()

    def seen(self, kind='*', key='*'):
        with self.lock:
            return [r for r in self.requests if fnmatch.fnmatchcase(r.kind, kind)
                    and fnmatch.fnmatchcase(r.key, key)]

    def counts(self, kind='*', key='*'):
        return len(self.seen(kind, key))

    def sent(self, kind):
        """Bytes of bodies that went to clients."""
        with self.lock:
            return self.bodies[kind]

    def flying(self, kind='*', key='*'):
        """The requests whose answers have not gone out whole, by their numbers."""
        with self.lock:
            return {n: r for n, r in self.aloft.items() if fnmatch.fnmatchcase(r.kind, kind)
                    and fnmatch.fnmatchcase(r.key, key)}

    # the thread

    def _main(self):
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()
        for task in asyncio.all_tasks(self.loop):
            task.cancel()
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.close()

    async def _serve(self, ready):
        server = await asyncio.start_server(self._client, '127.0.0.1', self.listen,
                                            limit=4 << 20, backlog=512)
        self.port = server.sockets[0].getsockname()[1]
        ready.set()

    async def _client(self, reader, writer):
        writer.get_extra_info('socket').setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            while await self._one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass
        finally:
            writer.close()

    def _note(self, method, target, fields):
        path, _, query = target.partition('?')
        path = urllib.parse.unquote(path)
        request = Request(method, path.lstrip('/'), kind_of(method, path, query),
                          fields.get('range', ''), query, time.monotonic(),
                          fields.get('if-match', ''), next(self.numbers))
        with self.lock:
            self.requests.append(request)
            self.aloft[request.number] = request
            rule = next((r for r in self.rules if r.takes(request)), None)
        return request, rule

    async def _one(self, reader, writer):
        """One request and its answer; False when the connection is to be closed."""
        head = await read_head(reader)
        if head is None:
            return False
        raw, start, fields = head
        method, target, _ = start.split(' ', 2)
        if target.startswith('/-/'):
            return await self._control(target, writer)
        body = await self._request_body(reader, writer, fields)
        if body:
            self.uploads.append(body)
        due = time.monotonic() + self.delay
        request, rule = self._note(method, target, fields)
        try:
            return await self._answer(reader, writer, request, rule, (raw, body, fields, due))
        finally:
            with self.lock:
                del self.aloft[request.number]

    async def _answer(self, reader, writer, request, rule, what):
        """Likewise, of a request that has been counted."""
        raw, body, fields, due = what
        if rule and rule.action == 'reset':
            writer.transport.abort()
            return False
        if rule and rule.action == 'stall':
            await reader.read(1)                # until the client goes
            return False
        if rule and rule.action == 'status':
            answer, keep = self._refusal(rule.status, rule.body), True
        else:
            answer, keep = await self._forward_in_turn(raw, body, request)
        if rule and rule.action == 'field':
            answer = answer.replace(b'\r\n', ('\r\n%s: %s\r\n' % (rule.name, rule.value)).encode(), 1)
        if rule and rule.action == 'delay':
            due += rule.seconds
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        if rule and rule.action == 'truncate':
            end = answer.index(b'\r\n\r\n') + 4 + rule.keep
            answer, keep = answer[:end], False
        if rule and rule.action == 'hold':
            end = answer.index(b'\r\n\r\n') + 4 + rule.keep
            writer.write(answer[:end])
            while not rule.released.is_set():
                await asyncio.sleep(0.01)
            writer.write(answer[end:])
            await writer.drain()
        else:
            await self._send(writer, answer, request.kind)
        return keep and fields.get('connection', '').lower() != 'close'

    async def _send(self, writer, answer, kind):
        """At the rate of one connection, in pieces that take a few milliseconds each."""
        head = answer.index(b'\r\n\r\n') + 4
        piece, started = (max(1, self.rate // 250) if self.rate else len(answer)), time.monotonic()
        view = memoryview(answer)
        for at in range(0, len(answer), piece):
            if self.rate and at:
                due = started + at / self.rate
                await asyncio.sleep(max(0.0, due - time.monotonic()))
            writer.write(view[at:at + piece])
            await writer.drain()
        with self.lock:
            self.bodies[kind] += len(answer) - head

    @staticmethod
    async def _request_body(reader, writer, fields):
        if fields.get('expect', '').lower() == '100-continue':
            writer.write(b'HTTP/1.1 100 Continue\r\n\r\n')
        return await read_body(reader, fields)

    @staticmethod
    def _refusal(status, body):
        body = body.encode() if body is not None else (
                b'<?xml version="1.0" encoding="UTF-8"?><Error><Code>Proxy</Code>'
                b'<Message>a rule of the test</Message></Error>')
        return (b'HTTP/1.1 %d Rule\r\nContent-Type: application/xml\r\nContent-Length: %d\r\n\r\n'
                % (status, len(body))) + body

    async def _forward_in_turn(self, raw, body, request):
        """
        With `atomic`, the server has one request an object at a time: a directory as a store may
        answer with the ETag of one object and the bytes of the one that replaced it.
        """
        if not self.atomic:
            return await self._forward(raw, body, request.method)
        async with self.turns[request.key]:
            return await self._forward(raw, body, request.method)

    async def _forward(self, raw, body, method):
        """The server's whole answer as bytes, and whether connections may go on."""
        while True:
            fresh = not self.idle
            reader, writer = self.idle.pop() if self.idle else await asyncio.open_connection(
                '127.0.0.1', self.upstream, limit=4 << 20)
            try:
                writer.write(raw + body)
                head = await read_head(reader)
                while head and head[1].split(' ')[1] == '100':
                    head = await read_head(reader)
                if head is None:
                    raise ConnectionError('the server closed the connection')
                head_raw, start, fields = head
                status = start.split(' ')[1]
                answer = b'' if method == 'HEAD' or status in ('204', '304') \
                    else await read_body(reader, fields)
            except (ConnectionError, asyncio.IncompleteReadError):
                writer.close()
                if fresh:
                    raise
                continue                        # an idle connection that the server had closed
            close = fields.get('connection', '').lower() == 'close'
            if close:
                writer.close()
            else:
                self.idle.append((reader, writer))
            return head_raw + answer, not close

    async def _control(self, target, writer):
        what, _, value = target.partition('?')
        if what == '/-/delay':
            self.delay = float(value)
        elif what == '/-/clear':
            self.clear()
        with self.lock:
            body = json.dumps([r._asdict() for r in self.requests]).encode()
        writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n' % len(body) + body)
        await writer.drain()
        return True


def main():
    p = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    p.add_argument('--upstream', type=int, required=True, metavar='PORT')
    p.add_argument('--listen', type=int, default=0, metavar='PORT')
    p.add_argument('--delay', type=float, default=0.0, metavar='SECONDS')
    p.add_argument('--rate', type=int, metavar='BYTES')
    p.add_argument('--atomic', action='store_true')
    opt = p.parse_args()
    with DelayProxy(opt.upstream, opt.listen, opt.delay, opt.rate, opt.atomic) as proxy:
        print(proxy.port, flush=True)
        sys.stdin.read()                        # until the caller closes it


if __name__ == '__main__':
    main()
