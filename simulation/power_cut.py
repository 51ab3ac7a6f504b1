"""Power cuts on real SQLite, again and again: journals of simulated runs, written with the server's own `write_batch`
to a disk that loses power, and checked after each cut.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from random import Random
from typing import cast

from msgspec import Struct

from actors.records import StockKey, Transaction
from simulation.disks.database_file import empty_database
from simulation.disks.expected_tables import columns_of, tables_of
from simulation.disks.power_cut_database import NAME, ApswConnection
from simulation.disks.power_cut_disk import PowerCut, PowerCutDisk
from simulation.faults import options_of
from simulation.runner import run_seed
from storage.sql.batch_sqlite import write_batch
from storage.store import StorageError


class Report(Struct, frozen=True):
    """What came of many cuts.

    Args:
        cuts: how often the power went.
        interrupted: how many cuts came while a batch was being written.
        kept: in how many of these the batch was there afterwards, although it was not acknowledged.
        lost: how many cuts took something that was acknowledged.
        violations: what no setting of `synchronous` excuses: a broken file, half a batch, tables that are not what
            the journal says.
    """

    cuts: int
    interrupted: int
    kept: int
    lost: int
    violations: tuple[str, ...]


@dataclass
class _Written:
    """How far one journal is written, in LSNs.

    Args:
        disk: what it is written to.
        connection: the current one; a cut ends it.
        acknowledged: the end of the last batch that was acknowledged.
        in_flight: the end of the batch under way; 0 while there is none.
        ends: where batches ended, or would have.
    """

    disk: PowerCutDisk
    connection: ApswConnection
    acknowledged: int = 0
    in_flight: int = 0
    ends: set[int] = field(default_factory=lambda: {0})


class _Cutter:
    """One journal after the other, each on a disk of its own."""

    def __init__(self, seed: int, synchronous: str) -> None:
        self._seed = seed
        self._random = Random(f"{seed}/power-cut")
        self._synchronous = synchronous
        self.cuts = self.interrupted = self.kept = self.lost = 0
        self.violations: list[str] = []

    def __repr__(self) -> str:
        return f"<_Cutter {self._synchronous} {self.report()}>"

    def report(self) -> Report:
        return Report(self.cuts, self.interrupted, self.kept, self.lost, tuple(self.violations))

    def run(self, cuts: int) -> None:
        for seed in count(self._seed):
            # Nothing is moved out between the batches here, so nothing may happen again that was forgotten.
            self._run_journal(f"seed {seed}", run_seed(seed, options_of(seed, keep_s=0)).journal, cuts)
            if self.cuts >= cuts:
                return

    def _run_journal(self, name: str, journal: Sequence[Transaction], cuts: int) -> None:
        disk = PowerCutDisk({NAME: empty_database()}, self._random)
        written = _Written(disk, self._connect(disk))
        disk.cut_after(self._moment())
        while written.acknowledged < len(journal) and self.cuts < cuts and self._write(name, journal, written):
            if not disk.is_on and not self._look(name, journal, written):
                break
        disk.cut_no_more()
        written.connection.close()
        disk.close()

    def _write(self, name: str, journal: Sequence[Transaction], written: _Written) -> bool:
        """Write the next batch. Returns False if SQLite refuses it though the power is on."""
        random, begin = self._random, written.acknowledged
        batch = _in_one_batch(journal[begin : begin + random.choice((1, 1, 2, 4, 16))])
        written.in_flight = 0
        try:
            if random.random() < 0.05:
                written.connection.close()
                if written.disk.is_on:
                    written.connection = self._connect(written.disk)
            if written.disk.is_on:
                written.in_flight = batch[-1].lsn
                written.ends.add(written.in_flight)
                write_batch(cast(sqlite3.Connection, written.connection), 0, batch)
                written.acknowledged = written.in_flight
        except PowerCut:
            pass
        except (sqlite3.Error, StorageError) as error:
            self.violations.append(f"{name}, after cut {self.cuts}: {error!r}")
            return False
        return True

    def _look(self, name: str, journal: Sequence[Transaction], written: _Written) -> bool:
        """Open the database after a cut, and check what is left. Returns False if it is no use to write on."""
        violations = len(self.violations)
        self.cuts += 1
        self.interrupted += written.in_flight > written.acknowledged
        where = f"{name}, cut {self.cuts}"
        written.connection.close()
        written.disk.switch_on()
        try:
            written.connection = self._connect(written.disk)
            found = self._check(where, written.connection, journal)
        except sqlite3.Error as error:
            self.violations.append(f"{where}: {error!r}")
            return False
        self._count(where, found, written)
        written.acknowledged = found
        written.ends = {end for end in written.ends if end <= found}
        written.disk.cut_after(self._moment())
        return len(self.violations) == violations

    def _count(self, where: str, found: int, written: _Written) -> None:
        acknowledged, in_flight = written.acknowledged, written.in_flight
        self.kept += acknowledged < found == in_flight
        self.lost += found < acknowledged
        if found not in written.ends or found > max(acknowledged, in_flight):
            self.violations.append(f"{where}: LSN {found} after {acknowledged}, with {in_flight} in flight")

    def _moment(self) -> int:
        return self._random.randint(1, self._random.choice((10, 40, 160)))

    def _connect(self, disk: PowerCutDisk) -> ApswConnection:
        pages = self._random.choice((5, 40, 4_000))
        return ApswConnection(disk, synchronous=self._synchronous, checkpoint_pages=pages)

    def _check(self, where: str, connection: ApswConnection, journal: Sequence[Transaction]) -> int:
        said = connection.execute("PRAGMA integrity_check").fetchall()
        if said != [("ok",)]:
            self.violations.append(f"{where}: {said}")
        [lsn] = connection.execute("SELECT last_lsn FROM ownership").fetchone()
        for table, wanted in tables_of(journal[:lsn]).items():
            found = connection.execute(f"SELECT {', '.join(columns_of(table))} FROM {table}").fetchall()
            if set(found) != wanted or len(found) != len(wanted):
                self.violations.append(f"{where}: {table} is not what {lsn} transactions make of it")
        return int(lsn)


def _in_one_batch(journal: Sequence[Transaction]) -> Sequence[Transaction]:
    """The first of these that may stand in one batch.

    A row begins anew where memory has forgotten one that was deleted, and that is only after the deletion is durable.
    """
    deleted: set[StockKey] = set()
    for place, transaction in enumerate(journal):
        if any(not change.before.version and change.after.key in deleted for change in transaction.changes):
            return journal[:place]
        deleted.update(change.after.key for change in transaction.changes if change.after.is_deleted)
    return journal


def cut_power(seed: int, cuts: int, synchronous: str = "FULL") -> Report:
    """Write the journals of simulated runs to a disk that loses power, and check after each cut what is left.

    Args:
        seed: the first run's; the next runs have the seeds after it.
        cuts: how often the power goes.
        synchronous: SQLite's pragma; the server's is FULL.
    """
    cutter = _Cutter(seed, synchronous)
    cutter.run(cuts)
    return cutter.report()
