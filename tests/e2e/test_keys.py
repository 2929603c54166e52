# SPDX-License-Identifier: Apache-2.0
"""Keys with any byte that S3 allows: shown escaped, or counted in `tarn doctor`; nothing is followed
outside, no name is over 255 bytes, nothing is silent."""
import os
import shutil

import pytest

from fake.any_key import AnyKeyServer
from support.mounts import run_tarn

LONG = b'n' * 300

# Keys below bronze/raw, and the names by which they are shown.
SHOWN = {
    b'plain.txt': b'plain.txt',
    b'a//b': b'a/%~/b',
    b'//': b'%~/%~/%~',
    b'../../../etc/passwd': b'%~2E./%~2E./%~2E./etc/passwd',
    b'./x': b'%~2E/x',
    b'.tarn/version': b'%~2Etarn/version',
    b'line\nbreak\x1b[31m': b'line%~0Abreak%~1B[31m',
    b'latin-\xe4': b'latin-%~E4',
    'ä €'.encode(): 'ä €'.encode(),
    b'twin': b'twin%~',
    b'twin/below': b'twin/below',
    b'twin!': b'twin!',
    b'a%20b%2Fc': b'a%20b%2Fc',
    b'x%~41': b'x%~25~41',
    b'dir-with-bytes/': b'dir-with-bytes/%~',
    b'photo@2026-01-01': b'photo@2026-01-01',
    b'/'.join([b'd' * 200] * 5): b'/'.join([b'd' * 200] * 5),       # 1,004 bytes
    b'n' * 255: b'n' * 255,
}
LEFT_OUT = [LONG, b'deep/' + LONG + b'/x', b'\x01' * 64, b'zero\0byte']


@pytest.fixture(scope='module')
def server():
    with AnyKeyServer(page=7) as s:             # small pages: every listing goes over several
        s.make_bucket('keys')
        for key in list(SHOWN) + LEFT_OUT:
            s.put('keys', b'bronze/raw/' + key, b'bytes of ' + key)
            s.put('keys', b'plain/' + key, b'bytes of ' + key)
            s.put('keys', b'plain/deeper/still/' + key, b'bytes of ' + key)
        s.put('keys', b'plain/marker/', b'')
        s.put('keys', b'plain/deeper/still/t/_delta_log/x', b'')
        yield s


@pytest.fixture
def m(mount, server):
    return mount('s3://keys/', o='no-sign-request', endpoint_url=server.url)


def tree(top):
    """{path below top: its bytes}; asserts that every name is one."""
    found, top = {}, os.fsencode(top)
    for where, dirs, names in os.walk(top, onerror=lambda e: (_ for _ in ()).throw(e)):
        for name in dirs + names:
            assert 0 < len(name) <= 255 and name not in (b'.', b'..') and b'/' not in name
            name.decode()
        for name in names:
            path = os.path.join(where, name)
            with open(path, 'rb') as f:
                found[os.path.relpath(path, top)] = f.read()
    return found


def test_every_key_of_a_files_table_has_a_name_of_its_own_and_opens_its_object(m):
    assert tree(m / 'bronze/raw') == {n: b'bytes of ' + k for k, n in SHOWN.items()}


def test_plain_trees_show_the_same_names(m):
    found = tree(m / 'plain/deeper')
    assert {n: b for n, b in found.items() if n.startswith(b'still/') and b'/t/' not in n} == {
        b'still/' + n: b'bytes of ' + k for k, n in SHOWN.items()}


def test_cp_r_copies_such_a_tree(m, tmp_path):
    shutil.copytree(m / 'bronze/raw', tmp_path / 'copy')
    assert tree(tmp_path / 'copy') == {n: b'bytes of ' + k for k, n in SHOWN.items()}


def test_the_object_of_an_escaped_name_is_told_by_its_key(m):
    assert m.xattr('bronze/raw/a/%~/b', 'object') == 's3://keys/bronze/raw/a//b'
    assert m.xattr('plain/deeper/still/twin%~', 'object') == 's3://keys/plain/deeper/still/twin'


def test_no_other_spelling_of_a_name_leads_anywhere(m):
    for name in ('a/b', 'a//b', 'twin%~%~', 'plain%~2Etxt', '%~2E%~2E', 'a/%~2F/b', '%~2E%~2E/etc',
                 'latin-%~e4', '%~%~'):
        with pytest.raises(FileNotFoundError):
            os.stat('%s/bronze/raw/%s' % (m, name))


@pytest.mark.parametrize('where', ['bronze/raw', 'plain/deeper/still'])
def test_doctor_counts_and_lists_what_has_no_name(m, where):
    said = run_tarn('doctor', m / where.split('/')[0]).stdout
    here = [line for line in said.splitlines() if line.startswith('%s/%s: ' % (m, where))]
    # In a plain tree what is below a directory that has no name is not looked at.
    assert '%s/%s: %d objects are left out' % (m, where, 4 if where == 'bronze/raw' else 3) in here
    assert any('n' * 300 + ': a name of more than 255 bytes' in line for line in here), said
    assert any('%~01%~01' in line and 'more than 255 bytes' in line for line in here), said
    assert any('zero%~00byte: a zero byte in its key' in line for line in here), said
    if where != 'bronze/raw':
        assert '%s/%s/deep: 1 object is left out' % (m, where) in said
