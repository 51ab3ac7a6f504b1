"""One stock row: its pure state, and the actor that owns it.

A row is in three states at once. *Durable* is what the database holds and what readers see. *Journaled* is
where the row stands once all that was decided is written; new changes are judged against it. *Holds* are what
undecided transactions would take away: prepared, but neither committed nor aborted.

Why a hold suffices: `prepare` grants a decrease only if it fits beside every other hold, so a commit can never
find too little, in whatever order rivals commit or abort. Where it fits only if rivals abort, the answer is to
wait: refusing would turn an order away for the sake of one that may itself fail (G5), granting could oversell
(G1). A count sets absolute figures, so its delta depends on every rival: it is granted alone, and others wait
for it.

Only prepares come by mail. Commit and abort are delivered at once: they touch nothing but the transaction's own
hold, so they can only turn somebody's wait into an answer, and that makes deciding many rows one synchronous
step.

Turned down: taking increases into account before they are decided (a release that aborts would have sold goods
that never came back); refusing on conflict and letting the caller retry (on a hot row most work would be
retries).
"""

from collections.abc import Callable
from enum import Enum

from msgspec import Struct

from actors.actor import Actor, Dispatcher, Envelope, overloaded
from actors.bounds import INT32_MAX
from actors.commands import Change, Count, Figures, Prepare, counted
from actors.records import Delta, RowChange, StockRecord
from actors.reply import Reply


class Verdict(Enum):
    """What a row says to a prepare."""

    GRANTED = "granted"
    MUST_WAIT = "must wait"  # for the decision of another transaction
    DOES_NOT_FIT = "does not fit"  # not even if every rival aborts
    TOO_LARGE = "too large"  # the total would exceed 2^31-1


class Hold(Struct, frozen=True, gc=False):
    """What one undecided transaction would do to this row."""

    delta: Delta
    counted: RowChange | None  # for a count, which is granted alone: what the row will be is known already


class StockState:
    """A row without its mailbox: every method is synchronous and needs no event loop."""

    __slots__ = (
        "_held_damaged",
        "_held_growth",
        "_held_in_transit",
        "_held_reserved",
        "_is_being_counted",
        "durable",
        "held",
        "holds",
        "record",
    )

    def __init__(self, record: StockRecord) -> None:
        record.check()
        self.durable = record
        self.record = record  # journaled
        self.holds: dict[int, Hold] = {}
        # Sums over the holds, so that judging costs the same beside a thousand rivals as beside one.
        self.held = 0  # available pieces that undecided transactions hold
        self._held_reserved = 0
        self._held_damaged = 0
        self._held_in_transit = 0
        self._held_growth = 0
        self._is_being_counted = False  # by the only hold there is

    @property
    def is_quiet(self) -> bool:
        """Nothing is undecided and nothing undurable: the activation may be dropped."""
        return not self.holds and self.record is self.durable

    def prepare(self, transaction_id: int, change: Change) -> Verdict:
        """Hold what the change takes away, or say why not. Only GRANTED changes the state."""
        assert transaction_id not in self.holds, "a transaction prepares a row once"
        if isinstance(change, Count):
            return self._prepare_count(transaction_id, change)
        if self._is_being_counted:
            return Verdict.MUST_WAIT
        verdict = self._judge(change)
        if verdict is Verdict.GRANTED:
            self._hold(transaction_id, Hold(change, None))
        return verdict

    def commit(self, transaction_id: int) -> RowChange:
        """Apply the hold; cannot fail. Returns the row before and after."""
        hold = self._let_go(transaction_id)
        before = self.record
        if hold.counted is not None:
            assert hold.counted.before is before, "a count is granted alone"
            change = hold.counted
        else:
            change = RowChange(before, _moved(before, hold.delta, before.min_stock, before.max_stock))
        self.record = change.after
        return change

    def abort(self, transaction_id: int) -> None:
        """Let the hold go, if there is one."""
        if transaction_id in self.holds:
            self._let_go(transaction_id)

    def publish(self, record: StockRecord) -> None:
        """The database now holds this snapshot of the row."""
        if record.version > self.durable.version:
            self.durable = self.record if record.version == self.record.version else record

    def _prepare_count(self, transaction_id: int, count: Count) -> Verdict:
        if self.holds:
            return Verdict.MUST_WAIT
        figures = counted(count, self.record)
        if not figures.levels_agree:
            return Verdict.DOES_NOT_FIT
        delta = self._count_delta(figures)
        verdict = self._judge(delta)
        if verdict is Verdict.GRANTED:
            after = _moved(self.record, delta, figures.min_stock, figures.max_stock)
            self._hold(transaction_id, Hold(delta, RowChange(self.record, after)))
        return verdict

    def _count_delta(self, figures: Figures) -> Delta:
        record = self.record
        available = figures.total - record.reserved - figures.damaged - figures.in_transit
        return Delta(
            available - record.available, 0, figures.damaged - record.damaged, figures.in_transit - record.in_transit
        )

    def _judge(self, delta: Delta) -> Verdict:
        available, reserved, damaged, in_transit = delta.available, delta.reserved, delta.damaged, delta.in_transit
        record = self.record
        if (
            record.available + available < 0
            or record.reserved + reserved < 0
            or record.damaged + damaged < 0
            or record.in_transit + in_transit < 0
        ):
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
        self._is_being_counted = hold.counted is not None
        self._sum(hold.delta, 1)

    def _let_go(self, transaction_id: int) -> Hold:
        hold = self.holds.pop(transaction_id)
        self._is_being_counted = False
        self._sum(hold.delta, -1)
        return hold

    def _sum(self, delta: Delta, sign: int) -> None:
        available, reserved, damaged, in_transit = delta.available, delta.reserved, delta.damaged, delta.in_transit
        if available < 0:
            self.held -= sign * available
        if reserved < 0:
            self._held_reserved -= sign * reserved
        if damaged < 0:
            self._held_damaged -= sign * damaged
        if in_transit < 0:
            self._held_in_transit -= sign * in_transit
        growth = available + reserved + damaged + in_transit
        if growth > 0:
            self._held_growth += sign * growth


def _moved(before: StockRecord, delta: Delta, min_stock: int, max_stock: int) -> StockRecord:
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
        before.version + 1,
    )
    after.check()
    return after


class StockActor(Actor[Prepare, Verdict]):
    """Owns one row. Prepares come by mail, and those that must wait are kept; decisions are delivered at once."""

    __slots__ = ("_waiting", "key", "state")

    def __init__(
        self,
        state: StockState,
        dispatcher: Dispatcher,
        on_crash: Callable[[Actor[Prepare, Verdict], Exception], None],
        mailbox_messages_max: int,
    ) -> None:
        super().__init__(dispatcher, on_crash, mailbox_messages_max)
        self.state = state
        self.key = state.record.key
        self._waiting: list[Envelope[Prepare, Verdict]] = []

    def __repr__(self) -> str:
        record = self.state.record
        return (
            f"<StockActor {record.organization_id}/{record.variant_id}@{record.warehouse_id} "
            f"available={record.available} held={self.state.held}>"
        )

    @property
    def is_quiet(self) -> bool:
        """The activation may be dropped."""
        return self.is_idle and not self._waiting and self.state.is_quiet

    @property
    def takes_turn_at_once(self) -> bool:
        """Whether the dispatcher lets it."""
        return self._dispatcher.takes_turn_at_once(self)

    def prepare_at_once(self, transaction_id: int, change: Change) -> Verdict | None:
        """What `ask(Prepare(…))` would answer before it returns; None if it would not, and then nothing has happened.

        It is the same turn without the mail: two of them are in every order, and envelopes were half of their cost.

        Raises:
            ActorCrashed: a bug; this activation has ended.
        """
        if self._has_turn or self.is_retired:
            return None
        try:
            verdict = self.state.prepare(transaction_id, change)
        except Exception as error:
            raise self._crash(error) from error
        return None if verdict is Verdict.MUST_WAIT else verdict

    def receive_at_once(self, message: Prepare, reply: Reply[Verdict]) -> bool:
        """Judge a prepare; one that must wait is kept until a rival is decided."""
        self._judge(Envelope(message, reply))
        return True

    async def receive(self, envelope: Envelope[Prepare, Verdict]) -> None:
        """As `receive_at_once`: a row's turn never suspends."""
        self._judge(envelope)

    def _judge(self, envelope: Envelope[Prepare, Verdict]) -> None:
        message = envelope.message
        verdict = self.state.prepare(message.transaction_id, message.change)
        if verdict is Verdict.MUST_WAIT:
            if len(self._waiting) >= self._mailbox_messages_max:
                raise overloaded()
            self._waiting.append(envelope)
        else:
            envelope.reply.set(verdict)

    def commit(self, transaction_id: int) -> RowChange:
        """Apply the transaction's hold, then see who can stop waiting."""
        change = self.state.commit(transaction_id)
        if self._waiting:
            self._judge_waiting()
        return change

    def abort(self, transaction_id: int) -> None:
        """Forget all that the transaction asked of this row: its hold, or its place among the waiting."""
        self.state.abort(transaction_id)
        if self._waiting:
            self._waiting = [e for e in self._waiting if e.message.transaction_id != transaction_id]
            self._judge_waiting()

    def held_envelopes(self) -> list[Envelope[Prepare, Verdict]]:
        """The prepares that wait for a decision."""
        return self._waiting

    def _judge_waiting(self) -> None:
        # First come, first served among those who wait; a smaller wish behind a larger one may fit and then goes ahead.
        still_waiting = []
        for envelope in self._waiting:
            verdict = self.state.prepare(envelope.message.transaction_id, envelope.message.change)
            if verdict is Verdict.MUST_WAIT:
                still_waiting.append(envelope)
            else:
                envelope.reply.set(verdict)
        self._waiting = still_waiting
