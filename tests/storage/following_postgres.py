"""A second Postgres that follows an embedded one by streaming replication, and may be cut off and promoted."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.postgres import EmbeddedPostgres, PostgresServer


class FollowingPostgres(PostgresServer):
    """A standby in Postgres' sense, in a directory of its own. It follows asynchronously."""

    def __init__(self, primary: EmbeddedPostgres, directory: Path) -> None:
        super().__init__(f"postgresql://postgres:@/postgres?host={directory}", str(primary.program("psql")))
        self._primary = primary
        self._directory = directory
        self._data = str(directory / "data")

    @property
    def socket(self) -> Path:
        return self._directory / self._primary.socket.name

    def value(self, sql: str) -> str:
        """The one value that a query gives."""
        return self.psql(sql).splitlines()[2].strip()

    def begin(self) -> None:
        # The copy has the lock of the primary's socket too: this one's is elsewhere.
        source = ("-h", str(self._primary.socket.parent), "-U", "postgres")
        self._run("pg_basebackup", *source, "-D", self._data, "-R", "-X", "stream", "-c", "fast")
        network = f'-h "" -k {self._directory}'
        log = str(self._directory / "log")
        self._run("pg_ctl", "-D", self._data, "-w", "-o", network, "-l", log, "start")

    def cut_off(self) -> None:
        """Hear no more of the primary."""
        self.psql("ALTER SYSTEM SET primary_conninfo = ''")
        self.psql("SELECT pg_reload_conf()")
        while self.value("SELECT count(*) FROM pg_stat_wal_receiver") != "0":
            pass

    def promote(self) -> None:
        assert self.value("SELECT pg_promote()") == "t"

    def end(self) -> None:
        with suppress(subprocess.CalledProcessError):
            self._run("pg_ctl", "-D", self._data, "-w", "-m", "immediate", "stop")

    def _run(self, program: str, *arguments: str) -> None:
        self._primary.run(program, *arguments)


@contextmanager
def following(primary: EmbeddedPostgres) -> Iterator[FollowingPostgres]:
    """One that streams from the primary when the block begins."""
    directory = Path(tempfile.mkdtemp(prefix="follows-"))  # a short path: a socket lives in it
    try:
        primary.own(directory)
        follower = FollowingPostgres(primary, directory)
        try:
            follower.begin()
            yield follower
        finally:
            follower.end()
    finally:
        shutil.rmtree(directory, ignore_errors=True)
