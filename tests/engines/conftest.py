# SPDX-License-Identifier: Apache-2.0
"""The fixtures and rules of the end-to-end tests, for tests with engines of their own."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from e2e.conftest import (module_mount, pytest_collection_modifyitems,              # noqa: E402,F401
                          pytest_runtest_makereport, tarn)
