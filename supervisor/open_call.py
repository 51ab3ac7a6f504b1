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
        note_error: told how it ends, if that is an error.
    """

    __slots__ = ("_new_waiter", "_note_error", "_open_calls")

    def __init__(
        self, open_calls: OpenCalls, new_event: Callable[[], Event], note_error: Callable[[Exception], None]
    ) -> None:
        super().__init__()
        self._note_error = note_error
        self._open_calls = open_calls
        self._new_waiter = new_event
        open_calls[self] = None

    def fail(self, error: Exception) -> None:
        """Give an error as the answer."""
        self._note_error(error)
        super().fail(error)

    def _new_event(self) -> Event:
        return self._new_waiter()

    def _wake(self) -> None:
        self._open_calls.pop(self, None)
        super()._wake()


def fail_all(calls: OpenCalls, error: Exception) -> None:
    """Answer all that are not answered yet with this error."""
    for reply in list(calls):
        if not reply.is_done:
            reply.fail(error)
