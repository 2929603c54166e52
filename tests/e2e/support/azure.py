# SPDX-License-Identifier: Apache-2.0
"""
Azure Blob for the tests: Azurite on a loopback port of its own, a client that signs by itself, and
those who give tokens out.
"""
import base64
import concurrent.futures
import datetime
import email.utils
import hashlib
import hmac
import http.client
import http.server
import json
import os
import ssl
import subprocess
import threading
import time
import urllib.parse

from .places import AZURITE, PATIENCE_S
from .ports import end, serve

ACCOUNT = 'tarntests'
KEY = base64.b64encode(bytes(range(64))).decode()
VERSION = '2023-11-03'


def sign(text, key=KEY):
    return base64.b64encode(hmac.new(base64.b64decode(key), text.encode(), hashlib.sha256).digest()
                            ).decode()


def stamp(seconds):
    """A time so many seconds from now, as a SAS names it."""
    when = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    return when.strftime('%Y-%m-%dT%H:%M:%SZ')


def container_sas(container, permissions='rl', seconds=600):
    """A SAS for one container ("Create a service SAS", the form of 2020-12-06 and later)."""
    fields = {'sp': permissions, 'se': stamp(seconds), 'spr': 'https,http', 'sv': VERSION,
              'sr': 'c'}
    text = '\n'.join([permissions, '', fields['se'], '/blob/%s/%s' % (ACCOUNT, container), '', '',
                      fields['spr'], VERSION, 'c', '', '', '', '', '', '', ''])
    return urllib.parse.urlencode(dict(fields, sig=sign(text)))


def certificate(below):
    """A certificate of our own for 127.0.0.1, which is its own authority: (cert, key)."""
    cert, key = below / 'cert.pem', below / 'key.pem'
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2',
                    '-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1',
                    '-keyout', str(key), '-out', str(cert)], check=True, capture_output=True)
    return cert, key


class Server:
    """Azurite. With a certificate it speaks TLS, and takes tokens."""

    def __init__(self, below, tls=None):
        assert AZURITE.is_file(), 'no Azurite at %s: run tests/tools/deps.sh check' % AZURITE
        self.tls = tls
        words = ['node', str(AZURITE), '--disableTelemetry', '--silent', '--inMemoryPersistence']
        if tls:
            words += ['--cert', str(tls[0]), '--key', str(tls[1]), '--oauth', 'basic']
        self.log = open(below / 'azurite.log', 'wb')
        self.process, self.port = serve(lambda port: subprocess.Popen(
            [*words, '--blobPort', str(port)], stdin=subprocess.DEVNULL, stdout=self.log,
            stderr=self.log, cwd=below,
            env=dict(os.environ, AZURITE_ACCOUNTS='%s:%s' % (ACCOUNT, KEY))), self.log.name)

    @property
    def url(self):
        return '%s://127.0.0.1:%d' % ('https' if self.tls else 'http', self.port)

    @property
    def env(self):
        """What `tarn mount` reads its key from."""
        return {'AZURE_STORAGE_ACCOUNT_KEY': KEY}

    def connect(self):
        if self.tls:
            context = ssl.create_default_context(cafile=str(self.tls[0]))
            return http.client.HTTPSConnection('127.0.0.1', self.port, context=context, timeout=PATIENCE_S)
        return http.client.HTTPConnection('127.0.0.1', self.port, timeout=PATIENCE_S)

    def request(self, method, path, parameters=(), headers=(), body=b'', connection=None):
        """Sends one signed request; path without the account. Returns (status, headers, body)."""
        path = '/%s/%s' % (ACCOUNT, urllib.parse.quote(path, safe='/~'))
        sent = dict(headers, **{'x-ms-date': email.utils.formatdate(usegmt=True),
                                'x-ms-version': VERSION, 'Content-Length': str(len(body))})
        ours = ''.join('%s:%s\n' % (k.lower(), v) for k, v in sorted(sent.items())
                       if k.lower().startswith('x-ms-'))
        resource = ''.join('\n%s:%s' % pair for pair in sorted(dict(parameters).items()))
        text = '\n'.join([method, '', '', str(len(body) or ''), '', sent.get('Content-Type', ''),
                          '', '', '', '', '', '', ours + '/' + ACCOUNT + path + resource])
        sent['Authorization'] = 'SharedKey %s:%s' % (ACCOUNT, sign(text))
        query = '?' + urllib.parse.urlencode(dict(parameters)) if parameters else ''
        c = connection or self.connect()
        c.request(method, path + query, body=body, headers=sent)
        answer = c.getresponse()
        data = answer.read()
        if not connection:
            c.close()
        assert answer.status < 300, (method, path, answer.status, data)
        return answer.status, answer.headers, data

    def make_container(self, name, public=False):
        self.request('PUT', name, {'restype': 'container'},
                     {'x-ms-blob-public-access': 'container'} if public else {})
        return name

    def put(self, container, key, data, connection=None, **metadata):
        headers = {'x-ms-blob-type': 'BlockBlob', 'Content-Type': 'application/octet-stream'}
        headers.update({'x-ms-meta-' + k: v for k, v in metadata.items()})
        self.request('PUT', container + '/' + key, (), headers, data, connection)

    def archive(self, container, key):
        self.request('PUT', container + '/' + key, {'comp': 'tier'},
                     {'x-ms-access-tier': 'Archive'})

    def copy_tree(self, source, container, prefix=''):
        """Copies a directory's files into a container."""
        found = [os.path.join(where, n) for where, _, names in os.walk(source) for n in names]

        def copy(paths):
            connection = self.connect()
            for path in paths:
                with open(path, 'rb') as f:
                    self.put(container, prefix + os.path.relpath(path, source), f.read(),
                             connection)
            connection.close()

        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            for done in [pool.submit(copy, found[i::4]) for i in range(4)]:
                done.result()

    def stop(self):
        end(self.process, self.log)


def jwt(seconds, **claims):
    """A token that Azurite takes: it looks at the claims, not at the signature."""
    now = int(time.time())
    claims = dict({'aud': 'https://storage.azure.com', 'iss': 'https://sts.windows.net/tests/',
                   'iat': now - 60, 'nbf': now - 60, 'exp': now + seconds}, **claims)
    parts = [json.dumps(p).encode() for p in ({'alg': 'RS256', 'typ': 'JWT'}, claims)] + [b'none']
    return '.'.join(base64.urlsafe_b64encode(p).decode().rstrip('=') for p in parts)


class TokenGiver:
    """
    Who gives tokens out: Entra's token endpoint, the metadata service of a machine, an identity
    endpoint. Takes the requests that `check` says are right, and counts them.
    """

    def __init__(self, check, life_s=3600, expires_in=None, tls=None, absolute=False):
        self.check, self.life_s, self.expires_in, self.absolute = check, life_s, expires_in, absolute
        self.asked, self.refused, self.given = [], 0, []
        giver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'

            def answer(self):
                length = int(self.headers.get('Content-Length', 0))
                form = dict(urllib.parse.parse_qsl(self.rfile.read(length).decode()))
                giver.asked.append((self.command, self.path, form))
                if giver.check(self, form):
                    status, body = 200, giver.token()
                else:
                    giver.refused += 1
                    status, body = 401, {'error': 'invalid_client',
                                         'error_description': 'AADSTS7000215: wrong secret'}
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header('Content-Length', str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = answer

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*map(str, tls))
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = '%s://127.0.0.1:%d' % ('https' if tls else 'http', self.server.server_port)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def token(self):
        self.given.append(jwt(self.life_s))
        expires = self.life_s if self.expires_in is None else self.expires_in
        when = ({'expires_on': str(int(time.time()) + expires)} if self.absolute
                else {'expires_in': expires})
        return dict(when, token_type='Bearer', access_token=self.given[-1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
