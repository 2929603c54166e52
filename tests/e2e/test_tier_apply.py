# SPDX-License-Identifier: Apache-2.0
"""`tarn tier apply`: objects change their class, and nothing else about them changes, whatever happens meanwhile."""
import json
import random
import signal
import subprocess
import threading
import time
import xml.etree.ElementTree as ElementTree

import pytest

from fake.faults import FaultProxy
from support import azure, moto, tiers
from support.mounts import clean_env, run_tarn, wait_for
from support.places import PATIENCE_S, TARN

OLD = 12


@pytest.fixture(scope='module')
def server(tmp_path_factory):
    s = moto.Server(tmp_path_factory.mktemp('moto'))
    yield s
    s.stop()


@pytest.fixture
def lake(server, tmp_path, chance):
    """A table in a bucket of its own, of which OLD objects are to move."""
    bucket = server.make_bucket('raw-%08x' % chance.getrandbits(32))
    made = tiers.Lake(server, tmp_path, bucket)
    made.files = tiers.objects(chance, OLD)
    for path, data in made.files.items():
        server.put(bucket, made.key(path), data)
    made.due = {p for p in made.files if p.startswith('old-')}
    yield made


def put_all(lake, **more):
    """The old objects again, as uploaded now."""
    for path in lake.due:
        lake.server.client.put_object(Bucket=lake.bucket, Key=lake.key(path), Body=lake.files[path],
                                      **more)


def moved(lake):
    return {path for path, kind in lake.classes().items() if kind == 'STANDARD_IA'}


# ---- what it does

def test_only_the_class_changes(lake, mount):
    """Bytes, ETag, metadata, header fields, tags and grants of an object are what they were, and a mount reads them."""
    put_all(lake, Metadata={'owner': 'ü&<>'.encode('ascii', 'xmlcharrefreplace').decode(), 'n': '1'},
            ContentType='application/x-parquet', CacheControl='max-age=9', ContentEncoding='identity',
            ContentDisposition='attachment; filename="a b"', ContentLanguage='de',
            Tagging='project=lake%20sea&n=2')
    before = lake.look()
    counts, _ = lake.apply()
    assert counts['moved'] == OLD and counts['tagged'] == counts['failed'] == counts['refused'] == 0
    assert lake.look() == before
    assert moved(lake) == lake.due
    m = mount(lake.path, env=lake.server.env)
    for path in lake.due | {'both.parquet'}:
        assert (m / 'bronze/orders@0' / path).read_bytes() == lake.files[path]
    assert (m / 'bronze/orders' / 'new.parquet').read_bytes() == lake.files['new.parquet']


def test_a_second_run_finds_nothing_to_do(lake):
    lake.apply()
    counts, _ = lake.apply()
    assert {k: v for k, v in counts.items() if v and k != 'plans'} == {}


def test_a_dry_run_changes_nothing_and_lists_what_it_would(lake):
    done = run_tarn('tier', 'apply', '--dry-run', lake.path, '--cache-dir', lake.below / 'cache',
                    env=lake.server.env)
    assert done.returncode == 0
    lines = [line for line in done.stdout.splitlines() if ' -> ' in line]
    assert {line.rpartition(' ')[2].rpartition('/')[2] for line in lines} == lake.due
    assert 'nothing was changed' in done.stdout
    assert moved(lake) == set()


def upload_in_parts(lake, path):
    """As an upload of a large object is: 5 MiB, and the rest."""
    data = random.Random(path).randbytes(5 << 20) + lake.files[path]
    client, name = lake.server.client, {'Bucket': lake.bucket, 'Key': lake.key(path)}
    upload = client.create_multipart_upload(**name)['UploadId']
    parts = []
    for number, part in enumerate((data[:5 << 20], data[5 << 20:]), 1):
        answer = client.upload_part(**name, UploadId=upload, PartNumber=number, Body=part)
        parts.append({'PartNumber': number, 'ETag': answer['ETag']})
    client.complete_multipart_upload(**name, UploadId=upload, MultipartUpload={'Parts': parts})
    return data


def test_what_a_copy_would_change_is_tagged_instead(lake):
    """Uploaded in parts, encrypted with a key of KMS, read by others than their owner: as they were, with a tag."""
    parts, kms, public = sorted(lake.due)[:3]
    lake.files[parts] = upload_in_parts(lake, parts)
    sizes = {p: len(lake.files[p]) for p in lake.due | {'both.parquet'}}
    new = {'new.parquet': len(lake.files['new.parquet'])}
    for path, data in tiers.log([(sizes, {}), (new, {p: sizes[p] for p in lake.due})]):
        lake.server.put(lake.bucket, lake.key(path), data)
    client = lake.server.client
    client.put_object(Bucket=lake.bucket, Key=lake.key(kms), Body=lake.files[kms],
                      ServerSideEncryption='aws:kms', SSEKMSKeyId='key-1', Tagging='a=b')
    client.put_object_acl(Bucket=lake.bucket, Key=lake.key(public), ACL='public-read')
    before = lake.look()
    counts, _ = lake.apply()
    assert (counts['moved'], counts['tagged'], counts['failed']) == (OLD - 3, 3, 0)
    assert lake.look() == before
    assert lake.tags() == dict.fromkeys((parts, kms, public), 'STANDARD_IA')
    assert moved(lake) == lake.due - {parts, kms, public}
    counts, _ = lake.apply()
    assert (counts['moved'], counts['tagged'], counts['waiting']) == (0, 0, 3)


def test_a_bucket_that_keeps_versions_gets_tags_and_no_new_versions(lake):
    lake.server.client.put_bucket_versioning(Bucket=lake.bucket, VersioningConfiguration={'Status': 'Enabled'})
    put_all(lake)
    listed = lambda: len(lake.server.client.list_object_versions(                      # noqa: E731
        Bucket=lake.bucket)['Versions'])
    before, versions = lake.look(), listed()
    counts, _ = lake.apply()
    assert (counts['moved'], counts['tagged']) == (0, OLD)
    assert lake.look() == before and listed() == versions
    assert lake.tags() == dict.fromkeys(lake.due, 'STANDARD_IA')


def test_an_object_that_was_replaced_meanwhile_is_left_alone(lake):
    """Between the listing that the plan is made of and the change."""
    path = min(lake.due)
    with FaultProxy(lake.server.port) as proxy:
        slow = proxy.rule('delay', kind='list', query='encoding-type=url&list-type=2*', seconds=3)
        late = lake.write('STANDARD_IA', url=proxy.url, name='late.yaml')
        done = []
        thread = threading.Thread(target=lambda: done.append(lake.apply(path=late)))
        thread.start()
        wait_for(lambda: slow.hits, PATIENCE_S, 'the bucket is listed')
        lake.server.put(lake.bucket, lake.key(path), b'another' * 30000)
        thread.join()
    (counts, _), = done
    assert (counts['moved'], counts['skipped'], counts['failed']) == (OLD - 1, 1, 0)
    assert lake.classes()[path] == 'STANDARD' and lake.tags() == {}
    assert lake.look()[path][0] == b'another' * 30000
    assert moved(lake) == lake.due - {path}


def test_an_object_that_becomes_live_meanwhile_is_not_moved(lake):
    """A plan that grew old is made again: what a commit took back since then stays where it is."""
    back = max(lake.due)
    with FaultProxy(lake.server.port) as proxy:
        slow = proxy.rule('delay', kind='write', key='*old-*', seconds=0.5)
        late = lake.write('STANDARD_IA', url=proxy.url, name='late.yaml')
        done = []
        thread = threading.Thread(target=lambda: done.append(
            lake.apply('--jobs', '1', '--plan-age', '0.2', path=late)))
        thread.start()
        wait_for(lambda: slow.hits, PATIENCE_S, 'the first object is moved')
        add = {'add': {'path': back, 'partitionValues': {}, 'size': len(lake.files[back]),
                       'modificationTime': 1_700_000_200_000, 'dataChange': True}}
        lake.server.put(lake.bucket, lake.key('_delta_log/%020d.json' % 2), json.dumps(add).encode())
        thread.join()
    (counts, _), = done
    assert counts['moved'] == OLD - 1 and counts['plans'] > 1
    assert moved(lake) == lake.due - {back}


# ---- what may happen meanwhile

def check(lake, before):
    """Nothing is lost and nothing is half: each object is what it was, in its old class or the new one."""
    assert lake.look() == before
    for path, kind in lake.classes().items():
        assert kind in (('STANDARD', 'STANDARD_IA') if path in lake.due else ('STANDARD',)), path


def start(lake, *before):
    return subprocess.Popen([*map(str, before), str(TARN), *map(str, lake.command())],
                            env=clean_env(lake.server.env), stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def reads_all(lake, mount):
    m = mount(lake.path, env=lake.server.env)
    for path in lake.due | {'both.parquet'}:
        assert (m / 'bronze/orders@0' / path).read_bytes() == lake.files[path]


def kill_at_random(lake, chance, times):
    """Runs, each killed at a random moment; begun anew with everything in its old class when all is done."""
    before = lake.look()
    began = time.monotonic()
    assert start(lake).wait(timeout=PATIENCE_S) == 0
    whole_s, done = time.monotonic() - began, 0
    for _ in range(times):
        if moved(lake) == lake.due:
            put_all(lake)
            done += 1
        run = start(lake)
        try:
            run.wait(timeout=chance.uniform(0, whole_s))
        except subprocess.TimeoutExpired:
            run.send_signal(signal.SIGKILL)
        run.communicate(timeout=PATIENCE_S)
        check(lake, before)
    lake.apply()
    check(lake, before)
    assert moved(lake) == lake.due
    return done


def test_killed_at_any_moment_and_run_again_it_ends_the_same(lake, chance, mount):
    kill_at_random(lake, chance, 6)
    reads_all(lake, mount)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_killed_at_500_random_moments(lake, chance, mount):
    assert kill_at_random(lake, chance, 500) > 10
    reads_all(lake, mount)


def leave_one(lake):
    """One object is to move, the others have moved."""
    lake.apply()
    path = min(lake.due)
    lake.server.put(lake.bucket, lake.key(path), lake.files[path])


def kill_at_calls(lake, kill_at, calls_of):
    before = lake.look()
    leave_one(lake)
    run = start(lake, kill_at, 0)
    _, said = run.communicate(timeout=PATIENCE_S)
    assert run.returncode == 0, said
    total = int(said.splitlines()[-1])
    assert total > 30 and moved(lake) == lake.due
    killed = 0
    for n in calls_of(total):
        lake.server.put(lake.bucket, lake.key(min(lake.due)), lake.files[min(lake.due)])
        run = start(lake, kill_at, n)
        run.communicate(timeout=PATIENCE_S)
        killed += run.returncode == 99
        check(lake, before)
        counts, _ = lake.apply()
        assert counts['failed'] == counts['refused'] == counts['tagged'] == 0
        assert moved(lake) == lake.due
    check(lake, before)
    return total, killed


def test_killed_at_system_calls_of_one_object(lake, kill_at, chance):
    kill_at_calls(lake, kill_at, lambda total: chance.sample(range(1, total + 1), 5))


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_killed_at_every_system_call_of_one_object(lake, kill_at):
    total, killed = kill_at_calls(lake, kill_at, lambda total: range(1, total + 1))
    print('%d system calls, killed at %d' % (total, killed))
    assert killed > 0.8 * total         # threads race: a run may be over some calls earlier


def test_two_machines_at_once_do_it_once(lake):
    before = lake.look()
    runs = [start(lake) for _ in range(2)]
    for run in runs:
        said = run.communicate(timeout=PATIENCE_S)
        counts = json.loads(said[0])
        assert run.returncode == 0 and counts['failed']['objects'] == 0, said
    check(lake, before)
    assert moved(lake) == lake.due and lake.tags() == {}


def test_a_store_that_throttles_is_asked_again(lake):
    before = lake.look()
    with FaultProxy(lake.server.port) as proxy:
        rules = [proxy.rule('status', kind=kind, key='*old-*', status=503, code='SlowDown', times=15)
                 for kind in ('write', 'head')]
        counts, _ = lake.apply(path=lake.write('STANDARD_IA', url=proxy.url, name='slow.yaml'))
        assert all(rule.hits == 15 for rule in rules)
    assert counts['moved'] == OLD and counts['failed'] == 0
    check(lake, before)
    assert moved(lake) == lake.due


def test_an_answer_that_is_lost_or_refused_is_no_half_change(lake):
    """The connection breaks behind the copy, or the service refuses: what is not sure is looked at."""
    before = lake.look()
    with FaultProxy(lake.server.port) as proxy:
        late = lake.write('STANDARD_IA', url=proxy.url, name='broken.yaml')
        proxy.rule('truncate', kind='write', key='*old-00*', times=3, keep=5)
        refused = proxy.rule('status', kind='write', key='*old-011*', status=403, code='AccessDenied')
        counts, said = lake.apply(path=late, ok=False)
        assert refused.hits
    assert counts['moved'] == OLD - 1 and counts['failed'] == 1
    assert 'old-011.parquet' in said and 'AccessDenied' in said
    check(lake, before)
    assert moved(lake) == lake.due - {'old-011.parquet'}


# ---- tags and the lifecycle

def export(lake, name='s3-lifecycle'):
    done = run_tarn('tier', 'export', '--format', name, lake.path)
    assert done.returncode == 0, done.stderr
    return done.stdout


def takes(rule, key, tags):
    """Whether a rule of a bucket's lifecycle is about an object."""
    assert rule['Status'] == 'Enabled'
    wanted = rule['Filter'].get('And') or {'Tags': [rule['Filter']['Tag']], 'Prefix': ''}
    return key.startswith(wanted['Prefix']) and all(
        tags.get(t['Key']) == t['Value'] for t in wanted['Tags'])


def test_the_exported_lifecycle_takes_what_was_tagged_and_nothing_else(lake):
    client = lake.server.client
    client.put_object(Bucket=lake.bucket, Key='elsewhere', Body=b'x', Tagging='tarn-tier=STANDARD_IA')
    counts, _ = lake.apply('--tags')
    assert (counts['moved'], counts['tagged']) == (0, OLD)
    assert moved(lake) == set()
    client.put_bucket_lifecycle_configuration(Bucket=lake.bucket, LifecycleConfiguration=json.loads(export(lake)))
    rules = client.get_bucket_lifecycle_configuration(Bucket=lake.bucket)['Rules']
    taken = {}
    for entry in client.list_objects_v2(Bucket=lake.bucket)['Contents']:
        tags = client.get_object_tagging(Bucket=lake.bucket, Key=entry['Key'])['TagSet']
        tags = {t['Key']: t['Value'] for t in tags}
        taken.update({entry['Key']: rule['Transitions'][0]['StorageClass'] for rule in rules
                      if takes(rule, entry['Key'], tags)})
    assert taken == {lake.key(path): 'STANDARD_IA' for path in lake.due}


def test_the_lifecycle_as_xml_says_the_same(lake):
    one = ElementTree.fromstring(export(lake, 's3-lifecycle-xml'))
    name = '{http://s3.amazonaws.com/doc/2006-03-01/}'
    rule, = json.loads(export(lake))['Rules']
    found = {e.tag.removeprefix(name): e.text for e in one.iter() if not len(e)}
    assert found == {'ID': rule['ID'], 'Prefix': 'landing/', 'Key': 'tarn-tier', 'Value': 'STANDARD_IA',
                     'Status': 'Enabled', 'Days': '30', 'StorageClass': 'STANDARD_IA'}


def test_a_tag_is_taken_away_where_the_table_needs_the_object_again(lake):
    """The table is restored to the old version before the lifecycle came: with the journal, the tag goes."""
    journal = lake.below / 'journal'
    counts, _ = lake.apply('--tags', '--journal', journal)
    assert counts['tagged'] == OLD
    back = min(lake.due)
    add = {'add': {'path': back, 'partitionValues': {}, 'size': len(lake.files[back]),
                   'modificationTime': 1_700_000_200_000, 'dataChange': True}}
    lake.server.put(lake.bucket, lake.key('_delta_log/%020d.json' % 2), json.dumps(add).encode())
    counts, _ = lake.apply('--tags', '--journal', journal)
    assert (counts['waiting'], counts['untagged']) == (OLD - 1, 1)
    assert lake.tags() == dict.fromkeys(lake.due - {back}, 'STANDARD_IA')
    counts, _ = lake.apply('--tags', '--journal', journal)
    assert (counts['waiting'], counts['untagged']) == (OLD - 1, 0)
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    assert [line['did'] for line in lines] == ['tag'] * OLD + ['untag']


def test_a_journal_that_cannot_be_written_is_told_with_the_reason(lake, tmp_path):
    for path, why in (('/no/such/directory/j', 'No such file or directory'), (tmp_path, 'Is a directory')):
        done = run_tarn(*lake.command('--journal', path), env=lake.server.env, timeout=PATIENCE_S)
        assert done.returncode == 1 and str(path) in done.stderr and why in done.stderr
    assert set(lake.classes().values()) == {'STANDARD'}


def test_a_journal_cut_short_by_a_kill_is_gone_on_with(lake):
    journal = lake.below / 'journal'
    lake.apply('--journal', journal)
    journal.write_text(journal.read_text()[:-7])
    put_all(lake)
    counts, _ = lake.apply('--journal', journal)
    assert counts['moved'] == OLD
    whole = [line for line in journal.read_text().splitlines() if line.endswith('}')]
    assert len([json.loads(line) for line in whole]) == 2 * OLD - 1


# ---- Azure

@pytest.fixture(scope='module')
def azurite(tmp_path_factory):
    s = azure.Server(tmp_path_factory.mktemp('azurite'))
    yield s
    s.stop()


class AzureLake:
    def __init__(self, server, below, chance, to='Cool', rule=''):
        self.server, self.below = server, below
        self.container = server.make_container('raw%08x' % chance.getrandbits(32))
        self.files = tiers.objects(chance, OLD)
        self.due = {p for p in self.files if p.startswith('old-')}
        for path, data in self.files.items():
            server.put(self.container, 'landing/orders/' + path, data, owner='me')
        self.path = below / 'lake.yaml'
        self.write(to, rule)

    def write(self, to, rule=''):
        self.path.write_text(
            'layers:\n  bronze: {url: "abfss://%s@%s.dfs.core.windows.net/landing", endpoint-url: "%s"}\n'
            'rules:\n  - {tables: ["bronze/**"], need: older-than-0d, %s move: [{to: %s, after: 0d}]}\n'
            % (self.container, azure.ACCOUNT, self.server.url, rule, to))

    def apply(self, *args):
        done = run_tarn('tier', 'apply', '--json', *args, '--cache-dir', self.below / 'cache', self.path,
                        env=self.server.env)
        assert done.returncode == 0, done.stdout + done.stderr
        return {k: v['objects'] if isinstance(v, dict) else v for k, v in json.loads(done.stdout).items()}

    def look(self):
        """{path: (tier, ETag, metadata, bytes or None of what is archived)}"""
        found = {}
        for path in self.files:
            name = self.container + '/landing/orders/' + path
            _, head, _ = self.server.request('HEAD', name)
            tier = head['x-ms-access-tier']
            data = None if tier == 'Archive' else self.server.request('GET', name)[2]
            found[path] = tier, head['ETag'], head['x-ms-meta-owner'], data
        return found


def test_blobs_change_their_tier_and_nothing_else(azurite, tmp_path, chance):
    lake = AzureLake(azurite, tmp_path, chance)
    before = lake.look()
    counts = lake.apply()
    assert (counts['moved'], counts['failed']) == (OLD, 0)
    for path, (tier, *rest) in lake.look().items():
        assert tier == ('Cool' if path in lake.due else 'Hot')
        assert rest == list(before[path][1:])
    assert {k: v for k, v in lake.apply().items() if v and k != 'plans'} == {}
    lake.write('Archive')
    assert lake.apply()['moved'] == OLD
    assert {p for p, (tier, etag, *_) in lake.look().items() if tier == 'Archive' and etag == before[p][1]} == lake.due


def test_blobs_are_tagged_for_a_management_policy(azurite, tmp_path, chance):
    lake = AzureLake(azurite, tmp_path, chance, rule='tags: true,')
    assert lake.apply()['tagged'] == OLD
    assert lake.apply()['waiting'] == OLD
    policy, = json.loads(run_tarn('tier', 'export', '--format', 'azure', lake.path).stdout)['rules']
    filters = policy['definition']['filters']
    assert policy['definition']['actions'] == {'baseBlob': {'tierToCool': {'daysAfterModificationGreaterThan': 0}}}
    taken = set()
    for path in lake.files:
        name = lake.container + '/landing/orders/' + path
        tags = ElementTree.fromstring(azurite.request('GET', name, {'comp': 'tags'})[2])
        tags = {t.findtext('Key'): t.findtext('Value') for t in tags.iter('Tag')}
        if any(name.startswith(p) for p in filters['prefixMatch']) and all(
                tags.get(m['name']) == m['value'] for m in filters['blobIndexMatch']):
            taken.add(path)
    assert taken == lake.due
