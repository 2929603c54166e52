# SPDX-License-Identifier: Apache-2.0
"""tarn policy: check, test and import; the JSON Schema of a policy."""
import json
from pathlib import Path

import jsonschema
import pyarrow as pa
import pytest
import yaml
from deltalake import write_deltalake

from support.mounts import run_tarn

TOP = Path(__file__).parents[2]
SCHEMA = json.loads((TOP / 'lake/view/policy.schema.json').read_text())

EXAMPLE = '''
classes:
  pii: [silver/customers.email, silver/customers.ssn, "**.phone"]
grants:
  - to: [role:governance, user:carol]
    tables: ["**"]
  - to: [role:trainer, group:ml]
    tables: [silver/customers]
    hide: [class:pii, address.street]
    mask: {birth_date: truncate-to-year, income: replace-with-null}
    rows: region = 'EU' and amount > 100
  - to: [everyone]
    tables: ["gold/**"]
'''

TO = 'to: [everyone], tables: [t]'

# What the parser and the schema both take, and what both refuse.
GOOD = [
    EXAMPLE,
    'grants: []',
    'classes: {}\ngrants: []',
    'grants: [{%s}]' % TO,
    'grants: [{%s, only: [a, b.c, "*", "**.x"]}]' % TO,
    'grants: [{to: ["user:1000", "group:a b"], tables: ["**", a/*/c, "`[x]`/y"]}]',
    'classes: {c: ["t.a", "**.b", "a/b.c.d", "*.`x.y`"]}\ngrants: [{%s, mask: {"class:c": '
    'sha-256-global}}]' % TO,
    'grants: [{%s, hide: ["`a/b`", "a.`b[c]`.d"]}]' % TO,
]
BAD = [
    '[]',
    'grants: {}',
    'classes: {}',
    'grants: []\nmore: 1',
    'grants: [{to: [everyone]}]',
    'grants: [{tables: [t]}]',
    'grants: [{%s, hides: [a]}]' % TO,
    'grants: [{%s, hide: [a], only: [b]}]' % TO,
    'grants: [{%s, hide: []}]' % TO,
    'grants: [{%s, hide: }]' % TO,
    'grants: [{%s, hide: a}]' % TO,
    'grants: [{%s, hide: [""]}]' % TO,
    'grants: [{%s, hide: [12]}]' % TO,
    'grants: [{%s, hide: [no]}]' % TO,
    'grants: [{%s, hide: ["t/a"]}]' % TO,
    'grants: [{%s, hide: ["a..b"]}]' % TO,
    'grants: [{%s, hide: ["a[b]"]}]' % TO,
    'grants: [{%s, mask: {a: rot13}}]' % TO,
    'grants: [{%s, mask: {}}]' % TO,
    'grants: [{%s, mask: [a]}]' % TO,
    'grants: [{%s, rows: 12}]' % TO,
    'grants: [{%s, rows: ""}]' % TO,
    'grants: [{to: [bob], tables: [t]}]',
    'grants: [{to: ["role:"], tables: [t]}]',
    'grants: [{to: [], tables: [t]}]',
    'grants: [{to: [everyone], tables: []}]',
    'grants: [{to: [everyone], tables: ["a//b"]}]',
    'grants: [{to: [everyone], tables: ["/a"]}]',
    'grants: [{to: [everyone], tables: ["a**/b"]}]',
    'classes: {c: []}\ngrants: []',
    'classes: {c: ["class:d"]}\ngrants: []',
    'classes: {c: [email]}\ngrants: []',
    'classes: []\ngrants: []',
]


def check(tmp_path, text):
    file = tmp_path / 'policy.yaml'
    file.write_text(text)
    return run_tarn('policy', 'check', file)


def schema_takes(text):
    return jsonschema.Draft202012Validator(SCHEMA).is_valid(yaml.safe_load(text))


@pytest.mark.parametrize('text', GOOD)
def test_what_is_a_policy_is_one_to_the_schema_too(tmp_path, text):
    done = check(tmp_path, text)
    assert done.returncode == 0, done.stderr
    assert schema_takes(text)


@pytest.mark.parametrize('text', BAD)
def test_what_is_no_policy_is_none_to_the_schema_either(tmp_path, text):
    assert check(tmp_path, text).returncode == 1
    assert not schema_takes(text)


def test_check_names_file_line_and_column(tmp_path):
    done = check(tmp_path, EXAMPLE.replace('truncate-to-year', 'truncate-to-decade'))
    assert done.returncode == 1
    assert done.stderr == '%s:10:24: "truncate-to-decade" is no mask\n' % (tmp_path / 'policy.yaml')
    done = check(tmp_path, EXAMPLE.replace('amount > 100', 'amount >'))
    assert done.stderr.startswith('%s:11:11: ' % (tmp_path / 'policy.yaml'))
    assert run_tarn('policy', 'check', tmp_path / 'none').returncode == 1


def test_check_hints_at_quotes_for_a_condition_with_a_comma_between_braces(tmp_path):
    done = check(tmp_path, 'grants:\n- {to: [everyone], tables: [t], rows: a in (1, 2)}\n')
    assert done.returncode == 1
    assert 'policy.yaml:2:' in done.stderr and 'between braces' in done.stderr
    assert 'between braces' not in check(tmp_path, 'grants:\n- to:\n').stderr
    assert check(tmp_path, 'grants:\n- {to: [everyone], tables: [t], rows: "a in (1, 2)"}\n'
                 ).returncode == 0


def test_check_warns_of_a_ref_in_the_pattern_of_a_table(tmp_path):
    file = tmp_path / 'policy.yaml'
    done = check(tmp_path, 'classes:\n  c: ["s/t.a@b", "s/t@0.a"]\ngrants:\n- to: [everyone]\n'
                 '  tables: ["s/t", "silver/types@0", "`a@b`/t", "s@1/t"]\n  hide: ["x@y"]\n')
    assert done.returncode == 0
    assert [line.split(' is no version')[0] for line in done.stderr.splitlines()] == [
        '%s:2:18: warning: "s/t@0.a"' % file,
        '%s:5:19: warning: "silver/types@0"' % file,
        '%s:5:48: warning: "s@1/t"' % file]


# tarn policy test


@pytest.fixture
def customers(tmp_path, mount):
    """A mount with silver/customers, which has a column more since version 1."""
    rows = pa.table({
        'id': [1, 2], 'email': ['a', 'b'], 'ssn': ['1', '2'], 'income': [1.5, 2.5],
        'birth_date': pa.array([0, 1], pa.date32()), 'region': ['EU', 'US'], 'amount': [5, 500],
        'address': pa.array([{'street': 's', 'city': 'c'}] * 2),
        'people': pa.array([[{'phone': 'p', 'age': 1}]] * 2)})
    path = tmp_path / 'lake/silver/customers'
    write_deltalake(path, rows, partition_by=['region'])
    write_deltalake(path, rows.append_column('home', pa.array([{'phone': 'p'}] * 2)),
                    mode='append', schema_mode='merge')
    (tmp_path / 'policy.yaml').write_text(EXAMPLE)
    return mount(tmp_path / 'lake') / 'silver/customers'


def told(tmp_path, *args):
    done = run_tarn('policy', 'test', '--policy', tmp_path / 'policy.yaml', '--json', *args)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def shown(answer):
    return {c['name']: c['shown'] for c in answer['columns']}


def test_each_column_is_told_with_what_decides(tmp_path, customers):
    answer = told(tmp_path, '--as', 'trainer', customers)
    assert (answer['table'], answer['granted'], answer['line']) == ('silver/customers', True, 7)
    assert answer['rows'] == {'text': "region = 'EU' and amount > 100", 'line': 11}
    assert shown(answer) == {
        'region': 'shown', 'id': 'shown', 'email': 'hidden', 'ssn': 'hidden',
        'income': 'replace-with-null', 'birth_date': 'truncate-to-year', 'amount': 'shown',
        'address.street': 'hidden', 'address.city': 'shown', 'people.element.phone': 'hidden',
        'people.element.age': 'shown', 'home.phone': 'hidden'}
    email = next(c for c in answer['columns'] if c['name'] == 'email')
    assert (email['line'], email['by']) == (9, 'class:pii')
    assert answer['idle'] == []
    text = run_tarn('policy', 'test', '--policy', tmp_path / 'policy.yaml', '--as', 'trainer',
                    customers).stdout
    assert 'silver/customers for role:trainer: a part of it, by the grant in line 7\n' in text
    assert 'line 9: class:pii' in text


def test_a_column_that_only_leaves_out_is_told_with_the_line_of_the_grant(tmp_path, customers):
    (tmp_path / 'policy.yaml').write_text(
        'grants:\n- to: [role:r]\n  tables: ["**"]\n  only: [id, region, address.city]\n')
    answer = {c['name']: c for c in told(tmp_path, '--as', 'r', customers)['columns']}
    for name in ['email', 'address.street', 'people.element.phone']:
        assert (answer[name]['shown'], answer[name]['line'], answer[name]['by']) == (
            'hidden', 2, 'only')
    assert 'line' not in answer['id']
    text = run_tarn('policy', 'test', '--policy', tmp_path / 'policy.yaml', '--as', 'r',
                    customers).stdout
    assert 'line 2: only\n' in text


def test_a_version_is_told_with_its_own_columns(tmp_path, customers):
    before = shown(told(tmp_path, '--user', 'dave', '--group', 'ml', '%s@0' % customers))
    assert 'home.phone' not in before and before['email'] == 'hidden'


def test_a_pattern_that_names_nothing_is_told(tmp_path, customers):
    (tmp_path / 'policy.yaml').write_text(EXAMPLE.replace('address.street', 'adress.street'))
    assert told(tmp_path, '--as', 'trainer', customers)['idle'] == [
        {'line': 9, 'pattern': 'adress.street'}]


@pytest.mark.parametrize('more,reason', [
    ('hide: [region]', 'partition column'),
    ('mask: {id: truncate-to-year}', 'truncate-to-year'),
    ('rows: nothing = 1', 'nothing'),
    ('only: [region]', 'no column'),
])
def test_a_grant_that_denies_says_why(tmp_path, customers, more, reason):
    (tmp_path / 'policy.yaml').write_text(
        'grants:\n- to: [role:r]\n  tables: ["**"]\n  %s\n' % more)
    answer = told(tmp_path, '--as', 'r', customers)
    assert not answer['granted'] and answer['line'] == 2
    assert reason in answer['reason']


def refused(tmp_path, *args):
    done = run_tarn('policy', 'test', '--policy', tmp_path / 'policy.yaml', *args)
    assert done.returncode == 1 and done.stdout == ''
    return done.stderr


def test_in_a_mount_what_is_no_table_is_an_error(tmp_path, customers):
    silver = customers.parent
    (tmp_path / 'policy.yaml').write_text('grants: [{to: [everyone], tables: ["**"]}]')
    for path in [silver / 'nosuch', silver / 'nosuch/deeper', '%s@99' % customers]:
        assert 'no such table or version' in refused(tmp_path, '--as', 'r', path)
    assert 'is no table' in refused(tmp_path, '--as', 'r', silver)
    assert 'is no table' in refused(tmp_path, '--as', 'r', silver.parent)


def test_an_object_outside_tables_is_told_by_its_path_in_the_mount(tmp_path, customers):
    (tmp_path / 'lake/docs').mkdir()
    (tmp_path / 'lake/docs/a@b.txt').write_text('x')
    path = customers.parents[1] / 'docs/a@b.txt'
    (tmp_path / 'policy.yaml').write_text(
        'grants:\n- {to: [role:a], tables: ["docs/*.txt"]}\n'
        '- {to: [role:b], tables: ["docs/*"], hide: [x]}\n')
    whole = told(tmp_path, '--as', 'a', path)
    assert (whole['table'], whole['granted'], whole['whole']) == ('docs/a@b.txt', True, True)
    part = told(tmp_path, '--as', 'b', path)
    assert not part['granted'] and 'whole grants' in part['reason']
    assert 'line' not in told(tmp_path, '--as', 'c', path)


def test_a_mount_that_shows_a_part_of_the_table_is_refused(tmp_path, customers, mount):
    narrowed = mount(tmp_path / 'lake', policy=tmp_path / 'policy.yaml', **{'as': 'trainer'})
    said = refused(tmp_path, '--as', 'trainer', narrowed / 'silver/customers')
    assert 'shows a part of the table' in said and 'line 7' in said
    whole = mount(tmp_path / 'lake', policy=tmp_path / 'policy.yaml', **{'as': 'governance'})
    assert told(tmp_path, '--as', 'trainer', whole / 'silver/customers')['line'] == 7


def test_outside_a_mount_only_the_decision_is_told(tmp_path):
    (tmp_path / 'policy.yaml').write_text(EXAMPLE)
    assert told(tmp_path, '--user', 'carol', '--group', 'ml', 'silver/customers')['line'] == 5
    assert told(tmp_path, '--user', 'eve', 'gold/report@12')['line'] == 12
    denied = told(tmp_path, '--user', 'root', 'silver/customers')
    assert not denied['granted'] and 'line' not in denied and 'columns' not in denied
    part = told(tmp_path, '--as', 'trainer', '/silver/customers/')
    assert part['granted'] and not part['whole'] and 'columns' not in part


@pytest.mark.parametrize('args', [
    ['silver/t'], ['--as', 'r'], ['--as', 'r', '--user', 'u', 't'], ['--as', 'r', '--group', 'g', 't'],
    ['--as', 'r', 't', 'u'], ['--as'],
])
def test_what_is_asked_for_must_be_clear(tmp_path, args):
    (tmp_path / 'policy.yaml').write_text(EXAMPLE)
    done = run_tarn('policy', 'test', '--policy', tmp_path / 'policy.yaml', *args)
    assert done.returncode == 2


# tarn policy import


def imported(tmp_path, catalog, files, *args):
    """The policy that is made of answers: its grants, its text, and what was said."""
    names = []
    for i, (name, answer) in enumerate(files):
        path = tmp_path / ('answer%d.json' % i)
        path.write_text(json.dumps(answer))
        names.append('%s=%s' % (name, path) if name else path)
    done = run_tarn('policy', 'import', catalog, *args, *names)
    assert done.returncode == 0, done.stderr
    assert check(tmp_path, done.stdout).returncode == 0
    return yaml.safe_load(done.stdout)['grants'], done.stdout, done.stderr


ROLE = 'arn:aws:iam::111122223333:role/service/trainer'


def permission(resource, who=ROLE, permissions=('SELECT',), **more):
    return {'Principal': {'DataLakePrincipalIdentifier': who}, 'Resource': resource,
            'Permissions': list(permissions), 'PermissionsWithGrantOption': [], **more}


def table(name, **more):
    return {'Table': {'CatalogId': '1', 'DatabaseName': 'silver', 'Name': name, **more}}


def columns(name, **more):
    return {'TableWithColumns': {'CatalogId': '1', 'DatabaseName': 'silver', 'Name': name, **more}}


def cells(name, cells_name):
    return {'DataCellsFilter': {'TableCatalogId': '1', 'DatabaseName': 'silver', 'TableName': name,
                                'Name': cells_name}}


def cells_filter(name, cells_name, row_filter, **more):
    return {'TableCatalogId': '1', 'DatabaseName': 'silver', 'TableName': name,
            'Name': cells_name, 'RowFilter': row_filter, **more}


def lake_formation(tmp_path, permissions, filters=(), *args):
    return imported(tmp_path, 'lake-formation', [
        ('', {'PrincipalResourcePermissions': permissions}),
        ('', {'DataCellsFilters': list(filters), 'NextToken': None})], *args)


def test_lake_formation_tables_columns_and_cells_become_grants(tmp_path):
    grants, _, said = lake_formation(tmp_path, [
        permission(table('orders'), permissions=['ALL', 'SELECT']),
        permission(table('orders'), permissions=['DESCRIBE'], who='arn:aws:iam::1:user/x'),
        permission({'Table': {'CatalogId': '1', 'DatabaseName': 'gold', 'TableWildcard': {}}},
                   who='arn:aws:identitystore:::group/1234'),
        permission(columns('people', ColumnNames=['id', '"address"."zip"'])),
        permission(columns('staff', ColumnWildcard={'ExcludedColumnNames': ['ssn']}),
                   who='arn:aws:iam::1:user/carol'),
        permission(cells('sales', 'eu')),
    ], [cells_filter('sales', 'eu', {'FilterExpression': "region='EU' AND amount > 10"},
                     ColumnWildcard={'ExcludedColumnNames': ['note']})])
    assert grants == [
        {'to': ['group:1234'], 'tables': ['gold/*']},
        {'to': ['role:trainer'], 'tables': ['silver/orders']},
        {'to': ['role:trainer'], 'tables': ['silver/people'], 'only': ['id', 'address.zip']},
        {'to': ['role:trainer'], 'tables': ['silver/sales'], 'hide': ['note'],
         'rows': "region='EU' AND amount > 10"},
        {'to': ['user:carol'], 'tables': ['silver/staff'], 'hide': ['ssn']},
    ]
    assert said == ''


def test_lake_formation_permissions_of_one_principal_add_up(tmp_path):
    everything = {'AllRowsWildcard': {}}
    grants, _, _ = lake_formation(tmp_path, [
        permission(columns('a', ColumnNames=['x'])), permission(columns('a', ColumnNames=['y'])),
        permission(columns('b', ColumnNames=['x'])), permission(table('b')),
        permission(columns('c', ColumnWildcard={'ExcludedColumnNames': ['p', 'q']})),
        permission(columns('c', ColumnWildcard={'ExcludedColumnNames': ['Q', 'p.r', 's']})),
        permission(columns('d', ColumnWildcard={'ExcludedColumnNames': ['p', 'q']})),
        permission(columns('d', ColumnNames=['q'])),
        permission(cells('e', '1')), permission(cells('e', '2')),
        permission(cells('f', '1')), permission(cells('f', '2')),
    ], [
        cells_filter('e', '1', {'FilterExpression': 'n = 1'}, ColumnNames=['x', 'y']),
        cells_filter('e', '2', {'FilterExpression': 'n = 2'}, ColumnNames=['y', 'x']),
        cells_filter('f', '1', {'FilterExpression': 'n = 1'}, ColumnWildcard={}),
        cells_filter('f', '2', everything, ColumnWildcard={}),
    ])
    assert [{k: v for k, v in g.items() if k != 'to'} for g in grants] == [
        {'tables': ['silver/a'], 'only': ['x', 'y']},
        {'tables': ['silver/b']},
        {'tables': ['silver/c'], 'hide': ['q', 'Q', 'p.r']},
        {'tables': ['silver/d'], 'hide': ['p']},
        {'tables': ['silver/e'], 'only': ['x', 'y'], 'rows': '(n = 1) or (n = 2)'},
        {'tables': ['silver/f']},
    ]


@pytest.mark.parametrize('permissions,filters', [
    ([permission(table('t'), who='IAM_ALLOWED_PRINCIPALS')], []),
    ([permission(table('t'), who='111122223333:IAMPrincipals')], []),
    ([permission(table('t'), Condition={'Expression': 'context.x'})], []),
    ([permission({'LFTagPolicy': {'ResourceType': 'TABLE', 'Expression': []}})], []),
    ([permission(cells('t', 'gone'))], []),
    ([permission(cells('t', 'f'))],
     [cells_filter('t', 'f', {'FilterExpression': 'upper(a) = 1'}, ColumnWildcard={})]),
    ([permission(cells('t', 'f'))], [cells_filter('t', 'f', {'AllRowsWildcard': {}})]),
    ([permission(cells('t', 'a')), permission(cells('t', 'b'))],
     [cells_filter('t', 'a', {'FilterExpression': 'n = 1'}, ColumnNames=['x']),
      cells_filter('t', 'b', {'FilterExpression': 'n = 2'}, ColumnNames=['y'])]),
    ([permission(table('t')), permission(table('t'), who='arn:aws:iam::9:role/trainer')], []),
])
def test_lake_formation_rules_that_cannot_be_expressed_give_nothing(tmp_path, permissions, filters):
    grants, text, said = lake_formation(tmp_path, permissions, filters)
    assert grants == []
    assert '# left out' in text and 'could not be expressed' in said


def test_lake_formation_names_cannot_break_out_of_what_is_written(tmp_path):
    name = 'x"]\n  - to: [everyone]\n    tables: ["**"]'
    grants, _, _ = lake_formation(tmp_path, [permission(table(name)), permission(table('*'))])
    assert grants == [{'to': ['role:trainer'], 'tables': ['silver/`*`']},
                      {'to': ['role:trainer'], 'tables': ['silver/`%s`' % name]}]


def test_tables_of_several_databases_need_a_path_that_tells_them_apart(tmp_path):
    answer = {'PrincipalResourcePermissions': [
        permission(table('t')),
        permission({'Table': {'CatalogId': '1', 'DatabaseName': 'gold', 'Name': 't'}})]}
    (tmp_path / 'a.json').write_text(json.dumps(answer))
    done = run_tarn('policy', 'import', 'lake-formation', '--path', 'x/{table}', tmp_path / 'a.json')
    assert done.returncode == 1 and '{schema}' in done.stderr
    done = run_tarn('policy', 'import', 'lake-formation', '--path', 'x/{table}/{database}',
                    tmp_path / 'a.json')
    assert 'x/t/gold' in done.stdout


def unity_table(name, fields=({'name': 'id', 'type_name': 'LONG'},), **more):
    return {'name': name, 'catalog_name': 'main', 'schema_name': 'sales',
            'full_name': 'main.sales.' + name, 'table_type': 'MANAGED', 'columns': list(fields),
            **more}


def function(name, body, *parameters):
    return {'name': name, 'full_name': 'main.f.' + name, 'routine_body': 'SQL',
            'routine_definition': body,
            'input_params': {'parameters': [{'name': p} for p in parameters]}}


def privileges(*pairs):
    return {'privilege_assignments': [{'principal': who, 'privileges': what.split(',')}
                                      for who, what in pairs]}


def unity_catalog(tmp_path, tables, functions=(), more=(), use='account users'):
    return imported(tmp_path, 'unity-catalog', [
        ('', {'tables': tables}), ('', {'functions': list(functions)}),
        ('main', privileges((use, 'USE_CATALOG'))), ('main.sales', privileges((use, 'USE_SCHEMA'))),
        *more])


READERS = ('main.sales', privileges(('ml', 'SELECT'), ('ann@example.com', 'SELECT,MODIFY'),
                                    ('0aa1b2c3-1111-2222-3333-444455556666', 'ALL_PRIVILEGES'),
                                    ('ops', 'MODIFY')))


def test_unity_catalog_grants_are_inherited(tmp_path):
    grants, _, _ = unity_catalog(tmp_path, [unity_table('orders')], more=[READERS])
    assert grants == [{'to': ['group:ml', 'user:ann@example.com',
                              'role:0aa1b2c3-1111-2222-3333-444455556666'],
                       'tables': ['main/sales/orders']}]


def test_unity_catalog_select_needs_the_use_of_schema_and_catalog(tmp_path):
    grants, text, _ = unity_catalog(tmp_path, [unity_table('orders')], more=[READERS], use='ops')
    assert grants == [] and 'USE SCHEMA' in text
    both = ('main', privileges(('ml', 'USE_CATALOG,USE_SCHEMA')))
    grants, _, _ = imported(tmp_path, 'unity-catalog', [
        ('', unity_table('orders')), both,
        ('main.sales.orders', privileges(('ml', 'SELECT'), ('ops', 'SELECT')))])
    assert [g['to'] for g in grants] == [['group:ml']]


def test_unity_catalog_row_filters_and_masks(tmp_path):
    fields = [
        {'name': 'id', 'type_name': 'LONG'},
        {'name': 'mail', 'type_name': 'STRING', 'mask': {'function_name': 'main.f.hash'}},
        {'name': 'ssn', 'type_name': 'STRING', 'mask': {'function_name': 'main.f.x'}},
        {'name': 'pay', 'type_name': 'DOUBLE', 'mask': {'function_name': 'main.f.none'}},
        {'name': 'note', 'type_name': 'STRING', 'mask': {'function_name': 'main.f.odd'}},
    ]
    orders = unity_table('orders', fields, row_filter={'function_name': 'main.f.eu',
                                                       'input_column_names': ['land', 'n']})
    grants, text, said = unity_catalog(tmp_path, [orders], [
        function('eu', "RETURN r = 'EU r' AND m > 1;", 'r', 'm'),
        function('hash', 'sha2(v, 256)', 'v'), function('x', "'XXXXXXXX'", 'v'),
        function('none', 'NULL', 'v'),
        function('odd', "CASE WHEN is_account_group_member('hr') THEN v ELSE '*' END", 'v'),
    ], more=[('main.sales.orders', privileges(('ml', 'SELECT')))])
    assert grants == [{
        'to': ['group:ml'], 'tables': ['main/sales/orders'], 'hide': ['note'],
        'mask': {'mail': 'sha-256-global', 'ssn': 'mask-to-fixed-value',
                 'pay': 'replace-with-null'},
        'rows': "`land` = 'EU r' AND `n` > 1"}]
    assert 'it is hidden' in text and '1 rules' in said


@pytest.mark.parametrize('body,parameters', [
    ("is_account_group_member('x')", ['r']), ("r = 'a' and current_user() = 'b'", ['r']),
    ("r = 'a\\'b'", ['r']), ('r = "EU"', ['r']), ("other = 'EU'", ['r']), ("r = 'EU'", ['r', 's']),
    ('', ['r']), (None, ['r']),
])
def test_unity_catalog_filters_that_cannot_be_expressed_give_nothing(tmp_path, body, parameters):
    orders = unity_table('orders', row_filter={'function_name': 'main.f.f',
                                               'input_column_names': ['land']})
    functions = [function('f', body, *parameters)] if body is not None else []
    grants, text, _ = unity_catalog(tmp_path, [orders], functions, more=[READERS])
    assert grants == [] and 'row filter cannot be expressed' in text


def test_unity_catalog_tables_below_a_policy_by_tags_are_left_out(tmp_path):
    policies = ('', {'policies': [{'name': 'p', 'on_securable_type': 'SCHEMA',
                                   'on_securable_fullname': 'main.sales'}]})
    grants, text, _ = unity_catalog(tmp_path, [unity_table('orders')], more=[READERS, policies])
    assert grants == [] and 'policies by tags' in text


@pytest.mark.parametrize('catalog,answer', [
    ('lake-formation', {'tables': []}), ('lake-formation', {'Permissions': []}),
    ('lake-formation', {}), ('unity-catalog', {'PrincipalResourcePermissions': []}),
])
def test_an_answer_of_another_api_is_refused(tmp_path, catalog, answer):
    (tmp_path / 'a.json').write_text(json.dumps(answer))
    done = run_tarn('policy', 'import', catalog, tmp_path / 'a.json')
    assert done.returncode == 1 and done.stdout == ''
    assert 'a.json: no answer of' in done.stderr


def test_unity_catalog_tells_a_list_of_nothing_as_an_empty_object(tmp_path):
    grants, _, _ = unity_catalog(tmp_path, [unity_table('orders')],
                                 more=[READERS, ('main.sales.orders', {}), ('', {})])
    assert len(grants) == 1


def test_what_is_left_out_names_the_table_and_the_expression(tmp_path):
    _, text, _ = lake_formation(
        tmp_path, [permission(cells('t', 'f'))],
        [cells_filter('t', 'f', {'FilterExpression': 'upper(a) = 1'}, ColumnWildcard={})])
    assert 'on silver.t: its row filter cannot be expressed: upper(a) = 1' in text
    orders = unity_table('orders', [{'name': 'n', 'type_name': 'STRING',
                                     'mask': {'function_name': 'main.f.m'}}],
                         row_filter={'function_name': 'main.f.f', 'input_column_names': ['land']})
    _, text, _ = unity_catalog(tmp_path, [orders], [function('f', "lower(r) = 'eu'", 'r')],
                               more=[READERS])
    assert "main.sales.orders: its row filter cannot be expressed: main.f.f: lower(r) = 'eu'" in text
    del orders['row_filter']
    _, text, _ = unity_catalog(tmp_path, [orders], [function('m', 'reverse(v)', 'v')],
                               more=[READERS])
    assert 'of n cannot be expressed: it is hidden: reverse(v)' in text


def test_what_is_no_answer_is_refused(tmp_path):
    (tmp_path / 'a.json').write_text('{"tables": [')
    assert run_tarn('policy', 'import', 'unity-catalog', tmp_path / 'a.json').returncode == 1
    assert run_tarn('policy', 'import', 'ranger', tmp_path / 'a.json').returncode == 2
