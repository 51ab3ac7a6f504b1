"""Two-phase commit over the rows of one transaction.

*Prepare* asks the rows one after another, in the order of their keys. A row grants a hold, refuses, or makes
the transaction wait for a rival's decision. *Decide* is one synchronous step: the holds become the rows' new
state and the transaction gets its place in the journal. Up to there, giving up means letting the holds go and
nothing has happened; from there on, the commit succeeds unless storage fails, and then everything since the
last durable entry is as if it had never been.

Why it cannot deadlock: a transaction waits on a row only for one that holds that row, and holds only rows with
smaller keys than the one it waits on. So along any chain of waiting the rows grow, and a chain cannot close. A
transaction that is refused somewhere lets everything go before it looks again. One of very many rows also waits for
the journal's writer, for some milliseconds at most; the writer waits for no transaction.

Why nothing slips in between: granted holds stay valid whatever others do (`actors/stock_state.py`), so the time
between the phases does not matter, and within `decide` nothing else runs.

Turned down: locking rows for the whole transaction (every order for a hot row would wait for the disk);
optimistic versions with retries (on hot rows most attempts would be wasted); wound-wait or timeouts against
deadlocks (the order of keys needs neither).
"""

from collections.abc import Callable, Mapping, Sequence
from heapq import merge
from itertools import count

import anyio
from msgspec import UNSET, Struct

from actors.buckets import BucketCounts, Buckets
from actors.records import Delta, From, RequestRecord, ReservationRecord, Transaction, TransactionKind, WarehouseRecord
from actors.reply import Reply
from actors.row_changes import Change
from actors.sourcing import SourcingRecord
from actors.staged_rows import StagedRows
from actors.stages import Stages
from actors.stock_actor import StockActor
from actors.stock_state import Verdict
from actors.transfer_records import TransferRecord
from actors.turn import A_MOMENT_FOR_OTHERS, OTHERS_FIRST, Doing, Need, Turn
from actors.two_phase import Prepared, TurnedDown
from actors.unavailable import restarting
from supervisor.transactions import chunks
from supervisor.transactions.journal import Journal

WAITS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class CoordinatorStatistics(Struct, frozen=True):
    """Counts since the start, but `waiting`: transactions that wait for a rival's decision now.

    Args:
        holds: granted to transactions, one a row.
        turned_down: transactions that a row refused.
        waits_s: how long a transaction waited each time.
    """

    holds: int
    turned_down: int
    waiting: int
    waits_s: BucketCounts


class Coordinator:
    """Prepares and decides.

    Args:
        journal: gives decided transactions their place.
        on_decided: called with each transaction as it is decided.
        on_broken: called if a commit fails half-way, which is a bug: memory is not to be trusted any more.
        monotonic_s: a clock, in seconds.
        stages: follows commands; None: nothing does.
    """

    def __init__(
        self,
        journal: Journal,
        on_decided: Callable[[Transaction], None],
        on_broken: Callable[[Exception], None],
        monotonic_s: Callable[[], float] = anyio.current_time,
        stages: Stages | None = None,
    ) -> None:
        self._journal = journal
        self._on_decided = on_decided
        self._on_broken = on_broken
        self._transaction_ids = count(1)
        self._monotonic_s = monotonic_s
        self._stages = stages
        self._waits_s = Buckets(WAITS_S)
        self._holds = self._turned_down = self._waiting = 0
        self.little_first: Need = Doing(self._let_little_go_first)
        """The need of a long turn to let others have theirs, and what little they have changed become durable."""

    def __repr__(self) -> str:
        return f"<Coordinator {self._journal!r}>"

    def statistics(self) -> CoordinatorStatistics:
        return CoordinatorStatistics(self._holds, self._turned_down, self._waiting, self._waits_s.statistics())

    def prepare(self, changes: Sequence[tuple[StockActor, Change]]) -> Turn[Prepared | TurnedDown]:
        """Take a hold on every row.

        Args:
            changes: at most one for each row, in any order. Their activations must stay pinned until the decision.

        Raises:
            Unavailable: a mailbox is full or an activation is gone; all holds are gone.

        Waits only for rows that have to. Where the rows are very many it lets others have their turn in between, and
        the event loop for a moment at the end.
        Closed before its end, it lets all holds go.
        """
        is_small = len(changes) <= chunks.ROWS_MAX
        if len(changes) > 1:
            changes = sorted(changes, key=_key_of) if is_small else (yield from self._sorted_in_chunks(changes))
        prepared = Prepared(next(self._transaction_ids), [row for row, _ in changes])
        try:
            for part in (changes,) if is_small else chunks.chunked(changes):
                for row, change in part:
                    verdict = row.prepare(prepared.transaction_id, change)
                    if verdict is not Verdict.GRANTED:
                        if isinstance(verdict, Reply):
                            verdict = yield from self._decision_of_rivals(verdict, prepared.transaction_id)
                        if verdict is not Verdict.GRANTED:
                            self._turned_down += 1
                            return _turned_down(prepared, verdict, row)
                if not is_small:
                    yield self.little_first
            if not is_small:
                yield A_MOMENT_FOR_OTHERS
                yield self.little_first
        except BaseException:  # also where the turn is closed
            prepared.abort()
            raise
        self._holds += len(changes)
        return prepared

    async def _let_little_go_first(self) -> None:
        await OTHERS_FIRST.wait()
        await self._journal.wait_for_little()

    def _sorted_in_chunks(self, changes: Sequence[tuple[StockActor, Change]]) -> Turn[list[tuple[StockActor, Change]]]:
        parts = []
        for part in chunks.chunked(changes):
            parts.append(sorted(part, key=_key_of))
            yield self.little_first
        ordered: list[tuple[StockActor, Change]] = []
        for part in chunks.chunked(merge(*parts, key=_key_of)):
            ordered += part
            yield self.little_first
        return ordered

    def _decision_of_rivals(self, verdict: Reply[Verdict], transaction_id: int) -> Turn[Verdict]:
        began_s = self._monotonic_s()
        self._waiting += 1
        try:
            given: Verdict = yield verdict
        finally:  # also where the turn is closed, which may be when there is no clock any more
            self._waiting -= 1
        ended_s = self._monotonic_s()
        self._waits_s.add(ended_s - began_s)
        if self._stages is not None:
            self._stages.waited(transaction_id, began_s, ended_s)
        return given

    def share(self, prepared: Prepared, parts: Sequence[Mapping[StockActor, Delta]]) -> list[Prepared]:
        """Divide what was prepared among several transactions. They must be decided in the same step, in this order.

        Raises:
            Unavailable: a row's activation is gone; all holds are gone and nothing was decided.
        """
        if any(row.is_retired for row in prepared.rows):
            prepared.abort()
            raise restarting()
        # After this point all of them must be decided.
        transaction_ids = [next(self._transaction_ids) for _ in parts]
        for row in prepared.rows:
            shares = {
                transaction_id: part[row]
                for transaction_id, part in zip(transaction_ids, parts, strict=True)
                if row in part
            }
            row.state.share(prepared.transaction_id, shares)
        return [Prepared(one, list(part)) for one, part in zip(transaction_ids, parts, strict=True)]

    def decide(
        self,
        prepared: Prepared,
        kind: TransactionKind,
        at_ms: int,
        *,
        reservation: ReservationRecord | None = None,
        request: RequestRecord | None = None,
        warehouses: tuple[WarehouseRecord, ...] = (),
        transfer: TransferRecord | None = None,
        sourcing: SourcingRecord | None = None,
        reference: str = "",
        reason: str = "",
        origin: From = UNSET,
        joins_next: bool = False,
        warehouses_before: tuple[WarehouseRecord, ...] = (),
        staged: StagedRows | None = None,
        positions: tuple[int, ...] = (),
    ) -> Transaction:
        """Commit: the rows move and the transaction enters the journal, in one synchronous step.

        Args:
            joins_next: the next transaction is decided in the same step, and durable with this one or not at all.

        Raises:
            Unavailable: a row's activation is gone; all holds are gone and nothing was decided.
        """
        for row in prepared.rows:
            if row.is_retired:
                prepared.abort()
                raise restarting()
        # After this point the commit must succeed.
        try:
            transaction = Transaction(
                self._journal.last_lsn + 1,
                at_ms,
                kind,
                tuple([row.commit(prepared.transaction_id) for row in prepared.rows]),
                reservation,
                request,
                warehouses,
                reference,
                reason,
                origin or None,
                transfer,
                sourcing,
                warehouses_before,
                staged,
                positions,
            )
            self._journal.append(transaction, joins_next=joins_next)
            self._on_decided(transaction)
            if self._stages is not None:
                self._stages.decided(prepared.transaction_id, transaction)
        except Exception as error:
            self._on_broken(error)
            raise
        return transaction


def _turned_down(prepared: Prepared, verdict: Verdict, row: StockActor) -> TurnedDown:
    if any(row.is_retired for row in prepared.rows):
        raise restarting()  # another look would be at what a crash took away meanwhile
    prepared.abort()
    return TurnedDown(verdict, row)


def _key_of(change: tuple[StockActor, Change]) -> tuple[str, str, str]:
    return change[0].key
