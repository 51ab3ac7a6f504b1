"""The actor that owns one stock row.

Only prepares come by mail. Commit and abort are delivered directly: they touch nothing but the transaction's own hold,
so they can only turn a wait into an answer, and that makes deciding many rows one synchronous step. Why a hold
suffices is argued in `actors/stock_state.py`.
"""

from collections.abc import Callable, Sequence

from actors.actor import Actor, Dispatcher, Envelope
from actors.records import RowChange
from actors.reply import Reply
from actors.row_changes import Change, Prepare
from actors.stock_state import StockState, Verdict
from actors.turn import Turn
from actors.unavailable import mailbox_full, restarting


class StockActor(Actor[Prepare, Verdict]):
    """Owns one row, and keeps the prepares that wait for a rival's decision."""

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

    def prepare(self, transaction_id: int, change: Change) -> Verdict | Reply[Verdict]:
        """Ask the row for a hold: the verdict, or where it will come.

        What can be judged now is judged without the mail: every order asks two rows, and envelopes were half of their
        cost.

        Raises:
            Unavailable: the mailbox is full, or the actor has crashed.
            ActorCrashed: a bug; this activation has ended.
        """
        if not self._has_turn and not self.is_retired and self._dispatcher.begins_inline(self):
            try:
                verdict = self.state.prepare(transaction_id, change)
            except Exception as error:
                raise self._crash(error) from error
            if verdict is not Verdict.MUST_WAIT:
                return verdict
        return self.ask(Prepare(transaction_id, change))

    def handle(self, envelope: Envelope[Prepare, Verdict]) -> Turn[None]:
        """Judge a prepare; one that must wait is kept until a rival is decided. The turn itself never waits."""
        yield from ()
        message = envelope.message
        verdict = self.state.prepare(message.transaction_id, message.change)
        if verdict is not Verdict.MUST_WAIT:
            envelope.reply.set(verdict)
        elif len(self._waiting) >= self._mailbox_messages_max:
            raise mailbox_full()
        else:
            self._waiting.append(envelope)

    def commit(self, transaction_id: int) -> RowChange:
        """Apply the transaction's hold, then see which prepares can stop waiting."""
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
        # First come, first served among the waiting; a smaller wish behind a larger one may fit, and then goes ahead.
        still_waiting = []
        for envelope in self._waiting:
            verdict = self.state.prepare(envelope.message.transaction_id, envelope.message.change)
            if verdict is Verdict.MUST_WAIT:
                still_waiting.append(envelope)
            else:
                envelope.reply.set(verdict)
        self._waiting = still_waiting


def check_alive(rows: Sequence[StockActor]) -> None:
    """See that no crash took away what is judged by. The rows that a transaction holds are seen to when it is decided.

    Raises:
        Unavailable: one of the rows is gone.
    """
    if any(row.is_retired for row in rows):
        raise restarting()
