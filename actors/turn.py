"""Turns: how a message or a query is handled, written once, whether or not it has to wait.

A turn is a generator. It runs on the stack of its caller for as long as everything that it needs is there. Where
something is missing (rows that must be loaded, a rival's decision, a read of the database) it yields that *need* and
stops; it goes on with the need's value, or with its error, when that has come. What the generator returns is the
outcome. So the rules stand in one dialect: no function exists once for the case that waits and once for the other.

Nothing else runs between two yields, so a rule may look and change without a lock. Nothing is certain across a yield
but what the turn holds: pins and holds are released by the `with` blocks of the turn, also when it is closed.

A turn that stopped goes on in a task, and never on the stack of the reply that it waited for: a row that decides
must not find itself in the middle of another order's turn.

Turned down: coroutines (a scope of anyio needs a task, and a task costs more than most turns); trying first and
starting over with the slow way if something is missing (everything was written, and looked up, twice).
"""

from collections.abc import Awaitable, Callable, Generator
from functools import partial
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from anyio import Lock, sleep
from anyio.lowlevel import RunVar

from actors.reply import Reply

T = TypeVar("T")


class Need(Protocol):
    """What a turn waits for. A `Reply` is one."""

    @property
    def is_done(self) -> bool:
        """Whether it is there, so that `result` may be asked for."""
        ...

    def result(self) -> Any:
        """The value. Raises the error that came in its place."""
        ...

    def wait(self) -> Awaitable[Any]:
        """Returns the value when it has come. Raises the error that came in its place."""
        ...


Turn: TypeAlias = Generator[Need, Any, T]


class Doing(Generic[T]):
    """The need for what a coroutine returns, such as a read of the database. It begins when the turn waits for it."""

    __slots__ = ("_begin",)
    is_done = False

    def __init__(self, begin: Callable[[], Awaitable[T]]) -> None:
        self._begin = begin

    def __repr__(self) -> str:
        return f"<Doing {self._begin!r}>"

    def result(self) -> T:
        raise AssertionError("it has not begun")

    def wait(self) -> Awaitable[T]:
        """Begin, and return what it returns."""
        return self._begin()


_LONG_TURNS: RunVar[Lock] = RunVar("long_turns")


async def _others_first() -> None:
    """Wait for the next turn of the event loop in which no other long turn goes on.

    Ten that each took up again in every turn of the loop would make it ten times as long for all others.
    """
    try:
        lock = _LONG_TURNS.get()
    except LookupError:
        lock = Lock()
        _LONG_TURNS.set(lock)
    async with lock:  # taking it lets others have their turn, and so does waiting for it
        pass


OTHERS_FIRST: Need = Doing(_others_first)
"""The need of a long turn to let others have theirs."""

MOMENT_S = 0.002

A_MOMENT_FOR_OTHERS: Need = Doing(partial(sleep, MOMENT_S))
"""The need to leave the event loop to others for a moment, before very many rows move or after that: who has called
meanwhile goes before, and need not wait until all that is written."""


def awaited(reply: Reply[T]) -> Turn[T]:
    """Wait for a reply: its value, with its type."""
    value: T = yield reply
    return value


def first_need(turn: Turn[None]) -> Need | None:
    """Run a turn from its beginning up to the first need that is not there yet; None if there is none: it has ended.

    Raises:
        Exception: what the turn raised.
    """
    for need in turn:  # a loop spares the turn that needs nothing a StopIteration, which costs as much as the turn
        try:
            while need.is_done:
                need = _hand_over(turn, need)
        except StopIteration:
            return None
        return need
    return None


def _hand_over(turn: Turn[T], need: Need) -> Need:
    try:
        value = need.result()
    except Exception as error:  # noqa: BLE001 - it is the turn's
        return turn.throw(error)
    return turn.send(value)


async def finish(turn: Turn[T], need: Need) -> T:
    """Run a turn that stopped at `need` to its end. Cancelling it closes the turn, which lets go of all that it holds.

    Raises:
        Exception: what the turn raised.
    """
    try:
        while True:
            try:
                value = await need.wait()
            except Exception as error:  # noqa: BLE001 - it is the turn's
                need = turn.throw(error)
            else:
                need = turn.send(value)
            while need.is_done:
                need = _hand_over(turn, need)
    except StopIteration as end:
        outcome: T = end.value
        return outcome
    finally:
        turn.close()


async def run(turn: Turn[T]) -> T:
    """Run a turn that belongs to no actor, from its beginning to its end. Cancelling it closes the turn.

    Raises:
        Exception: what the turn raised.
    """
    try:
        need = turn.send(None)
    except StopIteration as end:
        outcome: T = end.value
        return outcome
    return await finish(turn, need)
