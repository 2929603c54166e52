# SPDX-License-Identifier: Apache-2.0
"""The corpus of tables that real engines wrote (docs/TESTING.md says where it comes from)."""
import os
import subprocess
from urllib.parse import quote

from .places import TABLES


def unpack(root):
    """Unpacks it, with its modification times."""
    assert (TABLES / 'check').is_file(), \
        'no corpus at %s: docs/TESTING.md says where it comes from; set TABLES' % TABLES
    subprocess.run([str(TABLES / 'unpack'), str(root)], check=True, capture_output=True)
    mend_test_names(root)
    return root


# Spark's own tests put this before the names of deletion vectors' files, and leave a word where
# an absolute address belongs. Outside of them it writes neither.
TEST_PREFIX = 'test%dv%prefix-'
TEST_FOLDER = '{{FOLDER_WITH_SPECIAL_CHAR}}'


def mend_test_names(root):
    """Gives tables of Spark's tests the names that a table outside of them has."""
    for path in root.glob('delta/spark/*/%s*.bin' % TEST_PREFIX):
        os.link(path, path.with_name(path.name[len(TEST_PREFIX):]))
    for commit in root.glob('delta/spark/table-with-dv-special-char/_delta_log/*.json'):
        folder, = commit.parent.parent.glob('folder*')
        stat, text = commit.stat(), commit.read_text()
        assert TEST_FOLDER in text
        commit.write_text(text.replace(TEST_FOLDER, quote(str(folder))))
        os.utime(commit, ns=(stat.st_atime_ns, stat.st_mtime_ns))
