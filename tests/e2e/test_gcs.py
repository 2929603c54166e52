# SPDX-License-Identifier: Apache-2.0
"""gs://: tables, refs, generations, credentials and errors of Cloud Storage."""
import errno
import gzip
import json
import os
import random
import subprocess
import time

import pyarrow.dataset as ds
import pytest

from fake.gcs import METADATA, FakeGcs
from support.mounts import run_tarn
from support.places import PATIENCE_S

NO_CONFIG = {'CLOUDSDK_CONFIG': '/nonexistent'}      # the developer's own gcloud is not asked


@pytest.fixture(scope='module')
def lake_bucket(gcs, lake):
    """A bucket with the lake of real Delta tables below a prefix."""
    bucket = gcs.new_bucket('lake')
    gcs.copy_tree(lake.root, bucket, 'some/lake')
    return 'gs://%s/some/lake' % bucket


def files_below(root):
    return {os.path.relpath(os.path.join(where, name), root): os.path.join(where, name)
            for where, _, names in os.walk(root) for name in names}


def amounts(path):
    table = ds.dataset(str(path), format='parquet').to_table(columns=['amount'])
    return table.num_rows, sum(table['amount'].to_pylist())


def test_tables_at_every_version(mount, gcs, lake, lake_bucket):
    """Every version of every table of a bucket has the rows and the files that it must have."""
    m = mount(lake_bucket, endpoint_url=gcs.url, env=NO_CONFIG)
    for table, versions in lake.tables.items():
        for v in versions:
            below = m / ('%s@%d' % (table, v.number))
            found = {path: os.path.getsize(p) for path, p in files_below(below).items()}
            assert found == v.files
            assert amounts(below) == (v.rows, v.total)
        assert amounts(m / table) == (versions[-1].rows, versions[-1].total)


def test_raw_files_to_the_byte(mount, gcs, lake, lake_bucket):
    """Plain objects, empty and larger than a block ones too, are read to the byte."""
    m = mount(lake_bucket, endpoint_url=gcs.url, env=NO_CONFIG)
    wanted = files_below(lake / 'bronze')
    found = files_below(m / 'bronze')
    assert found.keys() == wanted.keys()
    for path, p in found.items():
        with open(p, 'rb') as f, open(wanted[path], 'rb') as g:
            assert f.read() == g.read(), path


def test_replaced_object_of_the_real_server(mount, gcs, tmp_path):
    """What replaced an object is never mixed with it, though this server knows no preconditions."""
    old, new = b'a' * (9 << 20), b'b' * (9 << 20)
    gcs.make_bucket('replaced')
    gcs.put('replaced', 'raw/blob.bin', old)
    m = mount('gs://replaced', endpoint_url=gcs.url, env=NO_CONFIG)
    with open(m / 'raw/blob.bin', 'rb', buffering=0) as f:
        assert f.read(4096) == old[:4096]
        gcs.put('replaced', 'raw/blob.bin', new)
        with pytest.raises(OSError) as e:
            os.pread(f.fileno(), 4096, 8 << 20)
    assert e.value.errno == errno.ESTALE


# What the real server lacks: credentials, preconditions, pages, errors.

@pytest.fixture
def fake():
    with FakeGcs() as f:
        yield f


def service_account(fake, path, **more):
    """A key file of a service account that the fake knows."""
    private = path.with_suffix('.pem')
    subprocess.run(['openssl', 'genpkey', '-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048',
                    '-out', str(private)], check=True, capture_output=True)
    public = subprocess.run(['openssl', 'pkey', '-in', str(private), '-pubout'], check=True,
                            capture_output=True, text=True).stdout
    email = 'reader@project.iam.gserviceaccount.com'
    fake.public_keys[email] = public
    path.write_text(json.dumps(dict({
        'type': 'service_account', 'client_email': email, 'private_key_id': 'kid"1',
        'private_key': private.read_text(), 'token_uri': fake.url + '/token'}, **more)))
    return path


def mount_fake(mount, fake, env, **options):
    return mount('gs://bucket/lake', endpoint_url=fake.url, env=dict(NO_CONFIG, **env), **options)


def refused_mount(fake, tmp_path, env):
    """What a mount says that must fail: the root of the lake is listed when it is made."""
    (tmp_path / 'refused').mkdir(exist_ok=True)
    done = run_tarn('mount', 'gs://bucket/lake', tmp_path / 'refused', '--cache-dir',
                    tmp_path / 'refused-cache', '--endpoint-url', fake.url,
                    env=dict(NO_CONFIG, **env))
    assert done.returncode != 0
    return done.stderr


def said_by(m):
    return ''.join(p.read_text(errors='replace') for p in m.cache.glob('*.log'))


def error_of(call, *args):
    with pytest.raises(OSError) as e:
        call(*args)
    return e.value.errno


def test_hmac_key(mount, fake, tmp_path):
    """An HMAC key signs every request, of names with any character too; a wrong secret is refused."""
    fake.hmac_keys['GOOGTS7C7FUP3AIRVJTE'] = 'bGoa+V7g/yqDXvKRqq+JTFn4uQZbPiQJo4pf9RzJ'
    names = ['plain.bin', 'a b+c%25~!*().bin', 'ü€.bin']
    for name in names:
        fake.put('bucket', 'lake/raw/' + name, name.encode() * 9)
    key = {'GS_ACCESS_KEY_ID': 'GOOGTS7C7FUP3AIRVJTE'}
    secret = fake.hmac_keys['GOOGTS7C7FUP3AIRVJTE']
    m = mount_fake(mount, fake, dict(key, GS_SECRET_ACCESS_KEY=secret))
    assert sorted(os.listdir(m / 'raw')) == sorted(names)
    for name in names:
        assert (m / 'raw' / name).read_bytes() == name.encode() * 9
    assert all('GOOG4-HMAC-SHA256' in s.headers['authorization'] for s in fake.requests())
    wrong = refused_mount(fake, tmp_path, dict(key, GS_SECRET_ACCESS_KEY='not-this'))
    assert 'SignatureDoesNotMatch' in wrong and 'not-this' not in wrong
    assert secret not in said_by(m)


@pytest.mark.parametrize('variable', ['GOOGLE_OAUTH_ACCESS_TOKEN', 'CLOUDSDK_AUTH_ACCESS_TOKEN'])
def test_given_token(mount, fake, tmp_path, variable):
    """A token of the environment is sent as it is; one that the server does not take is refused."""
    fake.tokens['ya29.given'] = time.time() + 600
    fake.put('bucket', 'lake/raw/x', b'data')
    m = mount_fake(mount, fake, {variable: 'ya29.given'})
    assert (m / 'raw/x').read_bytes() == b'data'
    wrong = refused_mount(fake, tmp_path, {variable: 'ya29.other'})
    assert 'HTTP 401' in wrong
    assert 'ya29' not in said_by(m) + wrong


def test_service_account_is_renewed_unseen(mount, fake, tmp_path):
    """Tokens of a service account end in the middle of reading, and no reader sees it."""
    fake.token_life_s = 2
    data = random.Random(1).randbytes(40 << 20)
    fake.put('bucket', 'lake/raw/blob.bin', data)
    keys = service_account(fake, tmp_path / 'key.json')
    m = mount_fake(mount, fake, {'GOOGLE_APPLICATION_CREDENTIALS': str(keys)})

    def sent():
        return {s.headers['authorization'] for s in fake.requests('GET', '/bucket/lake/raw/blob.bin')}

    with open(m / 'raw/blob.bin', 'rb', buffering=0) as f:
        for at in range(0, len(data), 1 << 20):
            assert os.pread(f.fileno(), 4096, at) == data[at:at + 4096]
            if len(sent()) >= 3:
                break
            time.sleep(0.25)
    assert len(sent()) >= 3 and len(fake.requests('POST', '/token')) >= 3
    assert 'ya29' not in said_by(m)


def test_revoked_token_is_replaced_unseen(mount, fake, tmp_path):
    """A token that the server gives up before its end is replaced, for reads and for listings."""
    for n in range(4):
        fake.put('bucket', 'lake/raw%d/x' % n, b'data%d' % n)
    keys = service_account(fake, tmp_path / 'key.json')
    m = mount_fake(mount, fake, {'GOOGLE_APPLICATION_CREDENTIALS': str(keys)})
    os.listdir(m)
    for n in range(4):
        assert os.listdir(m / ('raw%d' % n)) == ['x']
        time.sleep(1.1)                         # a token that has just come would come again
        fake.tokens.clear()
        assert (m / ('raw%d/x' % n)).read_bytes() == b'data%d' % n
    assert len(fake.requests('POST', '/token')) >= 4


def test_gcloud_user(mount, fake, tmp_path):
    """gcloud's own file of a user is found below CLOUDSDK_CONFIG; one that is not named is Google's."""
    fake.refresh_tokens.add(('id', 'se&cret', '1//refresh'))
    fake.put('bucket', 'lake/raw/x', b'data')
    home = tmp_path / 'home/.config/gcloud'
    home.mkdir(parents=True)
    (home / 'application_default_credentials.json').write_text(json.dumps({
        'type': 'authorized_user', 'client_id': 'id', 'client_secret': 'se&cret',
        'refresh_token': '1//refresh', 'token_uri': fake.url + '/token'}))
    m = mount_fake(mount, fake, {'CLOUDSDK_CONFIG': str(home)})
    assert (m / 'raw/x').read_bytes() == b'data'
    said = refused_mount(fake, tmp_path, {'CLOUDSDK_CONFIG': '', 'HOME': str(tmp_path / 'home')})
    assert 'HTTP 401' in said and len(fake.requests('POST', '/token')) == 1


def test_metadata_service(mount, fake):
    """The metadata service of Google's machines gives the token, asked with its field."""
    fake.closed = True
    fake.put('bucket', 'lake/raw/x', b'data')
    m = mount_fake(mount, fake, {'GCE_METADATA_HOST': fake.host})
    assert (m / 'raw/x').read_bytes() == b'data'
    assert len(fake.requests('GET', METADATA)) == 1


def test_nobody_asks_a_public_bucket(mount, fake):
    """With no-sign-request no credentials are sent, though the environment has some."""
    fake.put('bucket', 'lake/raw/x', b'data')
    m = mount_fake(mount, fake, {'GOOGLE_OAUTH_ACCESS_TOKEN': 'ya29.given'}, no_sign_request=True)
    assert (m / 'raw/x').read_bytes() == b'data'
    assert not any('authorization' in s.headers for s in fake.requests())


def test_emulator_and_payer_of_the_environment(mount, fake):
    """STORAGE_EMULATOR_HOST names the server, AWS's endpoint does not; the project pays."""
    fake.put('bucket', 'lake/raw/x', b'data')
    m = mount('gs://bucket/lake', env=dict(
        NO_CONFIG, STORAGE_EMULATOR_HOST=fake.host, AWS_ENDPOINT_URL='http://127.0.0.1:9',
        GOOGLE_CLOUD_QUOTA_PROJECT='who-pays'))
    assert (m / 'raw/x').read_bytes() == b'data'
    assert {s.headers['x-goog-user-project'] for s in fake.requests()} == {'who-pays'}


@pytest.mark.parametrize('env, credentials, reason', [
    ({'GS_ACCESS_KEY_ID': 'half'}, None, 'half of an HMAC key'),
    ({'GOOGLE_OAUTH_ACCESS_TOKEN': 'two words'}, None, 'access token'),
    ({}, {'type': 'external_account', 'audience': '//iam.googleapis.com/x'}, 'external_account'),
    ({}, {'type': 'service_account', 'client_email': 'a@b'}, 'private_key'),
    ({}, {'type': 'authorized_user', 'client_id': 'i', 'client_secret': 'hunter2',
          'refresh_token': 'hunter2', 'token_uri': 'http://example.com/'}, 'token_uri'),
    ({}, 'hunter2 is no JSON', 'JSON'),
    ({'GOOGLE_APPLICATION_CREDENTIALS': '/nonexistent/key.json'}, None, '/nonexistent/key.json'),
    ({'GOOGLE_APPLICATION_CREDENTIALS': 'key.json'}, None, 'absolute'),
])
def test_credentials_that_cannot_be_used(fake, tmp_path, env, credentials, reason):
    """A mount whose credentials cannot be used is refused with the reason, which holds no secret."""
    if credentials:
        path = tmp_path / 'key.json'
        path.write_text(credentials if isinstance(credentials, str) else json.dumps(credentials))
        env = {'GOOGLE_APPLICATION_CREDENTIALS': str(path)}
    said = refused_mount(fake, tmp_path, env)
    assert reason in said and 'hunter2' not in said
    assert not fake.requests()


def test_replaced_object_is_stale(mount, fake):
    """Every request after the first names the generation; when it is another, ESTALE, no mixture."""
    old, new = b'a' * (9 << 20), b'b' * (9 << 20)
    generation = fake.put('bucket', 'lake/raw/blob.bin', old)
    m = mount_fake(mount, fake, {})
    with open(m / 'raw/blob.bin', 'rb', buffering=0) as f:
        assert f.read(4096) == old[:4096]
        assert m.xattr('raw/blob.bin', 'etag') == '"%s"' % generation
        fake.put('bucket', 'lake/raw/blob.bin', new)
        assert error_of(os.pread, f.fileno(), 4096, 8 << 20) == errno.ESTALE
    reads = fake.requests('GET', '/bucket/lake/raw/blob.bin')
    assert {s.headers['x-goog-if-generation-match'] for s in reads} == {generation}


def test_bytes_of_one_content_and_another_generation_differ(mount, fake):
    """An object that was written again with the same bytes is another generation, and read anew."""
    first = fake.put('bucket', 'lake/raw/x', b'same')
    m = mount_fake(mount, fake, {}, refresh='0.1')
    assert (m / 'raw/x').read_bytes() == b'same'
    second = fake.put('bucket', 'lake/raw/x', b'same')
    assert first != second
    deadline = time.monotonic() + PATIENCE_S
    while m.xattr('raw/x', 'etag') != '"%s"' % second:
        assert time.monotonic() < deadline
        time.sleep(0.3)
    assert (m / 'raw/x').read_bytes() == b'same'


def test_sequence_in_few_requests(mount, fake):
    """A cold file that is read from its start comes in requests of several blocks, each byte once."""
    data = random.Random(3).randbytes(32 << 20)
    fake.put('bucket', 'lake/raw/large.bin', data)
    m = mount_fake(mount, fake, {})
    with open(m / 'raw/large.bin', 'rb', 0) as f:
        read = b''.join(iter(lambda: f.read(1 << 20), b''))
    assert read == data
    spans = [s.headers['range'].partition('=')[2].split('-')
             for s in fake.requests('GET', '/bucket/lake/raw/large.bin')]
    lengths = [int(last) + 1 - int(first) for first, last in spans]
    assert sum(lengths) == len(data)
    assert max(lengths) == 4 << 20 and len(lengths) < 20


def test_listing_in_pages(mount, fake):
    """Directories of many pages are listed whole, with names of any character."""
    fake.page = 7
    names = sorted('%03d é+ &<>"\'%%41.bin' % i for i in range(40))
    for i, name in enumerate(names):
        fake.put('bucket', 'lake/raw/' + name, b'%d' % i)
        fake.put('bucket', 'lake/raw/dir%02d/x' % i, b'x')
    m = mount_fake(mount, fake, {})
    listed = sorted(os.listdir(m / 'raw'))
    assert listed == sorted(names + ['dir%02d' % i for i in range(40)])
    assert (m / 'raw' / names[9]).read_bytes() == b'9'
    assert any('continuation-token' in s.query for s in fake.requests())


def test_gzip_objects_are_read_as_they_are_stored(mount, fake):
    """An object with Content-Encoding gzip has the size of the listing and the stored bytes."""
    stored = gzip.compress(random.Random(2).randbytes(300000))
    fake.put('bucket', 'lake/raw/log.gz', stored, encoding='gzip')
    m = mount_fake(mount, fake, {})
    assert os.path.getsize(m / 'raw/log.gz') == len(stored)
    assert (m / 'raw/log.gz').read_bytes() == stored


@pytest.mark.parametrize('status, code, wanted', [
    (403, 'AccessDenied', errno.EACCES), (404, 'NoSuchKey', errno.ENOENT),
    (401, 'AuthenticationRequired', errno.EACCES), (501, 'NotImplemented', errno.EIO),
    (400, 'UserProjectMissing', errno.EACCES)])
def test_errors(mount, fake, status, code, wanted):
    """What the server refuses has the errno of the table, and the reason is in the log."""
    fake.put('bucket', 'lake/raw/x', b'data')
    m = mount_fake(mount, fake, {})
    assert os.listdir(m / 'raw') == ['x']
    fake.refuse(status, code, 'raw/x', times=100)
    assert error_of((m / 'raw/x').read_bytes) == wanted
    assert code in said_by(m) and 'upload-id-7' in said_by(m)


@pytest.mark.parametrize('status', [429, 500, 502, 503, 504, 408])
def test_errors_that_pass(mount, fake, status):
    """What may go better is sent again, and no reader sees it."""
    fake.put('bucket', 'lake/raw/x', b'data')
    m = mount_fake(mount, fake, {})
    fake.refuse(status, times=2)
    assert os.listdir(m / 'raw') == ['x']
    fake.refuse(status, path='raw/x', times=2)
    assert (m / 'raw/x').read_bytes() == b'data'


def test_missing_bucket(fake, tmp_path):
    """A bucket that does not exist says so."""
    assert 'NoSuchBucket' in refused_mount(fake, tmp_path, {})


def test_token_that_is_refused(mount, fake, tmp_path):
    """An account that gets no token is told with the server's word for it; later on it is EACCES."""
    fake.put('bucket', 'lake/raw/x', b'data')
    nobody = service_account(fake, tmp_path / 'key.json', client_email='nobody@example.com')
    env = {'GOOGLE_APPLICATION_CREDENTIALS': str(nobody)}
    assert 'invalid_grant' in refused_mount(fake, tmp_path, env)
    fake.token_life_s = 2
    service_account(fake, tmp_path / 'key.json')
    m = mount_fake(mount, fake, env)
    fake.public_keys.clear()
    fake.closed = True
    time.sleep(2.5)
    assert error_of((m / 'raw/x').read_bytes) == errno.EACCES
    assert 'invalid_grant' in said_by(m)
    service_account(fake, tmp_path / 'key.json')
    time.sleep(1.1)                             # what failed is told again for a second
    assert (m / 'raw/x').read_bytes() == b'data'


def test_token_endpoint_that_fails_for_a_moment(mount, fake, tmp_path):
    """A token endpoint that is overloaded is asked again, and no reader sees it."""
    fake.put('bucket', 'lake/raw/x', b'data')
    keys = service_account(fake, tmp_path / 'key.json')
    fake.refuse(503, path='/token', times=2)
    m = mount_fake(mount, fake, {'GOOGLE_APPLICATION_CREDENTIALS': str(keys)})
    assert (m / 'raw/x').read_bytes() == b'data'
    assert len(fake.requests('POST', '/token')) == 3


def test_no_metadata_service(fake, tmp_path):
    """Where nothing is configured and no metadata service answers, the mount says so."""
    said = refused_mount(fake, tmp_path, {'GCE_METADATA_HOST': '127.0.0.1:9'})
    assert 'no credentials for Cloud Storage are configured' in said
