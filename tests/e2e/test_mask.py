# SPDX-License-Identifier: Apache-2.0
"""Files under a view: masked values read as the masks say, and nothing else of the file is left."""
import datetime
import decimal
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support import masks, parquet_bytes, parquet_files
from support.present import Refused, present

pytestmark = pytest.mark.usefixtures('present_program')

SALT = masks.SALT.hex()


def read(path):
    return pq.ParquetFile(path).read()


def patterns(chance, n):
    return {'all': None, 'some': sorted(chance.sample(range(n), n // 30 + 1)),
            'half': [i for i in range(n) if chance.random() < 0.5],
            'nearly none': [i for i in range(n) if i not in (3, n // 2)]}


def without(table, gone):
    gone = set(gone or ())
    return table.filter(pa.array([i not in gone for i in range(table.num_rows)], pa.bool_()))


def check(view, original, got, what):
    assert got.num_rows == original.num_rows, what
    assert got.schema.names == [f['name'] for f in view.fields], what
    for field in view.fields:
        name = field['name']
        expected = view.expected(original, name)
        assert got.column(name).to_pylist() == expected, (what, field)
        stays = original.schema.field(name).type
        if not pa.types.is_nested(stays):
            assert got.schema.field(name).type == stays, (what, field)


@pytest.mark.parametrize('make', [parquet_files.arrow_files, parquet_files.duckdb_files])
def test_every_mask_of_every_type(make, tmp_path, chance, duck):
    """Every mask that fits, of flat and nested columns in all encodings, pages and codecs, with all
    rows and with some: what pyarrow and DuckDB read is what the masks make of the values."""
    out, seen, files = tmp_path / 'out.parquet', set(), 0
    for path in make(tmp_path, chance.random(), 400):
        try:
            original = read(path)
        except OSError as e:            # some of DuckDB's pages
            print('unread', path.name, e)
            continue
        files += 1
        for what, gone in patterns(chance, original.num_rows).items():
            view = masks.View(chance, original.schema)
            done = present(path, out, view.fields, rows=gone, confined=True, salt=SALT)
            assert done['kind'] != 'same'
            rest = without(original, gone)
            check(view, rest, read(out), (path.name, what))
            seen |= {(f['type'], f.get('mask')) for f in view.fields}
            flat = [f['name'] for f in view.fields if f['type'] in ('string', 'int32', 'date')]
            if flat:
                shown = duck.sql('SELECT %s FROM read_parquet(?)' % ', '.join(flat),
                                 params=[str(out)]).to_arrow_table()
                for name in flat:
                    assert shown.column(name).to_pylist() == view.expected(rest, name)
    assert len(seen) > 40 and files >= 6, sorted(seen, key=str)


def timestamps(chance, unit, zone, n):
    low, high = datetime.datetime(1690, 1, 1), datetime.datetime(2250, 1, 1)
    span = int((high - low).total_seconds())
    values = [low + datetime.timedelta(seconds=chance.randrange(span), milliseconds=chance.randrange(1000))
              for _ in range(n)]
    return pa.array(values, pa.timestamp(unit, zone))


def test_timestamps_of_every_unit(tmp_path, chance):
    """Milliseconds, microseconds, nanoseconds, INT96, with and without a zone, before and after the
    epoch, leap days: the first instant of the year and month, UTC, in the unit that was stored."""
    path, out = tmp_path / 'in.parquet', tmp_path / 'out.parquet'
    for unit in ('ms', 'us', 'ns', 'int96'):
        for zone in (None, 'UTC'):
            stored = timestamps(chance, 'ns' if unit == 'int96' else unit, zone, 500)
            table = pa.table({'year': stored, 'month': stored, 'fixed': stored, 'as is': stored})
            pq.write_table(table, path, use_deprecated_int96_timestamps=unit == 'int96', version='2.6',
                           use_dictionary=chance.random() < 0.5, coerce_timestamps=None)
            kind = 'timestamp' if zone else 'timestamp_local'
            fields = [dict(name='year', type=kind, mask=masks.YEAR),
                      dict(name='month', type=kind, mask=masks.MONTH),
                      dict(name='fixed', type=kind, mask=masks.FIXED), dict(name='as is', type=kind)]
            present(path, out, fields, confined=True)
            got = read(out)
            original = read(path).column('as is')
            assert got.schema.field('year').type == original.type
            naive = [v.replace(tzinfo=None) for v in stored.cast(pa.timestamp('us', zone)).to_pylist()]
            for name, mask in (('year', masks.YEAR), ('month', masks.MONTH)):
                shown = got.column(name).cast(pa.timestamp('us', zone)).to_pylist()
                assert [v.replace(tzinfo=None) for v in shown] == [
                    masks.masked(mask, pa.timestamp('us'), v) for v in naive], (unit, zone)
            assert set(got.column('fixed').to_pylist()) == {masks.fixed(pa.timestamp('us', zone))}


def test_physical_forms_of_decimals(tmp_path, chance):
    """Decimals that are stored as integers or bytes are masked with the table's zero."""
    path, out = tmp_path / 'in.parquet', tmp_path / 'out.parquet'
    for precision, scale in ((5, 2), (18, 0), (30, 10)):
        kind = pa.decimal128(precision, scale)
        table = pa.table({'d': pa.array([None, *map(decimal.Decimal, (1, 22, 333))], kind)})
        for as_integer in (False, True):
            pq.write_table(table, path, store_decimal_as_integer=as_integer)
            present(path, out, [dict(name='d', type='decimal', precision=precision, scale=scale,
                                     mask=masks.FIXED)], confined=True)
            assert read(out).column('d').to_pylist() == [0] * 4
            assert read(out).schema.field('d').type == kind


def test_required_columns(tmp_path):
    """Replaced with null, what was required becomes optional, alone, in structs and in lists; fixed
    values stay required."""
    path, out = tmp_path / 'in.parquet', tmp_path / 'out.parquet'
    required = pa.field('x', pa.int32(), nullable=False)
    table = pa.table([pa.array([1, 2, 3], pa.int32()), pa.array([4, 5, 6], pa.int32()),
                      pa.array([[7], [], [8, 9]], pa.list_(pa.field('element', pa.int32(), nullable=False))),
                      pa.array([{'x': 1}, {'x': 2}, {'x': 3}], pa.struct([required]))],
                     schema=pa.schema([pa.field('null', pa.int32(), False), pa.field('fixed', pa.int32(), False),
                                       pa.field('list', pa.list_(pa.field('element', pa.int32(), False)), False),
                                       pa.field('s', pa.struct([required]), False)]))
    pq.write_table(table, path)
    leaf = dict(type='int32', nullable=False)
    fields = [dict(name='null', **leaf, mask=masks.NULL), dict(name='fixed', **leaf, mask=masks.FIXED),
              dict(name='list', type='list', nullable=False,
                   fields=[dict(name='element', **leaf, mask=masks.NULL)]),
              dict(name='s', type='struct', nullable=False, fields=[dict(name='x', **leaf, mask=masks.NULL)])]
    present(path, out, fields, confined=True)
    got = read(out)
    assert got.to_pydict() == {'null': [None] * 3, 'fixed': [999999999] * 3, 'list': [[None], [], [None, None]],
                               's': [{'x': None}] * 3}
    assert got.schema.field('null').nullable and not got.schema.field('fixed').nullable
    assert got.schema.field('list').type.value_field.nullable


def test_columns_that_the_file_does_not_have(tmp_path):
    """A column that was added later is masked as its default, or is null; mask-to-fixed-value hides
    that it was not there."""
    path, out = tmp_path / 'in.parquet', tmp_path / 'out.parquet'
    pq.write_table(pa.table({'a': [1, 2]}), path)
    text = dict(type='string', constant=b'ab-12 secret'.hex())
    fields = [dict(name='a', type='int64'), dict(name='b', **text, mask=masks.ALPHANUM),
              dict(name='c', **text, mask=masks.LAST), dict(name='d', type='string', mask=masks.FIXED),
              dict(name='e', type='string', mask=masks.FIRST), dict(name='f', **text, mask=masks.NULL),
              dict(name='g', type='int32', constant='01000000', mask=masks.HASH),
              dict(name='h', type='date', constant='10000000', mask=masks.MONTH)]
    present(path, out, fields, confined=True)
    assert read(out).slice(0, 1).to_pylist() == [{
        'a': 1, 'b': 'xx-nnxxxxxxx', 'c': 'xx-nnxxxcret', 'd': 'XXXXXXXX', 'e': None, 'f': None,
        'g': masks.hashed(1, pa.int32(), b''), 'h': datetime.date(1970, 1, 1)}]
    assert b'secret' not in out.read_bytes()


def test_text_that_is_not_utf8(tmp_path):
    """Bytes that are no characters are shown under no mask of text."""
    path, out = tmp_path / 'in.parquet', tmp_path / 'out.parquet'
    values = [b'\xff\xfe', b'ab\x80cd\xc3', b'\xf0\x9f\x98', b'\xed\xa0\x80zz', 'äöü1é'.encode(), b'']
    pq.write_table(pa.table({'a': pa.array(values, pa.binary())}), path)
    expected = {masks.ALPHANUM: ['xx', 'xxxxxx', 'xxx', 'xxxxx', 'xxxnx', ''],
                masks.FIRST: ['xx', 'abxcxx', 'xxx', 'xxxzx', 'äöü1x', ''],
                masks.LAST: ['xx', 'xxxcdx', 'xxx', 'xxxzz', 'xöü1é', '']}
    for mask, texts in expected.items():
        present(path, out, [dict(name='a', type='string', mask=mask)], confined=True)
        assert read(out).column('a').to_pylist() == texts, mask


def test_masks_that_do_not_fit_are_refused(tmp_path):
    """With the column, the mask and the type."""
    path, out = tmp_path / 'in.parquet', tmp_path / 'out.parquet'
    pq.write_table(pa.table({'a': [1], 'm': pa.array([[('k', 1)]], pa.map_(pa.string(), pa.int64()))}), path)
    with pytest.raises(Refused, match='"a": the mask show-last-4 does not fit the type int64'):
        present(path, out, [dict(name='a', type='int64', mask=masks.LAST)], confined=True)
    key = dict(name='k', type='string', nullable=False, mask=masks.NULL)
    with pytest.raises(Refused, match='"m.key_value.key": keys of a map'):
        present(path, out, [dict(name='m', type='map', fields=[key, dict(name='v', type='int64')])],
                confined=True)


# What is hidden is found by this in the middle of it, and nothing that is shown has it.
MARK = b'~ZQXJ'


def token(chance):
    """16 bytes; masks show four of them at most."""
    return ''.join(chance.choices('abcdefgh0123456789', k=5)) + MARK.decode() + '%06d' % chance.randrange(10 ** 6)


def numbers(chance, rows, odd):
    """Different ones, and none that a table of the other kind has: how many there are of hidden ones is
    told by sizes."""
    return [int.from_bytes(MARK + n.to_bytes(3, 'little'), 'little')
            for n in chance.sample(range(odd, 1 << 23, 2), rows)]


def secret_table(chance, rows, gone, odd=0):
    """Hidden cells hold marks: two columns whole, masked ones, and all of rows that are gone."""
    def shown(make):
        return [token(chance) if i in gone else make(i) for i in range(rows)]
    words = ['word %d' % i for i in range(20)]
    return pa.table({
        'hidden': [token(chance) for _ in range(rows)],
        'plain': shown(lambda i: 'text %d' % i),
        'word': shown(lambda i: chance.choice(words)),
        'masked': [token(chance) for _ in range(rows)],
        'few': [chance.choice(['%s%d' % (MARK.decode() * 3, i) for i in range(9)]) for _ in range(rows)],
        'number': pa.array([n if i in gone else i for i, n in enumerate(numbers(chance, rows, odd))], pa.int64()),
        'hashed': pa.array(numbers(chance, rows, odd), pa.int64()),
        'list': pa.array([[token(chance)] * 2 if i in gone else ['x', None] * (i % 3) for i in range(rows)]),
        'inner': pa.array([{'a': token(chance), 'b': token(chance) if i in gone else 'x', 'c': [token(chance)]}
                           for i in range(rows)]),
        'last hidden': pa.array(numbers(chance, rows, odd), pa.int64()),
    })


def secret_view(chance):
    text = (masks.ALPHANUM, masks.FIRST, masks.LAST, masks.HASH, masks.LOCAL, masks.FIXED, masks.NULL)
    of_string = dict(type='string')
    return [dict(name='plain', **of_string), dict(name='word', **of_string),
            dict(name='masked', **of_string, mask=chance.choice(text)),
            dict(name='few', **of_string, mask=chance.choice(text)),
            dict(name='number', type='int64'), dict(name='hashed', type='int64', mask=masks.LOCAL),
            dict(name='list', type='list', fields=[dict(name='e', **of_string)]),
            dict(name='inner', type='struct', fields=[
                dict(name='a', **of_string, mask=chance.choice(text)), dict(name='b', **of_string)])]


def write_secret(table, path, chance, codec, dictionary, pages):
    pq.write_table(table.replace_schema_metadata({'secret': MARK, 'org.apache.spark.version': b'a ' + MARK}),
                   path, compression=codec, use_dictionary=dictionary, data_page_version=pages,
                   row_group_size=chance.choice((300, 100000)), data_page_size=chance.choice((500, 1 << 20)),
                   dictionary_pagesize_limit=chance.choice((2000, 1 << 20)), write_page_index=True,
                   store_schema=True, write_batch_size=100,
                   sorting_columns=[pq.SortingColumn(0), pq.SortingColumn(1)])
    data = path.read_bytes()        # between the magic and the first chunk nothing may stay, either
    assert MARK in data or codec != 'none'


@pytest.mark.parametrize('dictionary', [True, False])
def test_no_trace_is_left(dictionary, tmp_path, chance):
    """Whatever a view hides, masks or filters: neither the file's bytes nor its pages, decompressed,
    have it, for every codec and page version, with rows filtered and without."""
    path, out = tmp_path / 'in.parquet', tmp_path / 'out.parquet'
    found = 0
    for codec in parquet_files.CODECS:
        for pages in ('1.0', '2.0'):
            for share in (0, 0.02, 0.5, 0.97):
                gone = {i for i in range(900) if chance.random() < share}
                table = secret_table(chance, 900, gone)
                write_secret(table, path, chance, codec, dictionary, pages)
                found += MARK in parquet_bytes.searched(path)
                fields = secret_view(chance)
                present(path, out, fields, rows=sorted(gone) if share else None, confined=True, salt=SALT)
                assert MARK not in parquet_bytes.searched(out), (codec, pages, share, fields)
                rest = without(table, gone)
                got = read(out)
                for name in ('plain', 'word', 'number', 'list'):
                    assert got.column(name).to_pylist() == rest.column(name).to_pylist()
                if not share:           # hidden columns alone: chunks stay where they are
                    simple = [dict(name='plain', type='string'), dict(name='word', type='string')]
                    assert present(path, out, simple, confined=True)['kind'] == 'footer'
                    assert MARK not in parquet_bytes.searched(out)
                    assert read(out).column('word').equals(table.column('word'))
    assert found == 6 * 2 * 4


def replaced(table, seed, gone):
    """The same table to whom the view is given; everything else is other random text as long."""
    chance = random.Random(seed)
    other = secret_table(chance, table.num_rows, gone, odd=1)
    columns = []
    for name in table.schema.names:
        if name in ('hidden', 'last hidden'):
            columns.append(other.column(name))
        else:
            pairs = zip(table.column(name).to_pylist(), other.column(name).to_pylist())
            columns.append(pa.array([b if i in gone else a for i, (a, b) in enumerate(pairs)],
                                    table.schema.field(name).type))
    return pa.table(columns, table.schema.names)


@pytest.mark.parametrize('dictionary', [True, False])
@pytest.mark.parametrize('pages', ['1.0', '2.0'])
def test_hidden_values_do_not_matter(dictionary, pages, tmp_path, chance):
    """Two files that differ only in what a view hides, and not in its length, are presented as the
    same bytes."""
    for share in (0, 0.02, 0.4, 0.95):
        gone = {i for i in range(700) if chance.random() < share}
        table = secret_table(chance, 700, gone)
        fields = secret_view(chance)
        seed = chance.random()
        results = []
        for i, variant in enumerate((table, replaced(table, chance.random(), gone))):
            path, out = tmp_path / ('%d.parquet' % i), tmp_path / ('out%d.parquet' % i)
            write_secret(variant, path, random.Random(seed), 'none', dictionary, pages)
            present(path, out, fields, rows=sorted(gone) if share else None, confined=True, salt=SALT)
            results.append((path.read_bytes(), out.read_bytes()))
        assert results[0][0] != results[1][0] and len(results[0][0]) == len(results[1][0])
        assert results[0][1] == results[1][1], share


def test_dictionaries_are_pruned(tmp_path):
    """Words that no row has are gone, those that a mask makes equal are one, and all are in the
    order in which rows have them."""
    path, out = tmp_path / 'in.parquet', tmp_path / 'out.parquet'
    words = ['zebra', 'b-1', 'b-2', 'c', 'b-3', 'gone']
    pq.write_table(pa.table({'a': words * 10, 'b': words * 10}), path, use_dictionary=True)
    gone = [i for i in range(60) if i == 0 or words[i % 6] == 'gone']
    present(path, out, [dict(name='a', type='string'), dict(name='b', type='string', mask=masks.ALPHANUM)],
            rows=gone, confined=True)
    found = {name: body for name, kind, _, body in parquet_bytes.all_pages(out)
             if kind == parquet_bytes.DICTIONARY}

    def page(*expected):
        return b''.join(len(w).to_bytes(4, 'little') + w.encode() for w in expected)
    assert found == {'a': page('b-1', 'b-2', 'c', 'b-3', 'zebra'), 'b': page('x-n', 'x', 'xxxxx')}


def test_what_is_masked_has_no_statistics(tmp_path):
    """Neither statistics nor indexes nor an order of rows tell of masked values; those of others
    stay."""
    path, out = tmp_path / 'in.parquet', tmp_path / 'out.parquet'
    pq.write_table(pa.table({'a': ['x', 'y'], 'b': ['k', 'l']}), path, write_page_index=True,
                   sorting_columns=[pq.SortingColumn(0), pq.SortingColumn(1)])
    for mask in (masks.FIRST, masks.FIXED, masks.HASH):
        present(path, out, [dict(name='a', type='string', mask=mask), dict(name='b', type='string')],
                confined=True)
        group = pq.ParquetFile(out).metadata.row_group(0)
        assert group.column(0).statistics is None and not group.column(0).has_column_index
        assert group.column(1).statistics.max == 'l' and not group.sorting_columns


def test_julian_days_are_refused(tmp_path):
    """Files that say that old days are of the Julian calendar: cut by the Gregorian one, those would
    be other days."""
    path, out = tmp_path / 'in.parquet', tmp_path / 'out.parquet'
    fields = [dict(name='d', type='date', mask=masks.MONTH)]
    for day, metadata, refused in ((datetime.date(1500, 3, 5), {'org.apache.spark.legacyDateTime': ''}, True),
                                   (datetime.date(1500, 3, 5), {'org.apache.spark.version': '2.4.8'}, True),
                                   (datetime.date(1500, 3, 5), {'org.apache.spark.version': '3.5.0'}, False),
                                   (datetime.date(1900, 3, 5), {'org.apache.spark.legacyDateTime': ''}, False)):
        pq.write_table(pa.table({'d': [day]}).replace_schema_metadata(metadata), path)
        if refused:
            with pytest.raises(Refused, match='EOPNOTSUPP: .*Julian'):
                present(path, out, fields, confined=True)
        else:
            present(path, out, fields, confined=True)
            assert read(out).column('d').to_pylist() == [day.replace(day=1)]
