# SPDX-License-Identifier: Apache-2.0
"""Where things are: the repository, the binary under test, the corpus, the tools."""
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def _place(name, default):
    """A path of the environment, relative ones below the repository's root."""
    return (ROOT / os.environ.get(name, default)).resolve()


TARN = _place('TARN', 'build/tarn')
TOOLS = _place('TOOLS', 'build/tools')
TABLES = _place('TABLES', '../shared/tables')
VERSITYGW = TOOLS / 'bin' / 'versitygw'
FAKE_GCS_SERVER = TOOLS / 'bin' / 'fake-gcs-server'
AZURITE = TOOLS / 'azurite' / 'node_modules' / 'azurite' / 'dist' / 'src' / 'blob' / 'main.js'
PYTHON = sys.executable
SUPPORT = Path(__file__).resolve().parent
FAKE = ROOT / 'tests' / 'fake'

# A sanitizer's build is several times slower: limits of time are multiplied by this.
SLOWNESS = float(os.environ.get('TARN_SLOWNESS', '1'))
# A limit that only keeps a test from hanging, and is nobody's promise: a busy machine is no failure.
PATIENCE_S = 120 * SLOWNESS
MINIO = TOOLS / 'bin' / 'minio'
MOTO_SERVER = TOOLS / 'venv-check' / 'bin' / 'moto_server'
