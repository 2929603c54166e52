# SPDX-License-Identifier: Apache-2.0
"""A lake in a container of Azure Blob's, through every way that Azure knows to ask for it."""
import errno
import filecmp
import os
import random
import time
from pathlib import Path

import pytest

from fake.faults import FaultProxy
from support import azure, bad_logs, lakes
from support.azure import ACCOUNT, KEY, TokenGiver
from support.mounts import run_tarn, wait_for
from support.places import PATIENCE_S
from test_corpus import check, expected_without_times     # noqa: F401 (a fixture)

SILVER = 'silver/t'
LEFT_S = 15                                     # in which a mount is made and a file opened


@pytest.fixture(scope='module')
def server(tmp_path_factory):
    """Azurite."""
    s = azure.Server(tmp_path_factory.mktemp('azurite'))
    yield s
    s.stop()


@pytest.fixture(scope='module')
def tls_server(tmp_path_factory):
    """Azurite with a certificate of its own, which takes tokens."""
    below = tmp_path_factory.mktemp('azurite-tls')
    s = azure.Server(below, azure.certificate(below))
    s.copy_tree(tiny_lake(below / 'lake'), s.make_container('lake'))
    yield s
    s.stop()


@pytest.fixture
def container(server, request):
    """A container of the test's own: its name."""
    name = ''.join(c if c.isalnum() else '-' for c in request.node.name.lower())[:55].strip('-')
    return server.make_container('-'.join(p for p in name.split('-') if p))


@pytest.fixture(scope='module')
def lake_container(server, lake):
    """The lake of real Delta tables, in a container below a prefix."""
    server.copy_tree(lake.root, server.make_container('lakes'), 'a b/')
    return 'lakes'


def tiny_lake(root):
    """A lake of one table, whose files hold their names."""
    table = root / SILVER
    bad_logs.base(table)
    return root


def url_of(container, prefix=''):
    return 'abfss://%s@%s.dfs.core.windows.net%s' % (container, ACCOUNT, prefix)


def refused(server, container, tmp_path, env=None, source=None, **options):
    """What `tarn mount` says where it must fail, or what reading says."""
    (tmp_path / 'm').mkdir(exist_ok=True)
    words = [w for k, v in options.items()
             for w in ('--' + k.replace('_', '-'), *([] if v is True else [str(v)]))]
    done = run_tarn('mount', source or url_of(container), tmp_path / 'm', '--cache-dir',
                    tmp_path / 'refused', '--endpoint-url', server.url, *words, env=env)
    if done.returncode == 0:
        run_tarn('umount', tmp_path / 'm')
    assert done.returncode == 1, done.stdout
    return done.stderr


def check_lake(m, lake, tmp_path):
    """Every version of a real table is the same as its files on disk, to the byte."""
    for table in ('silver/orders', 'gold/daily'):
        for version in range(len(lake.versions(table))):
            want = lakes.reference(lake, table, version, tmp_path / ('%s-%d' % (table[:4], version)))
            at = m / ('%s@%d' % (table, version))
            assert lakes.tree(at) == lakes.tree(want)
            names = list(lakes.tree(want))
            _, different, broken = filecmp.cmpfiles(at, want, names, shallow=False)
            assert not different and not broken
    live = lakes.tree(m / 'silver/orders')
    assert live == lake.versions('silver/orders')[-1].files
    assert len(os.listdir(m / 'silver/orders@')) == len(lake.versions('silver/orders'))
    assert lakes.tree(m / 'bronze/images') == lakes.tree(lake / 'bronze/images')


def test_a_lake_by_shared_key(mount, server, lake, lake_container, tmp_path):
    """A container is mounted with the account's key: every version is right, live path and refs."""
    m = mount(url_of(lake_container, '/a b'), endpoint_url=server.url, env=server.env)
    check_lake(m, lake, tmp_path)


def test_both_forms_of_url_are_one_store(mount, server, lake_container, tmp_path):
    """abfss://, wasbs:// and az:// of one container share what is cached: nothing is fetched twice."""
    cache = tmp_path / 'cache'
    forms = [url_of(lake_container, '/a b/'),
             'abfs://%s@%s.dfs.core.windows.net/a b' % (lake_container, ACCOUNT.upper()),
             'wasbs://%s@%s.blob.core.windows.net/a b' % (lake_container, ACCOUNT),
             'az://%s/%s/a b' % (ACCOUNT, lake_container),
             'az+%s/%s/%s/a b/' % (server.url, ACCOUNT, lake_container)]
    objects = []
    for form in forms:
        m = mount(form, cache=cache, env=server.env, endpoint_url=server.url)
        path = m / 'bronze/images/image-3.bin'
        cached = os.getxattr(path, 'user.tarn.cached').rstrip(b'\0')
        assert len(path.read_bytes()) == 70000
        objects.append((cached, m.xattr('bronze/images/image-3.bin', 'object')))
    assert objects[0][0] != objects[1][0]
    assert len({cached for cached, _ in objects[1:]}) == 1
    assert len({name for _, name in objects}) == 1


@pytest.mark.parametrize('tables', ['delta/delta-rs/*', 'files/*'])
def test_corpus_from_azure(mount, corpus, server, container, tables,         # noqa: F811
                           expected_without_times):                          # noqa: F811
    """Tables that real engines wrote are right at every version from Azurite, too."""
    top = tables[:-2]
    server.copy_tree(corpus / top, container, 'lake/' + top + '/')
    m = mount('az://%s/%s/lake' % (ACCOUNT, container), endpoint_url=server.url, env=server.env)
    passed = check(m, corpus, tables, '--no-time', expected=expected_without_times)
    assert passed >= 1


def test_public_container_without_credentials(mount, server, tmp_path):
    """--no-sign-request reads a public container and is refused by one that is not."""
    server.copy_tree(tiny_lake(tmp_path / 'lake'), server.make_container('public', public=True))
    m = mount(url_of('public'), endpoint_url=server.url, no_sign_request=True)
    assert (m / SILVER / bad_logs.file_name(0)).read_bytes().startswith(b'PAR1')
    server.make_container('private')
    said = refused(server, 'private', tmp_path, no_sign_request=True)
    assert 'container private' in said


def test_sas(mount, server, container, tmp_path):
    """A SAS is enough, in every request; Azurite refuses a wrong one and one that has ended."""
    server.copy_tree(tiny_lake(tmp_path / 'lake'), container)
    sas = azure.container_sas(container)
    m = mount(url_of(container), endpoint_url=server.url, debug=True,
              env={'AZURE_STORAGE_SAS_TOKEN': '?' + sas})
    assert len(lakes.tree(m / SILVER)) == 3
    assert (m / SILVER / bad_logs.file_name(1)).read_bytes().endswith(b'PAR1')
    signature = sas.split('sig=')[1]
    for path in (m / SILVER, m / SILVER / bad_logs.file_name(1)):
        for name in os.listxattr(path):
            assert signature not in os.getxattr(path, name).decode()
    for wrong in (sas.replace('sp=rl', 'sp=r'), sas.replace('sig=', 'sig=AAAA'),
                  azure.container_sas(container, seconds=-60)):
        said = refused(server, container, tmp_path, {'AZURE_STORAGE_SAS_TOKEN': wrong})
        assert 'HTTP 403' in said and 'account ' + ACCOUNT in said and 'request ' in said
        assert wrong.split('sig=')[1] not in said and signature not in said
    kept = [p for p in Path(m.cache).rglob('*') if p.is_file()] + [m.log]
    assert all(signature.encode() not in p.read_bytes() for p in kept)
    command = Path('/proc/%d/cmdline' % m.pid).read_bytes()
    assert signature.encode() not in command


def test_sas_in_the_url_is_refused_and_not_repeated(server, container, tmp_path):
    """A SAS that somebody pastes with the URL is no part of a store's name."""
    sas = azure.container_sas(container)
    said = refused(server, container, tmp_path, source=url_of(container, '/x?' + sas))
    assert 'AZURE_STORAGE_SAS_TOKEN' in said
    log = tmp_path / 'refused' / 'tarn.log'
    assert sas.split('sig=')[1] not in said + (log.read_text() if log.exists() else '')


def test_wrong_key(server, container, tmp_path):
    """A wrong key is EACCES, with account, container and request id, and without the key."""
    wrong = KEY.replace('AAEC', 'ABEC')
    said = refused(server, container, tmp_path, {'AZURE_STORAGE_KEY': wrong})
    assert 'HTTP 403' in said and 'failed to authenticate' in said
    assert 'account ' + ACCOUNT in said and 'container ' + container in said
    assert '(request ' in said and wrong not in said
    said = refused(server, container, tmp_path, {'AZURE_STORAGE_KEY': 'not base64!'})
    assert 'base64' in said and 'not base64!' not in said


def test_sas_that_ends_while_mounted(mount, server, lake_container):
    """Where a SAS has ended, reading is EACCES and the log names container and object."""
    end = time.monotonic() + LEFT_S
    m = mount('az://%s/%s/a b' % (ACCOUNT, lake_container), endpoint_url=server.url,
              env={'AZURE_STORAGE_SAS_TOKEN': azure.container_sas(lake_container, seconds=LEFT_S)})
    path = m / 'bronze/images/image-6.bin'
    with open(path, 'rb') as f:
        assert len(f.read(10)) == 10
        time.sleep(max(0, end + 1 - time.monotonic()))
        with pytest.raises(OSError) as e:
            f.seek(4 << 20)
            f.read(1 << 20)
    assert e.value.errno == errno.EACCES
    said = (m.cache / 'tarn.log').read_text()
    assert 'container ' + lake_container in said and 'image-6.bin' in said


def test_connection_string(mount, server, container, tmp_path):
    """A connection string tells key and endpoint; one of another account is refused by name."""
    server.copy_tree(tiny_lake(tmp_path / 'lake'), container)
    text = 'DefaultEndpointsProtocol=http;AccountName=%s;AccountKey=%s;BlobEndpoint=%s/%s;' % (
        ACCOUNT, KEY, server.url, ACCOUNT)
    m = mount(url_of(container), env={'AZURE_STORAGE_CONNECTION_STRING': text})
    assert len(lakes.tree(m / SILVER)) == 3
    said = refused(server, container, tmp_path, {'AZURE_STORAGE_CONNECTION_STRING':
                                                 text.replace(ACCOUNT, 'another')})
    assert 'account another' in said and KEY not in said


def test_missing_container(server, tmp_path):
    """A container that is not there is told as such."""
    said = refused(server, 'nowhere', tmp_path, server.env)
    assert 'there is no container of this name' in said and 'nowhere' in said


NAMES = ['plain.bin', 'with space.bin', 'percent%20sign%.bin', 'a+b&c=d?e#f.bin', 'é-ü-名前.bin',
         "quote'and\"double.bin", 'deep/er/one [1] {2}.bin', '~tilde;semi,comma.bin', '😀.bin']


def test_names(mount, server, container):
    """Keys with spaces, percent signs, unicode and what URLs reserve are read by their own names."""
    for name in NAMES:
        server.put(container, 'bronze/raw/' + name, name.encode())
    m = mount(url_of(container), endpoint_url=server.url, env=server.env)
    assert set(lakes.tree(m / 'bronze/raw')) == set(NAMES)
    for name in NAMES:
        assert (m / 'bronze/raw' / name).read_bytes() == name.encode()


def test_entries_for_directories_are_no_files(mount, server, container):
    """What Hadoop's drivers leave for directories is not shown as files."""
    server.put(container, 'bronze/raw', b'', hdi_isfolder='true')
    server.put(container, 'bronze/raw/sub', b'', hdi_isfolder='true')
    server.put(container, 'bronze/raw/sub/one.bin', b'1')
    server.put(container, 'bronze/raw/empty/', b'')
    server.put(container, 'bronze/raw/two.bin', b'22')
    m = mount(url_of(container), endpoint_url=server.url, env=server.env)
    assert lakes.tree(m / 'bronze/raw') == {'sub/one.bin': 1, 'two.bin': 2}


@pytest.mark.long
def test_listing_of_many_pages(mount, server, container, tmp_path):
    """A directory of more entries than a page has is listed whole."""
    (tmp_path / 'many').mkdir()
    for i in range(5100):
        (tmp_path / 'many' / ('%05d' % i)).touch()
    server.copy_tree(tmp_path / 'many', container, 'bronze/raw/')
    m = mount(url_of(container), endpoint_url=server.url, env=server.env)
    assert len(os.listdir(m / 'bronze/raw')) == 5100


def test_replaced_object_is_stale(mount, server, container, tmp_path):
    """An object that is replaced while it is read is ESTALE, never a mixture."""
    server.copy_tree(tiny_lake(tmp_path / 'lake'), container)
    size = 4 << 20
    bad_logs.write(tmp_path / 'lake' / SILVER, 3,
                   bad_logs.line(bad_logs.add(3, path='big.parquet', size=size)))
    server.put(container, SILVER + '/big.parquet', b'a' * size)
    server.copy_tree(tmp_path / 'lake', container)
    m = mount(url_of(container), endpoint_url=server.url, env=server.env)
    with open(m / SILVER / 'big.parquet', 'rb', buffering=0) as f:
        assert f.read(4096) == b'a' * 4096
        server.put(container, SILVER + '/big.parquet', b'b' * size)
        with pytest.raises(OSError) as e:
            for at in range(0, size, 1 << 20):
                assert set(os.pread(f.fileno(), 1 << 20, at)) == {ord('a')}
    assert e.value.errno == errno.ESTALE


PASSING = {
    '429': dict(action='status', status=429), '500': dict(action='status', status=500),
    '503': dict(action='status', status=503, code='ServerBusy'), 'reset': dict(action='reset'),
    'close': dict(action='close'), 'truncate': dict(action='truncate', keep=40),
    'reset in the body': dict(action='reset', keep=40),
    'another range': dict(action='header', field='Content-Range', value='bytes 1-2/3'),
}


def read_daily(mount, server, proxy, lake):
    """Mounts, and reads a table whole, through the proxy."""
    m = mount('az://%s/lakes/a b/gold' % ACCOUNT, endpoint_url=proxy.url, env=server.env)
    for name in lake.versions('gold/daily')[-1].files:
        assert (m / 'daily' / name).read_bytes() == (lake / 'gold/daily' / name).read_bytes()
    m.unmount()


def test_faults_that_pass_are_not_seen(mount, server, lake, lake_container):
    """Each kind of fault, at requests here and there, the first try only: all bytes are right."""
    seed = int(os.environ.get('SEED', random.randrange(1 << 32)))
    print('SEED', seed)
    chance, met = random.Random(seed), []
    with FaultProxy(server.port) as proxy:
        read_daily(mount, server, proxy, lake)
        count = len(proxy.requests())
        assert count >= 6
        for name, fault in PASSING.items():
            for skip in chance.sample(range(count), 2):
                proxy.clear()
                rule = proxy.rule(**fault, skip=skip, times=1)
                read_daily(mount, server, proxy, lake)
                if name not in ('truncate', 'reset in the body', 'another range'):
                    met.append(rule.hits)       # a run may ask for less than the first one
    assert sum(met) >= len(met) * 3 // 4, met


def test_a_server_that_stays_busy(mount, server, lake, lake_container):
    """503 for ever is EIO by the deadline, never ENOENT; when it passes the mount goes on."""
    with FaultProxy(server.port) as proxy:
        m = mount('az://%s/lakes/a b' % ACCOUNT, endpoint_url=proxy.url, env=server.env, deadline=10)
        path = m / 'bronze/images/image-4.bin'
        size = os.stat(path).st_size
        rule = proxy.rule('status', status=503, code='ServerBusy')
        with pytest.raises(OSError) as e:
            path.read_bytes()
        assert e.value.errno == errno.EIO and rule.hits >= 2
        said = (m.cache / 'tarn.log').read_text()
        assert 'account ' + ACCOUNT in said and 'HTTP 503' in said
        proxy.heal()
        time.sleep(1.5)                         # errors are kept for a second
        assert len(path.read_bytes()) == size


def test_archived(mount, server, container):
    """A blob in the archive tier is EREMOTE."""
    server.put(container, 'bronze/raw/cold.bin', b'x' * 100)
    server.archive(container, 'bronze/raw/cold.bin')
    m = mount(url_of(container), endpoint_url=server.url, env=server.env)
    assert os.stat(m / 'bronze/raw/cold.bin').st_size == 100
    with pytest.raises(OSError) as e:
        (m / 'bronze/raw/cold.bin').read_bytes()
    assert e.value.errno == errno.EREMOTE


def test_aws_settings_are_not_azures(mount, server, container, tmp_path):
    """An endpoint in AWS's environment is not asked for Azure's containers."""
    server.copy_tree(tiny_lake(tmp_path / 'lake'), container)
    m = mount('az+%s/%s/%s' % (server.url, ACCOUNT, container),
              env=dict(server.env, AWS_ENDPOINT_URL='http://127.0.0.1:9', AWS_CA_BUNDLE='/none'))
    assert len(lakes.tree(m / SILVER)) == 3


# Tokens. Azurite takes them over TLS alone, with a certificate that --ca-bundle vouches for.

def read_all(m):
    assert len(lakes.tree(m / SILVER)) == 3
    for v in range(3):
        assert (m / SILVER / bad_logs.file_name(v)).read_bytes().startswith(b'PAR1')


def tls_mount(mount, server, env, **options):
    return mount(url_of('lake'), endpoint_url=server.url, ca_bundle=server.tls[0], env=env,
                 **options)


def test_given_token(mount, tls_server, tmp_path):
    """A token given directly is sent, over TLS alone; one that has ended is EACCES."""
    m = tls_mount(mount, tls_server, {'AZURE_STORAGE_TOKEN': azure.jwt(600)})
    read_all(m)
    ended = azure.jwt(-30)
    said = refused(tls_server, 'lake', tmp_path, {'AZURE_STORAGE_TOKEN': ended},
                   ca_bundle=tls_server.tls[0])
    assert 'HTTP 403' in said and ended not in said and 'account ' + ACCOUNT in said


def test_no_token_without_tls(server, container, tmp_path):
    """A token is never sent in the clear."""
    said = refused(server, container, tmp_path, {'AZURE_STORAGE_TOKEN': azure.jwt(600)})
    assert 'TLS' in said


def test_unknown_authority(tls_server, tmp_path):
    """Without the bundle the server's certificate is nobody's, and nothing is sent to it."""
    said = refused(tls_server, 'lake', tmp_path, {'AZURE_STORAGE_TOKEN': azure.jwt(600)})
    assert 'certificate' in said


def client_env(giver, **more):
    return dict({'AZURE_TENANT_ID': 'tenant-1', 'AZURE_CLIENT_ID': 'client-1',
                 'AZURE_AUTHORITY_HOST': giver.url + '/'}, **more)


def is_client(request, form):
    return (request.command == 'POST' and request.path == '/tenant-1/oauth2/v2.0/token'
            and form['grant_type'] == 'client_credentials' and form['client_id'] == 'client-1'
            and form['scope'] == 'https://storage.azure.com/.default')


def test_client_secret(mount, tls_server, tmp_path):
    """A client's secret is changed for a token once; a wrong one is EACCES with Entra's words."""
    def right(request, form):
        return is_client(request, form) and form.get('client_secret') == 's3cret+&%'
    with TokenGiver(right, tls=tls_server.tls) as giver:
        m = tls_mount(mount, tls_server, client_env(giver, AZURE_CLIENT_SECRET='s3cret+&%'))
        read_all(m)
        assert len(giver.asked) == 1 and giver.refused == 0
        said = refused(tls_server, 'lake', tmp_path, ca_bundle=tls_server.tls[0],
                       env=client_env(giver, AZURE_CLIENT_SECRET='wrong-one'))
        assert 'AADSTS7000215' in said and 'wrong-one' not in said


def test_workload_identity(mount, tls_server, tmp_path):
    """The token that Kubernetes puts into a file is read afresh each time, and changed for another."""
    federated = tmp_path / 'federated'
    federated.write_text('kube-1\n')

    def right(request, form):
        return (is_client(request, form) and form.get('client_assertion') == federated.read_text().strip()
                and form['client_assertion_type'].endswith(':jwt-bearer'))
    with TokenGiver(right, life_s=4, tls=tls_server.tls) as giver:
        m = tls_mount(mount, tls_server,
                      client_env(giver, AZURE_FEDERATED_TOKEN_FILE=str(federated)))
        read_all(m)
        federated.write_text('kube-2\n')

        def renewed():
            os.listdir(m / SILVER)
            time.sleep(1.5)                     # the live path looks again
            return len(giver.given) >= 2
        wait_for(renewed, PATIENCE_S, 'another token')
        assert giver.refused == 0
    federated.unlink()
    said = refused(tls_server, 'lake', tmp_path, ca_bundle=tls_server.tls[0],
                   env=client_env(giver, AZURE_FEDERATED_TOKEN_FILE=str(federated)))
    assert str(federated) in said


def test_managed_identity_of_a_machine(mount, tls_server):
    """A machine's metadata service gives the token, to who asks with its header."""
    def right(request, form):
        return (request.path.startswith('/metadata/identity/oauth2/token?api-version=2018-02-01')
                and 'resource=https%3A%2F%2Fstorage.azure.com%2F' in request.path
                and 'client_id=client-1' in request.path and request.headers['Metadata'] == 'true')
    with TokenGiver(right) as giver:
        m = tls_mount(mount, tls_server, {'AZURE_POD_IDENTITY_AUTHORITY_HOST': giver.url,
                                          'AZURE_CLIENT_ID': 'client-1'})
        read_all(m)
        assert len(giver.asked) == 1 and giver.refused == 0


def test_no_credentials_at_all(tls_server, tmp_path):
    """Where nothing is given and no service gives tokens, the failure says what could be given."""
    said = refused(tls_server, 'lake', tmp_path, ca_bundle=tls_server.tls[0],
                   env={'AZURE_POD_IDENTITY_AUTHORITY_HOST': 'http://127.0.0.1:9'})
    assert 'no key, SAS or secret is given' in said and 'account ' + ACCOUNT in said


def test_identity_endpoint(mount, tls_server):
    """App Service's identity endpoint gives it as well."""
    def right(request, form):
        return (request.path.startswith('/msi/token?api-version=2019-08-01&resource=https%3A')
                and request.headers['X-IDENTITY-HEADER'] == 'h-1')
    with TokenGiver(right, absolute=True) as giver:
        m = tls_mount(mount, tls_server, {'IDENTITY_ENDPOINT': giver.url + '/msi/token',
                                          'IDENTITY_HEADER': 'h-1'})
        read_all(m)
        assert len(giver.asked) == 1 and giver.refused == 0


def test_tokens_end_unseen(mount, tls_server):
    """
    Tokens that end sooner than they said are renewed when they are refused: no reader sees it.
    """
    with TokenGiver(is_client, life_s=2, expires_in=3600, tls=tls_server.tls) as giver:
        m = tls_mount(mount, tls_server, client_env(giver, AZURE_CLIENT_SECRET='s'))
        tls_server.put('lake', 'bronze/raw/big.bin', bytes(12 << 20))
        with open(m / 'bronze/raw/big.bin', 'rb', buffering=0) as f:
            for at in range(0, 12 << 20, 256 << 10):
                assert os.pread(f.fileno(), 4096, at) == bytes(4096)
                if len(giver.given) >= 3:
                    break
                time.sleep(0.3)
        assert len(giver.given) >= 3 and giver.refused == 0
