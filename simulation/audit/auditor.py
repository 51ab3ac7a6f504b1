"""Is there an order of all operations that explains every answer, and is it the journal's?

The journal gives the order (`replay.py`). Each answer gets a *position*: the smallest one, not before anything
that was answered when the operation began, whose state explains the answer. An answer without a position is wrong.
Taking the smallest is safe: a larger one leaves less room for the operations that begin later. So one pass over the
history suffices.
"""

from collections.abc import Iterator, Sequence
from itertools import zip_longest

from actors.commands import Command
from actors.idempotency import fingerprint, recall, request_key
from actors.outcomes import RequestIdReused
from actors.queries import Query
from actors.records import RequestKey, RequestRecord, Transaction, WarehouseRecord
from actors.row_changes import Levels
from simulation.audit.causes import cause_in, cause_of
from simulation.audit.entries import why_unlike
from simulation.audit.expected import owned_id
from simulation.audit.explain import Explainer
from simulation.audit.fingerprints import is_of
from simulation.audit.guarantee_violation import GuaranteeViolation
from simulation.audit.history import Operation
from simulation.audit.lost_goods import releases_of_losses, why_no_release
from simulation.audit.replay import Replay
from simulation.audit.wrong import Wrong
from simulation.disks.watched_disk import Move


def audit(
    operations: Sequence[Operation],
    transactions: Sequence[Transaction],
    quiet_since_ms: int,
    moves: Sequence[Move] = (),
    kept_ms: int | None = None,
    levels: Levels = Levels(),  # noqa: B008 - immutable
) -> list[GuaranteeViolation]:
    """Check a finished run. The first violation is the earliest found in the journal, or else in the history.

    Args:
        operations: in the order in which they began.
        transactions: the whole journal.
        quiet_since_ms: from this service time on nothing went wrong; 0: never.
        moves: what housekeeping took away.
        kept_ms: for how long after its end a reservation may be taken again; None: for ever.
        levels: those of a row that is made without a word about them.
    """
    replay = Replay(transactions, quiet_since_ms, moves, kept_ms, levels)
    if replay.violations:
        return replay.violations
    return list(_Audit(operations, replay).run())


class _Audit:
    def __init__(self, operations: Sequence[Operation], replay: Replay) -> None:
        self._operations = operations
        self._replay = replay
        self._explainer = Explainer(replay)
        self._losses = releases_of_losses(replay.transactions)
        self._low = 0
        self._lows: dict[int, int] = {}
        self._first_low: dict[tuple[RequestKey, str], int] = {}
        self._contents: dict[tuple[frozenset[str], str], set[str]] = {}  # what was asked under each id
        self._causes: dict[object, int] = {}
        self._commands: dict[object, list[Command]] = {}  # by what they may cause
        self._remembered: dict[int, None] = {}  # LSNs of answers that were looked at

    def __repr__(self) -> str:
        return f"<_Audit low={self._low} of {len(self._operations)} operations and {self._replay!r}>"

    def run(self) -> Iterator[GuaranteeViolation]:
        events = [(operation.begin, operation) for operation in self._operations]
        events += [(operation.end, operation) for operation in self._operations if operation.end >= 0]
        events.sort(key=lambda event: event[0])
        for at, operation in events:
            if at == operation.begin:
                self._begin(operation)
                continue
            try:
                if operation.answer is not None:
                    self._low = max(self._low, self._position(operation))
            except Wrong as wrong:
                what = f"operation {operation.number} of {operation.client}, {operation.request!r}, "
                yield GuaranteeViolation(wrong.guarantee, what + wrong.sentence, wrong.lsn, operation.number)
        for operation in self._operations:
            if operation.end < 0:
                yield GuaranteeViolation("G10", f"{operation!r} never ended", operation=operation.number)
        yield from self._causeless()
        yield from self._unlike_their_commands()

    # ---- causes -----------------------------------------------------------------------------------------------------

    def _begin(self, operation: Operation) -> None:
        self._lows[operation.number] = self._low
        request = operation.request
        if isinstance(request, Query):
            return
        self._causes.setdefault(cause_of(request), self._low)
        self._commands.setdefault(cause_of(request), []).append(request)
        key = request_key(request)
        if key is not None:
            self._first_low.setdefault((key, fingerprint(request)), self._low)
            self._contents.setdefault(owned_id(request), set()).add(fingerprint(request))

    def _causeless(self) -> Iterator[GuaranteeViolation]:
        """Entries of the journal that no client had asked for when they were made."""
        for transaction in self._replay.transactions:
            cause = cause_in(transaction)
            if cause is None or transaction.lsn in self._losses:
                continue
            low = self._causes.get(cause)
            if low is None:
                broken = "G2" if transaction.kind == "reserve" else "G4"
                yield GuaranteeViolation(
                    broken, f"LSN {transaction.lsn}: no client asked for this {transaction.kind}", transaction.lsn
                )
            elif low >= transaction.lsn:
                sentence = (
                    f"LSN {transaction.lsn}: {transaction.kind} stands before what was answered before it was asked"
                )
                yield GuaranteeViolation("G4", sentence, transaction.lsn)

    def _unlike_their_commands(self) -> Iterator[GuaranteeViolation]:
        """Entries of the journal that say something else than what was asked for."""
        names: dict[tuple[str, str], WarehouseRecord] = {}
        for transaction in self._replay.transactions:
            loss = self._losses.get(transaction.lsn)
            if loss is not None:
                why = why_no_release(transaction, loss)
            else:
                why = why_unlike(transaction, self._commands.get(cause_in(transaction), ()), names)
            if why:
                yield GuaranteeViolation("G8", f"LSN {transaction.lsn}: {why}", transaction.lsn)
            names.update({(one.organization_id, one.warehouse_id): one for one in transaction.warehouses})

    # ---- positions --------------------------------------------------------------------------------------------------

    def _position(self, operation: Operation) -> int:
        low, high = self._lows[operation.number], operation.high_lsn
        request, answer = operation.request, operation.answer
        assert answer is not None
        if isinstance(request, Query):
            return self._explainer.query(operation, request, low, high)
        key = request_key(request)
        if key is None:
            return self._explainer.command(operation, request, low, high)
        return self._remembered_position(operation, key, low, high)

    def _remembered_position(self, operation: Operation, key: RequestKey, low: int, high: int) -> int:
        request, answer = operation.request, operation.answer
        assert not isinstance(request, Query)
        times = self._replay.requests.get(key, [])
        if not times:
            raise Wrong("G3", f"got {answer!r}, of which the journal has nothing")
        if times[0][0] > high:
            raise Wrong(
                "G3", f"was answered when only LSN {high} was durable, but it happened at {times[0][0]}", times[0][0]
            )
        # A request that the service forgot may be carried out again; each time ends the one before it.
        times = [
            one for one, after in zip_longest(times, times[1:]) if one[0] <= high and (not after or after[0] > low)
        ]
        wrong: Wrong | None = None
        for time in times:
            try:
                return self._position_at(operation, key, time, low)
            except Wrong as error:
                wrong = wrong or error
        assert wrong is not None
        raise wrong

    def _position_at(self, operation: Operation, key: RequestKey, time: tuple[int, RequestRecord], low: int) -> int:
        request, answer = operation.request, operation.answer
        assert not isinstance(request, Query)
        lsn, record = time
        if isinstance(answer, RequestIdReused):
            if is_of(record.fingerprint, request):
                raise Wrong("G6", "got the answer that its id belongs to another request, but it is the same", lsn)
            if len(self._contents[owned_id(request)]) == 1:
                raise Wrong("G11", "was refused for an id that only another organization has used", lsn)
            return max(low, lsn)
        if not is_of(record.fingerprint, request):
            raise Wrong("G6", "got an answer though its id belongs to another request", lsn)
        remembered = recall(record)
        if remembered != answer:
            raise Wrong("G6", f"got {answer!r}, but under its id stands {remembered!r}", lsn)
        if lsn not in self._remembered:
            self._remembered[lsn] = None
            self._explainer.command(operation, request, self._first_low[key, fingerprint(request)], lsn)
        return max(low, lsn)
