# SPDX-License-Identifier: Apache-2.0
"""Access control of what a table's log names elsewhere: another table's objects, other stores."""
import json
import os
import shutil
import socket
from pathlib import Path
from urllib.parse import quote

import pytest
from deltalake import write_deltalake

from support import audit_log
from support.mounts import wait_for
from support.people import as_user
from support.places import PATIENCE_S
from test_policy_mount import (ANALYST, CUSTOMERS, POLICY, SALES, SECRET, STRANGER,
                               TOKEN, TRAINER, columns, give_descriptor, make_lake, parquets, read,
                               replace, rows)

CLONE, ALL = 'gold/clone', 60009
# Who may read gold/** and, besides, all of silver/secret.
READER = 60005
GRANTS = POLICY + '''  - to: [user:60005]
    tables: [silver/secret]
'''


@pytest.fixture
def own_lake(tmp_path):
    make_lake(tmp_path / 'lake')
    write_deltalake(tmp_path / 'lake' / CLONE, rows(1000, 10))
    return tmp_path / 'lake'


@pytest.fixture
def policy(tmp_path):
    path = tmp_path / 'policy.yaml'
    path.write_text(GRANTS)
    return path


def name_in_clone(lake, target, path):
    """Who may write the table adds a file to its log that lies elsewhere."""
    log = lake / CLONE / '_delta_log'
    first = [json.loads(line) for line in (log / ('%020d.json' % 0)).read_text().splitlines()]
    add = next(a['add'] for a in first if 'add' in a)
    size = os.stat(target).st_size
    more = {**add, 'path': path, 'size': size, 'stats': ''}
    n = len(list(log.glob('*.json')))
    (log / ('%020d.json' % n)).write_text('\n'.join(map(json.dumps, [
        {'commitInfo': {'timestamp': 1, 'operation': 'WRITE'}}, {'add': more}])) + '\n')
    return CLONE + '/' + os.path.basename(target)


def secret_of(lake):
    return Path(parquets(lake / SECRET)[0])


def look(path):
    """What can be told of a file without opening it."""
    return os.stat(path).st_size, [n for n in os.listxattr(path)]


SPELLINGS = {
    'up': lambda lake, name: '../../silver/secret/' + name,
    'up, escaped': lambda lake, name: '%2e%2E/.%2e/silver/secret/' + name,
    'up, slashes escaped': lambda lake, name: '..%2F..%2Fsilver%2Fsecret%2F' + name,
    'up in the middle': lambda lake, name: 'x/../.././../silver//secret/./' + name,
    'out of the lake and in': lambda lake, name: '../../../lake/silver/secret/' + name,
    'absolute': lambda lake, name: '%s/silver/secret/%s' % (lake, name),
    'absolute, through the table': lambda lake, name: '%s/gold/clone/../../silver/secret/%s' % (
        lake, name),
    'URI': lambda lake, name: 'file://%s/silver/secret/%s' % (quote(str(lake)), name),
    'URI, escaped': lambda lake, name: 'file:%s/gold/clone/%%2e%%2e/%%2e%%2e/silver/secret/%s' % (
        lake, name),
}


@pytest.mark.parametrize('spelling', SPELLINGS)
def test_a_table_that_names_files_of_another_gives_them_to_nobody_without_it(
        mount, own_lake, policy, spelling):
    secret = secret_of(own_lake)
    named = name_in_clone(own_lake, secret, SPELLINGS[spelling](own_lake, secret.name))
    m = mount(own_lake, policy=policy, o='per-uid')
    for path in (named, named.replace(CLONE, CLONE + '@1'), named.replace(CLONE, CLONE + '@0..1'),
                 CLONE + '/.tarn/raw/outside/' + secret.name):
        assert as_user(STRANGER, m, read, path) == 'EACCES', path
        for uid in (ALL, READER):
            answer = as_user(uid, m, read, path)
            assert answer[0] == 'ok' and TOKEN in answer[1], (uid, path)
        assert as_user(STRANGER, m, read, path) == 'EACCES', path
    assert as_user(STRANGER, m, columns, CLONE + '@0') == ('ok', (['email', 'id', 'region'], 10))
    assert as_user(ALL, m, columns, CLONE)[1][1] == 110


def test_a_file_that_lies_elsewhere_is_listed_without_its_object(mount, own_lake, policy):
    """Readers fail, instead of missing rows without noticing."""
    secret = secret_of(own_lake)
    named = name_in_clone(own_lake, secret, '../../silver/secret/' + secret.name)
    m = mount(own_lake, policy=policy, o='per-uid')
    assert as_user(STRANGER, m, os.listdir, CLONE)[1].count(secret.name) == 1
    size, names = as_user(STRANGER, m, look, named)[1]
    assert size >= secret.stat().st_size
    assert not {'user.tarn.object', 'user.tarn.etag', 'user.tarn.cached'} & set(names)
    assert 'user.tarn.object' in as_user(ALL, m, look, named)[1][1]


def test_part_of_the_other_table_is_not_enough(mount, own_lake, policy):
    target = Path(parquets(own_lake / CUSTOMERS)[0])
    named = name_in_clone(own_lake, target, '../../silver/customers/' + target.name)
    m = mount(own_lake, policy=policy, o='per-uid')
    for uid in (TRAINER, ANALYST):
        assert as_user(uid, m, columns, CUSTOMERS)[0] == 'ok'
        assert as_user(uid, m, read, named) == 'EACCES'
    assert as_user(ALL, m, read, named)[0] == 'ok'


def test_an_object_outside_of_tables_needs_a_grant_of_its_own(mount, own_lake, policy):
    loose = own_lake / 'bronze/50% of x.parquet'
    shutil.copy(secret_of(own_lake), loose)
    named = name_in_clone(own_lake, loose, '../../bronze/' + quote(loose.name))
    replace(policy, GRANTS + '''  - to: [user:60006]
    tables: ["bronze/50% of x.parquet"]
''')
    m = mount(own_lake, policy=policy, o='per-uid')
    for uid in (STRANGER, READER):
        assert as_user(uid, m, read, named) == 'EACCES'
    for uid in (ALL, 60006):
        assert as_user(uid, m, read, named)[0] == 'ok'


def test_a_file_of_another_table_that_the_reader_may_see_is_read(mount, own_lake, policy):
    target = Path(parquets(own_lake / SALES)[0])
    name_in_clone(own_lake, target, '../sales/' + target.name)
    m = mount(own_lake, policy=policy, o='per-uid')
    assert as_user(STRANGER, m, columns, CLONE) == ('ok', (['email', 'id', 'region'], 110))


def test_what_the_mount_allows_outside_of_the_lake_is_read(mount, own_lake, policy, tmp_path):
    there = tmp_path / 'there'
    there.mkdir()
    shutil.copy(secret_of(own_lake), there / 'x.parquet')
    named = name_in_clone(own_lake, there / 'x.parquet', 'file://%s/x.parquet' % there)
    m = mount(own_lake, policy=policy, o='per-uid,outside=%s' % there)
    assert as_user(STRANGER, m, read, named)[0] == 'ok'


def test_allowing_what_is_around_the_lake_allows_nothing_in_it(mount, own_lake, policy, tmp_path):
    secret = secret_of(own_lake)
    path = 'file:/%s/.//silver/secret/%s' % (own_lake, secret.name)
    named = name_in_clone(own_lake, secret, path)
    m = mount(own_lake, policy=policy, o='per-uid,outside=%s' % tmp_path)
    assert as_user(STRANGER, m, read, named) == 'EACCES'


def test_a_denied_object_is_told_to_the_audit(mount, own_lake, policy, tmp_path):
    secret = secret_of(own_lake)
    named = name_in_clone(own_lake, secret, '../../silver/secret/' + secret.name)
    log = tmp_path / 'audit.log'
    m = mount(own_lake, policy=policy, o='per-uid', audit=log)
    assert as_user(STRANGER, m, read, named) == 'EACCES'

    def told():
        return [e for e in audit_log.read(log) if e['event'] == 'denied']
    wait_for(told, PATIENCE_S, 'the line')
    assert [(e['uid'], e['table'], e['path']) for e in told()] == [(STRANGER, CLONE, named)]
    assert SECRET in told()[0]['reason']
    assert not [e for e in audit_log.read(log) if e['event'] == 'open']


def test_an_open_file_goes_with_the_grant_of_where_it_lies(mount, own_lake, policy):
    secret = secret_of(own_lake)
    named = name_in_clone(own_lake, secret, '../../silver/secret/' + secret.name)
    m = mount(own_lake, policy=policy, o='per-uid', passthrough='off')
    ours, theirs = socket.socketpair()
    owner = give_descriptor(READER, m, theirs, os.O_RDONLY, named)
    fd = socket.recv_fds(ours, 1, 1)[1][0]
    assert os.pread(fd, 4, 0) == b'PAR1'
    replace(policy, POLICY)

    def stale():
        try:
            os.pread(fd, 4, 0)
        except OSError:
            return True
        return False
    wait_for(stale, PATIENCE_S, 'the open file is ESTALE')
    assert as_user(READER, m, read, named) == 'EACCES'
    assert as_user(READER, m, columns, CLONE + '@0')[0] == 'ok'
    os.close(fd)
    os.waitpid(owner, 0)


def test_a_list_fetches_nothing_of_another_table(mount, own_lake, s3, bucket, policy):
    secret = secret_of(own_lake)
    named = name_in_clone(own_lake, secret, 's3a://%s/silver/secret/%s' % (bucket, secret.name))
    s3.copy_tree(own_lake, bucket)
    m = mount('s3://%s' % bucket, env=s3.env, endpoint_url=s3.url, policy=policy, o='per-uid')
    shown = as_user(ALL, m, parquets, SALES)[1][0]

    def write_list():
        with open('.tarn/prefetch', 'w') as f:
            f.write('%s\n%s\n' % (named, shown))

    def cached(path):
        return int(os.getxattr(path, 'user.tarn.cached'))
    assert as_user(STRANGER, m, write_list) == ('ok', None)
    wait_for(lambda: as_user(ALL, m, cached, shown)[1] > 0, PATIENCE_S, 'the shown file is fetched')
    assert as_user(ALL, m, cached, named) == ('ok', 0)
    assert as_user(STRANGER, m, read, named) == 'EACCES'
    assert as_user(READER, m, read, named)[0] == 'ok'
    assert as_user(STRANGER, m, read, named) == 'EACCES'


def test_nothing_of_another_table_is_fetched_ahead(mount, own_lake, s3, bucket, policy):
    """Small files that come next in the listing are, but those are not the reader's."""
    log = own_lake / CLONE / '_delta_log' / ('%020d.json' % 0)
    add = next(a['add'] for a in map(json.loads, log.read_text().splitlines()) if 'add' in a)
    secret, stored = secret_of(own_lake), own_lake / CLONE / add['path']
    lines = [{'commitInfo': {'timestamp': 1, 'operation': 'WRITE'}}]
    for i in range(60):
        own, other = own_lake / CLONE / ('a%02d.parquet' % i), secret.with_name('b%02d.parquet' % i)
        shutil.copy(stored, own)
        shutil.copy(secret, other)
        lines.append({'add': {**add, 'path': own.name, 'stats': ''}})
        lines.append({'add': {**add, 'path': 's3://%s/silver/secret/%s' % (bucket, other.name),
                              'size': secret.stat().st_size, 'stats': ''}})
    log.with_name('%020d.json' % 1).write_text('\n'.join(map(json.dumps, lines)) + '\n')
    s3.copy_tree(own_lake, bucket)

    def cached(m, uid):
        """Of the other table's files, after all own ones were read one after the other."""
        names = as_user(uid, m, os.listdir, CLONE)[1]
        assert sum(n.startswith('b') for n in names) == 60
        for i in range(60):
            assert as_user(uid, m, read, '%s/a%02d.parquet' % (CLONE, i))[0] == 'ok'
        return sum(int(as_user(ALL, m, os.getxattr, '%s/b%02d.parquet' % (CLONE, i), 'user.tarn.cached')[1]) for i in range(60))
    options = {'env': s3.env, 'endpoint_url': s3.url}
    assert cached(mount('s3://%s' % bucket, allow_other=True, **options), STRANGER) > 0
    assert cached(mount('s3://%s' % bucket, policy=policy, o='per-uid', **options), STRANGER) == 0
