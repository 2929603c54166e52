# SPDX-License-Identifier: Apache-2.0
"""
The services that give AWS credentials, on one loopback port: the metadata service (IMDSv2 only),
the container agent, STS, the SSO portal and its OIDC service. What they give is set by the test:

    with FakeAws() as aws:
        aws.give(key, secret, life=3600)
        ... aws.url, aws.asked('sts') ...
"""
import datetime
import http.server
import json
import threading
import urllib.parse

from .loopback import Loopback

STS = '''<{0}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{0}Result>
<AssumedRoleUser><Arn>arn:aws:sts::123456789012:assumed-role/r/s</Arn></AssumedRoleUser>
<Credentials><AccessKeyId>{1}</AccessKeyId><SecretAccessKey>{2}</SecretAccessKey>
<SessionToken>{3}</SessionToken><Expiration>{4}</Expiration></Credentials></{0}Result></{0}Response>'''
SECRETS = '/latest/meta-data/iam/security-credentials/'


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'

    def log_message(self, *_):
        pass

    def answer(self, status, body):
        body = body if isinstance(body, bytes) else body.encode()
        self.send_response(status)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def service(self, method):
        fake, path = self.owner, self.path.split('?')[0]
        body = self.rfile.read(int(self.headers.get('Content-Length') or 0)).decode()
        form = dict(urllib.parse.parse_qsl(body if path == '/' else self.path.partition('?')[2]))
        name = {'/': 'sts', '/token': 'oidc', '/federation/credentials': 'sso',
                '/container': 'container', '/latest/api/token': 'imds-token'}.get(path, 'imds')
        with fake.lock:
            fake.requests.append((name, method, self.path, dict(self.headers.items()), form, body))
        if fake.failing:
            return self.answer(fake.failing, '{"code": "Failing", "message": "as it was told"}')
        return getattr(self, 'do_' + name.replace('-', '_'))(method, path, form)

    def do_sts(self, _, __, form):
        key, secret, token, until = self.owner.now()
        if 'RoleArn' not in form:
            return self.answer(400, '<ErrorResponse><Error><Code>ValidationError</Code>'
                                    '<Message>no role</Message></Error></ErrorResponse>')
        return self.answer(200, STS.format(form['Action'], key, secret, token, until))

    def do_oidc(self, *_):
        return self.answer(200, json.dumps({'accessToken': 'new-sign-in', 'expiresIn': 28800,
                                            'refreshToken': 'second-refresh-token'}))

    def do_sso(self, *_):
        key, secret, token, until = self.owner.now()
        ms = int(datetime.datetime.fromisoformat(until.replace('Z', '+00:00')).timestamp() * 1000)
        return self.answer(200, json.dumps({'roleCredentials': {
            'accessKeyId': key, 'secretAccessKey': secret, 'sessionToken': token,
            'expiration': ms}}))

    def do_container(self, *_):
        return self.answer(200, self.owner.document())

    def do_imds_token(self, method, *_):
        if method != 'PUT' or 'x-aws-ec2-metadata-token-ttl-seconds' not in self.headers:
            return self.answer(400, '')
        return self.answer(200, 'session-of-imds')

    def do_imds(self, _, path, __):
        if self.headers.get('x-aws-ec2-metadata-token') != 'session-of-imds':
            return self.answer(401, '')
        if path == SECRETS:
            return self.answer(200, 'the-role')
        if path == SECRETS + 'the-role':
            return self.answer(200, self.owner.document(Code='Success'))
        return self.answer(404, '')

    def do_GET(self):
        self.service('GET')

    def do_PUT(self):
        self.service('PUT')

    def do_POST(self):
        self.service('POST')


class FakeAws(Loopback):
    def __init__(self):
        self.lock, self.requests, self.failing = threading.Lock(), [], None
        self.credentials = ('', '', '', 3600)
        super().__init__(Handler)

    def give(self, key, secret, token='', life=3600):
        """From now on; each answer ends `life` seconds after it is given."""
        with self.lock:
            self.credentials = (key, secret, token, life)

    def now(self):
        with self.lock:
            key, secret, token, life = self.credentials
        until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=life)
        return key, secret, token, until.strftime('%Y-%m-%dT%H:%M:%SZ')

    def document(self, **more):
        key, secret, token, until = self.now()
        return json.dumps({'AccessKeyId': key, 'SecretAccessKey': secret, 'Token': token,
                           'Expiration': until, **more})

    def asked(self, name):
        """The requests for one service: (name, method, path, headers, form, body)."""
        with self.lock:
            return [r for r in self.requests if r[0] == name]
