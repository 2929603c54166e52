# SPDX-License-Identifier: Apache-2.0
"""PostgreSQL for the tests: Debian's server, on loopback, as a user without privileges."""
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from .places import PATIENCE_S
from .ports import serve

VERSIONS = Path('/usr/lib/postgresql')
USER, PASSWORD, DATABASE = 'keeper', 'of the catalog', 'lakes'


def programs():
    found = sorted(VERSIONS.glob('*/bin/initdb'), key=lambda p: int(p.parts[-3]))
    assert found, 'no PostgreSQL below %s: run tests/tools/deps.sh check' % VERSIONS
    return found[-1].parent


class Server:
    def __init__(self):
        self.below = Path(tempfile.mkdtemp(prefix='tarn-postgres'))
        self.as_user = []
        if os.geteuid() == 0:
            user = pwd.getpwnam('postgres')
            os.chown(self.below, user.pw_uid, user.pw_gid)
            self.as_user = ['setpriv', '--reuid=%d' % user.pw_uid, '--regid=%d' % user.pw_gid,
                            '--clear-groups']
        secret = self.below / 'password'
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        self.run('initdb', '-D', str(self.below / 'data'), '-U', USER, '--pwfile', str(secret), '-A',
                 'scram-sha-256', '-E', 'UTF8', '--locale=C', '--no-sync')
        self.log = open(self.below / 'log', 'wb')
        self.process, self.port = serve(lambda port: subprocess.Popen(
            [*self.as_user, str(programs() / 'postgres'), '-D', str(self.below / 'data'), '-p', str(port),
             '-h', '127.0.0.1', '-c', 'unix_socket_directories=', '-c', 'fsync=off'],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, cwd='/'), self.log.name)
        self.env = dict(os.environ, PGPASSWORD=PASSWORD)
        self.sql('CREATE DATABASE %s' % DATABASE, 'postgres')

    def run(self, program, *args, env=None):
        subprocess.run([*self.as_user, str(programs() / program), *args], check=True, env=env, cwd='/',
                       capture_output=True, timeout=PATIENCE_S)

    def sql(self, text, database=DATABASE):
        self.run('psql', '-h', '127.0.0.1', '-p', str(self.port), '-U', USER, '-d', database, '-v',
                 'ON_ERROR_STOP=1', '-c', text, env=self.env)

    @property
    def uri(self):
        """As tarn takes it: without a password."""
        return 'postgresql://%s@127.0.0.1:%d/%s' % (USER, self.port, DATABASE)

    @property
    def own_uri(self):
        """As SQLAlchemy takes it."""
        return 'postgresql+psycopg2://%s:%s@127.0.0.1:%d/%s' % (USER, PASSWORD.replace(' ', '%20'), self.port,
                                                                DATABASE)

    def stop(self):
        self.process.send_signal(signal.SIGINT)  # who is connected is not waited for
        self.process.wait(timeout=PATIENCE_S)
        self.log.close()
        shutil.rmtree(self.below, ignore_errors=True)
