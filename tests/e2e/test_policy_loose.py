# SPDX-License-Identifier: Apache-2.0
"""A table of which a grant keeps a part back has no log yet, or none any more: its files are no loose objects."""
import os
import shutil

import pytest
from deltalake import write_deltalake

from support.mounts import wait_for, wait_until_taken_back
from support.places import PATIENCE_S
from test_policy_mount import TOKEN, columns, parquets, read, replace, rows

POLICY = '''
grants:
  - to: [role:trainer]
    tables: [silver/customers, silver/crm/customers, lab/eu/crm/customers]
    hide: [email]
  - to: [everyone]
    tables: ["silver/**", "lab/**"]
'''
# A table itself, one in what becomes a `files` table without it, and one in a plain directory beside another table.
PLACES = ['silver/customers', 'silver/crm/customers', 'lab/eu/crm/customers']


def names(below):
    return sorted(n for _, dirs, files in os.walk(below) for n in dirs + files)


def error(function, *args):
    with pytest.raises(OSError) as e:
        function(*args)
    return e.value.strerror


@pytest.fixture
def policy(tmp_path):
    path = tmp_path / 'policy.yaml'
    path.write_text(POLICY)
    return path


@pytest.fixture(params=PLACES)
def table(request, tmp_path):
    """The table's path in the lake, and the lake; beside it are a file and a table that all may see."""
    root = tmp_path / 'lake'
    write_deltalake(root / request.param, rows(0, 100))
    if request.param.startswith('lab'):
        write_deltalake(root / 'lab/eu/crm/orders', rows(0, 10))
    beside = (root / request.param).parent / 'beside.txt'
    if request.param.count('/') > 1:
        beside.write_text('for all')
    return request.param, root


def trainer(mount, root, policy, **more):
    return mount(root, policy=policy, refresh='0.1', **{'as': 'trainer'}, **more)


def seen(m, path, beside):
    """Nothing of the table, and all of what is beside it."""
    assert not parquets(m / path)
    if path.count('/') > 1:
        assert read((m / path).parent / 'beside.txt') == b'for all'
        assert all(name in os.listdir((m / path).parent) for name in beside)


def test_files_of_a_table_without_a_log_are_not_shown(mount, table, policy):
    path, root = table
    shutil.rmtree(root / path / '_delta_log')
    stored = os.path.basename(parquets(root / path)[0])
    m = trainer(mount, root, policy)
    seen(m, path, ['beside.txt'])
    assert error(os.stat, m / path / stored) == 'No such file or directory'
    assert error(open, m / path / stored) == 'No such file or directory'


def test_a_log_that_goes_shows_no_files(mount, table, policy):
    path, root = table
    stored = os.path.basename(parquets(root / path)[0])
    m = trainer(mount, root, policy)
    assert columns(m / path) == (['id', 'region'], 100)
    shutil.rmtree(root / path / '_delta_log')
    (root / path / 'new').write_bytes(TOKEN)

    def gone():
        """Until then the table is listed as it was; its files never are what is stored."""
        try:
            found = [read(p) for p in parquets(m / path)] + [read(m / path / stored)]
        except OSError:
            return not os.path.isdir(m / path) or names(m / path) == []
        assert all(TOKEN not in f for f in found)
        return False
    wait_for(gone, PATIENCE_S, 'the table is gone')
    assert error(open, m / path / 'new') == 'No such file or directory'


def test_a_log_that_comes_makes_a_table_of_it(mount, table, policy):
    path, root = table
    shutil.move(root / path / '_delta_log', root / 'aside')
    m = trainer(mount, root, policy, hold='1')
    assert not parquets(m / path)
    shutil.move(root / 'aside', root / path / '_delta_log')
    wait_for(lambda: parquets(m / path) and columns(m / path) == (['id', 'region'], 100), PATIENCE_S, 'the table is shown')


def test_who_is_granted_all_of_it_sees_the_files(mount, table, policy):
    path, root = table
    shutil.rmtree(root / path / '_delta_log')
    m = mount(root, policy=policy, **{'as': 'other'})
    assert [TOKEN in read(p) for p in parquets(m / path)] == [True]
    replace(policy, POLICY.replace('grants:\n', '''grants:
  - to: [role:trainer]
    tables: ["silver/customers", "silver/customers/**", "silver/crm/**", silver/crm, "lab/**"]
'''))
    m = trainer(mount, root, policy)
    assert [TOKEN in read(p) for p in parquets(m / path)] == [True]


def test_documents_of_a_directory_with_such_files_are_not_there(mount, tmp_path, policy):
    """They list all files."""
    write_deltalake(tmp_path / 'lake/silver/crm/customers', rows(0, 100))
    shutil.rmtree(tmp_path / 'lake/silver/crm/customers/_delta_log')
    (tmp_path / 'lake/silver/crm/x.txt').write_text('x')
    whole = mount(tmp_path / 'lake', policy=policy, **{'as': 'other'})
    m = trainer(mount, tmp_path / 'lake', policy)
    documents = os.listdir(whole / 'silver/crm/.tarn')
    assert 'files.jsonl' in documents and '.parquet' in read(whole / 'silver/crm/.tarn/files.jsonl').decode()
    for name in documents:
        assert error(open, m / 'silver/crm/.tarn' / name) == 'No such file or directory', name
    assert names(m / 'silver/crm') == ['x.txt']
    assert not os.path.exists(m / 'silver/crm/.tarn/raw')


def test_an_open_file_is_taken_back_when_a_part_of_its_place_is(mount, tmp_path, policy):
    """A grant comes that keeps parts back of a directory in a table of plain files."""
    place = tmp_path / 'lake/silver/crm/customers'
    place.mkdir(parents=True)
    (place / 'a.bin').write_bytes(TOKEN)
    (place.parent / 'b.bin').write_bytes(b'free')
    replace(policy, POLICY.replace('[role:trainer]', '[role:later]'))
    m = trainer(mount, tmp_path / 'lake', policy, o='revocable')
    with open(m / 'silver/crm/customers/a.bin', 'rb', 0) as kept, open(m / 'silver/crm/b.bin', 'rb', 0) as free:
        assert (kept.read(6), free.read(1)) == (TOKEN, b'f')
        replace(policy, POLICY)
        wait_until_taken_back(kept)
        assert free.read(3) == b'ree'
