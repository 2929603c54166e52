# SPDX-License-Identifier: Apache-2.0
"""Credentials are found where the AWS tools find them, renewed before they end, and shown nowhere."""
import datetime
import hashlib
import json
import os
import stat
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

from fake.aws import FakeAws                                        # noqa: E402
from support.mounts import run_tarn, wait_for                       # noqa: E402
from support.s3 import ACCESS_KEY, SECRET_KEY                       # noqa: E402

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
    (_, method, _, headers, form, _), = aws.asked('sts')
    assert method == 'POST' and form['Action'] == 'AssumeRole'
    assert form['RoleArn'] == 'arn:aws:iam::123456789012:role/r' and form['ExternalId'] == 'x/y'
    said = {k.lower(): v for k, v in headers.items()}['authorization']
    assert 'Credential=AKBASE/' in said and '/eu-central-1/sts/aws4_request' in said


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
                    env={'HOME': str(home), **NO_METADATA, **env})
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
