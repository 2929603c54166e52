#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
A table of figures of loading versions of tables (build/bench/load_table, which does what a mount
does), each beside that of other readers for the same table in the same round: `deltalake` for
Delta, PyIceberg and DuckDB for Iceberg.

usage: load_figures.py [--format delta|iceberg] [--files N,...] [--rounds N] [--tables DIR]
                       [local] [far]

Times are those of the best round; a ratio is the median over rounds. Memory is the most that the
process had, its program included. `local` reads from a directory, `far` from an S3 server behind
15 ms. The status is 1 when a demand is missed. --tables keeps the tables that are made for a
further run.
"""
import argparse
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / 'e2e'), str(TESTS / 'bench')]

import load_delta_tables                                                # noqa: E402
import load_iceberg_tables                                              # noqa: E402
from fake.proxy import DelayProxy                                       # noqa: E402
from figures.table import AT_MOST, Table                                # noqa: E402
from support import s3                                                  # noqa: E402
from support.places import ROOT                                         # noqa: E402

LOADER = (ROOT / os.environ.get('BUILD', 'build')).resolve() / 'bench' / 'load_table'
MEMORY, REOPEN_MS, MORE_MS = 1 / 5, 5, 20
DELAY_S, TIMEOUT_S = 0.015, 900
# What a peer does: `files`, how many it has; the list of them is what a load is for.
PEER = '''
import glob, json, os, re, sys, sysconfig, time
options = json.loads(os.environ.get("OPTIONS", "null"))
%s
began = time.perf_counter()
files = load(sys.argv[1])
print(json.dumps({"files": files, "ms": (time.perf_counter() - began) * 1000,
                  "rss_kib": int(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1])}))
'''
DELTALAKE = '''
from deltalake import DeltaTable
def load(url):
    return len(DeltaTable(url, storage_options=options).file_uris())
'''
PYICEBERG = '''
from pyiceberg.table import StaticTable
def load(url):
    table = StaticTable.from_metadata(url, options or {})
    return len([task.file.file_path for task in table.scan().plan_files()])
'''
# Files are counted within DuckDB: Python's lists of them would be no part of it. Its extensions
# come as Python packages.
DUCKDB = '''
import duckdb
def load(url):
    c = duckdb.connect(config={"allow_unsigned_extensions": "true"})
    for name in "avro", "iceberg":
        c.execute("LOAD '%s'" % glob.glob("%s/duckdb_extension_%s/extensions/*/%s.duckdb_extension"
                                          % (sysconfig.get_paths()["purelib"], name, name))[0])
    return c.execute("SELECT count(*), sum(length(file_path)) FROM iceberg_metadata('%s')"
                     % url).fetchone()[0]
'''


class Delta:
    name, time = 'delta', 1 / 3
    python = Path(sys.executable)
    local_peers = {'deltalake': DELTALAKE}
    far_peers = local_peers
    kinds = ('commits', 'checkpoint')

    def make(self, tables, table, files, kind):
        load_delta_tables.make(kind, tables / table, files)

    def url(self, root, table, files, kind):
        return '%s/%s' % (root, table)

    def options(self, env):
        return dict(env, AWS_ALLOW_HTTP='true', AWS_REGION='us-east-1')

    @contextlib.contextmanager
    def one_more(self, table, files, kind, first):
        log, version = table / '_delta_log', first['version'] + 1
        load_delta_tables.one_more(log, files + 1, version)
        try:
            yield
        finally:
            (log / ('%020d.json' % version)).unlink()


class Iceberg:
    """A kind is how many manifests the files are in; `far` ones say that they lie in a bucket."""

    name, time = 'iceberg', 1 / 5
    python = Path(os.environ.get('TOOLS', ROOT / 'build/tools')) / 'venv-bench/bin/python'
    local_peers = {'PyIceberg': PYICEBERG, 'DuckDB': DUCKDB}
    far_peers = {'PyIceberg': PYICEBERG}    # DuckDB's reader of S3 is an extension more
    kinds = (10, 100, 1000)

    def make(self, tables, table, files, kind):
        location = 's3://lake/' + table if table.startswith('far-') else None
        load_iceberg_tables.make(tables / table, files, kind, location)

    def url(self, root, table, files, kind):
        return '%s/%s/%s' % (root, table, load_iceberg_tables.metadata_name(kind))

    def options(self, env):
        return {'s3.endpoint': env['AWS_ENDPOINT_URL'], 's3.region': 'us-east-1',
                's3.access-key-id': env['AWS_ACCESS_KEY_ID'],
                's3.secret-access-key': env['AWS_SECRET_ACCESS_KEY']}

    def one_more(self, table, files, kind, first):
        return load_iceberg_tables.OneMore(table, files, kind)


FORMATS = {'delta': Delta(), 'iceberg': Iceberg()}


class Loader:
    """load_table for one table: `load` of the newest version, and again when it has another."""

    def __init__(self, form, root, runs, table, env=None):
        self.process = subprocess.Popen(
            [str(LOADER), form.name, str(root), str(runs), table, 'again'], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True, env=dict(os.environ, **(env or {})))

    def load(self):
        line = self.process.stdout.readline()
        assert line, 'load_table failed'
        answer = json.loads(line)
        return dict(answer, ms=answer['history_ms'] + answer['load_ms'])

    def again(self):
        self.process.stdin.write('\n')
        self.process.stdin.flush()
        return self.load()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        assert self.process.wait(TIMEOUT_S) == 0


def ask_peer(form, program, url, options=None):
    done = subprocess.run([str(form.python), '-c', PEER % program, url], check=True, text=True,
                          stdout=subprocess.PIPE, timeout=TIMEOUT_S,
                          env=dict(os.environ, OPTIONS=json.dumps(options)))
    return json.loads(done.stdout)


class Rounds:
    def __init__(self, form):
        self.form = form
        self.ours, self.theirs, self.reopened, self.more = [], {}, [], []

    def add(self, ours, peers, url, options=None):
        """What one round took, ours and then each peer's."""
        self.ours.append(ours)
        for name, program in peers.items():
            answer = ask_peer(self.form, program, url, options)
            assert answer['files'] == ours['files'], (name, answer, ours)
            self.theirs.setdefault(name, []).append(answer)

    def ratio(self, name, key):
        return statistics.median(o[key] / t[key] for o, t in zip(self.ours, self.theirs[name]))

    def tell(self, table, what):
        def best(answers, key='ms'):
            return min(a[key] for a in answers)
        for name, theirs in self.theirs.items():
            table.row('%s: time, %s' % (what, name), '%.0f ms' % best(self.ours),
                      '%.0f ms' % best(theirs), self.ratio(name, 'ms'), self.form.time, AT_MOST)
            table.row('%s: memory, %s' % (what, name),
                      '%.0f MiB' % (best(self.ours, 'rss_kib') / 1024),
                      '%.0f MiB' % (best(theirs, 'rss_kib') / 1024), self.ratio(name, 'rss_kib'),
                      MEMORY, AT_MOST)
        if self.reopened:
            table.row(what + ': reopened', '%.2f ms' % best(self.reopened), '%d ms' % REOPEN_MS,
                      best(self.reopened) / REOPEN_MS, 1, AT_MOST)
        if self.more:
            table.row(what + ': one more commit', '%.2f ms' % best(self.more), '%d ms' % MORE_MS,
                      best(self.more) / MORE_MS, 1, AT_MOST)


def warm(table):
    for path in table.rglob('*'):
        if path.is_file():
            path.read_bytes()


def fresh(runs):
    shutil.rmtree(runs, ignore_errors=True)
    return runs


def each_table(form, opt):
    for files in opt.files:
        for kind in opt.kinds or form.kinds:
            yield files, kind, '%s-%d' % (kind, files)


def local_round(form, root, name, files, kind, runs, rounds):
    """One table of a directory: cold, once more, with one more commit, and by the peers."""
    with Loader(form, root, fresh(runs), name) as loader:
        first = loader.load()
        with Loader(form, root, runs, name) as other:
            rounds.reopened.append(other.load())
        with form.one_more(root / name, files, kind, first):
            rounds.more.append(loader.again())
    rounds.add(first, form.local_peers, form.url(root, name, files, kind))


def local(form, table, tables, opt, below):
    table.section('From a directory, in the page cache; beside ' + ', '.join(form.local_peers))
    for files, kind, name in each_table(form, opt):
        rounds = Rounds(form)
        if not (tables / name).is_dir():
            form.make(tables, name, files, kind)
        warm(tables / name)
        for _ in range(opt.rounds):
            local_round(form, tables, name, files, kind, below / 'runs', rounds)
        rounds.tell(table, '%d files, %s' % (files, kind))


def far(form, table, tables, opt, below):
    table.section('From S3 behind %d ms; beside %s' % (DELAY_S * 1000, ', '.join(form.far_peers)))
    server = s3.Server(below)
    try:
        server.make_bucket('lake')
        with DelayProxy(server.port, delay=DELAY_S) as proxy:
            env = dict(server.env, AWS_ENDPOINT_URL=proxy.url)
            for files, kind, name in each_table(form, opt):
                rounds, name = Rounds(form), 'far-' + name
                if not (tables / name).is_dir():
                    form.make(tables, name, files, kind)
                server.copy_tree(tables / name, 'lake', name)
                for _ in range(opt.rounds):
                    with Loader(form, 's3://lake', fresh(below / 'runs'), name, env) as loader:
                        ours = loader.load()
                    rounds.add(ours, form.far_peers, form.url('s3://lake', name, files, kind),
                               form.options(env))
                rounds.tell(table, '%d files, %s' % (files, kind))
    finally:
        server.stop()


def main():
    p = argparse.ArgumentParser(description='Figures of loading tables beside other readers.')
    p.add_argument('--format', choices=FORMATS, action='append')
    p.add_argument('--files', default='10000,100000,1000000', metavar='N,...')
    p.add_argument('--kinds', metavar='KIND,...', help='of the format; all')
    p.add_argument('--rounds', type=int, default=3, metavar='N')
    p.add_argument('--tables', type=Path, metavar='DIR')
    p.add_argument('sections', nargs='*', choices=('local', 'far', []), metavar='SECTION')
    opt = p.parse_args()
    opt.files = [int(n) for n in opt.files.split(',')]
    opt.kinds = [int(k) if k.isdigit() else k for k in (opt.kinds or '').split(',') if k]
    print('%d CPUs, kernel %s' % (os.cpu_count(), os.uname().release))
    table = Table()
    with tempfile.TemporaryDirectory(prefix='tarn-bench') as where:
        for form in (FORMATS[name] for name in opt.format or FORMATS):
            tables = (opt.tables or Path(where) / 'tables') / form.name
            tables.mkdir(parents=True, exist_ok=True)
            for name, measure in (('local', local), ('far', far)):
                if not opt.sections or name in opt.sections:
                    measure(form, table, tables, opt, Path(where))
        return 0 if table.end() else 1


if __name__ == '__main__':
    sys.exit(main())
