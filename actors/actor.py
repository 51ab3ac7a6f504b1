"""Actors: a mailbox, and one message at a time.

An actor has no task of its own. Most turns need not wait (a stock row only does arithmetic, an order whose rows are
in memory and free does no more), and a task that is woken for one costs more than the turn. So a message that meets
an idle actor is handled on the poster's stack, until its turn needs something that is not there (`actors/turn.py`);
then, and for the messages that queue up meanwhile, the *dispatcher* starts a task in the supervisor's task group. The
simulation's dispatcher lets turns begin on the poster's stack, or not, as the seed says: all that the actors rely on is
that one message is handled at a time and in order.

Turned down: a task for each activation (4 to 5 KB each, two wake-ups a message); a memory stream as the mailbox
(8 KB, and a message already handed to a receiving task is lost by a native cancellation); asking an actor first
whether it would have to wait (it looked up everything twice; a stock row alone is asked so, since its judgement is a
few comparisons and an envelope costs more, see `StockActor.prepare`).
"""

from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from msgspec import Struct

from actors.outcomes import ActorCrashed, Refused
from actors.reply import Reply
from actors.turn import Need, Turn, finish, first_need
from actors.unavailable import Unavailable, mailbox_full, restarting

M = TypeVar("M")
R = TypeVar("R")

StartSoon = Callable[[Callable[[], Coroutine[Any, Any, None]]], object]
"""Starts a task, in the background."""


class Envelope(NamedTuple, Generic[M, R]):
    """A message and where its answer goes."""

    message: M
    reply: Reply[R]


class Stopped(NamedTuple, Generic[M, R]):
    """A turn that waits for something, and the message that it is about."""

    envelope: Envelope[M, R]
    turn: Turn[None]
    need: Need


class Runnable(Protocol):
    """What a dispatcher needs to know of an actor."""

    async def drain(self) -> None:
        """Finish the turn that waits, then handle messages until the mailbox is empty."""
        ...


class Dispatcher(Protocol):
    """Decides where an actor takes its turns."""

    def begins_inline(self, actor: Runnable) -> bool:
        """Whether this actor, which is idle, may begin a turn on the stack of the poster."""
        ...

    def dispatch(self, actor: Runnable) -> None:
        """See to it that `actor.drain()` runs, now or soon, and once."""
        ...


class InlineDispatcher:
    """Lets turns begin on the poster's stack, and gives a task to an actor that has more to do.

    Args:
        start_soon: starts a task in the supervisor's task group, where no caller's cancellation reaches it.
    """

    def __init__(self, start_soon: StartSoon) -> None:
        self._start_soon = start_soon

    def __repr__(self) -> str:
        return "<InlineDispatcher>"

    def begins_inline(self, actor: Runnable) -> bool:
        return True

    def dispatch(self, actor: Runnable) -> None:
        self._start_soon(actor.drain)


class ActorStatistics(Struct, frozen=True):
    """Messages that wait: for their turn, or for an answer after it."""

    messages_waiting: int


class Actor(Generic[M, R]):
    """Base of all actors. A subclass gives `handle`, and its state is touched nowhere else.

    Args:
        dispatcher: runs the turns.
        on_crash: called with the actor when a bug ended a turn; the caller drops this activation.
        mailbox_messages_max: what the mailbox holds before it says so.
    """

    __slots__ = ("_dispatcher", "_has_turn", "_mailbox", "_mailbox_messages_max", "_on_crash", "_stopped", "is_retired")

    def __init__(
        self,
        dispatcher: Dispatcher,
        on_crash: Callable[["Actor[M, R]", Exception], None],
        mailbox_messages_max: int,
    ) -> None:
        self._dispatcher = dispatcher
        self._on_crash = on_crash
        self._mailbox: deque[Envelope[M, R]] | None = None  # made when first needed: most actors never need one
        self._mailbox_messages_max = mailbox_messages_max
        self._stopped: Stopped[M, R] | None = None
        self._has_turn = False
        self.is_retired = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} idle={self.is_idle} retired={self.is_retired}>"

    def statistics(self) -> ActorStatistics:
        return ActorStatistics(len(self._mailbox or ()) + len(self.held_envelopes()))

    @property
    def is_idle(self) -> bool:
        """No message waits and none is being handled."""
        return not self._has_turn and not self._mailbox

    def ask(self, message: M, reply: Reply[R] | None = None) -> Reply[R]:
        """Post a message; the answer comes in the reply.

        Args:
            reply: where to put the answer, if the caller has one already.

        Raises:
            Unavailable: the mailbox is full, or the actor has crashed; nothing was posted.
        """
        if self.is_retired:
            raise restarting()
        if reply is None:
            reply = Reply()
        if self._has_turn:
            if self._mailbox is not None and len(self._mailbox) >= self._mailbox_messages_max:
                raise mailbox_full()
            self._post(message, reply)
            return reply
        self._has_turn = True  # whatever is posted meanwhile queues up
        if self._dispatcher.begins_inline(self):
            self._stopped = self._begin(Envelope(message, reply))
        else:
            self._post(message, reply)
        if self._mailbox or self._stopped is not None:
            self._dispatcher.dispatch(self)
        else:
            self._has_turn = False
        return reply

    async def drain(self) -> None:
        """Finish the turn that waits, then handle messages until the mailbox is empty. Called by a dispatcher only."""
        try:
            while (stopped := self._stopped or self._next()) is not None:
                self._stopped = None
                try:
                    await finish(stopped.turn, stopped.need)
                except Exception as error:  # noqa: BLE001 - a bug in one actor must not take the others along
                    self._fail(stopped.envelope.reply, error)
        finally:
            self._has_turn = False

    def handle(self, envelope: Envelope[M, R]) -> Turn[None]:
        """The turn for one message: it answers the message, or keeps the envelope to be answered later.

        Raises:
            Refused, Unavailable: becomes the answer.
            ActorCrashed: of another actor, asked by this one; becomes the answer.
            Exception: a bug; this activation ends.
        """
        raise NotImplementedError

    def held_envelopes(self) -> list[Envelope[M, R]]:
        """Messages whose turn is over that are still to be answered; a subclass that keeps any gives them here."""
        return []

    def retire(self) -> None:
        """End this activation: its callers are told to try again, and it takes no more messages."""
        self.is_retired = True
        others = [*self.held_envelopes(), *(self._mailbox or ())]
        self._mailbox = None
        for other in others:
            if not other.reply.is_done:
                other.reply.fail(restarting())

    def _post(self, message: M, reply: Reply[R]) -> None:
        if self._mailbox is None:
            self._mailbox = deque()
        self._mailbox.append(Envelope(message, reply))

    def _next(self) -> Stopped[M, R] | None:
        """Take turns up to the first that has to wait; None if the mailbox is empty by then."""
        while self._mailbox:
            stopped = self._begin(self._mailbox.popleft())
            if stopped is not None:
                return stopped
        return None

    def _begin(self, envelope: Envelope[M, R]) -> Stopped[M, R] | None:
        """Begin a turn; None if that was all of it."""
        turn = self.handle(envelope)
        try:
            need = first_need(turn)
            if need is not None:
                return Stopped(envelope, turn, need)
        except Exception as error:  # noqa: BLE001 - as in `drain`
            self._fail(envelope.reply, error)
        return None

    def _fail(self, reply: Reply[R], error: Exception) -> None:
        if isinstance(error, (Refused, Unavailable, ActorCrashed)):
            reply.fail(error)
        else:
            crash = self._crash(error)
            if not reply.is_done:
                reply.fail(crash)

    def _crash(self, error: Exception) -> ActorCrashed:
        """End this activation after a bug. Returns the answer to the caller that met it."""
        self.retire()
        self._on_crash(self, error)
        crash = ActorCrashed(f"{self!r} crashed")
        crash.__cause__ = error
        return crash
