# SPDX-License-Identifier: Apache-2.0
"""
Random histories of Iceberg tables that Spark made: what plain Parquet readers find in each snapshot, branch
and tag is what Spark says.

SEED=N repeats the histories of a run that has printed it.
"""
from urllib.parse import quote

import pytest

from spark_runs import told, truth, wrong_of
from support import presented

FORMAT = 'iceberg'


def check(m, base, history):
    """Every snapshot, those that no branch has too, and every branch and tag."""
    name, wrong = 'lake/iceberg/' + history['name'], []
    rows = lambda which: truth(base, 'iceberg-' + history['name'], which)
    looks = [('@%d' % s['id'], s['id'], 'snapshot %d (%s after %s)' % (s['id'], s['operation'], s['step']))
             for s in history['snapshots'] if s['id'] in history['present']]
    for ref, r in history['refs'].items():
        spelled = ''.join(quote(c, safe='') if c in '/@%' else c for c in ref)
        looks += [('@' + spelled, r['truth'], r['kind'] + ' ' + ref),
                  ('@%s=%s' % (r['kind'], spelled), r['truth'], r['kind'] + ' ' + ref)]
    looks.append(('', 'live', 'the live path'))
    for ref, which, what in looks:
        try:
            presented.compare(m / (name + ref), rows(which), [], what)
        except Exception as e:                  # a reader's own, too: the others are looked at as well
            wrong.append('%s: %s' % (what, e))
    wrong += ['snapshot %d (%s) is there, but has expired' % (s['id'], s['step']) for s in history['snapshots']
              if s['id'] not in history['present'] and (m / ('%s@%d' % (name, s['id']))).exists()]
    return ['table %s, seed %s, after %s:' % (name, history['seed'], history['steps'])] + wrong if wrong else []


@pytest.mark.parametrize('count', [
    pytest.param(3, marks=pytest.mark.timeout(1800)),
    pytest.param(60, marks=[pytest.mark.long, pytest.mark.timeout(7200)]),
])
def test_histories(module_mount, made_by_spark, count):
    """Every snapshot of random tables by Spark, read as plain Parquet, is what Spark says it is."""
    base = made_by_spark(count)
    m = module_mount(base)
    wrong_of(lambda history: check(m, base, history), told(base, FORMAT))
