# SPDX-License-Identifier: Apache-2.0
"""tarn audit verify: an audit log that nobody touched is whole, and any other one is not."""
import re
import subprocess

import pytest

from support.audit_log import Writer, seal
from support.mounts import clean_env, run_tarn
from support.places import PATIENCE_S


def verify(*words):
    return run_tarn('audit', 'verify', *words)


def verify_text(tarn, text, *words):
    return subprocess.run([tarn, 'audit', 'verify', *map(str, words), '-'], input=text, text=True,
                          capture_output=True, env=clean_env(None), timeout=PATIENCE_S)


@pytest.fixture
def log(tmp_path):
    """A log as a running daemon leaves it: two rotated files and the newest one."""
    w = Writer()
    files = [tmp_path / name for name in ('audit.log.2', 'audit.log.1', 'audit.log')]
    for path in files[:2]:
        path.write_text(w.lines(4) + w.line('end'))
    files[2].write_text(w.lines(3))
    (tmp_path / 'audit.log.chain').write_text(w.chain())
    return files


def test_whole(tarn, log):
    """All files, in any order, are as they were written; so is each one, but for what is before."""
    done = verify(log[2], log[0], log[1])
    assert done.returncode == 0 and 'lines 1 to 13 ' in done.stdout and not done.stderr
    for path, lines in zip(log, ('1 to 5', '6 to 10', '11 to 13')):
        done = verify('--from-middle', path)
        assert done.returncode == 0 and lines in done.stdout and not done.stderr
        assert ('what came before is not there' in done.stdout) == (path != log[0])


@pytest.mark.parametrize('cut', [1, 4, 5, 7, 12])
def test_the_beginning_was_cut_off(tarn, log, cut):
    """A log that begins in the middle is not whole, unless older files were dropped on purpose."""
    lines = ''.join(path.read_text() for path in log).splitlines(True)
    log[2].write_text(''.join(lines[cut:]))
    done = verify(log[2])
    assert done.returncode == 1 and 'lines %d to 13 ' % (cut + 1) in done.stdout
    assert done.stderr.startswith('%s:1: the log begins with line %d, in the middle of a chain' % (
        log[2], cut + 1))
    done = verify('--from-middle', log[2])
    assert done.returncode == 0 and 'what came before is not there' in done.stdout
    log[2].write_text(''.join(lines[cut:-1]))
    assert verify('--from-middle', log[2]).returncode == 1


def test_older_files_were_dropped(tarn, log):
    """Of files of which the oldest one is not given, the first of the others is named."""
    done = verify(log[2], log[1])
    assert done.returncode == 1
    assert done.stderr.startswith('%s:1: the log begins with line 6' % log[1])
    assert verify('--from-middle', log[2], log[1]).returncode == 0


def test_lines_that_were_dropped_from_standard_input(tarn):
    """A journal that has forgotten its oldest lines is told of as well."""
    w = Writer()
    w.lines(3)
    text = w.lines(4)
    done = verify_text(tarn, text)
    assert done.returncode == 1 and '-:1: the log begins with line 4' in done.stderr
    done = verify_text(tarn, text, '--from-middle')
    assert done.returncode == 0 and 'before' in done.stdout and 'follow' in done.stdout


def test_just_rotated(tarn, log):
    """The newest file may be empty."""
    log[2].write_text('')
    chain = log[2].with_name('audit.log.chain')
    last = log[1].read_text().splitlines()[-1]
    chain.write_text('%020d %s\n' % (10, re.search('"sha256":"(.*)"', last).group(1)))
    assert verify(*log).returncode == 0


@pytest.mark.parametrize('which', range(13))
def test_a_line_is_missing(tarn, log, which):
    """A line that was taken out is found wherever it was."""
    number = which
    for path in log:
        lines = path.read_text().splitlines(True)
        if number < len(lines):
            del lines[number]
            path.write_text(''.join(lines))
            break
        number -= len(lines)
    done = verify(*log)
    assert done.returncode == 1 and (which == 0 or not done.stdout)
    if which == 0:
        assert 'audit.log.2:1: the log begins with line 2' in done.stderr
    elif which == 12:
        assert 'audit.log:3: the log ends with line 12, and 13 were written' in done.stderr
    else:
        assert 'line %d is missing' % (which + 1) in done.stderr


@pytest.mark.parametrize('which', range(13))
def test_a_line_is_altered(tarn, log, which):
    """A line that says something else is found, and named."""
    number = which
    for path in log:
        lines = path.read_text().splitlines(True)
        if number < len(lines):
            lines[number] = lines[number].replace('09:30', '09:31')
            path.write_text(''.join(lines))
            break
        number -= len(lines)
    done = verify(*log)
    assert done.returncode == 1
    assert done.stderr.startswith('%s:%d: ' % (path, number + 1))
    assert 'altered' in done.stderr


def test_an_altered_line_with_its_own_hash(tarn, log):
    """A line that was altered with its hash does not belong to the next one, nor to the chain."""
    for path, line in ((log[1], 2), (log[2], 2)):
        before = path.read_text()
        lines = before.splitlines()
        text = lines[line][:lines[line].rindex(',"sha256"')]
        lines[line] = seal(text.replace('09:30', '09:31'))
        path.write_text('\n'.join(lines) + '\n')
        done = verify(*log)
        assert done.returncode == 1 and 'another one' in done.stderr
        path.write_text(before)


def test_end_of_a_rotated_file(tarn, log):
    """Of a rotated file alone a missing end is noticed, and of files between others too."""
    lines = log[0].read_text().splitlines(True)
    log[0].write_text(''.join(lines[:-1]))
    done = verify(log[0])
    assert done.returncode == 1 and 'audit.log.2:5:' in done.stderr and 'follows' in done.stderr
    done = verify(*log)
    assert done.returncode == 1 and 'audit.log.1:1: line 5 is missing' in done.stderr
    log[0].write_text(''.join(lines)[:-20])
    done = verify(*log)
    assert done.returncode == 1 and 'audit.log.2:5:' in done.stderr


def test_a_file_is_missing(tarn, log):
    """Whoever takes a whole file out is noticed."""
    done = verify(log[0], log[2])
    assert done.returncode == 1 and 'lines 6 to 10 are missing' in done.stderr


def test_torn(tarn, tmp_path):
    """What a crash left of a line is no damage where the next line tells of it; else it is."""
    w, path = Writer(), tmp_path / 'audit.log'
    text = w.lines(2) + '{"line":3,"pr\n' + w.line(torn=13) + w.lines(1)
    path.write_text(text)
    path.with_name('audit.log.chain').write_text(w.chain())
    assert verify(path).returncode == 0
    path.write_text(text.replace('"pr\n', '"p\n'))
    done = verify(path)
    assert done.returncode == 1 and 'audit.log:3: ' in done.stderr


def test_being_written(tarn, log):
    """Half a line that the chain does not know of is on its way."""
    with open(log[2], 'a') as f:
        f.write('{"line":14')
    assert verify(*log).returncode == 0
    log[2].with_name('audit.log.chain').unlink()
    done = verify(*log)
    assert done.returncode == 1 and 'audit.log:4: ' in done.stderr


def test_standard_input(tarn, tmp_path):
    """Lines that journalctl prints are verified; their end with the chain of the cache directory."""
    w, chain = Writer(), tmp_path / 'audit-journald.chain'
    text = w.lines(5)
    chain.write_text(w.chain())
    done = verify_text(tarn, text)
    assert done.returncode == 0 and 'not known' in done.stdout
    done = verify_text(tarn, text, '--chain', chain)
    assert done.returncode == 0 and 'not known' not in done.stdout
    done = verify_text(tarn, ''.join(text.splitlines(True)[:-1]), '--chain', chain)
    assert done.returncode == 1 and '5 were written' in done.stderr


@pytest.mark.parametrize('junk', [b'\0' * 1000, b'x' * 1000000, b'\n\n\n', b'{"line":1}\n',
                                  b'{"line":18446744073709551615,"prev":"' + b'0' * 64 + b'"}\n',
                                  b'\xff\xfe\n' * 100], ids=range(6))
def test_junk(tarn, tmp_path, junk):
    """What is no audit log is refused with its place."""
    path = tmp_path / 'junk'
    path.write_bytes(junk)
    done = verify(path)
    assert done.returncode == 1 and done.stderr.startswith('%s:1: ' % path)


def test_wrong_use(tarn, tmp_path):
    """Wrong use ends with 2; a file that is not there with 1."""
    for words in ([], ['nonsense'], ['verify'], ['verify', '--no'], ['verify', '--chain']):
        assert run_tarn('audit', *words).returncode == 2
    done = verify(tmp_path / 'nowhere')
    assert done.returncode == 1 and 'nowhere' in done.stderr
    assert run_tarn('audit', '--help').returncode == 0
