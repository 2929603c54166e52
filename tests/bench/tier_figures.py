#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints what `tarn tier plan` and `tarn tier report` cost over a table of very many files."""
import argparse
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'e2e'))

from support import big_table                                       # noqa: E402
from support.places import TARN                                     # noqa: E402
from support.ports import free_port                                 # noqa: E402

SERVER = Path(__file__).resolve().parents[1] / 'fake' / 's3_list.py'
WRITTEN_S = big_table.FIRST_MS // 1000
RULES = {
    'nothing is due': {'need': 'older-than-3650d', 'move': [{'to': 'GLACIER', 'after': '1d'}]},
    'all is due': {'live': True, 'move': [{'to': 'GLACIER', 'after': '30d'}]},
}


def make(work, files):
    """The lake below a directory, and what is listed of it besides."""
    big_table.make(work / 'lake' / 'silver' / 'big', files)
    more = big_table.COMMITS * big_table.ADDED
    objects = [['silver/big/' + big_table.path_of(i, 100), big_table.size_of(i),
                'GLACIER' if i % 7 == 0 else 'STANDARD', WRITTEN_S] for i in range(files + more)]
    (work / 'objects.json').write_text(json.dumps(objects))


def run(words, env):
    """Seconds, the peak of memory in MB and seconds of the processor of one command."""
    before, peak_kb = time.monotonic(), 0
    process = subprocess.Popen([str(TARN), *words], stdout=subprocess.DEVNULL, env=env)
    while True:         # what wait4 tells of memory is this process's own, before it became another
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            break
        found = re.search(r'VmHWM:\s+(\d+)', Path('/proc/%d/status' % process.pid).read_text())
        peak_kb = int(found[1]) if found else peak_kb
        time.sleep(0.02)
    assert status == 0, words
    return time.monotonic() - before, peak_kb / 1024, usage.ru_utime + usage.ru_stime


def main():
    p = argparse.ArgumentParser(description=__doc__.strip())
    p.add_argument('--files', type=int, default=1_000_000)
    p.add_argument('--rounds', type=int, default=3)
    p.add_argument('--dir', help='where the table is made, or was made before')
    opt = p.parse_args()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with tempfile.TemporaryDirectory() as own:
        work = Path(opt.dir or own)
        if not (work / 'objects.json').exists():
            make(work, opt.files)
        port = free_port()
        server = subprocess.Popen([sys.executable, str(SERVER), str(port), str(work / 'lake'),
                                   str(work / 'objects.json')], stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout.readline() == 'ready\n'
            measure(opt, work, port)
        finally:
            server.terminate()
            server.wait()


def measure(opt, work, port):
    env = {'PATH': os.environ['PATH'], 'HOME': str(work), 'AWS_ACCESS_KEY_ID': 'a',
           'AWS_SECRET_ACCESS_KEY': 'b', 'AWS_EC2_METADATA_DISABLED': 'true'}
    options = ['--endpoint-url', 'http://127.0.0.1:%d' % port]
    print('%d files; seconds, of the processor, peak MB' % opt.files)
    for name, rule in RULES.items():
        file = work / 'lake.yaml'
        file.write_text(json.dumps({'layers': {'silver': 's3://bucket/silver'},
                                    'rules': [dict(rule, tables=['silver/**'])]}))
        for _ in range(opt.rounds):
            wall, memory, cpu = run(['tier', 'plan', str(file), *options], env)
            print('plan, %-18s %6.2f %6.2f %6.0f' % (name, wall, cpu, memory), flush=True)
    for _ in range(opt.rounds):
        wall, memory, cpu = run(['tier', 'report', str(work / 'lake.yaml'), '--versions', '--json', *options], env)
        print('report, with versions   %6.2f %6.2f %6.0f' % (wall, cpu, memory), flush=True)


if __name__ == '__main__':
    main()
