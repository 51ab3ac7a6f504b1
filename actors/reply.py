"""A reply: one value that comes later.

A future of asyncio would do the same, but on asyncio only; an anyio memory stream carries many values and costs
three times as much. Each waiter has an event of its own, because cancelling many waiters on one shared event is
quadratic: 100,000 of them took 21 seconds.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Generic, Protocol, TypeVar

import anyio
from msgspec import Struct

T = TypeVar("T")


class Event(Protocol):
    """What one task waits for."""

    def set(self) -> None:
        """Wake the task that waits. May be called again."""
        ...

    def wait(self) -> Awaitable[object]:
        """Returns once it is set."""
        ...


class ReplyStatistics(Struct, frozen=True):
    """Tasks that wait for the answer."""

    tasks_waiting: int


class Reply(Generic[T]):
    """Set once, by value or by error; waited for by any number of tasks."""

    __slots__ = ("_error", "_is_done", "_listener", "_value", "_waiters")

    def __init__(self) -> None:
        self._is_done = False
        self._value: T | None = None
        self._error: Exception | None = None
        self._waiters: dict[Event, None] | None = None
        self._listener: Callable[[], None] | None = None

    def __repr__(self) -> str:
        state = "pending" if not self._is_done else repr(self._error or self._value)
        return f"<Reply {state}>"

    def statistics(self) -> ReplyStatistics:
        return ReplyStatistics(len(self._waiters or ()))

    @property
    def is_done(self) -> bool:
        return self._is_done

    def set(self, value: T) -> None:
        """Give the answer. A reply is answered once."""
        assert not self._is_done, self
        self._is_done = True
        self._value = value
        self._wake()

    def fail(self, error: Exception) -> None:
        """Give an error as the answer; every waiter raises it."""
        assert not self._is_done, self
        self._is_done = True
        self._error = error
        self._wake()

    def settle(self, value: Any, error: Exception | None) -> None:
        """Give the error as the answer if there is one, else the value."""
        if error is not None:
            self.fail(error)
        else:
            self.set(value)

    def result(self) -> T:
        """The answer, which must be there.

        Raises:
            Exception: the error that was given as the answer.
        """
        assert self._is_done, self
        if self._error is not None:
            raise self._error.with_traceback(None)
        return self._value  # type: ignore[return-value]

    async def wait(self) -> T:
        """Wait for the answer. Does not suspend if it is there; cancelling a waiter disturbs no other."""
        if not self._is_done:
            event = self._new_event()
            if self._waiters is None:
                self._waiters = {}
            self._waiters[event] = None
            try:
                await event.wait()
            finally:
                if self._waiters is not None:
                    self._waiters.pop(event, None)
        return self.result()

    def when_done(self, listener: Callable[[], None]) -> None:
        """Have `listener` called when the answer is there, at once if it is. It must neither raise nor take long.

        It spares a caller that waits for many replies a task for each. A reply has one listener.
        """
        if self._is_done:
            listener()
        else:
            assert self._listener is None, self
            self._listener = listener

    def _new_event(self) -> Event:
        return anyio.Event()

    def _wake(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            listener()
        waiters, self._waiters = self._waiters, None
        if waiters is not None:
            for event in waiters:
                event.set()
