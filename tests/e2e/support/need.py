# SPDX-License-Identifier: Apache-2.0
"""
What the versions of a Delta table need, said by a replay of its log that is as simple as can be:
the whole state of each version, one after the other, and only then what follows for each object.

    n = Needs(table)
    n.versions            [(number, time in ms)], as far as the log reaches
    n.held                for each of them {object: size}
    n.objects             {object: Need}

An object is a path below the table, or a whole URL. Times are those of the commits' files.
"""
import dataclasses
import json
import re
import uuid
from pathlib import Path
from urllib.parse import unquote

import pyarrow.parquet as pq

COMMIT = re.compile(r'^(\d{20})\.json$')
CHECKPOINT = re.compile(r'^(\d{20})\.checkpoint(\.\d{10}\.\d{10})?\.parquet$')
Z85 = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#'


@dataclasses.dataclass
class Need:
    size: int
    kind: str                                   # data, changes, deletes
    holders: list                               # indexes of versions, in order
    live: bool
    added: int                                  # ms
    removed: int = None                         # ms: the first version without it, after the last with
    moved: bool = False                         # that one has put its rows elsewhere
    values: dict = dataclasses.field(default_factory=dict)


def vector_file(dv):
    """The file that a deletion vector is in, or None."""
    if dv is None or dv['storageType'] == 'i':
        return None
    text = dv['pathOrInlineDv']
    if dv['storageType'] == 'p':
        return unquote(text)
    number = 0
    raw = b''
    for i in range(len(text) - 20, len(text), 5):
        number = 0
        for c in text[i:i + 5]:
            number = number * 85 + Z85.index(c)
        raw += number.to_bytes(4, 'big')
    prefix = text[:-20]
    return (prefix + '/' if prefix else '') + 'deletion_vector_%s.bin' % uuid.UUID(bytes=raw)


def vector_id(dv):
    if dv is None:
        return None
    at = dv.get('offset')
    return dv['storageType'] + dv['pathOrInlineDv'] + ('@%d' % at if at is not None else '')


class Needs:
    def __init__(self, table):
        self.log = Path(table) / '_delta_log'
        commits, checkpoints = {}, {}
        for path in self.log.iterdir():
            found = COMMIT.match(path.name)
            if found:
                commits[int(found[1])] = path
            found = CHECKPOINT.match(path.name)
            if found:
                checkpoints.setdefault(int(found[1]), []).append(path)
        self.versions, self.held, self.dropped, self.objects = [], [], [], {}
        state, changes, last = {}, [], None
        for number in sorted(set(commits) | set(checkpoints)):
            follows = number in commits and (number == 0 or number - 1 == last)
            if not follows and number not in checkpoints:
                continue
            dropped, cdc = {}, {}
            if follows:
                self._commit(commits[number], state, dropped, cdc)
            else:
                state = self._checkpoint(checkpoints[number])
            last = number
            file = commits.get(number) or checkpoints[number][0]
            time = file.stat().st_mtime_ns // 10 ** 6
            if self.versions and time <= self.versions[-1][1]:
                time = self.versions[-1][1] + 1
            self.versions.append((number, time))
            self.held.append(self._objects(state))
            self.dropped.append(dropped)
            changes.append(cdc)
            self._note(state, follows)
        self._finish(changes)

    @staticmethod
    def _commit(path, state, dropped, cdc):
        actions = [json.loads(line) for line in path.read_text().splitlines() if line.strip()]
        for a in actions:
            if 'remove' in a:
                r = a['remove']
                state.pop((unquote(r['path']), vector_id(r.get('deletionVector'))), None)
                moved = not r['dataChange']
                for name in (unquote(r['path']), vector_file(r.get('deletionVector'))):
                    dropped[name] = dropped.get(name, True) and moved
            if 'cdc' in a:
                cdc[unquote(a['cdc']['path'])] = a['cdc']['size']
        for a in actions:
            if 'add' in a:
                add = a['add']
                state[unquote(add['path']), vector_id(add.get('deletionVector'))] = add

    @staticmethod
    def _checkpoint(paths):
        state = {}
        for path in paths:
            for add in pq.read_table(path, columns=['add'])['add'].to_pylist():
                if add is None or add['path'] is None:
                    continue
                add = dict(add, partitionValues=dict(add['partitionValues'] or []))
                state[unquote(add['path']), vector_id(add.get('deletionVector'))] = add
        return state

    @staticmethod
    def _objects(state):
        found = {}
        for (path, _), add in state.items():
            found[path] = ('data', add['size'])
            vector = vector_file(add.get('deletionVector'))
            if vector:
                found[vector] = ('deletes', 0)
        return found

    def _note(self, state, follows):
        """When objects that are new here were added, and their partition values."""
        number, time = self.versions[-1]
        for (path, _), add in state.items():
            values = add.get('partitionValues') or {}
            known = self.objects.get(path)
            if known is None:
                written = add['modificationTime']
                added = time if follows or not 0 < written < time else written
                self.objects[path] = Need(add['size'], 'data', [], False, added)
            self.objects[path].values = values
            vector = vector_file(add.get('deletionVector'))
            if vector and vector not in self.objects:
                self.objects[vector] = Need(0, 'deletes', [], False, time)

    def _finish(self, changes):
        last = len(self.versions) - 1
        for i, held in enumerate(self.held):
            for name in held:
                self.objects[name].holders.append(i)
        for i, cdc in enumerate(changes):
            for name, size in cdc.items():
                self.objects[name] = Need(size, 'changes', [i], False, self.versions[i][1])
        for name, need in self.objects.items():
            until = need.holders[-1] + 1
            need.live = until > last
            if not need.live:
                need.removed = self.versions[until][1]
                need.moved = self.dropped[until].get(name, False) and need.kind != 'changes'

    def use(self, name):
        """As `tarn tier report` names it."""
        need = self.objects.get(name)
        if need is None:
            return 'unnamed'
        if need.kind != 'data':
            return need.kind
        return 'live' if need.live else 'leftover' if need.moved else 'older'

    def sums(self, sizes):
        """{number: (files, bytes, files of it alone, bytes of it alone)} by the sizes on disk."""
        found = {}
        for i, (number, _) in enumerate(self.versions):
            here = [n for n in self.held[i] if n in sizes]
            alone = [n for n in here if self.objects[n].holders == [i]]
            found[number] = (len(here), sum(sizes[n] for n in here),
                             len(alone), sum(sizes[n] for n in alone))
        return found
