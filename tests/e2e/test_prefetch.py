# SPDX-License-Identifier: Apache-2.0
"""What will be read soon is fetched ahead: windows, columns, the next small files, lists."""
import errno
import os
import random
import subprocess
import sys
import time

import pytest

from support.mounts import clean_env, run_tarn, wait_for
from support.people import as_user
from support.places import PATIENCE_S, SLOWNESS, TARN

MIB, GRANULE = 1 << 20, 64 << 10
DELAY_S = 0.1
SMALL, SMALL_BYTES, FILES = 'bronze/small', 50_000, 1200
at_rest = pytest.mark.alone                     # which request comes first is what is looked at


@pytest.fixture(scope='module')
def source(s3, tmp_path_factory):
    """A bucket with a large file, a wide Parquet file and many small files: (bucket, directory)."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    root, chance = tmp_path_factory.mktemp('ahead'), random.Random(3)
    for name in ('bronze/large', 'bronze/columns', SMALL):
        (root / name).mkdir(parents=True)
    (root / 'bronze/large/a.bin').write_bytes(chance.randbytes(64 * MIB))
    rows = 6 << 17
    table = pa.table({'c%02d' % i: pa.array(memoryview(chance.randbytes(8 * rows)).cast('q'))
                      for i in range(12)})
    pq.write_table(table, root / 'bronze/columns/a.parquet', row_group_size=1 << 17,
                   compression='none', use_dictionary=False)
    for i in range(FILES):
        (root / SMALL / ('%04d.bin' % i)).write_bytes(chance.randbytes(SMALL_BYTES))
    bucket = s3.new_bucket('ahead')
    s3.copy_tree(root, bucket)
    return bucket, root


@pytest.fixture
def m(mount, s3, proxy, source):
    """A mount with nothing cached; its proxy has counted nothing and answers after DELAY_S."""
    made = mount('s3://' + source[0], endpoint_url=proxy.url, env=s3.env)
    for name in ('bronze/large', 'bronze/columns', SMALL):
        os.listdir(made / name)
    proxy.clear()
    proxy.delay = DELAY_S
    return made


def quiet(proxy):
    """Until nothing has been asked for a while."""
    before = -1
    while before != proxy.counts('data') or proxy.flying('data'):
        before = proxy.counts('data')
        time.sleep(0.4)
    return before


def names(proxy):
    """Small files in the order in which they were asked for."""
    return [r.key.rsplit('/', 1)[1] for r in proxy.seen('data', '*/small/*')]


def come_to(proxy, wanted):
    """Until these small files have been asked for, and nothing is any more."""
    wait_for(lambda: wanted <= set(names(proxy)), PATIENCE_S, 'requests for all of them')
    quiet(proxy)


def once(asked):
    """The names, each asked for once, but for a few that were late."""
    assert len(asked) - len(set(asked)) <= len(asked) // 20
    return set(asked)


@at_rest
def test_sequential_reader_has_a_growing_window(m, proxy, source):
    """A cold file that is read from its start is fetched by many requests at once, each byte once."""
    most = 0
    with open(m / 'bronze/large/a.bin', 'rb', 0) as f, \
            open(source[1] / 'bronze/large/a.bin', 'rb') as same:
        while data := f.read(256 << 10):
            assert data == same.read(len(data))
            most = max(most, len(proxy.flying('data')))
    assert 64 * MIB <= proxy.sent('data') <= 1.05 * 64 * MIB    # what was late is asked for twice
    assert most > 3      # trains of several blocks each
    assert proxy.counts('data') < 80


def test_closing_cancels(m, proxy):
    """Who closes a file in the middle of it has no more of it fetched than what was on its way."""
    with open(m / 'bronze/large/a.bin', 'rb', 0) as f:
        for _ in range(4):
            f.read(MIB)
    quiet(proxy)
    assert proxy.sent('data') < 20 * MIB


def test_random_reads_fetch_their_granules(m, proxy):
    """Random reads of 256 KiB: what was asked, rounded out to granules, and nothing else."""
    chance = random.Random(8)
    fd = os.open(m / 'bronze/large/a.bin', os.O_RDONLY)
    proxy.delay = 0
    granules = set()
    for _ in range(60):
        at = chance.randrange(64 * MIB - (256 << 10))
        assert len(os.pread(fd, 256 << 10, at)) == 256 << 10
        granules |= set(range(at // GRANULE, (at + (256 << 10) - 1) // GRANULE + 1))
    os.close(fd)
    quiet(proxy)
    assert proxy.sent('data') <= 1.02 * GRANULE * len(granules)


def waves(proxy):
    """How many requests were one after the other at least."""
    count, end = 0, 0.0
    for r in sorted(proxy.seen('data'), key=lambda r: r.started):
        if r.started >= end:
            count, end = count + 1, r.started + DELAY_S
    return count


def first_byte(r):
    return int(r.range.removeprefix('bytes=').split('-')[0])


def read_with_pyarrow(path, columns):
    import pyarrow.parquet as pq
    return pq.read_table(path, columns=columns).num_rows


def read_with_duckdb(path, columns):
    import duckdb
    what = ', '.join('bit_xor(%s)' % c for c in columns)
    return duckdb.connect().execute("select count(*), %s from read_parquet('%s')"
                                    % (what, path)).fetchone()[0]


@at_rest
@pytest.mark.parametrize('read', [read_with_pyarrow, read_with_duckdb])
def test_columns(m, proxy, source, read):
    """Of a cold Parquet file some columns cost their chunks and the footer, and few round trips."""
    import pyarrow.parquet as pq
    chosen, path = ['c02', 'c07', 'c08'], 'bronze/columns/a.parquet'
    meta = pq.ParquetFile(source[1] / path).metadata
    chunks = sum(meta.row_group(g).column(int(c[1:])).total_compressed_size
                 for g in range(meta.num_row_groups) for c in chosen)
    assert read(m / path, chosen) == 6 << 17
    assert quiet(proxy) < 3 * 6 * len(chosen)
    assert proxy.sent('data') <= 1.10 * (chunks + meta.serialized_size + 8)
    assert waves(proxy) < 8     # footer, first chunk, and what follows it at once
    last = meta.row_group(meta.num_row_groups - 1).column(meta.num_columns - 1)
    begin = last.dictionary_page_offset or last.data_page_offset
    end = begin + last.total_compressed_size - (256 << 10)
    assert not [r for r in proxy.seen('data') if begin <= first_byte(r) < end], 'only the footer was read there'


def small(m, i):
    return str(m / SMALL / ('%04d.bin' % i))


def ahead(proxy, opened):
    """Of how many files {name: when they were opened} the request was made before."""
    return sum(r.started < opened.get(r.key.rsplit('/', 1)[1], 0) for r in proxy.seen('data'))


@at_rest
def test_next_small_files(m, proxy, source):
    """Who opens small files in the order of a listing finds most of them complete."""
    opened = {}
    for i in range(400):
        opened['%04d.bin' % i] = time.monotonic()
        with open(small(m, i), 'rb') as f:
            assert f.read() == (source[1] / SMALL / ('%04d.bin' % i)).read_bytes()
    assert ahead(proxy, opened) > 300
    quiet(proxy)
    assert len(once(names(proxy))) <= 400 + 256


READ = """import sys, time
for p in sys.argv[1:]:
    print(p.rsplit('/')[-1], time.monotonic(), flush=True)
    open(p, 'rb').read()
"""


@at_rest
@pytest.mark.parametrize('share', ['turns', 'blocks'])
def test_next_small_files_of_several_readers(m, proxy, share):
    """The same where workers take turns, or have a part of the listing each."""
    numbers = list(range(800))
    parts = [numbers[i::8] if share == 'turns' else numbers[i * 100:i * 100 + 100]
             for i in range(8)]
    readers = [subprocess.Popen([sys.executable, '-Sc', READ, *(small(m, i) for i in part)],
                                stdout=subprocess.PIPE, text=True) for part in parts]
    said = [r.communicate(timeout=PATIENCE_S)[0].split() for r in readers]
    opened = {words[i]: float(words[i + 1]) for words in said for i in range(0, len(words), 2)}
    assert len(opened) == 800 and ahead(proxy, opened) > 400
    quiet(proxy)
    once(names(proxy))


def test_small_files_at_random_bring_no_others(m, proxy):
    """Opens here and there fetch what is opened."""
    proxy.delay = 0
    chosen = random.Random(2).sample(range(0, FILES, 40), 25)
    for i in chosen:
        with open(small(m, i), 'rb') as f:
            f.read()
    quiet(proxy)
    assert sorted(names(proxy)) == sorted('%04d.bin' % i for i in chosen)


@pytest.fixture
def shuffled():
    numbers = list(range(FILES))
    random.Random(9).shuffle(numbers)
    return numbers


def lines(numbers, before=''):
    return ''.join('%s%04d.bin\n' % (before, i) for i in numbers)


def test_list(m, proxy, source, shuffled):
    """A list is fetched in its order and at a distance, which moves as listed files are opened."""
    (m / SMALL / '.tarn/prefetch').write_text(lines(shuffled))
    wanted = {'%04d.bin' % i for i in shuffled[:512]}
    come_to(proxy, wanted)
    asked = names(proxy)                        # what was late is asked for twice
    assert set(asked) == wanted
    assert {'%04d.bin' % i for i in shuffled[:20]} <= set(asked[:100])
    for i in shuffled[:100]:
        with open(small(m, i), 'rb') as f:
            assert f.read() == (source[1] / SMALL / ('%04d.bin' % i)).read_bytes()
    come_to(proxy, {'%04d.bin' % i for i in shuffled[:612]})
    assert len(set(names(proxy))) == 612


@pytest.mark.parametrize('where, before', [
    ('', 'bronze/small/'), ('', './bronze/small/'), ('bronze/small', ''), ('absolute', '')])
def test_list_names_files_from_its_directory(m, proxy, where, before):
    """Lines are relative to the directory that .tarn is in, or absolute below the mount."""
    if where == 'absolute':
        where, before = '', str(m / SMALL) + '/'
    (m / where / '.tarn/prefetch').write_text('\n' + lines([7, 3, 900], before))
    come_to(proxy, {'0003.bin', '0007.bin', '0900.bin'})
    assert sorted(names(proxy)) == ['0003.bin', '0007.bin', '0900.bin']


def test_list_leaves_out_what_is_not_there(m, proxy):
    """Lines that name nothing are counted in the log, and keep nobody from the others."""
    (m / SMALL / '.tarn/prefetch').write_text(
        'nothing\n/etc/passwd\n../small/0001.bin\n' + 'x' * 3000 + '\n' + lines([5]) + '0006.bin')
    come_to(proxy, {'0005.bin', '0006.bin'})
    assert sorted(names(proxy)) == ['0005.bin', '0006.bin']
    wait_for(lambda: '4 of 6 lines name no file of a table, first: nothing' in (m.cache / 'tarn.log').read_text(),
             PATIENCE_S, 'the log')


def test_later_list_replaces_the_writers_one_before(m, proxy, shuffled):
    """Who writes another list is done with the one before; an empty one ends it."""
    proxy.delay = 2                             # there are at most 96 under way
    path = m / SMALL / '.tarn/prefetch'
    path.write_text(lines(shuffled))
    wait_for(lambda: proxy.flying('data'), PATIENCE_S, 'the first list')
    path.write_text(lines(shuffled[:600:-1]))
    time.sleep(0.3)
    path.write_text('')
    assert quiet(proxy) < 400
    proxy.delay = 0
    with open(small(m, shuffled[0]), 'rb') as f:
        f.read()
    assert quiet(proxy) < 400


def write(path, text):
    with open(path, 'w', encoding='ascii') as f:
        f.write(text)


def test_nobody_pushes_out_the_lists_of_others(public, s3, proxy, source, shuffled):
    """However many lists somebody writes, they take the places of his own."""
    m = public('s3://' + source[0], endpoint_url=proxy.url, env=s3.env, o='allow_other')
    (m / SMALL / '.tarn/prefetch').write_text(lines(shuffled))
    quiet(proxy)
    for i in range(40):
        assert as_user(60001, m / SMALL, write, '.tarn/prefetch', lines([shuffled[-i]])) == ('ok', None)
    for i in shuffled[:100]:
        with open(small(m, i), 'rb') as f:
            f.read()
    wait_for(lambda: {'%04d.bin' % i for i in shuffled[:612]} <= set(names(proxy)), PATIENCE_S, 'the first list goes on')


def test_list_is_joined_in_its_middle(m, proxy, shuffled):
    """Who begins far behind a list's start is found, and fetched ahead of from there."""
    proxy.delay = 0
    (m / SMALL / '.tarn/prefetch').write_text(lines(shuffled))
    come_to(proxy, {'%04d.bin' % i for i in shuffled[:512]})
    for i in shuffled[700:760]:
        with open(small(m, i), 'rb') as f:
            f.read()
    wait_for(lambda: '%04d.bin' % shuffled[1100] in names(proxy), PATIENCE_S, 'the end of the list')


def test_prefetch_is_all_that_can_be_written(m):
    """.tarn/prefetch takes writes, not reads; other files there, and other ways, are EROFS."""
    path = str(m / SMALL / '.tarn/prefetch')
    assert os.access(path, os.W_OK)
    assert not os.access(small(m, 1), os.W_OK) and not os.access(small(m, 1), os.X_OK)
    assert os.access(small(m, 1), os.R_OK) and os.access(m / SMALL, os.X_OK)
    for flags, code in ((os.O_RDONLY, errno.EACCES), (os.O_RDWR, errno.EROFS)):
        with pytest.raises(OSError) as caught:
            os.open(path, flags)
        assert caught.value.errno == code
    for change in (lambda: os.unlink(path), lambda: os.chmod(path, 0o600),
                   lambda: os.open(os.path.dirname(path) + '/other', os.O_WRONLY | os.O_CREAT),
                   lambda: os.open(os.path.dirname(path), os.O_TMPFILE | os.O_WRONLY)):
        with pytest.raises(OSError) as caught:
            change()
        assert caught.value.errno == errno.EROFS


def test_unmount_while_much_is_planned(m, proxy, shuffled):
    """A mount goes at once, whatever it had in mind: it would take a minute."""
    proxy.delay = 4
    (m / SMALL / '.tarn/prefetch').write_text(lines(shuffled) * 50)
    with open(m / 'bronze/large/a.bin', 'rb', 0) as f:
        f.read(MIB)
    started = time.monotonic()
    m.unmount_and_wait_for_the_daemon()
    assert time.monotonic() - started < 20 * SLOWNESS


@pytest.mark.parametrize('way', ['file', 'stdin'])
def test_warm_follow(m, proxy, shuffled, tmp_path, way):
    """tarn warm --follow hands a list over, and says what is wrong with where to."""
    text = lines(shuffled[:30])
    (tmp_path / 'list').write_text(text)
    words = ['warm', '--follow', str(tmp_path / 'list') if way == 'file' else '-']
    done = subprocess.run([TARN, *words, m / SMALL], input=text, text=True, capture_output=True,
                          env=clean_env(), timeout=PATIENCE_S, check=False)
    assert (done.returncode, done.stdout) == (0, 'handed over: 30 lines\n')
    wanted = ['%04d.bin' % i for i in shuffled[:30]]
    come_to(proxy, set(wanted))
    assert sorted(names(proxy)) == sorted(wanted)
    for where, why in ((m / 'bronze', 'neither a table nor the root'),
                       (tmp_path, 'neither a table nor the root')):
        wrong = run_tarn('warm', '--follow', tmp_path / 'list', where)
        assert wrong.returncode == 1 and why in wrong.stderr
    assert run_tarn('warm', '--follow', tmp_path / 'list').returncode == 2
    assert 'No such file' in run_tarn('warm', '--follow', tmp_path / 'x', m / SMALL).stderr


@at_rest
def test_demand_goes_before_what_is_fetched_ahead(m, proxy, shuffled):
    """Who waits for a file is served before all that was planned and has not been sent."""
    proxy.delay = 1.0
    other = shuffled[0]
    listed = ['bronze/large/a.bin'] + ['%s/%04d.bin' % (SMALL, i) for i in shuffled[1:400]]
    (m / '.tarn/prefetch').write_text('\n'.join(listed) + '\n')
    wait_for(lambda: len(proxy.flying('data')) >= 14, PATIENCE_S, 'all that prefetch may have on its way')
    time.sleep(0.2)
    opened = time.monotonic()
    with open(small(m, other), 'rb') as f:
        assert len(f.read()) == SMALL_BYTES
    own, = proxy.seen('data', '*/%04d.bin' % other)
    assert sum(opened < r.started < own.started for r in proxy.seen('data')) < 10


def test_the_last_file_of_a_listing(m, proxy):
    """Who reads a table to its end has nothing fetched behind it, and its index stays."""
    proxy.delay = 0
    for i in range(FILES - 40, FILES):
        with open(small(m, i), 'rb') as f:
            assert len(f.read()) == SMALL_BYTES
    quiet(proxy)
    assert len(names(proxy)) == 40
    assert 'is gone' not in (m.cache / 'tarn.log').read_text()
    assert [p.name for p in m.cache.glob('indexes/*/listing-*')]


@pytest.mark.parametrize('size', [4 << 10, 128 << 10])
def test_each_byte_comes_once_where_none_is_kept(mount, s3, proxy, source, size):
    """A reader in sequence gets each byte from the store once, also where no byte can be kept."""
    m = mount('s3://' + source[0], endpoint_url=proxy.url, env=s3.env, cache_size='0')
    with open(m / 'bronze/large/a.bin', 'rb', 0) as f:
        while f.read(size):
            pass
        length = f.tell()
    quiet(proxy)
    assert length <= proxy.sent('data') <= 1.1 * length     # those that are late are sent twice
