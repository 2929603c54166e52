# SPDX-License-Identifier: Apache-2.0
"""Documents of a table of which somebody is shown a part: they tell of that part and nothing else."""
import json
import os

import pyarrow as pa
import pytest
from deltalake import CommitProperties, DeltaTable, write_deltalake

from support.mounts import run_tarn

TABLE = 'silver/customers'
# In every name, value and text that must not be told.
HIDDEN = 'qcanary'

POLICY = '''
grants:
  - to: [role:part]
    tables: [silver/customers]
    hide: [qcanary, person.qcanary_street]
    mask: {income: replace-with-null}
    rows: region = 'EU'
  - to: [role:whole]
    tables: ["**"]
'''


def rows(regions):
    n = len(regions)
    person = pa.StructArray.from_arrays([pa.array(['x'] * n), pa.array([HIDDEN] * n)],
                                        ['city', 'qcanary_street'])
    return pa.table({'id': pa.array(range(n), pa.int64()), HIDDEN: [HIDDEN] * n, 'person': person,
                     'income': pa.array(range(n), pa.int32()), 'tags': pa.array([['a']] * n),
                     'region': regions})


@pytest.fixture(scope='module')
def lake(tmp_path_factory):
    root = tmp_path_factory.mktemp('shown') / 'lake'
    told = CommitProperties(custom_metadata={'userMetadata': HIDDEN, 'note': HIDDEN})
    write_deltalake(root / TABLE, rows(['EU', 'US', 'EU']), partition_by=['region'],
                    commit_properties=told, description=HIDDEN,
                    configuration={'delta.appendOnly': 'false'})
    write_deltalake(root / TABLE, rows(['US', 'AS']), mode='append', commit_properties=told)
    table = DeltaTable(root / TABLE)
    table.alter.add_constraint({'c': "qcanary <> 'never'"})
    table.delete("qcanary = 'nobody' and id = 1")
    return root


@pytest.fixture
def part(mount, lake, tmp_path):
    (tmp_path / 'policy.yaml').write_text(POLICY)
    return mount(lake, policy=tmp_path / 'policy.yaml', **{'as': 'part'})


@pytest.fixture
def whole(mount, lake, part):
    """The same lake in the same daemon, of which documents may be kept."""
    policy = part.path.parent.parent / 'policy.yaml'
    return mount(lake, cache=part.cache, policy=policy, **{'as': 'whole'})


def document(m, name, ref=''):
    return (m / (TABLE + ref) / '.tarn' / name).read_text()


def names(fields):
    return [f['name'] for f in fields]


def test_nothing_hidden_is_told(whole, part):
    """In no document, of any version, and though the same daemon writes the whole ones."""
    for m, tells in ((whole, True), (part, False), (whole, True)):
        for ref in ('', '@0', '@1', '@0..1'):
            text = ''.join(document(m, name, ref) for name in (
                'version', 'history.json', 'schema.json', 'properties.json', 'files.jsonl'))
            assert (HIDDEN in text) == tells


def test_schema(whole, part):
    """The columns that are shown, in their order, with types; a masked one may be null."""
    told = json.loads(document(part, 'schema.json'))
    fields = {f['name']: f for f in told['schema']['fields']}
    assert told['partitionColumns'] == ['region']
    assert list(fields) == ['id', 'person', 'income', 'tags', 'region']
    assert names(fields['person']['type']['fields']) == ['city']
    assert fields['income']['nullable'] and fields['income']['type'] == 'integer'
    before = {f['name']: f for f in json.loads(document(whole, 'schema.json'))['schema']['fields']}
    assert before['tags'] == fields['tags'] and before['id'] == fields['id']
    assert len(before) == 6


def test_files(whole, part):
    """Files of which rows may be shown, and those that are listed; without stored names."""
    lines = [json.loads(line) for line in document(part, 'files.jsonl').splitlines()]
    assert {line['path'].split('/')[0] for line in lines} == {'region=EU'}
    assert all('object' not in line for line in lines)
    assert sorted(line['path'] for line in lines) == sorted(
        os.path.relpath(os.path.join(d, f), part / TABLE)
        for d, _, files in os.walk(part / TABLE) for f in files)
    assert len(document(whole, 'files.jsonl').splitlines()) > len(lines)
    assert document(part, 'files.jsonl', '@0..1').count('\n') == 0      # only US and AS


def test_history(part):
    """When which kind of operation was, and no more."""
    for version in json.loads(document(part, 'history.json')):
        assert set(version) == {'version', 'timestamp', 'timestampMs', 'operation', 'dataChange',
                                'metadataChange', 'protocolChange'}


def test_properties(part):
    """Properties that are known to name no column."""
    told = json.loads(document(part, 'properties.json'))
    assert told['configuration'] == {'delta.appendOnly': 'false'}


def test_commands(part):
    """What reads the documents reads these, too."""
    for words in (['versions', part / TABLE], ['log', part / TABLE],
                  ['diff', part / (TABLE + '@0'), part / (TABLE + '@1')]):
        done = run_tarn(*words)
        assert done.returncode == 0, done.stderr
        assert HIDDEN not in done.stdout + done.stderr
