"""Actors: a mailbox, and one message at a time.

An actor has no task of its own. Most turns cannot suspend (a stock row only does arithmetic), and a task that
is woken for one costs more than the turn. So whoever posts the first message into an idle mailbox asks the
*dispatcher* to see to it: `InlineDispatcher`, which the server uses, runs a turn that cannot suspend on the
poster's stack and gives any other turn a task in the supervisor's task group. The simulation's dispatcher gives
every turn a task, or not, as the seed says: all that the actors rely on is that one message is handled at a
time and in order.

Turned down: a task for each activation (4 to 5 KB each, two wake-ups a message); a memory stream as the mailbox
(8 KB, and a message already handed to a receiving task is lost by a native cancellation).
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

    def will_suspend(self) -> bool:
        """Whether handling the messages in the mailbox may have to wait for something."""
        ...

    async def drain(self) -> None:
        """Handle messages until the mailbox is empty."""
        ...


class Dispatcher(Protocol):
    """Decides where an actor with mail takes its turns."""

    @property
    def takes_turns_at_once(self) -> bool:
        """Whether a turn that cannot suspend is over when `dispatch` returns."""
        ...

    def dispatch(self, actor: Runnable) -> None:
        """See to it that `actor.drain()` runs, now or soon, and once."""
        ...


class InlineDispatcher:
    """Runs a turn at once if it cannot suspend, else in a task.

    Args:
        start_soon: starts a task in the supervisor's task group, where no caller's cancellation reaches it.
    """

    takes_turns_at_once = True

    def __init__(self, start_soon: StartSoon) -> None:
        self._start_soon = start_soon

    def dispatch(self, actor: Runnable) -> None:
        if actor.will_suspend():
            self._start_soon(actor.drain)
        else:
            run_now(actor.drain())


def run_now(coroutine: Coroutine[object, None, None]) -> None:
    """Run a coroutine that never suspends to its end, without a task and without the event loop's knowledge."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    coroutine.close()
    raise AssertionError(f"{coroutine!r} suspended though its actor had said that it would not")


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
        self._mailbox: deque[Envelope[M, R]] = deque()
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
        if len(self._mailbox) >= self._mailbox_messages_max:
            raise overloaded()
        if reply is None:
            reply = Reply()
        self._mailbox.append(Envelope(message, reply))
        if not self._has_turn:
            self._has_turn = True
            self._dispatcher.dispatch(self)
        return reply

    def will_suspend(self) -> bool:
        """Whether the messages in the mailbox may have to wait for something. False is a promise."""
        return False

    async def drain(self) -> None:
        """Handle messages, one at a time, until the mailbox is empty. Runs in a dispatcher's turn only."""
        mailbox = self._mailbox
        try:
            while mailbox:
                envelope = mailbox.popleft()
                try:
                    await self.receive(envelope)
                except (Refused, Unavailable, ActorCrashed) as error:  # the last: of another actor, asked by this one
                    envelope.reply.fail(error)
                except Exception as error:  # noqa: BLE001 - a bug in one actor must not take the others along
                    crash = self._crash(error)
                    if not envelope.reply.is_done:
                        envelope.reply.fail(crash)
        finally:
            self._has_turn = False

    async def receive(self, envelope: Envelope[M, R]) -> None:
        """Handle one message: answer it, or keep the envelope to answer it later.

        Raises:
            Refused, Unavailable: becomes the answer.
            Exception: a bug; this activation ends.
        """
        raise NotImplementedError

    def held_envelopes(self) -> list[Envelope[M, R]]:
        """Messages taken from the mailbox that are still to be answered; a subclass that keeps any gives them here."""
        return []

    def retire(self) -> None:
        """End this activation: whoever waits for it is told to try again, and nobody can post to it any more."""
        self.is_retired = True
        others = [*self.held_envelopes(), *self._mailbox]
        self._mailbox.clear()
        for other in others:
            if not other.reply.is_done:
                other.reply.fail(restarting())

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
