"""Hands requests to gRPC, which reads them in a thread of its own, one by one.

They are made in the caller's thread: they may need its database connection, its transaction, or its web request.
"""

import threading
from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

Fed = TypeVar("Fed")


class Feed(Iterator[Fed], Generic[Fed]):
    """An iterator that another thread fills. `put` waits until the last one was taken."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._next: list[Fed] = []
        self._is_complete = False
        self._is_stopped = False

    def __repr__(self) -> str:
        state = "stopped" if self._is_stopped else "complete" if self._is_complete else "open"
        return f"<Feed {state} waiting={len(self._next)}>"

    def put(self, one: Fed) -> bool:
        """Whether it will be read."""
        with self._changed:
            self._changed.wait_for(lambda: not self._next or self._is_stopped)
            if not self._is_stopped:
                self._next.append(one)
                self._changed.notify_all()
            return not self._is_stopped

    def end(self) -> None:
        """There are no more."""
        with self._changed:
            self._is_complete = True
            self._changed.notify_all()

    def stop(self) -> None:
        """Nothing is read any more."""
        with self._changed:
            self._is_stopped = True
            self._next.clear()
            self._changed.notify_all()

    def __next__(self) -> Fed:
        with self._changed:
            self._changed.wait_for(lambda: bool(self._next) or self._is_complete or self._is_stopped)
            if not self._next:
                raise StopIteration
            self._changed.notify_all()
            return self._next.pop()


def each(given: Iterable[Fed]) -> Iterable[Fed]:
    """What a caller gives to be sent, as its counterpart in `stockkeeper_client.upload`."""
    return given
