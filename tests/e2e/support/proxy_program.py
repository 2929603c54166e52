# SPDX-License-Identifier: Apache-2.0
"""
The proxy (tests/fake/proxy.py) as a process of its own. It shares no interpreter with the readers: who
awaits a page of a mapped file holds the interpreter's lock, and the proxy could not answer.
"""
import contextlib
import json
import subprocess
import urllib.request

from .places import FAKE, PATIENCE_S, PYTHON


class ProxyProgram:
    def __init__(self, upstream, delay, *words):
        self.process = subprocess.Popen(
            [PYTHON, str(FAKE / 'proxy.py'), '--upstream', str(upstream), '--delay', str(delay), *words],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())
        self.url = 'http://127.0.0.1:%d' % self.port

    def requests(self, kind):
        with urllib.request.urlopen(self.url + '/-/requests', timeout=PATIENCE_S) as answer:
            return [r for r in json.load(answer) if r['kind'] == kind]

    def stop(self):
        self.process.communicate(timeout=PATIENCE_S)


@contextlib.contextmanager
def proxy_program(upstream, delay, *words):
    p = ProxyProgram(upstream, delay, *words)
    try:
        yield p
    finally:
        p.stop()
