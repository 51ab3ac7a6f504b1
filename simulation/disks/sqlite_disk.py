"""Real SQLite under the seed: the server's own SQL, inline on one connection, in a file of its own.

The memory disk stays beside it as the model: every batch goes to both, every read is answered by SQLite and
compared with what the model says (`sqlite_store.py`), and whatever one accepts the other must. So the auditor needs
to know nothing of it.

With `power-cut` the file is on a disk of `power_cut_disk.py`, which keeps only what was synced: every process begins
after a power cut, and a kill in the middle of a commit is one at a random call of SQLite's.
"""

from collections.abc import Callable
from functools import partial
from random import Random
from typing import TypeVar

from sqlalchemy import Connection

from simulation.disks.database_file import Database, PlainDatabase
from simulation.disks.file_check import check_file
from simulation.disks.sqlite_staging import StagedFile
from simulation.disks.watched_disk import WatchedDisk
from storage.store import MovedOut

T = TypeVar("T")


class SqliteFile:
    """A database file and the connection to it.

    Args:
        is_torn_by_cuts: whether the file is on a disk that loses power; this needs apsw.
        random: decides when the power goes and what is left.
    """

    def __init__(self, *, is_torn_by_cuts: bool, random: Random) -> None:
        self.is_torn_by_cuts = is_torn_by_cuts
        self.database: Database = _power_cut_database(random) if is_torn_by_cuts else PlainDatabase()

    def __repr__(self) -> str:
        return f"<SqliteFile {self.database!r}{' torn by cuts' if self.is_torn_by_cuts else ''}>"

    def read(self, function: Callable[[Connection], T]) -> T:
        """Run a function of `storage.sql.reads`."""
        return self.database.read(function)

    def close(self) -> None:
        self.database.close()


def _power_cut_database(random: Random) -> Database:
    from simulation.disks.power_cut_database import PowerCutDatabase  # nothing else needs apsw

    return PowerCutDatabase(random)


class SqliteDisk(WatchedDisk):
    """The model, and the database file that must agree with it."""

    def __init__(self, file: SqliteFile) -> None:
        super().__init__()
        self.file = file
        self.refused: Callable[[str], None] = lambda why: None
        self.staged = StagedFile(file.database, lambda: self.epoch, lambda why: self.refused(why))

    def __repr__(self) -> str:
        return f"<SqliteDisk epoch={self.epoch} last_lsn={self.last_lsn} of {self.file!r}>"

    def check(self) -> str:
        try:
            return self.file.read(partial(check_file, disk=self))
        finally:
            self.file.close()

    def move_out(self, before_ms: int, rows_max: int) -> MovedOut:
        found = self.file.database.move_out(self.epoch, before_ms, rows_max)
        moved = super().move_out(before_ms, rows_max)
        if found != moved:
            self.refused(f"move_out: SQLite says {found!r}, the model {moved!r}")
        return moved

    def move_out_torn(self, before_ms: int, rows_max: int) -> None:
        """Cut the power in the middle of a step; the file says whether the step happened."""
        if self.file.database.move_out_torn(self.epoch, before_ms, rows_max):
            super().move_out(before_ms, rows_max)
