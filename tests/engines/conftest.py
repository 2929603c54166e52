# SPDX-License-Identifier: Apache-2.0
"""The fixtures and rules of the end-to-end tests, for tests with engines of their own."""
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from e2e.conftest import (module_mount, pytest_collection_modifyitems,              # noqa: E402,F401
                          pytest_runtest_makereport, tarn)

import spark_runs                                                                   # noqa: E402


@pytest.fixture(scope='session')
def made_by_spark(request, tmp_path_factory):
    """made_by_spark(count): where so many histories are, of each format that is tested now (FORMAT of a module)."""
    formats = sorted({item.module.FORMAT for item in request.session.items if hasattr(item.module, 'FORMAT')})
    made = {}

    def give(count):
        print('SEED', spark_runs.SEED)
        if count not in made:
            made[count] = spark_runs.make(tmp_path_factory.mktemp('spark'), count, formats)
        return made[count]

    return give
