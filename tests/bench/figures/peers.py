# SPDX-License-Identifier: Apache-2.0
"""Other ways to mount a bucket, as their own documentation says; tests/tools/peers.sh installs them."""
import os
import shutil
import subprocess
from pathlib import Path

from support import s3
from support.mounts import clean_env, detach, is_mounted, wait_for
from support.places import TOOLS

RCLONE, MOUNTPOINT = TOOLS / 'bin/rclone', TOOLS / 'bin/mountpoint'


class PeerMount:
    """A mount of a peer's process, with an interface like that of support.mounts.Mount."""

    def __init__(self, words, path, cache, env):
        self.path, self.cache = path, cache
        self.process = subprocess.Popen(words, env=clean_env(env), stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.pid = self.process.pid
        wait_for(lambda: is_mounted(path) or self.process.poll() is not None, 30, str(words[0]))
        assert self.process.poll() is None, '%s did not mount' % words[0]

    def __truediv__(self, below):
        return self.path / below

    def unmount_and_wait_for_the_daemon(self):
        subprocess.run(['umount', str(self.path)], check=False, capture_output=True, timeout=60)
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            detach(self.path)
            self.process.kill()
            self.process.wait()


def rclone_words(bucket, path, cache, url, more):
    return [str(RCLONE), 'mount', 'bench:' + bucket, str(path), '--read-only', '--config',
            '/dev/null', '--cache-dir', str(cache), '--vfs-cache-mode', 'full', *more], {
        'RCLONE_CONFIG_BENCH_TYPE': 's3', 'RCLONE_CONFIG_BENCH_PROVIDER': 'Other',
        'RCLONE_CONFIG_BENCH_ENDPOINT': url,
        'RCLONE_CONFIG_BENCH_ACCESS_KEY_ID': s3.ACCESS_KEY,
        'RCLONE_CONFIG_BENCH_SECRET_ACCESS_KEY': s3.SECRET_KEY}


def rclone(bucket, path, cache, url):
    return rclone_words(bucket, path, cache, url, [])


def rclone_tuned(bucket, path, cache, url):
    return rclone_words(bucket, path, cache, url, [
        '--vfs-read-chunk-streams', '8', '--vfs-read-chunk-size', '8M', '--buffer-size', '64M'])


def s3fs(bucket, path, cache, url):
    secret = Path(cache) / 'passwd'
    secret.write_text('%s:%s\n' % (s3.ACCESS_KEY, s3.SECRET_KEY))
    secret.chmod(0o600)
    return ['s3fs', bucket, str(path), '-f', '-o',
            'ro,use_path_request_style,url=%s,passwd_file=%s' % (url, secret)], {}


def mountpoint(bucket, path, cache, url):
    return [str(MOUNTPOINT), bucket, str(path), url], {
        'AWS_ACCESS_KEY_ID': s3.ACCESS_KEY, 'AWS_SECRET_ACCESS_KEY': s3.SECRET_KEY,
        'AWS_EC2_METADATA_DISABLED': 'true'}


def installed():
    """{name: words of a mount} of those that are here."""
    there = {'rclone': RCLONE.is_file(), 's3fs': bool(shutil.which('s3fs')),
             'mountpoint': MOUNTPOINT.is_file()}
    found = {'rclone': rclone, 'rclone tuned': rclone_tuned, 's3fs': s3fs, 'mountpoint': mountpoint}
    return {name: words for name, words in found.items() if there[name.split()[0]]}


class Peers:
    """Makes mounts below a directory, each with nothing cached."""

    def __init__(self, below, bucket):
        self.below, self.bucket, self.count = Path(below), bucket, 0

    def mount(self, words_of, url):
        self.count += 1
        path, cache = (self.below / ('%s%d' % (what, self.count)) for what in ('peer', 'cache'))
        path.mkdir(parents=True)
        cache.mkdir()
        words, env = words_of(self.bucket, path, cache, url)
        return PeerMount(words, path, cache, dict(env, HOME=str(self.below), PATH=os.environ['PATH']))
