# SPDX-License-Identifier: Apache-2.0
"""
Damaged, truncated and hostile Delta logs, each with what is wrong with it and the errno that the
design gives it: EIO where it is damaged, EOPNOTSUPP where it asks for what tarn does not read.

REFUSED   must be refused as a whole
HARMLESS  look odd and must be read exactly
"""
import collections
import errno
import gzip
import json
import os
import shutil
import struct

import pyarrow as pa
import pyarrow.parquet as pq

from .big_table import CHECKPOINT_SCHEMA

Case = collections.namedtuple('Case', 'name wrong errno build')
REFUSED, HARMLESS = [], []

DAMAGED, UNREADABLE = (errno.EIO,), (errno.EOPNOTSUPP,)
EITHER = DAMAGED + UNREADABLE
LAST = 2                                        # the version whose commit most cases damage


def case(name, wrong, errnos=DAMAGED, into=REFUSED):
    def keep(build):
        into.append(Case(name, wrong, errnos, build))
        return build
    return keep


# The table that every case starts from: versions 0 to 2, one file each.

def file_name(version):
    return 'part-%05d.parquet' % version


def protocol(**more):
    return {'protocol': dict({'minReaderVersion': 1, 'minWriterVersion': 2}, **more)}


def metadata(**more):
    schema = {'type': 'struct', 'fields': [{'name': 'id', 'type': 'long', 'nullable': True,
                                            'metadata': {}}]}
    return {'metaData': dict({'id': '7d5f', 'format': {'provider': 'parquet', 'options': {}},
                              'schemaString': json.dumps(schema), 'partitionColumns': [],
                              'configuration': {}, 'createdTime': 1700000000000}, **more)}


def add(version, **more):
    return {'add': dict({'path': file_name(version), 'partitionValues': {}, 'size': 100 + version,
                         'modificationTime': 1700000000000 + version, 'dataChange': True}, **more)}


def line(*actions):
    return ''.join(json.dumps(a) + '\n' for a in actions)


def commit_path(table, version):
    return table / '_delta_log' / ('%020d.json' % version)


def write(table, version, data):
    data = data.encode() if isinstance(data, str) else data
    commit_path(table, version).write_bytes(data)


def base(table):
    """A sound table of three versions."""
    (table / '_delta_log').mkdir(parents=True)
    for v in range(LAST + 1):
        (table / file_name(v)).write_bytes(b'PAR1' + b'x' * (92 + v) + b'PAR1')
        write(table, v, line(protocol(), metadata(), add(v)) if v == 0 else line(add(v)))


EXPECTED = {file_name(v): 100 + v for v in range(LAST + 1)}


def last_commit(name, wrong, data, errnos=DAMAGED, into=REFUSED):
    """A case whose last commit has these bytes."""
    @case(name, wrong, errnos, into)
    def build(table):
        write(table, LAST, data)


def first_commit(name, wrong, data, errnos=DAMAGED):
    @case(name, wrong, errnos)
    def build(table):
        write(table, 0, data)


# Commits that are not what a commit is.

GOOD = line(add(LAST))
last_commit('json-cut-short', 'the last line ends in the middle', GOOD[:len(GOOD) // 2])
last_commit('json-cut-in-second-line', 'the second line ends in the middle', GOOD + GOOD[:30])
last_commit('json-binary', 'the commit is random bytes', bytes(range(128, 256)) * 8)
last_commit('json-nul-bytes', 'the commit is zeros, as after a loss of power', b'\0' * len(GOOD))
last_commit('json-nul-tail', 'the second half is zeros', GOOD[:40].encode() + b'\0' * 60)
last_commit('json-html', 'a proxy answered with its error page',
            '<html><body><h1>502 Bad Gateway</h1></body></html>\n')
last_commit('json-gzip', 'the commit is compressed', gzip.compress(GOOD.encode(), mtime=0))
last_commit('json-utf16', 'the commit is UTF-16', GOOD.encode('utf-16'))
last_commit('json-array', 'the line is an array, not an object', '[]\n')
last_commit('json-number', 'the line is a number', '42\n')
last_commit('json-string', 'the line is a string', '"add"\n')
last_commit('json-unclosed-string', 'a string is not closed', '{"add":{"path":"part-\n')
last_commit('json-bad-escape', 'an escape that JSON does not have',
            GOOD.replace('part-', 'p\\qart-'))
last_commit('json-deep', '200,000 nested arrays', '{"add":' + '[' * 200000 + ']' * 200000 + '}\n')
last_commit('json-deep-objects', '100,000 nested objects',
            '{"x":' * 100000 + '1' + '}' * 100000 + '\n')
last_commit('json-line-too-long', 'one line of 70 MiB',
            '{"add":{"path":"' + 'a' * (70 << 20) + '"}}\n')

# Actions that are not what an action is.

last_commit('add-string', 'add is a string', line({'add': 'part-00002.parquet'}))
last_commit('add-array', 'add is an array', line({'add': ['part-00002.parquet', 102]}))
last_commit('add-no-path', 'add has no path',
            line({'add': {'size': 1, 'partitionValues': {}, 'dataChange': True}}))
last_commit('add-path-number', 'the path is a number', line(add(LAST, path=17)))
last_commit('add-path-empty', 'the path is empty', line(add(LAST, path='')))
last_commit('add-path-nul', 'the path has a zero byte', line(add(LAST, path='a\0b.parquet')))
last_commit('add-path-encoded-nul', 'the path has an encoded zero byte',
            line(add(LAST, path='a%00b.parquet')))
last_commit('add-path-surrogate', 'half a surrogate pair in the path',
            GOOD.replace('part-', '\\ud800-'))
last_commit('add-name-too-long', 'a name of 300 bytes, sound where it is stored', line(add(LAST, path='n' * 300)),
            UNREADABLE)
last_commit('add-path-too-long', 'a path of a million bytes',
            line(add(LAST, path='/'.join(['d' * 99] * 10000))))
last_commit('add-no-size', 'add has no size',
            line({'add': {'path': file_name(LAST), 'partitionValues': {}, 'dataChange': True}}))
last_commit('add-size-negative', 'the size is negative', line(add(LAST, size=-1)))
last_commit('add-size-word', 'the size is a word', line(add(LAST, size='many')))
last_commit('add-size-overflow', 'the size does not fit 64 bits',
            GOOD.replace('"size": 102', '"size": 99999999999999999999'))
last_commit('add-size-float', 'the size has a fraction', line(add(LAST, size=1.5)))
last_commit('add-partition-values-array', 'partitionValues is an array',
            line(add(LAST, partitionValues=['a'])))
last_commit('add-file-and-directory', 'one name is a file and a directory',
            line(add(LAST, path='name'), add(LAST, path='name/part.parquet')))
last_commit('remove-no-path', 'remove has no path', line({'remove': {'dataChange': True}}))
last_commit('remove-string', 'remove is a string', line({'remove': file_name(0)}))
last_commit('metadata-string', 'metaData is a string', line({'metaData': 'none'}))
last_commit('protocol-word', 'minReaderVersion is a word', line(protocol(minReaderVersion='one')))
last_commit('protocol-empty', 'protocol has no minReaderVersion', line({'protocol': {}}))
last_commit('partition-columns-string', 'partitionColumns is a string',
            line(metadata(partitionColumns='date')))

# What tarn does not read (yet), or never will.

last_commit('reader-version-99', 'a reader version of the future',
            line(protocol(minReaderVersion=99)), UNREADABLE)
last_commit('reader-feature-unknown', 'a reader feature that nobody has heard of',
            line(protocol(minReaderVersion=3, minWriterVersion=7,
                          readerFeatures=['timeMachine'], writerFeatures=['timeMachine'])),
            UNREADABLE)
last_commit('reader-features-string', 'readerFeatures is a string',
            line(protocol(minReaderVersion=3, minWriterVersion=7, readerFeatures='timestampNtz')),
            EITHER)
last_commit('provider-orc', 'the files are ORC',
            line(metadata(format={'provider': 'orc', 'options': {}})), UNREADABLE)

# History that does not hold together.

first_commit('first-empty', 'the first commit is empty', '')
first_commit('no-protocol', 'there is no protocol', line(metadata(), add(0)))
first_commit('no-metadata', 'there is no metaData', line(protocol(), add(0)))


@case('gap', 'a commit in the middle is gone')
def _gap(table):
    commit_path(table, 1).unlink()


@case('no-first', 'the first commit is gone, and there is no checkpoint')
def _no_first(table):
    commit_path(table, 0).unlink()


@case('commit-is-directory', 'a commit in the middle is a directory')
def _directory(table):
    commit_path(table, 1).unlink()
    commit_path(table, 1).mkdir()
    (commit_path(table, 1) / 'x').write_text('x')


# Checkpoints, with the commits before them gone.

def rows_of(version):
    empty = {name: None for name in CHECKPOINT_SCHEMA.names}
    listed = [dict(empty, metaData=metadata()['metaData']), dict(empty, protocol=protocol()['protocol'])]
    listed[0]['metaData']['format']['options'] = []
    listed[0]['metaData']['configuration'] = []
    listed += [dict(empty, add=dict(add(v)['add'], partitionValues=[], stats=None, tags=None))
               for v in range(version + 1)]
    return listed


def checkpoint_path(table, version=1, part=''):
    return table / '_delta_log' / ('%020d.checkpoint%s.parquet' % (version, part))


def put_checkpoint(table, listed=None, schema=CHECKPOINT_SCHEMA, part='', **options):
    """Version 1 as a checkpoint; the commits up to it go away."""
    listed = rows_of(1) if listed is None else listed
    path = checkpoint_path(table, part=part)
    pq.write_table(pa.Table.from_pylist(listed, schema=schema), path,
                   **dict({'compression': 'snappy'}, **options))
    for v in (0, 1):
        if commit_path(table, v).exists():
            commit_path(table, v).unlink()
    return path


def bytes_case(name, wrong, change, errnos=DAMAGED, **options):
    """A case whose checkpoint's bytes are changed by a function."""
    @case('checkpoint-' + name, wrong, errnos)
    def build(table):
        path = put_checkpoint(table, **options)
        path.write_bytes(change(path.read_bytes()))


def rows_case(name, wrong, change, errnos=DAMAGED):
    """A case whose checkpoint has other rows."""
    @case('checkpoint-' + name, wrong, errnos)
    def build(table):
        listed = rows_of(1)
        put_checkpoint(table, change(listed) or listed)


def schema_case(name, wrong, field, values, errnos=DAMAGED):
    """A case whose checkpoint's column `add` has another type."""
    @case('checkpoint-' + name, wrong, errnos)
    def build(table):
        listed = rows_of(1)
        for row in listed:
            row['add'] = values(row['add']) if row['add'] else None
        kept = [f for f in CHECKPOINT_SCHEMA if f.name != 'add']
        put_checkpoint(table, listed, pa.schema([*kept, pa.field('add', field)]))


def footer(data, length):
    """The file with another length of its footer."""
    return data[:-8] + struct.pack('<I', length) + data[-4:]


def footer_bytes(data):
    return struct.unpack('<I', data[-8:-4])[0]


def garbage_footer(data):
    n = footer_bytes(data)
    return data[:-8 - n] + b'\xff' * n + data[-8:]


def smashed_pages(data):
    """Every page's header and bytes are overwritten; the footer is whole."""
    n = footer_bytes(data)
    return b'PAR1' + b'\xff' * (len(data) - 12 - n) + data[-8 - n:]


bytes_case('empty', 'the checkpoint is empty', lambda d: b'')
bytes_case('cut-short', 'the second half is missing', lambda d: d[:len(d) // 2])
bytes_case('cut-one-byte', 'the last byte is missing', lambda d: d[:-1])
bytes_case('head-only', 'only the magic number is there', lambda d: d[:4])
bytes_case('random', 'random bytes', lambda d: bytes(i * 37 % 251 for i in range(len(d))))
bytes_case('zeros', 'zeros, as after a loss of power', lambda d: b'\0' * len(d))
bytes_case('footer-too-long', 'the footer would be longer than the file',
           lambda d: footer(d, len(d) + 1))
bytes_case('footer-4g', 'the footer would have 4 GiB', lambda d: footer(d, 0xffffffff))
bytes_case('footer-zero', 'the footer has no bytes', lambda d: footer(d, 0))
bytes_case('footer-garbage', 'the footer is not Thrift', garbage_footer)
bytes_case('footer-half', 'half of the footer is zeros', lambda d: d[:-8 - footer_bytes(d) // 2]
           + b'\0' * (footer_bytes(d) // 2) + d[-8:])
bytes_case('pages-smashed', 'the pages are overwritten', smashed_pages)
bytes_case('pages-cut', 'bytes in the middle are missing', lambda d: d[:4] + d[204:])
bytes_case('encrypted', 'the footer is encrypted', lambda d: d[:-4] + b'PARE', EITHER)
bytes_case('pages-smashed-zstd', 'the pages are overwritten, with zstd', smashed_pages,
           compression='zstd')

rows_case('no-protocol', 'no row has the protocol', lambda r: r.pop(1) and None)
rows_case('no-metadata', 'no row has the metaData', lambda r: r.pop(0) and None)
rows_case('path-null', 'an add without a path', lambda r: r[2]['add'].update(path=None))
rows_case('size-null', 'an add without a size', lambda r: r[2]['add'].update(size=None))
rows_case('size-negative', 'an add of a negative size', lambda r: r[2]['add'].update(size=-5))
rows_case('path-nul', 'a path with a zero byte', lambda r: r[2]['add'].update(path='a\0b'))
rows_case('reader-version-99', 'a reader version of the future',
          lambda r: r[1]['protocol'].update(minReaderVersion=99), UNREADABLE)

schema_case('add-is-text', 'the column add is text', pa.string(), lambda a: a['path'])
schema_case('add-is-list', 'the column add is a list', pa.list_(pa.string()),
            lambda a: [a['path']])
schema_case('path-is-number', 'the paths are numbers',
            pa.struct([('path', pa.int64()), ('size', pa.int64())]),
            lambda a: {'path': 1, 'size': a['size']})
schema_case('size-is-text', 'the sizes are text',
            pa.struct([('path', pa.string()), ('size', pa.string())]),
            lambda a: {'path': a['path'], 'size': 'many'})
schema_case('no-size-column', 'the column add has no size', pa.struct([('path', pa.string())]),
            lambda a: {'path': a['path']})


@case('checkpoint-no-add-column', 'there is no column add')
def _no_add(table):
    kept = pa.schema([f for f in CHECKPOINT_SCHEMA if f.name != 'add'])
    put_checkpoint(table, [{k: v for k, v in r.items() if k != 'add'} for r in rows_of(1)], kept)


@case('checkpoint-part-missing', 'one of two parts is missing')
def _part_missing(table):
    put_checkpoint(table, part='.%010d.%010d' % (1, 2))


@case('checkpoint-part-cut', 'one of two parts is cut short')
def _part_cut(table):
    listed = rows_of(1)
    put_checkpoint(table, listed[:3], part='.%010d.%010d' % (1, 2))
    path = put_checkpoint(table, listed[3:], part='.%010d.%010d' % (2, 2))
    path.write_bytes(path.read_bytes()[:-20])


# Checkpoints of version 2: a first file, named by a UUID, and sidecars with the files.

UUID = '80a083e8-7026-4e79-81be-64bd76c43a11'
V2 = {'minReaderVersion': 3, 'minWriterVersion': 7, 'readerFeatures': ['v2Checkpoint'],
      'writerFeatures': ['v2Checkpoint']}
V2_SCHEMA = pa.schema([
    f if f.name != 'protocol' else pa.field('protocol', pa.struct(
        [*f.type, ('readerFeatures', pa.list_(pa.string())),
         ('writerFeatures', pa.list_(pa.string()))])) for f in CHECKPOINT_SCHEMA]
    + [pa.field('sidecar', pa.struct([('path', pa.string()), ('sizeInBytes', pa.int64())]))])


def put_sidecar(table, name, listed):
    below = table / '_delta_log' / '_sidecars'
    below.mkdir(exist_ok=True)
    pq.write_table(pa.Table.from_pylist(listed, schema=V2_SCHEMA), below / name)
    return {'path': name, 'sizeInBytes': (below / name).stat().st_size}


def v2_case(name, wrong, as_json, change=lambda table, sidecars: None, errnos=DAMAGED, into=REFUSED):
    """A case whose files of version 1 stand in two sidecars; change(table, sidecars) spoils them."""
    @case(name, wrong, errnos, into)
    def build(table):
        state, files = rows_of(1)[:2], rows_of(1)[2:]
        state[1]['protocol'] = V2
        sidecars = [put_sidecar(table, '%d.parquet' % i, [row]) for i, row in enumerate(files)]
        change(table, sidecars)
        if not as_json:
            listed = state + [{'sidecar': s} for s in sidecars]
            put_checkpoint(table, listed, V2_SCHEMA, part='.' + UUID)
            return
        path = put_checkpoint(table)
        path.unlink()
        path = table / '_delta_log' / ('%020d.checkpoint.%s.json' % (1, UUID))
        path.write_text(line({'checkpointMetadata': {'version': 1}}, {'protocol': V2}, metadata(),
                             *[{'sidecar': s} for s in sidecars]))


def lose_sidecar(table, sidecars):
    (table / '_delta_log' / '_sidecars' / sidecars[1]['path']).unlink()


def lead_out(table, sidecars):
    sidecars[1]['path'] = '..%2f' + file_name(0)


for ending in ('json', 'parquet'):
    as_json = ending == 'json'
    v2_case('v2-sidecar-gone-' + ending, 'a sidecar is gone, named by ' + ending, as_json,
            lose_sidecar)
    v2_case('v2-sidecar-size-' + ending, 'a sidecar has another size than its %s says' % ending,
            as_json, lambda table, sidecars: sidecars[0].update(sizeInBytes=12), EITHER)
    v2_case('v2-sidecar-outside-' + ending, 'a sidecar elsewhere, named by ' + ending, as_json,
            lead_out)


@case('v2-sidecar-nested', 'a sidecar that names a sidecar')
def _nested(table):
    inner = put_sidecar(table, 'inner.parquet', rows_of(1)[2:])
    outer = put_sidecar(table, 'outer.parquet', [{'sidecar': inner}])
    state = rows_of(1)[:2]
    state[1]['protocol'] = V2
    put_checkpoint(table, state + [{'sidecar': outer}], V2_SCHEMA, part='.' + UUID)


# Odd, and still exactly readable.

last_commit('odd-crlf', 'lines end as on Windows', GOOD.replace('\n', '\r\n'), into=HARMLESS)
last_commit('odd-no-newline', 'the last line has no end', GOOD.rstrip('\n'), into=HARMLESS)
last_commit('odd-blank-lines', 'blank lines between actions', '\n' + GOOD + '\n\n', into=HARMLESS)
last_commit('odd-unknown-action', 'an action that is not known',
            line({'teleport': {'to': 'x'}}) + GOOD, into=HARMLESS)
last_commit('odd-unknown-field', 'fields that are not known',
            line(add(LAST, colour='blue', nested={'a': [1, {'b': None}]})), into=HARMLESS)
last_commit('odd-escapes', 'every letter of a name escaped',
            GOOD.replace('part', '\\u0070\\u0061\\u0072\\u0074'), into=HARMLESS)
last_commit('odd-add-twice', 'one file added twice', GOOD + GOOD, into=HARMLESS)
last_commit('odd-remove-unknown', 'a file removed that was never there',
            GOOD + line({'remove': {'path': 'nowhere.parquet', 'dataChange': True}}), into=HARMLESS)


def pointer_case(name, wrong, data):
    """_last_checkpoint is a hint: whatever it says, the log decides."""
    @case('odd-pointer-' + name, wrong, (), HARMLESS)
    def build(table):
        (table / '_delta_log' / '_last_checkpoint').write_bytes(data)


pointer_case('empty', '_last_checkpoint is empty', b'')
pointer_case('garbage', '_last_checkpoint is random', bytes(range(256)))
pointer_case('future', '_last_checkpoint names a version to come', b'{"version":99,"size":3}')
pointer_case('gone', '_last_checkpoint names a checkpoint that is gone', b'{"version":1,"size":3}')
pointer_case('overflow', '_last_checkpoint overflows', b'{"version":99999999999999999999}')
pointer_case('negative', '_last_checkpoint is negative', b'{"version":-1,"size":3}')


@case('odd-neighbours', 'other files beside the commits', (), HARMLESS)
def _neighbours(table):
    log = table / '_delta_log'
    for name in ('notes.txt', '.00000000000000000000.json.crc', '00000000000000000003.json.tmp',
                 '_commits_backup', '00000000000000000001.crc', '3.json', '.tmp', 'x' * 200):
        (log / name).write_text('nothing of the log')


@case('odd-broken-checkpoint', 'a broken checkpoint, and all commits are there', (), HARMLESS)
def _broken(table):
    kept = {v: commit_path(table, v).read_bytes() for v in (0, 1)}
    path = put_checkpoint(table)
    path.write_bytes(path.read_bytes()[:-30])
    for v, data in kept.items():
        write(table, v, data)


def build_all(root):
    """Every case as a table `root/NAME`, and a sound one `root/neighbour`."""
    base(root / 'neighbour')
    for c in REFUSED + HARMLESS:
        base(root / c.name)
        c.build(root / c.name)
    return root


def main():
    """bad_logs.py DIR: for a look at them."""
    import sys
    from pathlib import Path
    root = Path(sys.argv[1])
    if root.exists():
        shutil.rmtree(root)
    build_all(root)
    for c in REFUSED:
        print('%-34s %s' % (c.name, c.wrong))
    print(len(REFUSED), 'refused,', len(HARMLESS), 'harmless,', len(os.listdir(root)), 'tables')


if __name__ == '__main__':
    main()


# Checkpoints of version 2 that are whole.

for ending in ('json', 'parquet'):
    v2_case('odd-v2-' + ending, 'sidecars, named by ' + ending, ending == 'json', errnos=(),
            into=HARMLESS)


def whole_path(table, sidecars):
    for s in sidecars:
        s['path'] = 'file:%s/_delta_log/_sidecars/%s' % (table, s['path'])


v2_case('odd-v2-whole-paths', 'sidecars with whole paths', True, whole_path, (), HARMLESS)


@case('odd-v2-no-sidecars', 'a checkpoint named by a UUID that has the files itself', (), HARMLESS)
def _no_sidecars(table):
    listed = rows_of(1)
    listed[1]['protocol'] = V2
    put_checkpoint(table, listed, V2_SCHEMA, part='.' + UUID)


@case('odd-v2-classic-name', 'sidecars of a checkpoint of the old name', (), HARMLESS)
def _classic_name(table):
    listed = rows_of(1)
    listed[1]['protocol'] = V2
    sidecar = put_sidecar(table, 'a.parquet', listed[2:])
    put_checkpoint(table, listed[:2] + [{'sidecar': sidecar}], V2_SCHEMA)
