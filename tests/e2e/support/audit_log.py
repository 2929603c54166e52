# SPDX-License-Identifier: Apache-2.0
"""Audit logs, written and checked by what tarn(1) says of them and by nothing else."""
import hashlib
import json

ZEROS = '0' * 64


def seal(text):
    """A line whose text up to its hash is this."""
    return '%s,"sha256":"%s"}' % (text, hashlib.sha256(text.encode()).hexdigest())


class Writer:
    """A chain of lines."""

    def __init__(self):
        self.number = 0
        self.hash = ZEROS

    def line(self, event='denied', torn=0, **fields):
        self.number += 1
        head = '{"line":%d,"prev":"%s"' % (self.number, self.hash)
        if torn:
            head += ',"torn":%d' % torn
        fields = {'event': event, 'time': '2026-03-01T09:30:00Z', **fields}
        text = seal(head + ',' + json.dumps(fields, separators=(',', ':'))[1:-1])
        self.hash = json.loads(text)['sha256']
        return text + '\n'

    def lines(self, n):
        return ''.join(self.line(path='silver/t%d' % i) for i in range(n))

    def chain(self):
        return '%020d %s\n' % (self.number, self.hash)


def read(*paths):
    """The lines of a log's files, oldest first, as dictionaries: their chain is followed."""
    lines, before = [], None
    for path in paths:
        text = path.read_text('ascii')
        assert text == '' or text.endswith('\n')
        for line in text.splitlines():
            fields = json.loads(line)
            assert line == seal(line[:line.rindex(',"sha256":')])
            if before:
                assert fields['line'] == before['line'] + 1 and fields['prev'] == before['sha256']
            before = fields
            lines.append(fields)
    return lines
