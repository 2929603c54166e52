# SPDX-License-Identifier: Apache-2.0
"""
What a role reads of a table under a policy is what the policy leaves of the original: columns, rows,
sums and masked values, by pyarrow and by DuckDB.
"""
import errno
import json
import os
from pathlib import Path

import pytest

from support import canaries, governed, presented

# Real grants, each a table of its own view. `where` is what DuckDB is told, where it is not `rows`.
POLICIES = {
    'nothing hidden': {},
    'a column hidden': dict(hide=['email']),
    'columns of a class': dict(hide=['class:pii']),
    'a nested column hidden': dict(hide=['address.street']),
    'a whole struct hidden by its parts': dict(hide=['address.street', 'address.city']),
    'a list and a map hidden': dict(hide=['phones', 'attrs']),
    'a name at any depth': dict(hide=['**.phone']),
    'few columns only': dict(only=['id', 'amount', 'address.city', 'region']),
    'rows of a partition': dict(rows="region = 'EU'"),
    'rows by a number': dict(rows='amount > 100'),
    'rows of partition and number': dict(rows="region in ('EU', 'AP') and amount between 20 and 90"),
    'rows without a value': dict(rows='income is null or not (amount >= 10)'),
    'rows by day': dict(rows="birth_date < date '1980-06-01' and birth_date is not null"),
    'rows by instant': dict(rows="seen >= timestamp '2026-02-15 00:00:00'",
                            where="seen >= TIMESTAMPTZ '2026-02-15 00:00:00+00'"),
    'rows by decimal': dict(rows='income <= 50000.25 and income <> 0.5'),
    'rows by text': dict(rows="email like 'Q%a_' or address.city > 'Q8'"),
    'rows by a hidden column': dict(rows="ssn < 'Q7'", hide=['ssn', 'email']),
    'masks of strings': dict(mask={'email': 'mask-alphanum', 'ssn': 'show-last-4',
                                   'note': 'sha-256-global', 'contact.phone': 'show-first-4'}),
    'masks of numbers and days': dict(mask={
        'id': 'sha-256-global', 'amount': 'mask-to-fixed-value', 'income': 'mask-to-fixed-value',
        'birth_date': 'truncate-to-year', 'seen': 'truncate-to-month'}),
    'masks that forget': dict(mask={'email': 'replace-with-null', 'ssn': 'mask-to-fixed-value',
                                    'birth_date': 'mask-to-fixed-value', 'id': 'replace-with-null',
                                    'seen': 'mask-to-fixed-value', 'phones': 'mask-alphanum'}),
    'all at once': dict(hide=['class:pii', 'address.street', 'attrs'],
                        mask={'birth_date': 'truncate-to-month', 'income': 'replace-with-null',
                              'note': 'mask-alphanum'},
                        rows="region = 'EU' and amount > 100"),
}
CLASSES = {'pii': ['silver/customers.email', 'silver/customers.ssn', '**.phone']}
# What the names of classes and globs are in this table.
SPELLED = {'class:pii': ['email', 'ssn', 'contact.phone'], '**.phone': ['contact.phone']}


def wanted(rows, grant):
    hide = [c for name in grant.get('hide', ()) for c in SPELLED.get(name, [name])]
    only, mask = grant.get('only'), grant.get('mask')
    if only:                                    # 'address.city' of a struct: the rest of it hidden
        hide += ['address.street']
        only = [c.split('.')[0] for c in only]
    return governed.view(rows, hide, only, mask, grant.get('where', grant.get('rows')))


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp('governed') / 'lake'
    return root, governed.make(root, 11)


def policy_file(tmp_path, grant):
    path = tmp_path / 'policy.yaml'
    told = {k: v for k, v in grant.items() if k != 'where'}
    path.write_text(json.dumps({'classes': CLASSES, 'grants': [
        dict({'to': ['role:trainer'], 'tables': ['silver/customers']}, **told)]}))
    return path


def check(m, customers, grant, what):
    for version in (2, 1, 0):
        rows = presented.Rows([wanted(customers.rows(version), grant)])
        presented.compare(m / ('silver/customers@%d' % version), rows, ['region'],
                          '%s, version %d' % (what, version))
    presented.compare(m / 'silver/customers', rows_of(customers, grant), ['region'], what)


def rows_of_all(customers, grant):
    """What is left in some version."""
    return [wanted(customers.rows(v), grant) for v in range(len(customers.versions))]


def rows_of(customers, grant):
    return presented.Rows([wanted(customers.rows(), grant)])


@pytest.mark.parametrize('what', POLICIES)
def test_a_role_reads_what_the_policy_leaves(mount, made, tmp_path, what):
    """In every version of a table with mapped columns, partitions and deleted rows."""
    root, customers = made
    m = mount(root, policy=policy_file(tmp_path, POLICIES[what]), **{'as': 'trainer'})
    assert os.listdir(m) == ['silver'] and os.listdir(m / 'silver') == ['customers']
    check(m, customers, POLICIES[what], what)
    if POLICIES[what]:                          # else nothing is kept back of what tells of the table either
        found = canaries.look_everywhere(str(m), '/nonexistent', os.getpid())
        canaries.check_allowed(customers, found, rows_of_all(customers, POLICIES[what]), what)


@pytest.mark.parametrize('what', ['all at once', 'masks of strings', 'a column hidden'])
def test_from_a_bucket_twice(mount, made, s3, bucket, tmp_path, what):
    """The same from S3: made once, then read from the cache."""
    root, customers = made
    s3.copy_tree(root, bucket)
    m = mount('s3://' + bucket, endpoint_url=s3.url, env=s3.env,
              policy=policy_file(tmp_path, POLICIES[what]), **{'as': 'trainer'})
    check(m, customers, POLICIES[what], what)
    check(m, customers, POLICIES[what], what)


def test_two_roles_share_a_cache(mount, made, tmp_path):
    """Each has its own view, in one daemon."""
    root, customers = made
    path, grants = tmp_path / 'policy.yaml', {'a': dict(hide=['email']), 'b': dict(rows='amount > 100')}
    path.write_text(json.dumps({'grants': [
        dict({'to': ['role:' + r], 'tables': ['silver/**']}, **g) for r, g in grants.items()]}))
    mounts = {r: mount(root, cache=tmp_path / 'cache', policy=path, **{'as': r}) for r in grants}
    for role, m in list(mounts.items()) * 2:
        check(m, customers, grants[role], role)


def test_what_no_grant_names_is_not_there(mount, made, tmp_path):
    root, _ = made
    m = mount(root, policy=policy_file(tmp_path, {}), **{'as': 'trainer'})
    for name in ('silver/secret', 'silver/secret@0', 'silver/secret/part-0.parquet', 'silver/plain',
                 'bronze', 'bronze/events/a.csv', 'notes.txt', 'silver/secret/.tarn/schema.json'):
        with pytest.raises(OSError) as e:
            os.stat(m / name)
        assert e.value.errno == errno.ENOENT, name


def test_another_role_sees_nothing(mount, made, tmp_path):
    root, _ = made
    m = mount(root, policy=policy_file(tmp_path, {}), **{'as': 'stranger'})
    assert os.listdir(m) == []


@pytest.mark.parametrize('grant', [dict(hide=['region']), dict(mask={'region': 'replace-with-null'})])
def test_a_hidden_partition_column_denies_the_table(mount, made, tmp_path, grant):
    """Its values are in the names of directories."""
    root, _ = made
    m = mount(root, policy=policy_file(tmp_path, grant), **{'as': 'trainer'})
    assert not (m / 'silver/customers').exists()


@pytest.mark.parametrize('grant', [dict(mask={'id': 'mask-alphanum'}), dict(rows="id = 'five'")])
def test_what_does_not_fit_a_column_refuses_the_table(mount, made, tmp_path, grant):
    root, _ = made
    m = mount(root, policy=policy_file(tmp_path, grant), **{'as': 'trainer'})
    with pytest.raises(OSError) as e:
        os.listdir(m / 'silver/customers')
    assert e.value.errno in (errno.EOPNOTSUPP, errno.ENOENT)


def test_partitions_without_rows_are_not_listed(mount, made, tmp_path):
    """Nor are files in them to be opened."""
    root, _ = made
    m = mount(root, policy=policy_file(tmp_path, dict(rows="region = 'EU' and amount > 1")),
              **{'as': 'trainer'})
    assert os.listdir(m / 'silver/customers') == ['region=EU']
    for name in ('region=US', 'region=US/part-0.parquet'):
        assert not (m / 'silver/customers@1' / name).exists()


def test_files_that_cannot_be_filtered_are_denied(mount, made, tmp_path):
    """A table of CSV files under a grant on columns or rows; under a whole grant it is shown."""
    root, _ = made
    path = tmp_path / 'policy.yaml'
    for grant, shown in (({'hide': ['word']}, False), ({'rows': 'id = 1'}, False), ({}, True)):
        path.write_text(json.dumps({'grants': [
            dict({'to': ['everyone'], 'tables': ['bronze/**']}, **grant)]}))
        m = mount(root, policy=path, **{'as': 'trainer'})
        assert (m / 'bronze/events/a.csv').exists() == shown


def test_stored_files_and_changes_are_not_shown_of_a_view(mount, made, tmp_path):
    root, _ = made
    m = mount(root, policy=policy_file(tmp_path, dict(hide=['email'])), **{'as': 'trainer'})
    for name in ('raw', 'changes'):
        assert not (m / 'silver/customers/.tarn' / name).exists()
    schema = Path(m / 'silver/customers/.tarn/schema.json').read_text()
    assert 'email' not in schema and 'ssn' in schema
