#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
A table of figures of loading versions of Delta tables (build/bench/load_delta, which does what a
mount does), each beside that of `deltalake` for the same table in the same round.

usage: load_figures.py [--files N,...] [--rounds N] [--tables DIR] [local] [far]

Times are those of the best round; a ratio is the median over rounds. Memory is the most that the
process had, its program included. `local` reads from a directory, `far` from an S3 server behind
15 ms. The status is 1 when a demand is missed. --tables keeps the tables that are made for a
further run.
"""
import argparse
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

import load_tables                                                      # noqa: E402
from fake.proxy import DelayProxy                                       # noqa: E402
from figures.table import AT_MOST, Table                                # noqa: E402
from support import s3                                                  # noqa: E402
from support.places import ROOT                                         # noqa: E402

LOADER = (ROOT / os.environ.get('BUILD', 'build')).resolve() / 'bench' / 'load_delta'
KINDS = ('commits', 'checkpoint')
TIME, MEMORY, REOPEN_MS, MORE_MS = 1 / 3, 1 / 5, 5, 20
DELAY_S, TIMEOUT_S = 0.015, 900
# The list of files is what a load is for: it is asked for as well.
PEER = '''
import json, os, re, sys, time
from deltalake import DeltaTable
options = json.loads(os.environ.get("OPTIONS", "null"))
began = time.perf_counter()
files = len(DeltaTable(sys.argv[1], storage_options=options).file_uris())
print(json.dumps({"files": files, "ms": (time.perf_counter() - began) * 1000,
                  "rss_kib": int(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1])}))
'''


class Loader:
    """load_delta for one table: `load` of the newest version, and again when it has another."""

    def __init__(self, root, runs, table, env=None):
        self.process = subprocess.Popen(
            [str(LOADER), str(root), str(runs), table, 'again'], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True, env=dict(os.environ, **(env or {})))

    def load(self):
        line = self.process.stdout.readline()
        assert line, 'load_delta failed'
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


def peer(url, options=None):
    done = subprocess.run([sys.executable, '-c', PEER, str(url)], check=True, text=True,
                          stdout=subprocess.PIPE, timeout=TIMEOUT_S,
                          env=dict(os.environ, OPTIONS=json.dumps(options)))
    return json.loads(done.stdout)


class Rounds:
    def __init__(self):
        self.ours, self.theirs, self.reopened, self.more = [], [], [], []

    def ratio(self, key):
        return statistics.median(o[key] / t[key] for o, t in zip(self.ours, self.theirs))

    def tell(self, table, what):
        def best(answers, key='ms'):
            return min(a[key] for a in answers)
        table.row(what + ': time', '%.0f ms' % best(self.ours), '%.0f ms' % best(self.theirs),
                  self.ratio('ms'), TIME, AT_MOST)
        table.row(what + ': memory', '%.0f MiB' % (best(self.ours, 'rss_kib') / 1024),
                  '%.0f MiB' % (best(self.theirs, 'rss_kib') / 1024), self.ratio('rss_kib'),
                  MEMORY, AT_MOST)
        if self.reopened:
            table.row(what + ': reopened', '%.2f ms' % best(self.reopened), '%d ms' % REOPEN_MS,
                      best(self.reopened) / REOPEN_MS, 1, AT_MOST)
        if self.more:
            table.row(what + ': one more commit', '%.2f ms' % best(self.more), '%d ms' % MORE_MS,
                      best(self.more) / MORE_MS, 1, AT_MOST)


def warm(table):
    for path in (Path(table) / '_delta_log').iterdir():
        path.read_bytes()


def fresh(runs):
    shutil.rmtree(runs, ignore_errors=True)
    return runs


def local_round(root, name, files, runs, rounds):
    """One table of a directory: cold, once more, with one more commit, and by the peer."""
    log = root / name / '_delta_log'
    with Loader(root, fresh(runs), name) as loader:
        first = loader.load()
        with Loader(root, runs, name) as other:
            rounds.reopened.append(other.load())
        version = first['version'] + 1
        load_tables.one_more(log, files + 1, version)
        try:
            rounds.more.append(loader.again())
        finally:
            (log / ('%020d.json' % version)).unlink()
    theirs = peer(root / name)
    assert theirs['files'] == first['files'], (theirs, first)
    rounds.ours.append(first)
    rounds.theirs.append(theirs)


def local(table, tables, opt, below):
    table.section('From a directory, in the page cache; beside deltalake')
    for files in opt.files:
        for kind in KINDS:
            rounds, name = Rounds(), '%s-%d' % (kind, files)
            warm(tables / name)
            for _ in range(opt.rounds):
                local_round(tables, name, files, below / 'runs', rounds)
            rounds.tell(table, '%d files, %s' % (files, kind))


def far(table, tables, opt, below):
    table.section('From S3 behind %d ms; beside deltalake' % (DELAY_S * 1000))
    server = s3.Server(below)
    try:
        server.make_bucket('lake')
        with DelayProxy(server.port, delay=DELAY_S) as proxy:
            env = dict(server.env, AWS_ENDPOINT_URL=proxy.url)
            options = dict(env, AWS_ALLOW_HTTP='true', AWS_REGION='us-east-1')
            for files in opt.files:
                for kind in KINDS:
                    rounds, name = Rounds(), '%s-%d' % (kind, files)
                    server.copy_tree(tables / name, 'lake', name)
                    for _ in range(opt.rounds):
                        with Loader('s3://lake', fresh(below / 'runs'), name, env) as loader:
                            rounds.ours.append(loader.load())
                        rounds.theirs.append(peer('s3://lake/' + name, options))
                    rounds.tell(table, '%d files, %s' % (files, kind))
    finally:
        server.stop()


def make(tables, sizes):
    for files in sizes:
        for kind in KINDS:
            if not (tables / ('%s-%d' % (kind, files))).is_dir():
                load_tables.make(kind, tables / ('%s-%d' % (kind, files)), files)


def main():
    p = argparse.ArgumentParser(description='Figures of loading Delta tables beside deltalake.')
    p.add_argument('--files', default='10000,100000,1000000', metavar='N,...')
    p.add_argument('--rounds', type=int, default=3, metavar='N')
    p.add_argument('--tables', type=Path, metavar='DIR')
    p.add_argument('sections', nargs='*', choices=('local', 'far', []), metavar='SECTION')
    opt = p.parse_args()
    opt.files = [int(n) for n in opt.files.split(',')]
    print('%d CPUs, kernel %s' % (os.cpu_count(), os.uname().release))
    table = Table()
    with tempfile.TemporaryDirectory(prefix='tarn-bench') as where:
        tables = opt.tables or Path(where) / 'tables'
        make(tables, opt.files)
        for name, measure in (('local', local), ('far', far)):
            if not opt.sections or name in opt.sections:
                measure(table, tables, opt, Path(where))
        return 0 if table.end() else 1


if __name__ == '__main__':
    sys.exit(main())
