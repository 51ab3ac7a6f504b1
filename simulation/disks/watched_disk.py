"""A disk that remembers what housekeeping took away, for the auditor.

The disk in memory forgets it, and has no ledger beside its journal. This one also moves the old end of the ledger
out and counts it as a database does, so a run takes the same steps on both.
"""

from collections.abc import Callable

from msgspec import Struct

from actors.records import RequestKey, ReservationRecord
from simulation.disks.entry_owners import owners_of
from storage.memory_store import Disk, ReservationKey
from storage.store import MovedOut


class Move(Struct, frozen=True):
    """One step of housekeeping that took something away.

    Args:
        lsn: the last durable LSN at that moment.
        old_ms: what was over before this service time may go, as the simulation computes it.
        requests: the idempotency keys that the service forgot.
        reservations: those that went, as the disk had them.
        movements: how many lines of the ledger went.
        entries: how many rows of the journal went.
    """

    lsn: int
    old_ms: int
    requests: tuple[RequestKey, ...]
    reservations: tuple[ReservationRecord, ...]
    movements: int
    entries: int = 0


class WatchedDisk(Disk):
    """A disk that remembers what was moved out of it."""

    def __init__(self) -> None:
        super().__init__()
        self.moves: list[Move] = []
        self.moved: dict[ReservationKey, ReservationRecord] = {}
        self.movements_moved = 0
        self.entries_moved = 0
        self.old_ms: Callable[[], int] = lambda: 0  # what was over before this service time may go
        self._entries_to = (0, 0)  # the journal's new beginning: a place in it, and one among its owners
        self._moved_to = (0, 0)  # the ledger's new beginning: a place in the journal, and one among its changes

    def __repr__(self) -> str:
        moved = f"moves={len(self.moves)} movements_moved={self.movements_moved}"
        return f"<WatchedDisk epoch={self.epoch} last_lsn={self.last_lsn} {moved}>"

    def check(self) -> str:
        """At the end of a run: what is wrong with the disk, or `ok`. It is closed then."""
        return "ok"

    def move_out(self, before_ms: int, rows_max: int) -> MovedOut:
        requests, reservations = dict(self.requests), dict(self.reservations)
        moved = super().move_out(before_ms, rows_max)
        movements = self._move_movements(before_ms, rows_max - moved.rows)
        moved = MovedOut(moved.requests, moved.reservations, moved.items, moved.movements + movements)
        entries = self._move_entries(before_ms, rows_max - moved.rows)
        moved = MovedOut(moved.requests, moved.reservations, moved.items, moved.movements, entries)
        if moved.rows:
            gone = {key: one for key, one in reservations.items() if key not in self.reservations}
            forgotten = tuple(key for key in requests if key not in self.requests)
            self.moved.update(gone)
            self.moves.append(Move(self.last_lsn, self.old_ms(), forgotten, tuple(gone.values()), movements, entries))
        return moved

    def _move_movements(self, before_ms: int, rows_max: int) -> int:
        count, (place, position) = 0, self._moved_to
        end = min(len(self.transactions), self.needed_lsn - 1)
        while count < rows_max and place < end and self.transactions[place].at_ms < before_ms:
            if position < len(self.transactions[place].changes):
                count, position = count + 1, position + 1
            else:
                place, position = place + 1, 0
        self._moved_to = place, position
        self.movements_moved += count
        return count

    def _move_entries(self, before_ms: int, rows_max: int) -> int:
        """Rows of the journal that are old, up to the transaction that still has a line in the ledger."""
        first_line_lsn, count = self._first_line_lsn, 0
        while count < rows_max and self._entries_to[0] < len(self.transactions):
            place, owner = self._entries_to
            one = self.transactions[place]
            if one.at_ms >= before_ms or one.lsn >= min(first_line_lsn, self.needed_lsn):
                break
            count += 1
            self._entries_to = (place, owner + 1) if owner + 1 < len(owners_of(one)) else (place + 1, 0)
        self.entries_moved += count
        return count

    @property
    def _first_line_lsn(self) -> int:
        """Of the first line that is left in the ledger."""
        place, position = self._moved_to
        for one in self.transactions[place:]:
            if position < len(one.changes):
                return one.lsn
            position = 0
        return self.last_lsn + 1
