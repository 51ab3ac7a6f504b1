"""The state of one stock row, and what a hold is.

A row is in three states at once. *Durable* is what the database holds and what readers see. *Journaled* is
where the row stands once all that was decided is written; new changes are judged against it. *Holds* are what
undecided transactions would take away: prepared, but neither committed nor aborted.

Why a hold suffices: `prepare` grants a decrease only if it fits beside every other hold, so a commit can never
find too little, in whatever order rivals commit or abort. Where it fits only if rivals abort, the answer is to
wait: refusing would turn an order away for the sake of one that may itself fail (G5), granting could oversell
(G1). A count sets absolute figures, so its delta depends on every rival, and a removal ends the row: they are
granted alone, and others wait for them.

Turned down: taking increases into account before they are decided (a release that aborts would have sold goods
that never came back); refusing on conflict and letting the caller retry (on a hot row most work would be
retries).
"""

from collections.abc import Mapping
from enum import Enum

from msgspec import Struct
from msgspec.structs import asdict

from actors.bounds import INT32_MAX
from actors.plain_value import PlainValue
from actors.records import Delta, RowChange, StockRecord, sum_of
from actors.row_changes import Change, Count, Figures, Removal, counted


class Verdict(Enum):
    """What a row says to a prepare."""

    GRANTED = "granted"
    MUST_WAIT = "must wait"  # for the decision of another transaction
    DOES_NOT_FIT = "does not fit"  # not even if every rival aborts
    TOO_LARGE = "too large"  # the total would exceed 2^31-1


class Hold(PlainValue, frozen=True):
    """What one undecided transaction would do to this row."""

    delta: Delta
    foreseen: RowChange | None  # for what is granted alone: what the row will be is known already


class Moves(Struct):
    """How often the rows of a variant were decided about, or shown to readers: who looked at them can tell by it
    whether they are still so.
    """

    count: int = 0


class StockStateStatistics(Struct, frozen=True):
    """Holds of undecided transactions, the available pieces that they hold, and versions that are not durable yet."""

    holds: int
    held: int
    undurable_versions: int


class StockState:
    """A row without its mailbox: every method is synchronous and needs no event loop.

    Args:
        record: the row as the database has it.
        moves: counts those of its variant.
    """

    __slots__ = (
        "_held_damaged",
        "_held_growth",
        "_held_in_transit",
        "_held_reserved",
        "_is_taken_whole",
        "durable",
        "held",
        "holds",
        "moves",
        "record",
    )

    def __init__(self, record: StockRecord, moves: Moves | None = None) -> None:
        record.check()
        self.moves = moves or Moves()
        self.durable = record
        self.record = record  # journaled
        self.holds: dict[int, Hold] = {}
        # Sums over the holds, so that judging costs the same beside a thousand rivals as beside one.
        self.held = 0  # available pieces that undecided transactions hold
        self._held_reserved = 0
        self._held_damaged = 0
        self._held_in_transit = 0
        self._held_growth = 0
        self._is_taken_whole = False  # by the only hold there is

    def __repr__(self) -> str:
        return f"<StockState {self.record!r} holds={len(self.holds)}>"

    def statistics(self) -> StockStateStatistics:
        return StockStateStatistics(len(self.holds), self.held, self.record.version - self.durable.version)

    @property
    def is_quiet(self) -> bool:
        """Nothing is undecided and nothing undurable: the activation may be dropped."""
        return not self.holds and self.record is self.durable

    def prepare(self, transaction_id: int, change: Change) -> Verdict:
        """Hold what the change takes away, or say why not. Only GRANTED changes the state."""
        assert transaction_id not in self.holds, "a transaction prepares a row once"
        if not isinstance(change, Delta):
            return self._prepare_alone(transaction_id, change)
        if self._is_taken_whole:
            return Verdict.MUST_WAIT
        verdict = self._judge(change)
        if verdict is Verdict.GRANTED:
            self._hold(transaction_id, Hold(change, None))
        return verdict

    def commit(self, transaction_id: int) -> RowChange:
        """Apply the hold; cannot fail. Returns the row before and after."""
        change = self._applied(self._let_go(transaction_id))
        self.record = change.after
        self.moves.count += 1
        return change

    def foreseen(self, transaction_id: int) -> RowChange:
        """What `commit` would return now."""
        return self._applied(self.holds[transaction_id])

    def abort(self, transaction_id: int) -> None:
        """Let the hold go, if there is one."""
        if transaction_id in self.holds:
            self._let_go(transaction_id)

    def share(self, transaction_id: int, parts: Mapping[int, Delta]) -> None:
        """Divide a hold among transactions that are committed one right after the other.

        Args:
            parts: by transaction; together they are what was held. Each commit must find enough after those before it.
        """
        whole = self._let_go(transaction_id).delta
        assert whole == sum_of(parts.values()), (whole, parts)
        for part_id, delta in parts.items():
            self._hold(part_id, Hold(delta, None))

    def publish(self, record: StockRecord) -> None:
        """The database now holds this snapshot of the row."""
        if record.version > self.durable.version:
            self.durable = self.record if record.version == self.record.version else record
            self.moves.count += 1

    def _prepare_alone(self, transaction_id: int, change: Count | Removal) -> Verdict:
        if self.holds:
            return Verdict.MUST_WAIT
        if isinstance(change, Count):
            return self._prepare_count(transaction_id, change)
        record = self.record
        if not record.exists or record.total:
            return Verdict.DOES_NOT_FIT
        self._hold(transaction_id, Hold(Delta(), RowChange(record, _removed(record, change))))
        return Verdict.GRANTED

    def _prepare_count(self, transaction_id: int, count: Count) -> Verdict:
        figures = counted(count, self.record)
        if not figures.levels_agree:
            return Verdict.DOES_NOT_FIT
        delta = self._count_delta(figures)
        verdict = self._judge(delta)
        if verdict is Verdict.GRANTED:
            after = _moved(self.record, delta, figures.min_stock, figures.max_stock, figures.reorder_point)
            self._hold(transaction_id, Hold(delta, RowChange(self.record, after)))
        return verdict

    def _count_delta(self, figures: Figures) -> Delta:
        record = self.record
        available = figures.total - record.reserved - figures.damaged - figures.in_transit
        return Delta(
            available - record.available, 0, figures.damaged - record.damaged, figures.in_transit - record.in_transit
        )

    def _applied(self, hold: Hold) -> RowChange:
        before = self.record
        if hold.foreseen is not None:
            assert hold.foreseen.before is before, "it is granted alone"
            return hold.foreseen
        return RowChange(before, _moved(before, hold.delta, before.min_stock, before.max_stock, before.reorder_point))

    def _judge(self, delta: Delta) -> Verdict:
        available, reserved, damaged, in_transit = delta.available, delta.reserved, delta.damaged, delta.in_transit
        record = self.record
        if record.available + available < 0 or record.reserved + reserved < 0:
            return Verdict.DOES_NOT_FIT
        if (damaged or in_transit) and (record.damaged + damaged < 0 or record.in_transit + in_transit < 0):
            return Verdict.DOES_NOT_FIT
        growth = available + reserved + damaged + in_transit
        if growth > 0 and record.total + growth > INT32_MAX:
            return Verdict.TOO_LARGE
        if self.holds and not self._fits_beside_holds(delta, growth):
            return Verdict.MUST_WAIT
        return Verdict.GRANTED

    def _fits_beside_holds(self, delta: Delta, growth: int) -> bool:
        # What only adds fits beside anything: `record` less the holds is never negative.
        record = self.record
        return (
            record.available + delta.available >= self.held
            and record.reserved + delta.reserved >= self._held_reserved
            and record.damaged + delta.damaged >= self._held_damaged
            and record.in_transit + delta.in_transit >= self._held_in_transit
            and record.total + max(0, growth) + self._held_growth <= INT32_MAX
        )

    def _hold(self, transaction_id: int, hold: Hold) -> None:
        self.holds[transaction_id] = hold
        self._is_taken_whole = hold.foreseen is not None
        self._sum(hold.delta, 1)

    def _let_go(self, transaction_id: int) -> Hold:
        hold = self.holds.pop(transaction_id)
        self._is_taken_whole = False
        self._sum(hold.delta, -1)
        return hold

    def _sum(self, delta: Delta, sign: int) -> None:
        available, reserved, damaged, in_transit = delta.available, delta.reserved, delta.damaged, delta.in_transit
        if available < 0:
            self.held -= sign * available
        if reserved < 0:
            self._held_reserved -= sign * reserved
        if damaged or in_transit:  # as of no reservation, which is what most holds are
            self._held_damaged -= sign * min(damaged, 0)
            self._held_in_transit -= sign * min(in_transit, 0)
        growth = available + reserved + damaged + in_transit
        if growth > 0:
            self._held_growth += sign * growth


def _moved(before: StockRecord, delta: Delta, min_stock: int, max_stock: int, reorder_point: int) -> StockRecord:
    after = StockRecord(
        before.organization_id,
        before.variant_id,
        before.warehouse_id,
        before.stock_id,
        before.available + delta.available,
        before.reserved + delta.reserved,
        before.damaged + delta.damaged,
        before.in_transit + delta.in_transit,
        min_stock,
        max_stock,
        reorder_point,
        before.version + 1,
    )
    after.check()
    return after


def _removed(before: StockRecord, removal: Removal) -> StockRecord:
    levels = asdict(removal.next_levels)
    return StockRecord(*before.key, removal.next_stock_id, **levels, version=before.version + 1, is_deleted=True)
