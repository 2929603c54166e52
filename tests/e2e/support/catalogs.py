# SPDX-License-Identifier: Apache-2.0
"""`tarn catalog`, asked as users do. What it says never has the secret."""
import os

from .mounts import run_tarn

SECRET = 'hunter2-of-the-catalog'


def ask(catalog, *words, env=None):
    """`catalog` is a fake, which says what else it has to be asked with."""
    done = run_tarn('catalog', catalog.uri, *catalog.words, *words,
                    env={**os.environ, **catalog.env, **(env or {})})
    assert SECRET not in done.stdout + done.stderr
    return done


def lines(catalog, *words, **more):
    done = ask(catalog, *words, **more)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def refusal(catalog, *words, **more):
    done = ask(catalog, *words, **more)
    assert done.returncode == 1, done.stdout
    return done.stderr
