# SPDX-License-Identifier: Apache-2.0
"""tarn lake check, and the JSON Schema of lake files: they take and refuse the same."""
import json
import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from support.mounts import run_tarn

TOP = Path(__file__).parents[2]
SCHEMA = jsonschema.Draft202012Validator(json.loads((TOP / 'lake/lake.schema.json').read_text()))
DOCUMENTS = 1500


def check(*files):
    return run_tarn('lake', 'check', *files)


def test_the_schema_is_one():
    SCHEMA.check_schema(SCHEMA.schema)


def test_the_lake_file_of_the_documentation_is_good(tmp_path):
    text = (TOP / 'docs/LAKE.md').read_text()
    examples = re.findall(r'```yaml\n(.*?)```', text, re.S)
    assert examples
    for example in examples:
        file = tmp_path / 'lake.yaml'
        file.write_text(example)
        done = check(file)
        assert (done.returncode, done.stdout) == (0, '%s: good\n' % file), done.stderr
        assert SCHEMA.is_valid(yaml.safe_load(example))


def test_a_mistake_is_told_with_file_line_and_column(tmp_path):
    good, bad = tmp_path / 'good.yaml', tmp_path / 'bad.yaml'
    good.write_text('layers: {a: s3://bucket}\n')
    bad.write_text('layers:\n  a: s3://bucket\nrules:\n- {tables: ["a/**"], move: [{to: X, after: 30}]}\n')
    done = check(bad, good, tmp_path / 'none.yaml')
    assert done.returncode == 1
    assert done.stdout == '%s: good\n' % good
    told = done.stderr.splitlines()
    assert told[0] == '%s:4:44: after takes a time such as 30d, 12h, 90m or 10s' % bad
    assert 'none.yaml' in told[1] and len(told) == 2


# Random documents: what a person may write, some of it wrong in one place or another.

URLS = ['s3://bucket', 's3://raw/landing', 's3+http://127.0.0.1:9000/bucket/p', 'gs://bucket/x y',
        'abfss://silver@account.dfs.core.windows.net/', 'az://account/container/prefix', '/nas/gold',
        'file:///nas/gold', 'file://localhost/x']
NO_URLS = ['', 'bucket/prefix', 's3://', 's3://a', 'ftp://host/x', 'lake', 's3:bucket', 'az://account',
           'file://host/x', 's3://key:secret@bucket/x', 12, True, None, ['s3://bucket'], 's3://bu\tcket']
TEXTS = ['x', 'eu-west-1', 'a b', 'é', '12', 'true']
NO_TEXTS = ['', 12, False, None, [], {}, 'a\nb']
TIMES = ['0s', '1d', '30d', '12h', '90m', '999999s']
NO_TIMES = ['30', 30, '', 'd', '-1d', '1.5d', '07d', '1w', '1 d', '1D', None, ['1d'], '1000000d']
CLASSES = ['STANDARD_IA', 'GLACIER', 'Cool', 'X9']
NO_CLASSES = ['', 'A-B', '9X', 'a b', '_A', 12, None, 'X' * 65]
PATTERNS = ['**', 'bronze/**', 'silver/orders', 'gold/*/x?', '`[x]`/y', 'a/`b``c`']
NO_PATTERNS = ['', 'a//b', '/a', 'a/', 'a**/b', '[a]', 'a{b}', '`a', 12, None]
NUMBERS = [0, 1, 0.023, 12.5, 999999999]
NO_NUMBERS = ['1', -1, -0.5, True, None, [1], 1000000000]
FLAGS = [True, False]
NO_FLAGS = ['true', 1, None, 'yes']


class Writer:
    """Documents, each value wrong with a small chance."""

    def __init__(self, chance, wrong):
        self.chance, self.wrong = chance, wrong

    def one(self, good, bad):
        return self.chance.choice(bad if self.chance.random() < self.wrong else good)

    def map(self, required, optional):
        """Of {key: maker}; a key may lack or be one that nobody knows."""
        made = {key: make() for key, make in required.items() if self.chance.random() >= self.wrong}
        made.update((key, make()) for key, make in optional.items() if self.chance.random() < 0.25)
        if self.chance.random() < self.wrong:
            made[self.chance.choice(['more', 'URL', 'Tables', 'x-y'])] = 1
        keys = list(made)
        self.chance.shuffle(keys)
        return {key: made[key] for key in keys}

    def list(self, make, most=3):
        n = 0 if self.chance.random() < self.wrong else self.chance.randrange(1, most + 1)
        return [make() for _ in range(n)]

    def url(self):
        return self.one(URLS, NO_URLS)

    def text(self):
        return self.one(TEXTS, NO_TEXTS)

    def options(self):
        return {
            'endpoint-url': lambda: self.one(
                ['http://127.0.0.1:9000', 'https://host', 'HTTPS://Host.example/'],
                ['host', 'ftp://host', 'http://', 'http://u:p@host', 'http://host/path', 12]),
            'region': self.text, 'profile': self.text, 'sse-kms-key-id': self.text,
            'addressing': lambda: self.one(['auto', 'path', 'virtual'], ['', 'dns', 1]),
            'ca-bundle': lambda: self.one(['/etc/ca.pem'], ['ca.pem', '', 1]),
            'proxy': lambda: self.one(['off', 'http://proxy:3128'], ['http://u:p@proxy', '', 1]),
            'sse': lambda: self.one(['aws:kms', 'AES256'], ['kms', 1]),
            'requester-pays': self.flag, 'no-sign-request': self.flag}

    def flag(self):
        return self.one(FLAGS, NO_FLAGS)

    def store(self, more=None):
        if self.chance.random() < 0.4:
            return self.url()
        return self.map({'url': self.url}, dict(self.options(), **(more or {})))

    def prices(self):
        return self.one([{c: self.one(NUMBERS, NO_NUMBERS) for c in self.chance.sample(CLASSES, 2)}],
                        [{}, [], 1, {self.chance.choice(['A-B', '9X', '']): 1}])

    def catalog(self):
        of = self.chance.choice(['sql', 'http', 'http', 'glue'])
        path = lambda: self.one(['/etc/secret'], ['secret', '', 1])
        uri = lambda: self.one(['http://127.0.0.1:8181', 'https://host/api/catalog'],
                               ['host', 'ftp://host', 'http://', 'http://u:p@host', 'http://host?x', 12, ''])
        if of == 'sql':
            sql = lambda: self.one(
                ['/dir/catalog.db', 'sqlite:////dir/catalog.db', 'jdbc:sqlite:file:/dir/c.db', 'postgresql://host/db',
                 'postgresql+psycopg2://me@host:5432/db', 'jdbc:postgresql://host/db?sslmode=require'],
                ['sqlite://', 'catalog.db', 'mysql://host/db', '', 12])
            return self.map({'type': lambda: self.one(['sql'], ['mysql', 1]), 'uri': sql},
                            {'name': self.text, 'warehouse': self.text, 'credential-file': path})
        required = {'type': lambda: self.one(['rest', 'unity'], ['hive', '', 1]), 'uri': uri}
        optional = {'auth': lambda: self.one(['none', 'bearer', 'oauth2', 'sigv4'], ['basic', '', 1]),
                    'oauth2-server-uri': uri, 'token-file': path, 'credential-file': path,
                    'vended-credentials': self.flag,
                    **{k: self.text for k in ('warehouse', 'prefix', 'scope', 'audience', 'resource', 'signing-name',
                                              'signing-region')}}
        if of == 'glue':
            return self.map({'type': lambda: 'glue'}, {'uri': uri, **optional})
        return self.map(required, optional)

    def named(self):
        files = ['s3://bucket/t/metadata/v3.metadata.json', '/lake/t/metadata/00001-a.metadata.json.gz']
        return {self.one(['orders', 'a b'], ['a/b', '.a', '']): self.one(files, ['s3://bucket/t', '/x.metadata.json', 1])
                for _ in self.list(int)}

    def layer(self):
        if self.chance.random() < 0.3:
            outside = {'outside': lambda: self.list(self.url)}
            if self.chance.random() < 0.3:
                return self.map({'tables': self.named}, dict(self.options(), **outside))
            more = {'near': lambda: self.store(), 'url': self.url} if self.wrong and self.chance.random() < 0.1 else {}
            return self.map({'catalog': self.catalog}, dict(self.options(), **outside, **more))
        size = lambda: self.one(['1K', '500G', '2T'], [500, '500', '0G', '05G', '1g', '1 G', None])
        return self.store({'near': lambda: self.store({'size': size}),
                           'outside': lambda: self.list(self.url), 'prices': self.prices})

    def moves(self):
        """In the order of their times, which a schema cannot say."""
        moves = self.list(lambda: self.map({'to': lambda: self.one(CLASSES, NO_CLASSES)}, {}))
        for i, move in enumerate(moves):
            if self.chance.random() >= self.wrong:
                move['after'] = '%dd' % (i * 10)
            if self.chance.random() < self.wrong:
                move['after'] = self.chance.choice(NO_TIMES)
        return moves

    def rule(self):
        time = lambda: self.one(TIMES, NO_TIMES)
        return self.map(
            {'tables': lambda: self.list(lambda: self.one(PATTERNS, NO_PATTERNS)), 'move': self.moves},
            {'need': lambda: self.one(['compacted', 'older-than-7d', 'older-than-0s'],
                                      ['', 'old', 'older-than-', 'older-than-7', 'compacted ', 7]),
             'partition': lambda: self.map({'column': self.text, 'older-than': time}, {}),
             'live': self.flag, 'tags': self.flag})

    def layers(self):
        names = ['bronze', 'silver', 'gold', 'Rohdaten Köln', 'x.y', '9', 'n' * 63]
        bad = ['a/b', 'a@1', '.a', '_a', 'n' * 64, '']
        return {self.one(names, bad): self.layer() for _ in self.list(int)}

    def document(self):
        return self.map({'layers': self.layers},
                        {'archive': self.store, 'prices': self.prices,
                         'rules': lambda: [self.rule() for _ in range(self.chance.randrange(4))]})


def as_yaml(document, chance):
    """Whoever reads it, it is this document: in blocks, or as JSON, which is YAML too."""
    if chance.random() < 0.5:
        return json.dumps(document, ensure_ascii=False) + '\n'
    return yaml.safe_dump(document, allow_unicode=True, sort_keys=False, width=10 ** 6)


def test_random_documents_are_taken_by_both_or_by_none(tmp_path, chance):
    made = []
    for i in range(DOCUMENTS):
        document = Writer(chance, chance.choice([0, 0.02, 0.1])).document()
        file = tmp_path / ('%04d.yaml' % i)
        file.write_text(as_yaml(document, chance))
        made.append((file, document))
    done = check(*[file for file, _ in made])
    good = {line[:-len(': good')] for line in done.stdout.splitlines()}
    told = {re.match(r'(.*?\.yaml):(\d+):(\d+): (.*)', line) for line in done.stderr.splitlines()}
    assert None not in told, done.stderr
    why = {m[1]: m[0] for m in told}
    assert len(good) + len(why) == DOCUMENTS
    assert DOCUMENTS / 10 < len(good) < DOCUMENTS * 9 / 10        # both kinds were there
    for file, document in made:
        valid = SCHEMA.is_valid(document)
        assert valid == (str(file) in good), '%s\n%s\n%s' % (
            why.get(str(file), 'the parser takes it'), file.read_text(),
            '\n'.join(str(e) for e in SCHEMA.iter_errors(document)))


@pytest.mark.parametrize('text, told', [
    ('layers: {a: s3://bucket, a: s3://bucket2}\n', '1:26: "a" is there twice'),
    ('layers: {a: s3://bucket}\nrules: [{tables: [a], move: [{to: X, after: 2d}, {to: Y, after: 1d}]}]\n',
     '2:50: to Y, after no more than to X'),
    ('layers: &a {a: s3://bucket}\n', '1:9: anchors are not taken here'),
    ('layers: {a: s3://bucket}\n---\nlayers: {}\n', '2:1: further documents'),
])
def test_what_no_schema_can_say_is_refused_too(tmp_path, text, told):
    file = tmp_path / 'lake.yaml'
    file.write_text(text)
    assert check(file).stderr.startswith('%s:%s' % (file, told))
