# SPDX-License-Identifier: Apache-2.0
"""The user interface: paths. Every spelling of a ref, and what must not be found."""
import datetime
import errno
import json
import os
import stat
import time

import pytest

from support import lakes

TABLE = 'silver/orders'
FIRST, DAY = lakes.FIRST, lakes.DAY


@pytest.fixture(scope='module')
def m(module_mount, lake):
    return module_mount(lake.root)


def shown(path):
    """The version that a directory of a table shows."""
    return os.getxattr(path, 'user.tarn.version').decode()


def rfc3339(when, zone='Z'):
    return when.strftime('%Y-%m-%dT%H:%M:%S') + '.%03d' % (when.microsecond // 1000) + zone


def compact(when):
    return when.strftime('%Y-%m-%dT%H%M%S') + '.%03dZ' % (when.microsecond // 1000)


def digits17(when):
    return when.strftime('%Y%m%d%H%M%S') + '%03d' % (when.microsecond // 1000)


AT3 = FIRST + 3 * DAY
MS = datetime.timedelta(milliseconds=1)
HOURS2 = datetime.timedelta(hours=2)

SPELLINGS = {
    'digits': '3', 'v': 'v3', 'version': 'version=3', 'leading-zeros': '0003',
    'time': rfc3339(AT3), 'time-compact': compact(AT3), 'time-no-zone': rfc3339(AT3, ''),
    'time-east': rfc3339(AT3 + HOURS2, '+02:00'), 'time-west': rfc3339(AT3 - HOURS2, '-02:00'),
    'seconds': (AT3 + DAY / 2).strftime('%Y-%m-%dT%H:%M:%SZ'),
    'seconds-compact': (AT3 + DAY / 2).strftime('%Y-%m-%dT%H%M%SZ'),
    'day': (AT3 + DAY).strftime('%Y-%m-%d'),
    'timestamp': 'timestamp=' + rfc3339(AT3),
    'timestamp-day': 'timestamp=' + (AT3 + DAY).strftime('%Y-%m-%d'),
    'delta-digits': digits17(AT3), 'just-before-the-next': rfc3339(AT3 + DAY - MS),
}


@pytest.mark.parametrize('spelling', SPELLINGS)
def test_spellings_of_version_3(m, lake, spelling):
    """Each spelling of a ref to version 3 shows the files of version 3, beside and in the table."""
    ref = SPELLINGS[spelling]
    beside, inside = m / ('%s@%s' % (TABLE, ref)), m / ('%s/@%s' % (TABLE, ref))
    assert shown(beside) == '3' and shown(inside) == '3'
    assert lakes.tree(beside) == lakes.tree(inside) == lake.versions(TABLE)[3].files


def test_each_millisecond_boundary(m, lake):
    """A version begins at the very millisecond of its commit, and ends one before the next."""
    for v in lake.versions(TABLE)[1:]:
        assert shown(m / ('%s@%s' % (TABLE, compact(v.time)))) == str(v.number)
        assert shown(m / ('%s@%s' % (TABLE, compact(v.time - MS)))) == str(v.number - 1)


def test_after_the_last_commit(m, lake):
    """A time between the last commit and now is the last version."""
    last = lake.versions(TABLE)[-1]
    assert shown(m / ('%s@%s' % (TABLE, rfc3339(last.time + 20 * DAY)))) == str(last.number)


MALFORMED = ['99', 'v', 'v-1', '-1', '+3', ' 3', '3 ', '3x', '0x3', '1e1', 'version=',
             'version=x', 'version=3x',
             'timestamp=3', 'timestamp=', '2024-03', '2024-3-01', '2024-02-30', '2024-13-01',
             '2024-03-04T', '2024-03-04T25:00:00Z', '2024-03-04T09:30:00X', '2024-03-04T09:61:00Z',
             'nosuchtag', 'tag=nosuchtag', 'branch=nosuchbranch', '99999999999999999999999',
             '9223372036854775808', '20240399093000123', '3@3', '@3', '%33', 'V3',
             '2999-01-01', 'timestamp=2999-01-01T00:00:00Z', 'x' * 200]


@pytest.mark.parametrize('ref', MALFORMED)
def test_malformed_and_unknown_refs(m, ref):
    """A ref that is malformed, unknown, or later than now is ENOENT and nothing else."""
    for path in ('%s@%s' % (TABLE, ref), '%s/@%s' % (TABLE, ref)):
        with pytest.raises(OSError) as caught:
            os.stat(m / path)
        assert caught.value.errno == errno.ENOENT, path


def test_before_the_first_commit(m):
    """A time before the first commit is ENOENT."""
    for ref in (rfc3339(FIRST - MS), '2024-03-01', '1970-01-01'):
        assert not os.path.exists(m / ('%s@%s' % (TABLE, ref)))
    assert shown(m / ('%s@%s' % (TABLE, '2024-03-02'))) == '0'


def test_refs_only_of_tables(m):
    """Neither a file nor a directory inside of a table has refs."""
    some = next((m / TABLE).glob('date=*'))
    assert not os.path.exists(str(some) + '@3')
    some = next(some.iterdir())
    assert not os.path.exists(str(some) + '@3')


def test_list_of_versions(m, lake):
    """`orders@/` lists every version as a symbolic link that leads to it."""
    versions = m / (TABLE + '@')
    numbers = [str(v.number) for v in lake.versions(TABLE)]
    assert sorted(os.listdir(versions), key=int) == numbers
    for n in numbers:
        assert os.readlink(versions / n) == '../orders@' + n
        assert lakes.tree(os.path.realpath(versions / n)) == lake.versions(TABLE)[int(n)].files
        assert shown(versions / n) == n


def test_refs_are_not_listed(m):
    """No name with `@`, and no .tarn, is listed anywhere, before and after it was looked up."""
    assert shown(m / (TABLE + '@3')) == '3' and os.path.isdir(m / TABLE / '.tarn')
    for where, below, files in os.walk(m):
        assert not [n for n in below + files if '@' in n or n == '.tarn'], where


def test_tarn_directory(m, lake):
    """.tarn says version, history, schema and files of what its table shows."""
    for ref, number in (('', len(lake.versions(TABLE)) - 1), ('@3', 3)):
        there = m / (TABLE + ref) / '.tarn'
        version = lake.versions(TABLE)[number]
        assert (there / 'version').read_text().strip() == str(number)
        history = json.loads((there / 'history.json').read_text())
        assert [h['version'] for h in history][:number + 1] == list(range(number + 1))
        fields = json.loads((there / 'schema.json').read_text())['schema']['fields']
        assert [f['name'] for f in fields] == ['id', 'amount', 'country', 'date']
        lines = [json.loads(x) for x in (there / 'files.jsonl').read_text().splitlines()]
        assert {x['path']: x['size'] for x in lines} == version.files


def test_tarn_files_have_their_size(m):
    """stat of a file in .tarn says how many bytes a read gives."""
    for name in ('version', 'history.json', 'schema.json', 'files.jsonl'):
        path = m / (TABLE + '@3') / '.tarn' / name
        assert os.stat(path).st_size == len(path.read_bytes()) > 0


def test_xattrs_of_a_table(m):
    """A pinned directory and the live one say version, time, pinned path, table and format."""
    x = {n: os.getxattr(m / (TABLE + '@3'), 'user.tarn.' + n).decode()
         for n in ('version', 'timestamp', 'path', 'table', 'format')}
    assert x['version'] == '3' and x['format'] == 'delta'
    assert x['timestamp'].startswith('2024-03-04T09:30:00.123')
    assert x['path'].lstrip('/') == TABLE + '@3' and x['table'].lstrip('/') == TABLE
    live = os.getxattr(m / TABLE, 'user.tarn.path').decode().lstrip('/')
    assert lakes.tree(m / live) == lakes.tree(m / TABLE) and '@' in live


def test_xattrs_of_a_file(m, lake):
    """A file names the version that added it, and a pinned path at which it is."""
    first = set(lake.versions(TABLE)[0].files)
    for name in lake.versions(TABLE)[3].files:
        path = m / (TABLE + '@3') / name
        added = os.getxattr(path, 'user.tarn.version').decode()
        assert (added == '0') == (name in first) and 0 <= int(added) <= 3
        pinned = m / os.getxattr(path, 'user.tarn.path').decode().lstrip('/')
        assert pinned.read_bytes() == path.read_bytes()
        assert os.getxattr(path, 'user.tarn.transform') == b'none'
        assert os.getxattr(path, 'user.tarn.tier') == b'local'


def test_modes_and_links(m):
    """Directories are 0555, files 0444 with one link, owned by whom the mount says."""
    for where, below, files in os.walk(m):
        st = os.stat(where)
        assert stat.S_IMODE(st.st_mode) == 0o555, where
        for name in files:
            st = os.lstat(os.path.join(where, name))
            assert stat.S_ISREG(st.st_mode) and stat.S_IMODE(st.st_mode) == 0o444, name
            assert st.st_nlink == 1 and st.st_uid == os.getuid()


def test_mtime_is_the_logs(m, lake):
    """A file's modification time is the one that the log gives it, not the disk's."""
    log = (lake / TABLE / '_delta_log' / ('%020d.json' % 0)).read_text().splitlines()
    adds = [json.loads(x)['add'] for x in log if '"add"' in x]
    assert adds
    for add in adds:
        st = os.stat(m / (TABLE + '@0') / add['path'])
        assert st.st_mtime_ns // 10 ** 6 == add['modificationTime']


def test_inode_numbers(m, lake, mount):
    """A file has one inode number in every version and in every mount; other files have others."""
    other = mount(lake.root)
    by_name = {}
    for v in lake.versions(TABLE):
        for name in v.files:
            for root in (m, other):
                number = os.stat(root / ('%s@%d' % (TABLE, v.number)) / name).st_ino
                by_name.setdefault(name, set()).add(number)
    assert all(len(numbers) == 1 for numbers in by_name.values())
    assert len(set.union(*by_name.values())) == len(by_name)


def test_deep_table_and_its_versions(m, lake):
    """A table three directories down is found by itself, with its versions beside it."""
    deep = 'silver/eu/fr/clients'
    assert sorted(os.listdir(m / 'silver')) == ['eu', 'orders']
    assert lakes.tree(m / deep) == lake.versions(deep)[1].files
    assert lakes.tree(m / (deep + '@0')) == lake.versions(deep)[0].files


def test_files_layer(m, lake):
    """A layer entry without a table format is a table `files` with its bytes as they are."""
    assert os.getxattr(m / 'bronze/images', 'user.tarn.format') == b'files'
    for path in sorted((lake / 'bronze').rglob('*')):
        if path.is_file():
            there = m / path.relative_to(lake.root)
            assert there.read_bytes() == path.read_bytes()
            assert os.stat(there).st_mtime_ns == path.stat().st_mtime_ns // 10 ** 6 * 10 ** 6


def test_reads_at_any_offset(m, lake):
    """pread at odd offsets and lengths gives the bytes of the source, and none behind the end."""
    name = 'bronze/images/image-6.bin'
    data = (lake / name).read_bytes()
    fd = os.open(m / name, os.O_RDONLY)
    try:
        for offset in (0, 1, 4095, (1 << 20) - 1, (1 << 20), len(data) - 1, len(data), len(data) + 9):
            for length in (1, 4096, (1 << 20) + 3):
                assert os.pread(fd, length, offset) == data[offset:offset + length]
    finally:
        os.close(fd)


def test_as_of(mount, lake):
    """With --as-of bare paths show that moment, and later refs are ENOENT."""
    m = mount(lake.root, as_of=rfc3339(AT3 + HOURS2))
    assert lakes.tree(m / TABLE) == lake.versions(TABLE)[3].files
    assert shown(m / TABLE) == '3' and shown(m / (TABLE + '@2')) == '2'
    for ref in ('4', rfc3339(AT3 + DAY), '2024-03-05'):
        with pytest.raises(OSError) as caught:
            os.stat(m / ('%s@%s' % (TABLE, ref)))
        assert caught.value.errno == errno.ENOENT, ref
    assert sorted(os.listdir(m / (TABLE + '@'))) == ['0', '1', '2', '3']


def test_real_name_with_at_wins(mount, own_lake):
    """An entry whose real name has an `@` is itself, not a ref; its neighbours keep their refs."""
    real = own_lake / 'silver' / 'orders@3'
    real.mkdir()
    (real / 'really.txt').write_text('here')
    (own_lake / 'bronze' / 'images' / 'image-1.bin@2').write_text('a file')
    m = mount(own_lake.root)
    assert (m / 'silver/orders@3/really.txt').read_text() == 'here'
    assert 'orders@3' in os.listdir(m / 'silver')
    assert shown(m / 'silver/orders@2') == '2' and shown(m / 'silver/orders@v3') == '3'
    assert (m / 'bronze/images/image-1.bin@2').read_text() == 'a file'


def test_table_as_source(mount, lake):
    """A table that is mounted itself has its files at the top, and versions as /@N."""
    m = mount(lake / TABLE)
    assert lakes.tree(m) == lake.versions(TABLE)[-1].files
    for v in lake.versions(TABLE):
        assert lakes.tree(m / ('@%d' % v.number)) == v.files
    assert (m / '.tarn' / 'version').read_text().strip() == '11'
    assert not [n for n in os.listdir(m) if n.startswith(('@', '.', '_'))]


def test_prefix_without_tables(mount, tmp_path):
    """A source in which there is no table is a plain tree of its files."""
    root = tmp_path / 'plain'
    for name in ('a/b/c/deep.txt', 'a/x.txt', 'top.txt', 'a/_under', 'a/.dot', 'a/b/sp ace é'):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    m = mount(root)
    assert sorted(lakes.tree(m)) == sorted(lakes.tree(root))
    for name in lakes.tree(root):
        assert (m / name).read_text() == name
    assert not os.path.exists(m / 'a/x.txt@1')


def test_file_url(mount, lake):
    """A file:// URL is the directory that it names."""
    m = mount('file://%s' % lake.root)
    assert lakes.tree(m / TABLE) == lake.versions(TABLE)[-1].files


def test_negative_names_appear(mount, own_lake):
    """A name that was not there is found once it is, without a new mount."""
    m = mount(own_lake.root, refresh='0.2')
    new = 'bronze/images/late.bin'
    assert not (m / new).exists()
    (own_lake / new).write_text('late')
    deadline = time.monotonic() + 10
    while not (m / new).exists() and time.monotonic() < deadline:
        time.sleep(0.3)
    assert (m / new).read_text() == 'late'
