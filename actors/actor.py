"""Actors: a mailbox, and one message at a time.

An actor has no task of its own. Most turns need not suspend (a stock row only does arithmetic, an order whose rows
are in memory and free does no more), and a task that is woken for one costs more than the turn. So a message that
meets an idle actor is first offered to it *at once*, on the poster's stack; only what the actor cannot finish there
goes into the mailbox, for which the *dispatcher* starts a task in the supervisor's task group. The simulation's
dispatcher lets turns be taken at once, or not, as the seed says: all that the actors rely on is that one message is
handled at a time and in order.

Turned down: a task for each activation (4 to 5 KB each, two wake-ups a message); a memory stream as the mailbox
(8 KB, and a message already handed to a receiving task is lost by a native cancellation); asking an actor first
whether it would suspend (it looked up everything twice).
"""

from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from actors.outcomes import ActorCrashed, Refused, Unavailable
from actors.reply import Reply

M = TypeVar("M")
R = TypeVar("R")

StartSoon = Callable[[Callable[[], Coroutine[Any, Any, None]]], object]
"""Starts a task, in the background."""

RETRY_AFTER_OVERLOAD_MS = 200


class Envelope(NamedTuple, Generic[M, R]):
    """A message and where its answer goes."""

    message: M
    reply: Reply[R]


class Runnable(Protocol):
    """What a dispatcher needs to know of an actor."""

    async def drain(self) -> None:
        """Handle messages until the mailbox is empty."""
        ...


class Dispatcher(Protocol):
    """Decides where an actor with mail takes its turns."""

    def takes_turn_at_once(self, actor: Runnable) -> bool:
        """Whether this actor, which is idle, may handle a message on its poster's stack, if it can."""
        ...

    def dispatch(self, actor: Runnable) -> None:
        """See to it that `actor.drain()` runs, now or soon, and once."""
        ...


class InlineDispatcher:
    """Lets turns be taken at once, and gives every other one a task.

    Args:
        start_soon: starts a task in the supervisor's task group, where no caller's cancellation reaches it.
    """

    def __init__(self, start_soon: StartSoon) -> None:
        self._start_soon = start_soon

    def takes_turn_at_once(self, actor: Runnable) -> bool:
        return True

    def dispatch(self, actor: Runnable) -> None:
        self._start_soon(actor.drain)


class Actor(Generic[M, R]):
    """Base of all actors. A subclass gives `receive`, and its state is touched nowhere else.

    Args:
        dispatcher: runs the turns.
        on_crash: called with the actor when a bug ended a turn; the caller drops this activation.
        mailbox_messages_max: what the mailbox holds before it says so.
    """

    __slots__ = ("_dispatcher", "_has_turn", "_mailbox", "_mailbox_messages_max", "_on_crash", "is_retired")

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
        self._has_turn = False
        self.is_retired = False

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
                raise overloaded()
            self._post(message, reply)
            return reply
        self._has_turn = True  # whatever is posted meanwhile queues up
        if not (self._dispatcher.takes_turn_at_once(self) and self._take_turn_at_once(message, reply)):
            self._post(message, reply)
        if self._mailbox:
            self._dispatcher.dispatch(self)
        else:
            self._has_turn = False
        return reply

    def _post(self, message: M, reply: Reply[R]) -> None:
        if self._mailbox is None:
            self._mailbox = deque()
        self._mailbox.append(Envelope(message, reply))

    def _take_turn_at_once(self, message: M, reply: Reply[R]) -> bool:
        try:
            return self.receive_at_once(message, reply)
        except Exception as error:  # noqa: BLE001 - as in `drain`
            self._fail(reply, error)
            return True

    async def drain(self) -> None:
        """Handle messages, one at a time, until the mailbox is empty. Runs in a dispatcher's turn only."""
        try:
            while self._mailbox:
                envelope = self._mailbox.popleft()
                try:
                    await self.receive(envelope)
                except Exception as error:  # noqa: BLE001 - a bug in one actor must not take the others along
                    self._fail(envelope.reply, error)
        finally:
            self._has_turn = False

    def receive_at_once(self, message: M, reply: Reply[R]) -> bool:
        """Handle one message, if that needs no waiting; else return False, and nothing has happened.

        Raises: as `receive`.
        """
        return False

    async def receive(self, envelope: Envelope[M, R]) -> None:
        """Handle one message: answer it, or keep the envelope to answer it later.

        Raises:
            Refused, Unavailable: becomes the answer.
            ActorCrashed: of another actor, asked by this one; becomes the answer.
            Exception: a bug; this activation ends.
        """
        raise NotImplementedError

    def held_envelopes(self) -> list[Envelope[M, R]]:
        """Messages taken from the mailbox that are still to be answered; a subclass that keeps any gives them here."""
        return []

    def retire(self) -> None:
        """End this activation: whoever waits for it is told to try again, and nobody can post to it any more."""
        self.is_retired = True
        others = [*self.held_envelopes(), *(self._mailbox or ())]
        self._mailbox = None
        for other in others:
            if not other.reply.is_done:
                other.reply.fail(restarting())

    def _fail(self, reply: Reply[R], error: Exception) -> None:
        if isinstance(error, (Refused, Unavailable, ActorCrashed)):
            reply.fail(error)
        else:
            crash = self._crash(error)
            if not reply.is_done:
                reply.fail(crash)

    def _crash(self, error: Exception) -> ActorCrashed:
        """End this activation after a bug. Returns the answer to whoever met it."""
        self.retire()
        self._on_crash(self, error)
        crash = ActorCrashed(f"{self!r} crashed")
        crash.__cause__ = error
        return crash


def restarting() -> Unavailable:
    """The answer to those whose message met an activation that a crash took away."""
    return Unavailable(
        "ACTOR_RESTARTED", "The service is restarting a part of itself, try again.", RETRY_AFTER_OVERLOAD_MS
    )


def overloaded() -> Unavailable:
    """The answer to those whose message met a full mailbox."""
    return Unavailable(
        "OVERLOADED", "Too many requests wait for the same goods or order, try again.", RETRY_AFTER_OVERLOAD_MS
    )
