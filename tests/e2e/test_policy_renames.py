# SPDX-License-Identifier: Apache-2.0
"""What a policy hides or masks stays so however often the column is renamed."""
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from support import lakes
from support.presented_tables import field, store

TABLE = 'silver/people'
ROWS = pa.table({'col-1': pa.array([1, 2], pa.int64()), 'col-2': ['QRENAME-a', 'QRENAME-b']})


def commit(table, version, name, add=None):
    """As a writer renames a column (ALTER TABLE ... RENAME COLUMN): metaData alone."""
    features = ['columnMapping']
    schema = {'type': 'struct', 'fields': [field('id', 'long', 'col-1', 1), field(name, 'string', 'col-2', 2)]}
    actions = [{'metaData': {
        'id': '6f4dd0f0-0000-4000-8000-000000000002', 'format': {'provider': 'parquet', 'options': {}},
        'configuration': {'delta.columnMapping.mode': 'name', 'delta.columnMapping.maxColumnId': '2'},
        'partitionColumns': [], 'schemaString': json.dumps(schema)}}]
    if version == 0:
        actions.insert(0, {'protocol': {'minReaderVersion': 3, 'minWriterVersion': 7,
                                        'readerFeatures': features, 'writerFeatures': features}})
    if add:
        store(table, add, ROWS)
        actions.append({'add': {'path': add, 'partitionValues': {}, 'modificationTime': 1700000000000,
                                'size': (Path(table) / add).stat().st_size, 'dataChange': True}})
    log = Path(table) / '_delta_log'
    log.mkdir(parents=True, exist_ok=True)
    (log / ('%020d.json' % version)).write_text('\n'.join(map(json.dumps, actions)))


@pytest.fixture
def source(tmp_path):
    """A column that was called mail, then email, then contact, in a table with made-up names in its files."""
    table = tmp_path / 'lake' / TABLE
    commit(table, 0, 'mail', add='a.parquet')
    commit(table, 1, 'email')
    commit(table, 2, 'contact', add='b.parquet')
    return tmp_path / 'lake'


def grant(tmp_path, what):
    path = tmp_path / 'policy.yaml'
    path.write_text('grants:\n  - {to: [everyone], tables: ["**"], %s}\n' % what)
    return path


def columns(below):
    return {tuple(pq.read_schema(below / name).names) for name in lakes.tree(below)}


@pytest.mark.parametrize('name', ['mail', 'email', 'contact'])
@pytest.mark.parametrize('checkpoint', [False, True])
def test_hidden_by_a_name_that_it_once_had(source, mount, tmp_path, name, checkpoint):
    """Whichever of its names the policy has, in every version."""
    if checkpoint:
        checkpointed(source / TABLE)
    m = mount(source, policy=grant(tmp_path, 'hide: [%s]' % name), **{'as': 'someone'})
    for ref in ('', '@2', '@1', '@0'):
        below = m / (TABLE + ref)
        assert columns(below) == {('id',)}, ref
        assert not any(b'QRENAME' in (below / f).read_bytes() for f in lakes.tree(below))


def checkpointed(table):
    """A checkpoint of the newest version, by deltalake."""
    DeltaTable(table, without_files=False).create_checkpoint()
    assert list((table / '_delta_log').glob('*.checkpoint.parquet'))


def test_masked_by_a_name_that_it_once_had(source, mount, tmp_path):
    m = mount(source, policy=grant(tmp_path, 'mask: {email: mask-alphanum}'), **{'as': 'someone'})
    for name in lakes.tree(m / TABLE):
        assert set(pq.read_table(m / TABLE / name).column('contact').to_pylist()) == {'xxxxxxx-x'}


def test_shown_by_its_name_of_today_alone(source, mount, tmp_path):
    """`only` names what is shown: a name that it has no more shows nothing."""
    by_today = mount(source, policy=grant(tmp_path, 'only: [id, contact]'), **{'as': 'someone'})
    assert columns(by_today / TABLE) == {('id', 'contact')}
    by_then = mount(source, policy=grant(tmp_path, 'only: [id, email]'), **{'as': 'someone'})
    assert columns(by_then / TABLE) == {('id',)}
