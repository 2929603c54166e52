# SPDX-License-Identifier: Apache-2.0
"""`tarn tier plan`: what moves follows from what the logs say, object by object, and nothing else moves."""
import csv
import datetime
import io
import json
import os
import time
from pathlib import Path

import pytest
from deltalake import DeltaTable, write_deltalake

from support import lakes, moto as moto_support
from support.histories import History
from support.mounts import run_tarn
from support.need import Needs
from support.places import SLOWNESS

DAY = 86400_000
KIB, GB = 1 << 10, 1e9


@pytest.fixture(scope='module')
def moto(tmp_path_factory):
    """S3 with storage classes."""
    server = moto_support.Server(tmp_path_factory.mktemp('moto'))
    yield server
    server.stop()


def iso(ms):
    return datetime.datetime.fromtimestamp(ms / 1000, datetime.timezone.utc).isoformat()


def write_file(path, layers, rules, **more):
    """A lake file: JSON is YAML."""
    path.write_text(json.dumps(dict(layers=layers, rules=rules, **more)))
    return path


def plan(file, server, *more, at=None, status=0):
    times = ('--at', iso(at)) if at else ()
    done = run_tarn('tier', 'plan', file, '--json', '--files', '--endpoint-url', server.url, *times,
                    *more, env=server.env, timeout=100 * SLOWNESS)
    assert done.returncode == status, done.stderr
    return json.loads(done.stdout) if status == 0 else done.stderr


def moved(told, table=None):
    """{key: (to, rule)}"""
    return {m['key']: (m['to'], m['rule']) for m in told['moves'] if table in (None, m['table'])}


def days(text):
    return int(text.rstrip('d')) * DAY


def expected(need, rule, now):
    """What one rule says: None where it does not take the object, else what `after` counts from."""
    if need.live and not rule.get('live'):
        return None
    if 'partition' in rule:
        value = need.values.get(rule['partition']['column'])
        if value is None:
            return None
        end = datetime.datetime.fromisoformat(value + 'T00:00:00+00:00').timestamp() * 1000 + DAY
        if end + days(rule['partition']['older-than']) > now:
            return None
    wanted = rule.get('need')
    if wanted is None:
        return need.added
    if need.live:
        return None
    if wanted == 'compacted':
        return need.removed if need.moved else None
    since = need.removed + days(wanted.removeprefix('older-than-'))
    return since if since <= now else None


def expected_moves(table, prefix, rules, now):
    """{key: (to, number of the rule)} of one table, by the replay."""
    found = {}
    for name, need in Needs(table).objects.items():
        if need.kind == 'deletes' or not (Path(table) / name).exists():
            continue
        for number, rule in enumerate(rules, 1):
            since = expected(need, rule, now)
            if since is None:
                continue
            due = [m['to'] for m in rule['move'] if since + days(m['after']) <= now]
            if due:
                found[prefix + name] = (due[-1], number)
            break
    return found


def date_commits(table, now, step):
    """Version v of n is so many days old: the last one `step` days, the one before it twice that..."""
    last = DeltaTable(table).version()
    for path in (Path(table) / '_delta_log').iterdir():
        if path.name[:20].isdigit():
            when = (now - (last - int(path.name[:20]) + 1) * step * DAY) / 1000
            os.utime(path, (when, when))


MONEY = {'STANDARD': 3, 'STANDARD_IA': 0, 'GLACIER_IR': 0}       # nothing is too small to be moved

RULES = [
    [{'need': 'compacted', 'move': [{'to': 'GLACIER_IR', 'after': '5d'}]},
     {'need': 'older-than-10d', 'move': [{'to': 'STANDARD_IA', 'after': '1d'},
                                         {'to': 'GLACIER_IR', 'after': '30d'}]}],
    [{'move': [{'to': 'STANDARD_IA', 'after': '10d'}, {'to': 'GLACIER_IR', 'after': '40d'}]}],
    [{'need': 'older-than-20d', 'move': [{'to': 'GLACIER_IR', 'after': '0d'}]},
     {'live': True, 'move': [{'to': 'STANDARD_IA', 'after': '15d'}]}],
]


@pytest.mark.timeout(400)
@pytest.mark.parametrize('rules', RULES, ids=['need', 'age', 'live'])
def test_random_histories(s3, bucket, tmp_path, chance, rules):
    """After whatever was done to tables, exactly the objects move that a replay of their logs says."""
    now, some, wanted = int(time.time()) * 1000, 0, {}
    for i in range(5):
        name = 't%d' % i
        history = History(tmp_path / 'lake' / name, chance.randrange(1 << 32)).run()
        print(history.seed, history.done)
        date_commits(history.path, now, chance.choice([2, 7]))
        wanted.update(expected_moves(history.path, name + '/', rules, now))
    s3.copy_tree(tmp_path / 'lake', bucket)
    file = write_file(tmp_path / 'lake.yaml', {'raw': 's3://' + bucket},
                      [dict(r, tables=['raw/**']) for r in rules], prices=MONEY)
    told = plan(file, s3, at=now)
    assert moved(told) == wanted
    assert sum(s['files'] for s in told['plan']) == len(wanted) == told['total']['files']
    for m in told['moves']:
        assert m['bytes'] == (tmp_path / 'lake' / m['key']).stat().st_size


@pytest.fixture
def orders(s3, bucket, tmp_path):
    """The table orders of lakes.py in a bucket: commits are a day apart, the last is version 11."""
    table = tmp_path / 'tables' / 'orders'
    table.parent.mkdir()
    lakes.make_orders(table)
    s3.copy_tree(table.parent, bucket)
    return table


def last_commit(table):
    return Needs(table).versions[-1][1]


def test_since_and_why(s3, bucket, orders, tmp_path):
    """Each move names its rule's line, why, and since when it is due; totals are sums of the moves."""
    file = tmp_path / 'lake.yaml'
    file.write_text('layers: {silver: "s3://%s"}\nprices: {STANDARD: 3, GLACIER_IR: 0, STANDARD_IA: 0}\n'
                    'rules:\n'
                    '  - {tables: ["silver/orders"], need: compacted, move: [{to: GLACIER_IR, after: 2d}]}\n'
                    '  - {tables: ["silver/*"], need: older-than-1d, move: [{to: STANDARD_IA, after: 1d}]}\n'
                    % bucket)
    now = last_commit(orders) + 2 * DAY
    needs = Needs(orders)
    told = plan(file, s3, at=now)
    assert {m['why'] for m in told['moves']} == {'compacted', 'old-versions'}
    for m in told['moves']:
        need = needs.objects[m['key'].removeprefix('orders/')]
        since = datetime.datetime.fromisoformat(m['since']).timestamp() * 1000
        assert since == pytest.approx(need.removed + 2 * DAY, abs=1000)
        assert m['line'] == (4 if m['why'] == 'compacted' else 5)
        assert m['month_before'] == pytest.approx(m['bytes'] * 3 / GB)
        assert m['from'] == 'STANDARD' and m['table'] == 'silver/orders'
    assert told['total']['month_before'] == pytest.approx(sum(m['month_before'] for m in told['moves']))
    assert told['total']['bytes'] == sum(m['bytes'] for m in told['moves'])
    just_before = plan(file, s3, at=last_commit(orders) + 2 * DAY - 2000)
    assert not [m for m in just_before['moves'] if m['why'] == 'compacted']


def test_the_newest_version_stays(s3, bucket, orders, tmp_path):
    """However old, what the newest version holds moves with `live: true` only; logs never move."""
    rule = {'tables': ['silver/**'], 'move': [{'to': 'GLACIER_IR', 'after': '0d'}]}
    file = write_file(tmp_path / 'lake.yaml', {'silver': 's3://' + bucket}, [rule], prices=MONEY)
    now = last_commit(orders) + 1000 * DAY
    live = {'orders/' + f for f in Needs(orders).held[-1]}
    told = plan(file, s3, at=now)
    assert told['moves'] and not live & set(moved(told))
    assert any('newest version' in n and '%d files' % len(live) in n for n in told['notes'])
    write_file(file, {'silver': 's3://' + bucket}, [dict(rule, live=True)], prices=MONEY)
    told = plan(file, s3, at=now)
    assert live < set(moved(told))
    assert not [k for k in moved(told) if '_delta_log' in k]


def clone_of(table, files, to, url):
    """A shallow clone: a log that names files of another table."""
    actions = [json.loads(line) for line in lakes.log_file(table, 0).read_text().splitlines()]
    adds = [{'add': {'path': '%s/%s' % (url, f), 'size': s, 'modificationTime': 1, 'dataChange': True,
                     'partitionValues': dict(p.split('=') for p in f.split('/')[:-1])}}
            for f, s in files.items()]
    write_commit(to, 0, [a for a in actions if 'protocol' in a or 'metaData' in a] + adds)


def write_commit(table, number, actions):
    (table / '_delta_log').mkdir(parents=True, exist_ok=True)
    lakes.log_file(table, number).write_text(''.join(json.dumps(a) + '\n' for a in actions))


@pytest.mark.parametrize('spelling', ['s3://', 's3a://'])
@pytest.mark.parametrize('where', ['same layer', 'another layer'])
def test_what_a_shallow_clone_needs_stays(s3, bucket, orders, tmp_path, where, spelling):
    """Files of old versions that another table of the lake holds do not move, until that drops them."""
    needs = Needs(orders)
    shared = {n: o.size for n, o in needs.objects.items() if not o.live}
    clone = tmp_path / 'more' / 'clone'
    clone_of(orders, shared, clone, '%s%s/orders' % (spelling, bucket))
    layers = {'silver': 's3://' + bucket}
    if where == 'same layer':
        s3.copy_tree(tmp_path / 'more', bucket)
    else:
        other = s3.make_bucket(bucket + '-2')
        s3.copy_tree(tmp_path / 'more', other)
        layers['gold'] = 's3://' + other
    rule = {'tables': ['**'], 'need': 'older-than-1d', 'move': [{'to': 'GLACIER_IR', 'after': '1d'}]}
    file = write_file(tmp_path / 'lake.yaml', layers, [rule], prices=MONEY)
    now = int(time.time() * 1000) + 100 * DAY
    assert moved(plan(file, s3, at=now)) == {}
    assert moved(plan(file, s3, 'silver/orders', at=now)) == {}, 'whichever tables are asked for'

    gone = sorted(shared)[:2]
    write_commit(clone, 1, [{'remove': {'path': '%s%s/orders/%s' % (spelling, bucket, f),
                                        'dataChange': True, 'deletionTimestamp': 1}} for f in gone])
    s3.copy_tree(tmp_path / 'more', bucket if where == 'same layer' else other)
    told = plan(file, s3, at=now)
    assert set(moved(told)) == {'orders/' + f for f in gone}
    assert {m['table'] for m in told['moves']} == {'silver/orders'}, 'by the rules of its own table'
    early = plan(file, s3, at=int(time.time() * 1000) + DAY)
    assert moved(early) == {}, 'needed until the clone dropped it'


def test_nobody_moves_what_it_does_not_own(s3, bucket, orders, tmp_path):
    """A clone's rules move none of the other table's files, whatever they say."""
    shared = {n: o.size for n, o in Needs(orders).objects.items() if not o.live}
    clone_of(orders, shared, tmp_path / 'more' / 'clone', 's3://%s/orders' % bucket)
    s3.copy_tree(tmp_path / 'more', bucket)
    rule = {'tables': ['silver/clone'], 'live': True, 'move': [{'to': 'GLACIER_IR', 'after': '0d'}]}
    file = write_file(tmp_path / 'lake.yaml', {'silver': 's3://' + bucket}, [rule], prices=MONEY)
    assert moved(plan(file, s3, at=int(time.time() * 1000) + 1000 * DAY)) == {}


def test_a_table_that_cannot_be_read_moves_nothing(s3, bucket, orders, tmp_path):
    """An unknown feature of a reader: nothing of the table moves, and the reason is told."""
    rule = {'tables': ['**'], 'live': True, 'move': [{'to': 'GLACIER_IR', 'after': '0d'}]}
    file = write_file(tmp_path / 'lake.yaml', {'silver': 's3://' + bucket}, [rule], prices=MONEY)
    write_commit(orders, 12, [{'protocol': {'minReaderVersion': 3, 'minWriterVersion': 7,
                                            'readerFeatures': ['fromTomorrow'],
                                            'writerFeatures': ['fromTomorrow']}}])
    s3.copy_tree(orders.parent, bucket)
    told = plan(file, s3, at=int(time.time() * 1000) + 1000 * DAY)
    assert told['moves'] == [] and any('fromTomorrow' in n for n in told['notes'])


def test_a_log_that_cannot_be_asked_for_is_an_error(s3, bucket, orders, tmp_path):
    """A damaged log ends the plan with the table's name: what it needs of others is not known."""
    rule = {'tables': ['**'], 'move': [{'to': 'GLACIER_IR', 'after': '0d'}]}
    file = write_file(tmp_path / 'lake.yaml', {'silver': 's3://' + bucket}, [rule], prices=MONEY)
    lakes.log_file(orders, 11).write_text('{"add": {"pa')
    s3.copy_tree(orders.parent, bucket)
    assert 'silver/orders' in plan(file, s3, status=1)


def test_partitions(s3, bucket, orders, tmp_path):
    """Only files whose partition's day ended so long ago."""
    rule = {'tables': ['silver/orders'], 'partition': {'column': 'date', 'older-than': '30d'}, 'live': True,
            'move': [{'to': 'GLACIER_IR', 'after': '0d'}]}
    file = write_file(tmp_path / 'lake.yaml', {'silver': 's3://' + bucket}, [rule], prices=MONEY)
    end = datetime.datetime(2024, 2, 3, tzinfo=datetime.timezone.utc).timestamp() * 1000
    for now in (end + 30 * DAY - 1000, end + 30 * DAY):
        at = max(int(now), last_commit(orders) - 8 * DAY)
        wanted = expected_moves(orders, 'orders/', [rule], at)
        assert moved(plan(file, s3, at=at)) == wanted
    dates = {k.split('date=')[1][:10] for k in wanted}
    assert dates == {'2024-02-01', '2024-02-02'}


def test_raw_files(moto, bucket, tmp_path):
    """Files without a table format are their newest version: they move with `live: true`, by age."""
    moto.make_bucket(bucket)
    moto.put(bucket, 'events/date=2026-01-02/a.json', b'x' * 300 * KIB)
    moto.put(bucket, 'events/date=2026-03-02/b.json', b'x' * 300 * KIB)
    rule = {'tables': ['bronze/**'], 'move': [{'to': 'STANDARD_IA', 'after': '30d'}]}
    file = write_file(tmp_path / 'lake.yaml', {'bronze': 's3://' + bucket}, [rule])
    now = int(time.time() * 1000)
    told = plan(file, moto, at=now + 31 * DAY)
    assert told['moves'] == [] and any('2 files' in n and 'live: true' in n for n in told['notes'])
    write_file(file, {'bronze': 's3://' + bucket}, [dict(rule, live=True)])
    assert plan(file, moto, at=now + 29 * DAY)['moves'] == []
    assert len(plan(file, moto, at=now + 31 * DAY)['moves']) == 2
    write_file(file, {'bronze': 's3://' + bucket},
               [dict(rule, live=True, move=[{'to': 'GLACIER', 'after': '1d'}])])
    told = plan(file, moto, at=now + 31 * DAY)
    assert len(told['moves']) == 2 and any('tarn recall' in n for n in told['notes'])
    old = dict(rule, live=True, partition={'column': 'date', 'older-than': '1d'})
    write_file(file, {'bronze': 's3://' + bucket}, [old])
    at = datetime.datetime(2027, 2, 1, tzinfo=datetime.timezone.utc).timestamp() * 1000
    assert len(plan(file, moto, at=int(at))['moves']) == 2


def test_classes_as_they_are(moto, bucket, tmp_path):
    """What is in its class already, or in a colder one, stays; a plan made again leaves out what is done."""
    moto.make_bucket(bucket)
    classes = ['STANDARD', 'STANDARD_IA', 'ONEZONE_IA', 'GLACIER_IR', 'GLACIER', 'DEEP_ARCHIVE',
               'INTELLIGENT_TIERING']
    for name in classes:
        moto.put(bucket, 'raw/' + name, b'x' * 200 * KIB, name)
    file = tmp_path / 'lake.yaml'
    now = int(time.time() * 1000) + 100 * DAY
    colder = {'STANDARD_IA': {'STANDARD', 'INTELLIGENT_TIERING'},
              'GLACIER_IR': {'STANDARD', 'INTELLIGENT_TIERING', 'STANDARD_IA', 'ONEZONE_IA'},
              'DEEP_ARCHIVE': set(classes) - {'DEEP_ARCHIVE'}}
    for to, takes in colder.items():
        write_file(file, {'b': 's3://' + bucket},
                   [{'tables': ['b/raw'], 'live': True, 'move': [{'to': to, 'after': '1d'}]}])
        told = plan(file, moto, at=now)
        assert {k.removeprefix('raw/') for k in moved(told)} == takes, to
        assert all(m['from'] == m['key'].removeprefix('raw/') for m in told['moves'])


def test_what_would_cost_more_stays(moto, bucket, tmp_path):
    """Small files, which a class bills as larger ones, stay, and the plan says how many."""
    moto.make_bucket(bucket)
    for i, size in enumerate([1, 10 * KIB, 60 * KIB, 80 * KIB, 128 * KIB]):
        moto.put(bucket, 'raw/%d' % i, b'x' * size)
    rule = {'tables': ['b/raw'], 'live': True, 'move': [{'to': 'STANDARD_IA', 'after': '1d'}]}
    file = write_file(tmp_path / 'lake.yaml', {'b': 's3://' + bucket}, [rule])
    now = int(time.time() * 1000) + 100 * DAY
    told = plan(file, moto, at=now)
    assert set(moved(told)) == {'raw/3', 'raw/4'}           # 128 KiB in IA cost 69.6 KiB in STANDARD
    row, = told['plan']
    assert (row['dear_files'], row['dear_bytes']) == (3, 1 + 70 * KIB)
    assert row['month_before'] == pytest.approx(208 * KIB * 0.023 / GB)
    assert row['month_after'] == pytest.approx(2 * 128 * KIB * 0.0125 / GB)
    text = run_tarn('tier', 'plan', file, '--endpoint-url', moto.url, '--at', iso(now), env=moto.env)
    assert text.returncode == 0 and '3 files (70.0 KiB) stay' in text.stdout, text.stdout
    assert 'reading all of it once costs' in text.stdout


def test_leaving_a_class_too_early_is_told(moto, bucket, tmp_path):
    """What leaves STANDARD_IA within its 30 days is billed for the rest of them."""
    moto.make_bucket(bucket)
    moto.put(bucket, 'raw/a', b'x' * 1000 * KIB, 'STANDARD_IA')
    rule = {'tables': ['b/raw'], 'live': True, 'move': [{'to': 'GLACIER', 'after': '1d'}]}
    file = write_file(tmp_path / 'lake.yaml', {'b': 's3://' + bucket}, [rule])
    now = int(time.time() * 1000)
    early, = plan(file, moto, at=now + 10 * DAY + 3600_000)['plan']
    assert early['early_files'] == 1
    assert early['once'] == pytest.approx(1000 * KIB * 0.0125 / GB * 20 / 30 + 0.00003, rel=1e-3)
    late, = plan(file, moto, at=now + 31 * DAY)['plan']
    assert late['early_files'] == 0 and late['once'] == pytest.approx(0.00003)


def test_vacuum_may_be_sooner(s3, bucket, orders, tmp_path):
    """Files that VACUUM may take before the class's minimum duration are counted."""
    rule = {'tables': ['silver/orders'], 'need': 'older-than-0d', 'move': [{'to': 'GLACIER_IR', 'after': '0d'}]}
    file = write_file(tmp_path / 'lake.yaml', {'silver': 's3://' + bucket}, [rule], prices=MONEY)
    row, = plan(file, s3, at=last_commit(orders))['plan']
    assert row['files'] == row['passing_files'] > 0


def test_unknown_classes_and_local_layers(s3, bucket, orders, tmp_path):
    """A class that nobody knows is told and nothing moves there; directories have no classes."""
    rule = {'tables': ['**'], 'move': [{'to': 'FROZEN', 'after': '0d'}]}
    layers = {'silver': 's3://' + bucket, 'near': 'file://%s' % orders.parent}
    file = write_file(tmp_path / 'lake.yaml', layers, [rule])
    told = plan(file, s3, at=last_commit(orders) + DAY)
    assert told['moves'] == [] and any('FROZEN' in n for n in told['notes'])
    write_file(file, layers, [rule], prices={'FROZEN': 0.001})
    told = plan(file, s3, at=last_commit(orders) + DAY)
    assert told['moves'] and {m['table'] for m in told['moves']} == {'silver/orders'}


def test_text_and_csv(s3, bucket, orders, tmp_path):
    """For people a table with a total; CSV has the rows of JSON."""
    rule = {'tables': ['silver/*'], 'need': 'older-than-1d', 'move': [{'to': 'GLACIER_IR', 'after': '1d'}]}
    file = write_file(tmp_path / 'lake.yaml', {'silver': 's3://' + bucket}, [rule], prices=MONEY)
    words = ('tier', 'plan', file, '--endpoint-url', s3.url, '--at', iso(last_commit(orders) + 10 * DAY))
    told = plan(file, s3, at=last_commit(orders) + 10 * DAY)
    text = run_tarn(*words, env=s3.env).stdout
    assert 'silver/orders' in text and 'GLACIER_IR' in text and 'total' in text
    rows = list(csv.DictReader(io.StringIO(run_tarn(*words, '--csv', env=s3.env).stdout)))
    assert [int(r['files']) for r in rows] == [p['files'] for p in told['plan']]
    files = list(csv.DictReader(io.StringIO(run_tarn(*words, '--csv', '--files', env=s3.env).stdout)))
    assert {f['key'] for f in files} == set(moved(told))
    listed = run_tarn(*words, '--files', env=s3.env).stdout
    assert all(k in listed for k in moved(told))


@pytest.mark.parametrize('words, status, says', [
    (['tier'], 2, 'usage'), (['tier', 'nonsense'], 2, 'nonsense'), (['tier', 'plan'], 2, 'lake'),
    (['tier', 'plan', '/tmp'], 2, 'lake file'), (['tier', 'plan', 'x.yaml', '--at', 'soon'], 2, 'soon'),
    (['tier', 'plan', 'x.yaml', '--no-such'], 2, 'no-such'), (['tier', 'plan', 'x.yaml'], 1, 'x.yaml'),
    (['tier', 'report', '/nowhere/at/all'], 1, 'nowhere')], ids=lambda w: ' '.join(w) if isinstance(w, list) else '')
def test_wrong_use(tmp_path, words, status, says):
    """Wrong use ends with 2, what cannot be read with 1; the reason is on stderr."""
    done = run_tarn(*words, cwd=tmp_path)
    assert done.returncode == status and says in done.stderr and not done.stdout
