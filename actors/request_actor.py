"""Commands with an idempotency key: each key has an actor, so a retry waits for the first try and gets its answer.

The answer is kept in the same transaction as the change, or alone where nothing changed; a late duplicate, even
after a restart, is answered from there. Only answers are kept: a call that met UNAVAILABLE is tried afresh.

A small answer stays in memory too, since a retry mostly comes soon. A large one does not: retries are rare, 10,000
answers of a thousand lines are gigabytes, and the database has each of them when its turn ends.
"""

from collections.abc import Callable
from typing import Any

from actors.actor import Actor, Dispatcher, Envelope
from actors.commands import KeyedCommand
from actors.idempotency import fingerprint, recall, remember
from actors.outcomes import Fact, Refusal, Refused, RequestIdReused
from actors.records import RequestKey, RequestRecord
from actors.reply import Reply
from actors.turn import Turn

CarryOut = Callable[[KeyedCommand], Turn[Fact]]
"""Does a command; its turn ends when the outcome is durable."""

Give = Callable[[Reply[Any], Any, Exception | None], None]
"""Gives a durable answer as soon as this server may: see `supervisor/ownership/lease.py`."""


KEPT_BYTES = 1_024  # of an answer that stays in memory: a reservation of five lines, and 10 MB for 10,000 keys


class RequestActor(Actor[KeyedCommand, Fact]):
    """One idempotency key.

    Args:
        key: the idempotency key.
        load: reads what was answered under it.
        may_be_known: whether something may have been answered under it.
        carry_out: does the command.
        give: gives the answer.
    """

    __slots__ = ("_carry_out", "_give", "_load", "_must_load", "_record", "key")

    def __init__(
        self,
        key: RequestKey,
        load: Callable[[], Turn[RequestRecord | None]],
        may_be_known: bool,
        carry_out: CarryOut,
        give: Give,
        dispatcher: Dispatcher,
        on_crash: Callable[[Actor[KeyedCommand, Fact], Exception], None],
        mailbox_messages_max: int,
    ) -> None:
        super().__init__(dispatcher, on_crash, mailbox_messages_max)
        self.key = key
        self._load = load
        self._must_load = may_be_known
        self._carry_out = carry_out
        self._give = give
        self._record: RequestRecord | None = None

    def __repr__(self) -> str:
        state = "answered" if self._record else "to be read" if self._must_load else "open"
        return f"<RequestActor {self.key.scope}/{self.key.request_id} {state}>"

    @property
    def is_quiet(self) -> bool:
        """The activation may be dropped: its answer, if it has one, is durable, since a turn ends only then."""
        return self.is_idle

    def handle(self, envelope: Envelope[KeyedCommand, Fact]) -> Turn[None]:
        """Give the answer that is remembered, or have the command carried out and remember its answer."""
        record = self._record
        if self._must_load:
            record = yield from self._load()
            self._must_load = False
        command, reply = envelope
        try:
            if record is not None:
                self._keep(record)
                fact = self._recalled(command, record)
            else:
                fact = yield from self._first(command)
        except Refused as refused:
            self._give(reply, None, refused)
        else:
            self._give(reply, fact, None)

    def _recalled(self, command: KeyedCommand, record: RequestRecord) -> Fact:
        if record.fingerprint != fingerprint(command):
            raise Refused(RequestIdReused(self.key.request_id))
        outcome = recall(record)
        if isinstance(outcome, Refusal):
            raise Refused(outcome)
        return outcome

    def _first(self, command: KeyedCommand) -> Turn[Fact]:
        try:
            fact = yield from self._carry_out(command)
        except Refused as refused:
            self._keep(remember(command, refused.refusal))
            raise
        except Exception:
            self._must_load = True  # it may have been decided before the actor that carried it out crashed
            raise
        self._keep(remember(command, fact))
        return fact

    def _keep(self, record: RequestRecord | None) -> None:
        """Keep an answer that is durable, or have it read again for the next retry if it is large."""
        is_large = record is not None and len(record.outcome) > KEPT_BYTES
        self._record, self._must_load = (None, True) if is_large else (record, False)
