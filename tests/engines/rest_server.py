# SPDX-License-Identifier: Apache-2.0
"""Apache Iceberg's own REST catalog server (of its tests, kept in memory) on a loopback port."""
import os
import subprocess
import urllib.error
import urllib.request

from pyiceberg.catalog.rest import RestCatalog

from support.mounts import wait_for
from support.places import PATIENCE_S, TOOLS
from support.ports import serve

JARS = TOOLS / 'rest-catalog'
MAIN = 'org.apache.iceberg.rest.RESTCatalogServer'


class Server:
    """more: properties of the catalog behind it; `.` is `_` and `-` is `__` in names of its environment."""

    def __init__(self, below, **more):
        assert JARS.is_dir(), 'no REST catalog at %s: run tests/tools/deps.sh engines' % JARS
        self.warehouse = below / 'warehouse'
        self.warehouse.mkdir()
        properties = {'warehouse': self.warehouse.as_uri(), 'uri': 'jdbc:sqlite::memory:', **more}
        env = {'CATALOG_' + k.upper().replace('-', '__').replace('.', '_'): v for k, v in properties.items()}
        self.log = open(below / 'rest-server.log', 'wb')
        self.process, self.port = serve(lambda port: subprocess.Popen(
            ['java', '-Xmx512m', '-cp', '%s/*' % JARS, MAIN], stdin=subprocess.DEVNULL, stdout=self.log,
            stderr=self.log, cwd=below, env=dict(os.environ, **env, CATALOG_REST_PORT=str(port))), self.log.name)
        wait_for(self.answers, PATIENCE_S, 'the REST catalog answers')

    @property
    def uri(self):
        return 'http://127.0.0.1:%d' % self.port

    def answers(self):
        try:
            with urllib.request.urlopen(self.uri + '/v1/config', timeout=10):
                return True
        except (urllib.error.URLError, ConnectionError):
            return False

    def client(self):
        """PyIceberg's client of it."""
        return RestCatalog('rest', uri=self.uri)

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.log.close()
