# SPDX-License-Identifier: Apache-2.0
"""What the fakes that speak HTTP have in common: a server on a loopback port, as a context."""
import http.server
import threading


class Loopback:
    """Requests are handled by `handler`, each on a thread of its own, which finds the fake in its `owner`."""

    def __init__(self, handler):
        kind = type('Handler', (handler,), {'owner': self})
        self.httpd = http.server.ThreadingHTTPServer(('127.0.0.1', 0), kind)
        self.httpd.daemon_threads = True
        self.thread = threading.Thread(target=self.httpd.serve_forever, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.httpd.shutdown()
        self.httpd.server_close()

    @property
    def host(self):
        return '127.0.0.1:%d' % self.httpd.server_port

    @property
    def url(self):
        return 'http://' + self.host
