# SPDX-License-Identifier: Apache-2.0
"""A layer as of one moment: `silver@TIME/`, each table by its own commit clock."""
import datetime
import os
import time

import pytest
from deltalake import write_deltalake

from support import lakes
from support.mounts import run_tarn

FIRST, DAY = lakes.FIRST, lakes.DAY


def ref(when):
    return when.strftime('%Y-%m-%dT%H%M%S') + '.%03dZ' % (when.microsecond // 1000)


@pytest.fixture(scope='module')
def m(module_mount, lake):
    return module_mount(lake.root)


def tables(lake, layer):
    return [t for t in lake.tables if t.startswith(layer + '/')]


@pytest.mark.parametrize('days', [0, 1, 2, 3.5, 7, 11])
@pytest.mark.parametrize('layer', ['silver', 'gold'])
def test_each_table_is_as_it_was(m, lake, layer, days):
    when = FIRST + days * DAY
    for table in tables(lake, layer):
        there = m / ('%s@%s/%s' % (layer, ref(when), table[len(layer) + 1:]))
        want = [v for v in lake.versions(table) if v.time <= when]
        if not want:
            with pytest.raises(FileNotFoundError):
                os.listdir(there)
            continue
        found = lakes.tree(there)
        assert set(found) == set(want[-1].files), table
        assert found == lakes.tree(m / ('%s@%d' % (table, want[-1].number)))


def test_spellings_and_files_are_the_same(m, lake):
    day = FIRST + 4 * DAY
    want = lakes.tree(m / ('silver@%s/orders' % ref(day)))
    for text in (day.strftime('%Y-%m-%dT%H:%M:%S.123Z'), 'timestamp=' + ref(day),
                 day.strftime('%Y%m%d%H%M%S123')):
        assert lakes.tree(m / ('silver@%s/orders' % text)) == want
    name = sorted(want)[0]
    here, own = m / ('silver@%s/orders' % ref(day)) / name, m / 'silver/orders@4' / name
    assert os.stat(here).st_ino == os.stat(own).st_ino


def test_what_the_directory_lists(m, lake):
    """The tables of now, and not itself."""
    at = 'silver@' + ref(FIRST + 5 * DAY)
    assert sorted(os.listdir(m / at)) == sorted(os.listdir(m / 'silver'))
    assert at not in os.listdir(m)
    assert os.path.isdir(m / at / 'orders') and os.path.isdir(m / at / 'eu/fr')
    inner = 'silver/eu@' + ref(FIRST + 5 * DAY)
    assert lakes.tree(m / inner / 'fr/clients') == lakes.tree(m / at / 'eu/fr/clients')


def test_a_table_that_was_not_there_is_listed_and_empty_of_everything(m):
    at = m / 'silver@2020-01-01'
    assert 'orders' in os.listdir(at)
    assert os.path.isdir(at / 'orders')
    with pytest.raises(FileNotFoundError):
        os.listdir(at / 'orders')
    with pytest.raises(FileNotFoundError):
        os.stat(at / 'orders/.tarn')


@pytest.mark.parametrize('text', ['12', 'v3', 'main', '', '2099-01-01', '2024-03-05..2024-03-06',
                                  'nonsense'])
def test_only_past_times(m, text):
    with pytest.raises(FileNotFoundError):
        os.stat(m / ('silver@' + text))


def test_no_refs_inside(m):
    at = m / ('silver@' + ref(FIRST + 5 * DAY))
    for name in ('orders@3', 'orders@', 'orders/@3', 'eu@2024-03-05'):
        with pytest.raises(FileNotFoundError):
            os.stat(at / name)


def test_documents_and_attributes(m, lake):
    at = m / ('silver@' + ref(FIRST + 5 * DAY))
    assert (at / 'orders/.tarn/version').read_text() == '5\n'
    assert os.getxattr(at / 'orders', 'user.tarn.version') == b'5'
    assert os.getxattr(at / 'orders', 'user.tarn.path').decode() == 'silver/orders@5'
    done = run_tarn('versions', '--json', at / 'orders')
    assert done.returncode == 0 and done.stdout.count('"version":') == 6


def test_plain_objects_have_no_past(own_lake, mount):
    (own_lake / 'silver' / 'README').write_text('notes')
    m = mount(own_lake.root)
    at = m / ('silver@' + ref(FIRST + 5 * DAY))
    assert 'README' in os.listdir(m / 'silver') and 'README' not in os.listdir(at)
    with pytest.raises(FileNotFoundError):
        os.stat(at / 'README')


def test_a_name_with_an_at_wins(own_lake, mount):
    (own_lake / 'silver@2024-03-05').mkdir()
    (own_lake / 'silver@2024-03-05' / 'real').write_text('x')
    m = mount(own_lake.root)
    assert os.listdir(m / 'silver@2024-03-05') == ['real']


def test_past_moments_stay_and_later_ones_follow(own_lake, mount):
    m = mount(own_lake.root, refresh='0.2')
    past, now = ref(FIRST + 5 * DAY), ref(datetime.datetime.now(datetime.timezone.utc))
    before = lakes.tree(m / ('silver@%s/orders' % past))
    last = lakes.tree(m / ('silver@%s/orders' % now))
    assert last == lakes.tree(m / 'silver/orders')
    time.sleep(0.1)
    write_deltalake(own_lake / 'silver/orders', lakes.rows(10_000, 3), mode='append')
    time.sleep(0.5)
    assert lakes.tree(m / 'silver/orders') != last
    assert lakes.tree(m / ('silver@%s/orders' % past)) == before
    assert lakes.tree(m / ('silver@%s/orders' % now)) == last


def test_as_of_bounds_it(lake, mount):
    m = mount(lake.root, as_of=(FIRST + 6 * DAY).strftime('%Y-%m-%dT%H:%M:%SZ'))
    assert os.path.isdir(m / ('silver@' + ref(FIRST + 5 * DAY)) / 'orders')
    with pytest.raises(FileNotFoundError):
        os.stat(m / ('silver@' + ref(FIRST + 7 * DAY)))


def test_a_refused_table_says_why(own_lake, mount):
    from support import bad_logs
    bad = own_lake / 'silver' / 'broken'
    bad_logs.base(bad)
    bad_logs.write(bad, bad_logs.LAST, bad_logs.line(bad_logs.protocol(minReaderVersion=99)))
    m = mount(own_lake.root)
    at = 'silver@' + ref(datetime.datetime.now(datetime.timezone.utc)) + '/broken'
    assert os.path.isdir(m / at)
    with pytest.raises(OSError):
        os.listdir(m / at)
    assert '99' in m.xattr(at, 'error')
