# SPDX-License-Identifier: Apache-2.0
"""The smallest Delta log: one commit that adds files, whatever they hold."""
import json

SCHEMA = {'type': 'struct', 'fields': [
    {'name': 'a', 'type': 'long', 'nullable': True, 'metadata': {}}]}


def write_log(table, sizes):
    """Writes version 0 of a table directory; sizes: bytes by path below it."""
    actions = [
        {'protocol': {'minReaderVersion': 1, 'minWriterVersion': 2}},
        {'metaData': {'id': '6f4dd0f0-0000-4000-8000-000000000001', 'configuration': {},
                      'format': {'provider': 'parquet', 'options': {}}, 'partitionColumns': [],
                      'schemaString': json.dumps(SCHEMA), 'createdTime': 1700000000000}}]
    actions += [{'add': {'path': path, 'partitionValues': {}, 'size': size,
                         'modificationTime': 1700000000000, 'dataChange': True}}
                for path, size in sizes.items()]
    (table / '_delta_log').mkdir(parents=True, exist_ok=True)
    (table / '_delta_log' / ('%020d.json' % 0)).write_text('\n'.join(map(json.dumps, actions)))
