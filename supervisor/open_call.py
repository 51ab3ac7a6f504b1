"""A call under way: until it is answered, whether or not its caller still waits."""

from collections.abc import Callable
from typing import Any, TypeVar

from actors.reply import Event, Reply

T = TypeVar("T")

OpenCalls = dict[Reply[Any], None]
"""Calls under way, oldest first."""


class OpenCall(Reply[T]):
    """A reply that leaves the list of open calls when it is given.

    Args:
        open_calls: the list, which this joins.
        new_event: makes what a caller waits for.
    """

    __slots__ = ("_new_waiter", "_open_calls")

    def __init__(self, open_calls: OpenCalls, new_event: Callable[[], Event]) -> None:
        super().__init__()
        self._open_calls = open_calls
        self._new_waiter = new_event
        open_calls[self] = None

    def _new_event(self) -> Event:
        return self._new_waiter()

    def _wake(self) -> None:
        self._open_calls.pop(self, None)
        super()._wake()
