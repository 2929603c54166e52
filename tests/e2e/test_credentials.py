# SPDX-License-Identifier: Apache-2.0
"""Credentials are found where the AWS tools find them, renewed before they end, and shown nowhere."""
import base64
import datetime
import hashlib
import http.server
import json
import os
import resource
import signal
import stat
import subprocess
import sys
import threading
import time
import urllib.parse
from pathlib import Path

import boto3
import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

sys.path.insert(0, str(Path(__file__).parents[1]))

from fake.aws import FakeAws                                        # noqa: E402
from support.mounts import detach, run_tarn, wait_for, zombie      # noqa: E402
from support.places import PATIENCE_S, TOOLS, VERSITYGW             # noqa: E402
from support.ports import free_port                                 # noqa: E402
from support.s3 import ACCESS_KEY, SECRET_KEY, Server               # noqa: E402

MINIO = TOOLS / 'bin/minio'
NO_METADATA = {'AWS_EC2_METADATA_DISABLED': 'true'}
KEYS = 'aws_access_key_id = %s\naws_secret_access_key = %s\n' % (ACCESS_KEY, SECRET_KEY)


@pytest.fixture
def aws():
    with FakeAws() as fake:
        fake.give(ACCESS_KEY, SECRET_KEY)
        yield fake


@pytest.fixture
def home(tmp_path):
    """A home directory with an empty ~/.aws."""
    (tmp_path / 'home/.aws').mkdir(parents=True)
    return tmp_path / 'home'


@pytest.fixture
def read(mount, s3, bucket, home):
    """read(env, **options): mounts with these credentials alone and reads an object."""
    s3.put(bucket, 'files/one', b'the bytes')

    def it(env=None, **options):
        m = mount('s3://' + bucket, endpoint_url=s3.url,
                  env={'HOME': str(home), **NO_METADATA, **(env or {})}, **options)
        assert (m / 'files/one').read_bytes() == b'the bytes'
        return m
    return it


def config(home, text, name='config'):
    path = home / '.aws' / name
    path.write_text(text)
    path.chmod(0o600)


def script(home, name, text):
    """A program of the user's: its path."""
    path = home / name
    path.write_text('#!/bin/sh\n' + text)
    path.chmod(0o755)
    return path


def test_environment(read):
    read({'AWS_ACCESS_KEY_ID': ACCESS_KEY, 'AWS_SECRET_ACCESS_KEY': SECRET_KEY})


def test_default_profile(read, home):
    config(home, '[default]\n' + KEYS, 'credentials')
    read()


def test_named_profile(read, home):
    """AWS_PROFILE, and --profile, which also goes before keys of the environment."""
    config(home, '[default]\naws_access_key_id = no\naws_secret_access_key = no\n'
                 '[work]\n' + KEYS, 'credentials')
    read({'AWS_PROFILE': 'work'})
    read({'AWS_ACCESS_KEY_ID': 'no', 'AWS_SECRET_ACCESS_KEY': 'no'}, profile='work',
         cache=home / 'cache')


def test_other_files(read, tmp_path):
    """AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE; the config's sections have their word."""
    (tmp_path / 'c').write_text('[work]\naws_access_key_id = no\naws_secret_access_key = no\n'
                                '[profile work]\nregion = us-east-1\n')
    (tmp_path / 's').write_text('# mine\n[work]\n' + KEYS)
    read({'AWS_PROFILE': 'work', 'AWS_CONFIG_FILE': str(tmp_path / 'c'),
          'AWS_SHARED_CREDENTIALS_FILE': str(tmp_path / 's')})


def test_credential_process(read, home):
    """Runs without a shell, with HOME and without secrets in its environment."""
    answer = json.dumps({'Version': 1, 'AccessKeyId': ACCESS_KEY, 'SecretAccessKey': SECRET_KEY})
    program = script(home, 'my program', 'env >"$HOME/env"; echo "$@" >"$HOME/args"\n'
                                         "echo '%s'\n" % answer)
    config(home, '[default]\ncredential_process = "%s" --for "two words" $HOME\n' % program)
    read({'AWS_CONTAINER_AUTHORIZATION_TOKEN': 'hunter2'})
    assert (home / 'args').read_text() == '--for two words $HOME\n'
    env = (home / 'env').read_text()
    assert 'HOME=%s' % home in env and 'hunter2' not in env


@pytest.mark.long
def test_credential_process_that_hangs(s3, bucket, home, tmp_path):
    """It is ended after a minute, with its children, and the mount says so."""
    program = script(home, 'p', 'sleep 1000 & echo $! >"$HOME/child"; wait\n')
    config(home, '[default]\ncredential_process = %s\n' % program)
    said = refused(s3, bucket, home, tmp_path, {})
    assert 'does not end within 60 s' in said
    child = int((home / 'child').read_text())
    wait_for(lambda: not Path('/proc/%d/ns' % child).exists() or zombie(child), PATIENCE_S, 'its end')


@pytest.mark.skipif(os.geteuid() != 0, reason='needs root')
def test_credential_process_runs_as_the_owner(read, home):
    answer = json.dumps({'Version': 1, 'AccessKeyId': ACCESS_KEY, 'SecretAccessKey': SECRET_KEY})
    program = script(home, 'p', "id -u >\"$HOME/uid\"; echo '%s'\n" % answer)
    config(home, '[default]\ncredential_process = %s\n' % program)
    read()
    assert (home / 'uid').read_text() == '%d\n' % os.getuid()


def test_role_with_source_profile(read, home, aws):
    """role_arn with source_profile: STS is asked with the source's keys, signed for the region."""
    config(home, '[profile base]\naws_access_key_id = AKBASE\naws_secret_access_key = basesecret\n'
                 '[profile work]\nrole_arn = arn:aws:iam::123456789012:role/r\n'
                 'source_profile = base\nexternal_id = x/y\nregion = eu-central-1\n')
    read({'AWS_PROFILE': 'work', 'AWS_ENDPOINT_URL_STS': aws.url})
    (_, method, _, headers, form, body), = aws.asked('sts')
    assert method == 'POST' and form['Action'] == 'AssumeRole'
    assert form['RoleArn'] == 'arn:aws:iam::123456789012:role/r' and form['ExternalId'] == 'x/y'
    said = {k.lower(): v for k, v in headers.items()}['authorization']
    assert 'Credential=AKBASE/' in said and '/eu-central-1/sts/aws4_request' in said
    assert said.endswith(signature_of('POST', aws.url + '/', headers, body, 'sts', 'eu-central-1',
                                      'AKBASE', 'basesecret'))


def test_keys_of_a_source_profile_end_the_chain(read, home, aws):
    """A source with keys asks by them, though it has a role too, as the AWS tools have it."""
    config(home, '[default]\nrole_arn = arn:aws:iam::123456789012:role/wanted\nsource_profile = base\n'
                 '[profile base]\n  aws_access_key_id = AKBASE\n  aws_secret_access_key = basesecret\n'
                 '  role_arn = arn:aws:iam::123456789012:role/other\n  source_profile = base\n')
    read({'AWS_ENDPOINT_URL_STS': aws.url})
    assert [a[4]['RoleArn'].rpartition('/')[2] for a in aws.asked('sts')] == ['wanted']


def test_role_with_credential_source(read, home, aws):
    config(home, '[profile work]\nrole_arn = arn:aws:iam::123456789012:role/r\n'
                 'credential_source = Ec2InstanceMetadata\n')
    read({'AWS_PROFILE': 'work', 'AWS_ENDPOINT_URL_STS': aws.url,
          'AWS_EC2_METADATA_DISABLED': 'false', 'AWS_EC2_METADATA_SERVICE_ENDPOINT': aws.url})
    assert aws.asked('imds') and len(aws.asked('sts')) == 1


def test_web_identity(read, home, aws):
    """AWS_WEB_IDENTITY_TOKEN_FILE, as Kubernetes sets it: not signed, the token in the form."""
    (home / 'token').write_text('eyJ.a.b\n')
    read({'AWS_ROLE_ARN': 'arn:aws:iam::123456789012:role/pod', 'AWS_ENDPOINT_URL_STS': aws.url,
          'AWS_WEB_IDENTITY_TOKEN_FILE': str(home / 'token'), 'AWS_ROLE_SESSION_NAME': 'pod-1'})
    (_, _, _, headers, form, _), = aws.asked('sts')
    assert form['WebIdentityToken'] == 'eyJ.a.b' and form['RoleSessionName'] == 'pod-1'
    assert 'authorization' not in {k.lower() for k in headers}


SSO = ('[profile work]\nsso_session = mine\nsso_account_id = 123456789012\nsso_role_name = Reader\n'
       '[sso-session mine]\nsso_region = eu-west-1\nsso_start_url = https://my.example/start\n')


def sign_in(home, seconds):
    """What `aws sso login` leaves: the path."""
    where = home / '.aws/sso/cache'
    where.mkdir(parents=True)
    until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)
    path = where / (hashlib.sha1(b'mine').hexdigest() + '.json')
    path.write_text(json.dumps({
        'startUrl': 'https://my.example/start', 'region': 'eu-west-1', 'accessToken': 'old-sign-in',
        'expiresAt': until.strftime('%Y-%m-%dT%H:%M:%SZ'), 'clientId': 'client',
        'clientSecret': 'client-secret', 'refreshToken': 'first-refresh-token'}))
    path.chmod(0o600)
    return path


def test_sso(read, home, aws):
    config(home, SSO)
    sign_in(home, 3600)
    read({'AWS_PROFILE': 'work', 'AWS_ENDPOINT_URL_SSO': aws.url})
    (_, _, path, headers, form, _), = aws.asked('sso')
    assert headers['x-amz-sso_bearer_token'] == 'old-sign-in'
    assert form == {'account_id': '123456789012', 'role_name': 'Reader'}


def test_sso_renews_the_sign_in(read, home, aws):
    """A sign-in that has ended is renewed by its refresh token, and the file has the new one."""
    config(home, SSO)
    path = sign_in(home, -60)
    read({'AWS_PROFILE': 'work', 'AWS_ENDPOINT_URL_SSO': aws.url,
          'AWS_ENDPOINT_URL_SSO_OIDC': aws.url})
    assert json.loads(aws.asked('oidc')[0][5]) == {
        'grantType': 'refresh_token', 'clientId': 'client', 'clientSecret': 'client-secret',
        'refreshToken': 'first-refresh-token'}
    assert aws.asked('sso')[0][3]['x-amz-sso_bearer_token'] == 'new-sign-in'
    kept = json.loads(path.read_text())
    assert (kept['accessToken'], kept['refreshToken']) == ('new-sign-in', 'second-refresh-token')
    assert kept['startUrl'] == 'https://my.example/start' and kept['clientId'] == 'client'
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_container(read, home, aws):
    """The ECS agent and EKS Pod Identity: by URL, with the token of a file."""
    (home / 'token').write_text('pod-token\n')
    read({'AWS_CONTAINER_CREDENTIALS_FULL_URI': aws.url + '/container',
          'AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE': str(home / 'token')})
    said = {k.lower(): v for k, v in aws.asked('container')[0][3].items()}
    assert said['authorization'] == 'pod-token'


def test_instance_metadata(read, aws):
    """IMDSv2: a token first, then role and credentials with it."""
    read({'AWS_EC2_METADATA_DISABLED': 'false', 'AWS_EC2_METADATA_SERVICE_ENDPOINT': aws.url})
    assert len(aws.asked('imds-token')) == 1 and len(aws.asked('imds')) == 2


def refused(s3, bucket, home, tmp_path, env, *options):
    """Mounts, which has to fail: what was said."""
    (tmp_path / 'refused').mkdir(exist_ok=True)
    done = run_tarn('mount', 's3://' + bucket, tmp_path / 'refused', '--endpoint-url', s3.url,
                    '--cache-dir', tmp_path / 'refused-cache', *options,
                    timeout=PATIENCE_S, env={'HOME': str(home), **NO_METADATA, **env})
    assert done.returncode == 1 and not os.path.ismount(tmp_path / 'refused')
    return done.stderr


def test_no_credentials(s3, bucket, home, tmp_path):
    """The mount says what is missing, and what to do."""
    said = refused(s3, bucket, home, tmp_path, {})
    assert 'no credentials for S3' in said and '--no-sign-request' in said
    assert 'there is no profile nobody' in refused(s3, bucket, home, tmp_path, {'AWS_PROFILE': 'nobody'})
    config(home, SSO)
    said = refused(s3, bucket, home, tmp_path, {'AWS_PROFILE': 'work'})
    assert 'aws sso login --profile work' in said
    config(home, '[default]\ncredential_process = false\n')
    assert 'ended with status 1' in refused(s3, bucket, home, tmp_path, {})
    said = refused(s3, bucket, home, tmp_path,
                   {'AWS_CONTAINER_CREDENTIALS_FULL_URI': 'http://169.254.170.2.evil.example/x',
                    'AWS_CONFIG_FILE': '/nowhere'})
    assert 'neither https nor this machine' in said


def test_a_role_that_nobody_asks_for_is_not_left_out(s3, bucket, home, tmp_path):
    """Keys beside a role without a source are another identity than the profile's: refused."""
    config(home, '[default]\nrole_arn = arn:aws:iam::123456789012:role/r\n' + KEYS)
    assert 'role_arn without source_profile' in refused(s3, bucket, home, tmp_path, {})


def test_the_instance_has_no_role(s3, bucket, home, tmp_path, aws):
    """The metadata service's own reason is told."""
    aws.failing = 404
    said = refused(s3, bucket, home, tmp_path, {'AWS_EC2_METADATA_DISABLED': 'false',
                                                'AWS_EC2_METADATA_SERVICE_ENDPOINT': aws.url})
    assert 'the instance has no role' in said


def test_default_profile_of_the_environment(s3, bucket, mount, home):
    """AWS_DEFAULT_PROFILE counts for the endpoint as for the keys."""
    s3.put(bucket, 'files/one', b'the bytes')
    config(home, '[profile work]\nendpoint_url = %s\n%s' % (s3.url, KEYS))
    m = mount('s3://' + bucket, env={'HOME': str(home), **NO_METADATA, 'AWS_DEFAULT_PROFILE': 'work'})
    assert (m / 'files/one').read_bytes() == b'the bytes'


# What happens in the middle of a run.

@pytest.fixture
def users(tmp_path):
    """A server with accounts that come and go: its Server, and admin(words...)."""
    (tmp_path / 'iam').mkdir()
    server = Server(tmp_path, more=['--iam-dir', str(tmp_path / 'iam'), '--iam-cache-disable'])

    def admin(*words):
        subprocess.run([str(VERSITYGW), 'admin', '--access', ACCESS_KEY, '--secret', SECRET_KEY,
                        '--endpoint-url', server.url, *words], check=True, timeout=PATIENCE_S,
                       capture_output=True)
    yield server, admin
    server.stop()


def container_env(aws, home):
    return {'HOME': str(home), **NO_METADATA,
            'AWS_CONTAINER_CREDENTIALS_FULL_URI': aws.url + '/container'}


def test_renewed_before_they_end(mount, s3, bucket, home, aws):
    """Credentials of a few seconds: they are renewed beside their use, and every read is right."""
    aws.give(ACCESS_KEY, SECRET_KEY, life=5)
    for i in range(100):
        s3.put(bucket, 'files/%d' % i, b'the bytes of %d' % i)
    started = time.monotonic()
    m = mount('s3://' + bucket, endpoint_url=s3.url, env=container_env(aws, home))
    for i in range(100):
        assert (m / ('files/%d' % i)).read_bytes() == b'the bytes of %d' % i
        if len(aws.asked('container')) >= 3:
            break
        time.sleep(0.15)
    assert len(aws.asked('container')) >= 3
    assert len(aws.asked('container')) <= 2 + time.monotonic() - started    # not at each request


def test_refused_in_the_middle(mount, users, home, aws):
    """
    The server takes the credentials no more, before they should have ended: they are fetched anew,
    and no reader sees it.
    """
    server, admin = users
    admin('create-user', '--access', 'first', '--secret', 'first-secret', '--role', 'admin')
    admin('create-user', '--access', 'second', '--secret', 'second-secret', '--role', 'admin')
    server.make_bucket('bucket')
    for i in range(40):
        server.put('bucket', 'files/%d' % i, b'the bytes of %d' % i)
    aws.give('first', 'first-secret')
    m = mount('s3://bucket', endpoint_url=server.url, env=container_env(aws, home))
    replaced, seen = threading.Event(), []

    def reader(of):
        for n, i in enumerate(of):
            if n == len(of) // 2:
                replaced.wait()                 # so that some are read before and some after
            try:
                seen.append((m / ('files/%d' % i)).read_bytes() == b'the bytes of %d' % i)
            except OSError as e:
                seen.append(e)
    threads = [threading.Thread(target=reader, args=(range(k, 40, 2),)) for k in (0, 1)]
    for t in threads:
        t.start()
    time.sleep(1.5)                             # newer credentials would be given at once
    aws.give('second', 'second-secret')
    admin('delete-user', '--access', 'first')
    replaced.set()
    for t in threads:
        t.join()
    assert seen == [True] * 40
    assert len(aws.asked('container')) == 2


def test_nobody_has_better_ones(mount, users, home, aws):
    """Where the credentials are refused for good, it is EACCES, and the log says why."""
    server, admin = users
    admin('create-user', '--access', 'first', '--secret', 'first-secret', '--role', 'admin')
    server.make_bucket('bucket')
    server.put('bucket', 'files/a', b'a')
    server.put('bucket', 'files/b', b'b')
    aws.give('first', 'first-secret')
    m = mount('s3://bucket', endpoint_url=server.url, env=container_env(aws, home))
    assert (m / 'files/a').read_bytes() == b'a'
    time.sleep(1.2)
    admin('delete-user', '--access', 'first')
    with pytest.raises(PermissionError):
        (m / 'files/b').read_bytes()
    aws.give(ACCESS_KEY, SECRET_KEY)

    def right_again():
        try:
            return (m / 'files/b').read_bytes() == b'b'
        except PermissionError:
            return False
    wait_for(right_again, PATIENCE_S, 'credentials that are right again are taken')


# Where they are not.

def everything_said(m):
    return b''.join(p.read_bytes() for p in [m.log, *m.cache.glob('*.log')] if p.exists())


def test_secrets_are_nowhere(mount, s3, bucket, home, aws):
    """Not in /proc, not in the log, not in the cache directory, also where all goes wrong."""
    s3.put(bucket, 'files/one', b'the bytes')
    secrets = [SECRET_KEY.encode(), b'hunter2', b'basesecret']
    config(home, '[profile work]\nrole_arn = arn:aws:iam::123456789012:role/r\n'
                 'source_profile = base\n[profile base]\naws_access_key_id = AKBASE\n'
                 'aws_secret_access_key = basesecret\n')
    m = mount('s3://' + bucket, endpoint_url=s3.url, debug=True, env={
        'HOME': str(home), 'AWS_PROFILE': 'work', 'AWS_ENDPOINT_URL_STS': aws.url,
        'AWS_CONTAINER_AUTHORIZATION_TOKEN': 'hunter2', **NO_METADATA})
    assert (m / 'files/one').read_bytes() == b'the bytes'
    aws.give('wrong', SECRET_KEY + '-wrong')
    aws.failing = 403
    proc = Path('/proc/%d' % m.pid)
    found = {'environ': (proc / 'environ').read_bytes(), 'cmdline': (proc / 'cmdline').read_bytes(),
             'said': everything_said(m)}
    for task in (proc / 'task').iterdir():
        found['comm ' + task.name] = (task / 'comm').read_bytes()
    for path in m.cache.rglob('*'):
        if path.is_file():
            found[str(path)] = path.read_bytes()
    for where, data in found.items():
        for secret in secrets:
            assert secret not in data, where
    assert found['environ'].strip(b'\0') == b''


def test_no_core(mount, s3, bucket):
    """A daemon that crashes leaves no core, also where the limits would let it."""
    def unlimited():
        resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY,) * 2)
    s3.put(bucket, 'files/one', b'the bytes')
    control = subprocess.Popen(['sleep', '60'], preexec_fn=unlimited, cwd='/tmp')
    os.kill(control.pid, signal.SIGSEGV)
    _, status = os.waitpid(control.pid, 0)
    control.returncode = -signal.SIGSEGV
    for core in [Path('/tmp/core'), Path('/tmp/core.%d' % control.pid)]:
        core.unlink(missing_ok=True)
    m = mount('s3://' + bucket, endpoint_url=s3.url, env=s3.env, foreground=True,
              preexec=unlimited)
    assert (m / 'files/one').read_bytes() == b'the bytes'
    os.kill(m.process.pid, signal.SIGSEGV)
    _, mine = os.waitpid(m.process.pid, 0)
    m.process.returncode = -signal.SIGSEGV
    detach(m.path)
    assert os.WTERMSIG(mine) == signal.SIGSEGV and not os.WCOREDUMP(mine)
    if not os.WCOREDUMP(status):
        pytest.skip('this machine makes no cores at all')


def test_metadata_warning(mount, s3, bucket, home, aws, tmp_path):
    """The log warns where an ordinary user could ask the metadata service, and only there."""
    s3.put(bucket, 'files/one', b'the bytes')

    def warned(env, seconds):
        m = mount('s3://' + bucket, endpoint_url=s3.url, env={
            'HOME': str(home), 'AWS_EC2_METADATA_DISABLED': 'false', **s3.env, **env})
        try:
            wait_for(lambda: b'metadata service' in everything_said(m), seconds, 'a warning')
        except TimeoutError:
            return False
        return True
    assert warned({'AWS_EC2_METADATA_SERVICE_ENDPOINT': aws.url}, PATIENCE_S)
    assert not aws.requests                     # it was only tried whether it could be asked
    assert not warned({'AWS_EC2_METADATA_SERVICE_ENDPOINT': 'http://127.0.0.1:1'}, 2)
    assert not warned({'AWS_EC2_METADATA_SERVICE_ENDPOINT': aws.url, **NO_METADATA}, 2)


# Addresses.

def test_region_of_the_bucket(mount, tmp_path):
    """A bucket of another region than was said: signed again for its own, at the same host."""
    server = Server(tmp_path, more=['--region', 'eu-north-1'])
    try:
        server.client = boto3.client(
            's3', endpoint_url=server.url, region_name='eu-north-1', aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY, config=Config(s3={'addressing_style': 'path'}))
        server.make_bucket('bucket')
        server.put('bucket', 'files/one', b'the bytes')
        m = mount('s3://bucket', endpoint_url=server.url, env=server.env)
        assert (m / 'files/one').read_bytes() == b'the bytes'
    finally:
        server.stop()


def test_ipv6(mount, tmp_path):
    server = Server(tmp_path, host='[::1]')
    try:
        server.make_bucket('bucket')
        server.put('bucket', 'files/one', b'the bytes')
        m = mount('s3://bucket', endpoint_url=server.url, env=server.env)
        assert (m / 'files/one').read_bytes() == b'the bytes'
    finally:
        server.stop()


class Recorder(http.server.ThreadingHTTPServer):
    """An HTTP proxy or server that writes down what it is asked and answers with an empty bucket."""
    daemon_threads = True

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_GET(self):
            self.server.seen.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
            query = dict(urllib.parse.parse_qsl(self.path.partition('?')[2]))
            keys = ''.join('<Contents><Key>%s</Key><Size>9</Size></Contents>'
                           % urllib.parse.quote(k) for k in self.server.keys)
            if keys and 'delimiter' in query and 'prefix' not in query:
                keys = '<CommonPrefixes><Prefix>files/</Prefix></CommonPrefixes>'
            body = ('<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>false'
                    '</IsTruncated>%s</ListBucketResult>' % keys).encode()
            if 'list-type' not in self.path:
                body = b''
            if self.server.elsewhere:
                self.send_response(307)
                self.send_header('Location', self.server.elsewhere + self.path)
                self.send_header('x-amz-bucket-region', 'sa-east-1')
            else:
                self.send_response(200 if body else 404)
            self.send_header('Content-Length', str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        do_HEAD = do_GET

    def __init__(self):
        super().__init__(('127.0.0.1', 0), self.Handler)
        self.seen, self.keys, self.elsewhere = [], [], None
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return 'http://127.0.0.1:%d' % self.server_address[1]


@pytest.fixture
def recorder():
    with Recorder() as r:
        yield r
        r.shutdown()


def signature_of(method, url, headers, body, service, region, key, secret):
    """What botocore would have signed: the value of Authorization."""
    told = {k.lower(): v for k, v in headers.items()}
    names = told['authorization'].split('SignedHeaders=')[1].split(',')[0].split(';')
    request = AWSRequest(method=method, url=url, data=body,
                         headers={n: told[n] for n in names if n != 'host'})
    request.context['timestamp'] = told['x-amz-date']
    auth = (S3SigV4Auth if service == 's3' else SigV4Auth)(Credentials(key, secret), service, region)
    canonical = auth.canonical_request(request)
    to_sign = auth.string_to_sign(request, canonical)
    return auth.signature(to_sign, request)


def test_signatures_are_those_of_botocore(mount, recorder):
    """Listings and ranges of keys with strange names, each signed as botocore signs it."""
    recorder.keys = ['files/' + n for n in (
        'plain', 'a b', 'plus+', 'per%20cent', 'ünï', 'q?a=b&c', "'(*)!", '~tilde', 'semi;colon',
        '@:,', 'ser=1')]
    m = mount('s3://my-bucket', endpoint_url=recorder.url, requester_pays=True,
              env={'AWS_ACCESS_KEY_ID': 'k', 'AWS_SECRET_ACCESS_KEY': 'the/secret+'})
    for name in os.listdir(m / 'files'):
        with pytest.raises(OSError):
            (m / 'files' / name).read_bytes()
    kinds = set()
    for path, headers in recorder.seen:
        signed = signature_of('GET', recorder.url + path, headers, b'', 's3', 'us-east-1', 'k',
                              'the/secret+')
        assert headers['authorization'].endswith('Signature=' + signed), path
        kinds.add('list' if '?' in path else 'get')
    assert kinds == {'list', 'get'} and len(recorder.seen) > len(recorder.keys)


def test_virtual_hosts_and_proxies(mount, recorder):
    """The bucket's name before the endpoint's; a proxy of the environment is asked for it."""
    env = {'AWS_ACCESS_KEY_ID': 'k', 'AWS_SECRET_ACCESS_KEY': 's', 'http_proxy': recorder.url}
    mount('s3://my-bucket', endpoint_url='http://s3.test.example:8000', addressing='virtual',
          env=env)
    assert recorder.seen and all(
        path.startswith('http://my-bucket.s3.test.example:8000/?') and
        headers['host'] == 'my-bucket.s3.test.example:8000' for path, headers in recorder.seen)


def test_no_proxy(mount, recorder):
    """no_proxy names the host, or --proxy another proxy, or off."""
    env = {'AWS_ACCESS_KEY_ID': 'k', 'AWS_SECRET_ACCESS_KEY': 's',
           'http_proxy': 'http://127.0.0.1:1', 'no_proxy': 'example.com, 127.0.0.1'}
    mount('s3://my-bucket', endpoint_url=recorder.url, env=env)
    assert recorder.seen[-1][0].startswith('/my-bucket/?')
    mount('s3://my-bucket', endpoint_url='http://a.example', proxy=recorder.url, env=env)
    assert recorder.seen[-1][0].startswith('http://a.example/my-bucket/?')
    del env['no_proxy']
    mount('s3://my-bucket', endpoint_url=recorder.url, proxy='off', env=env)
    assert recorder.seen[-1][0].startswith('/my-bucket/?')


def test_redirects_are_not_followed(recorder, tmp_path):
    """A server that names another host gets the requests itself, for the region that it names."""
    (tmp_path / 'mnt').mkdir()
    with Recorder() as other:
        recorder.elsewhere = other.url
        done = run_tarn('mount', 's3://my-bucket', tmp_path / 'mnt', '--endpoint-url', recorder.url,
                        '--cache-dir', tmp_path / 'c',
                        env={'AWS_ACCESS_KEY_ID': 'k', 'AWS_SECRET_ACCESS_KEY': 's'})
        other.shutdown()
        assert done.returncode == 1 and 'HTTP 307' in done.stderr
        assert other.seen == []
    regions = ['/us-east-1/' in h['authorization'] for _, h in recorder.seen]
    assert regions == [True] + [False] * (len(regions) - 1) and len(regions) == 2


def test_requester_pays(mount, recorder):
    """Every request says who pays, and signs it."""
    mount('s3://my-bucket', endpoint_url=recorder.url, requester_pays=True,
          env={'AWS_ACCESS_KEY_ID': 'k', 'AWS_SECRET_ACCESS_KEY': 's'})
    assert recorder.seen
    for _, headers in recorder.seen:
        assert headers['x-amz-request-payer'] == 'requester'
        assert 'x-amz-request-payer' in headers['authorization']


def test_region_of_the_profile(mount, recorder, home):
    """Region and endpoint of ~/.aws/config count where nothing else names them."""
    config(home, '[profile work]\nregion = ca-west-1\nendpoint_url = %s\n%s' % (recorder.url, KEYS))
    mount('s3://my-bucket', profile='work', env={'HOME': str(home), **NO_METADATA})
    assert '/ca-west-1/s3/aws4_request' in recorder.seen[-1][1]['authorization']


@pytest.fixture
def secure(tmp_path):
    """MinIO with TLS on IPv6, which insists on it for SSE-C: endpoint, certificate, client."""
    assert MINIO.is_file(), 'no MinIO at %s: run tests/tools/deps.sh long' % MINIO
    certs = tmp_path / 'certs'
    certs.mkdir()
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2',
                    '-subj', '/CN=test', '-addext', 'subjectAltName=IP:::1',
                    '-keyout', certs / 'private.key', '-out', certs / 'public.crt'],
                   check=True, capture_output=True)
    url = 'https://[::1]:%d' % free_port()
    process = subprocess.Popen(
        [str(MINIO), 'server', '--quiet', '--certs-dir', str(certs), '--address', url[8:],
         str(tmp_path / 'data')], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={'HOME': str(tmp_path), 'MINIO_ROOT_USER': ACCESS_KEY, 'MINIO_ROOT_PASSWORD': SECRET_KEY})
    client = boto3.client('s3', endpoint_url=url, region_name='us-east-1', verify=str(certs / 'public.crt'),
                          aws_access_key_id=ACCESS_KEY, aws_secret_access_key=SECRET_KEY,
                          config=Config(proxies={}, retries={'total_max_attempts': 1}))

    def made():
        try:
            return client.create_bucket(Bucket='bucket')
        except Exception:                       # it is only starting
            return None
    try:
        wait_for(made, PATIENCE_S, 'MinIO')
        yield url, certs / 'public.crt', client
    finally:
        process.terminate()
        process.wait(timeout=PATIENCE_S)


@pytest.mark.long                               # MinIO takes minutes to build
def test_sse_c(mount, secure, tmp_path):
    """
    Objects encrypted with a key of the customer's, over TLS with a certificate of one's own: read
    with the key, refused with another one or none; the key is nowhere.
    """
    url, certificate, client = secure
    right, wrong, data = os.urandom(32), os.urandom(32), os.urandom(3 << 20)
    client.put_object(Bucket='bucket', Key='files/one', Body=data, SSECustomerAlgorithm='AES256',
                      SSECustomerKey=right)
    client.put_object(Bucket='bucket', Key='files/two', Body=data, SSECustomerAlgorithm='AES256',
                      SSECustomerKey=right)
    for name, key in (('right', right), ('wrong', wrong)):
        (tmp_path / name).write_text(key.hex())
        (tmp_path / name).chmod(0o600)
    env = {'AWS_ACCESS_KEY_ID': ACCESS_KEY, 'AWS_SECRET_ACCESS_KEY': SECRET_KEY}

    def with_key(**options):
        return mount('s3://bucket', endpoint_url=url, env=env, **options)
    m = with_key(ca_bundle=certificate, sse_c_key_file=tmp_path / 'right')
    assert (m / 'files/one').read_bytes() == data
    said = everything_said(m) + Path('/proc/%d/cmdline' % m.pid).read_bytes()
    assert right.hex().encode() not in said and base64.b64encode(right) not in said
    for options in ({'sse_c_key_file': tmp_path / 'wrong'}, {}):
        m = with_key(ca_bundle=certificate, **options)
        with pytest.raises(OSError):
            (m / 'files/two').read_bytes()


def test_sse_c_is_not_sent_in_the_clear(s3, bucket, home, tmp_path):
    (tmp_path / 'key').write_bytes(os.urandom(32))
    (tmp_path / 'key').chmod(0o600)
    done = run_tarn('mount', 's3://' + bucket, tmp_path, '--endpoint-url', 'http://s3.test.example',
                    '--cache-dir', tmp_path / 'c', '--sse-c-key-file', tmp_path / 'key', env=s3.env)
    assert done.returncode == 1 and 'needs https' in done.stderr


@pytest.mark.long                               # MinIO takes minutes to build
def test_certificates_are_checked(secure, home, tmp_path):
    """Without the certificate there is no connection, and nothing is said to whoever answers."""
    url, _, _ = secure
    (tmp_path / 'mnt').mkdir()
    done = run_tarn('mount', 's3://bucket', tmp_path / 'mnt', '--endpoint-url', url, '--cache-dir',
                    tmp_path / 'c', env={'AWS_ACCESS_KEY_ID': 'k', 'AWS_SECRET_ACCESS_KEY': 's'})
    assert done.returncode == 1 and 'certificate' in done.stderr
