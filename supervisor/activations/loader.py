"""Reads what activations need, many keys in one read.

A load sees everything that was decided about its key. An activation is dropped when the database has all that it
decided, and what is not in memory cannot be changed; so what is read is true, and still true when it arrives. Only a
crash drops an activation at any time: the loads after it wait until the journal is durable.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence, Sized
from itertools import islice
from typing import Generic, TypeVar

import anyio
from anyio.lowlevel import checkpoint
from msgspec import Struct

K = TypeVar("K")
V = TypeVar("V", bound=Sized)

KEYS_A_READ_MAX = 500
VALUES_A_TURN = 1_000  # rows or reservations: 5 ms


class LoaderStatistics(Struct, frozen=True):
    """Counts since the start, but `wanted`: keys that wait for their read now."""

    wanted: int
    reads: int
    keys_read: int


class Loader(Generic[K, V]):
    """Coalesces loads.

    Args:
        read: reads the values of up to 500 keys. It may leave out a key that the database does not know.
        wait_durable: returns when everything decided so far is in the database.
        deliver: called with each wanted key and its value, None if the database does not know it.
    """

    def __init__(
        self,
        read: Callable[[Sequence[K]], Awaitable[Mapping[K, V]]],
        wait_durable: Callable[[], Awaitable[None]],
        deliver: Callable[[K, V | None], None],
    ) -> None:
        self._read = read
        self._wait_durable = wait_durable
        self._deliver = deliver
        self._wanted: dict[K, None] = {}
        self._has_wanted = anyio.Event()
        self._follows_a_crash = False
        self._reads = 0
        self._keys_read = 0

    def __repr__(self) -> str:
        return f"<Loader wanted={len(self._wanted)} reads={self._reads}>"

    def want(self, key: K) -> None:
        """Have this key read and delivered soon."""
        self._wanted[key] = None
        self._has_wanted.set()

    def note_crash(self) -> None:
        """A key was dropped that may have undecided or undurable changes."""
        self._follows_a_crash = True

    async def run(self) -> None:
        """Read until cancelled.

        Raises:
            StorageError: a read failed. The end of the incarnation tells those that wait.
        """
        while True:
            await self._has_wanted.wait()
            keys = list(islice(self._wanted, KEYS_A_READ_MAX))
            for key in keys:
                del self._wanted[key]
            if not self._wanted:
                self._has_wanted = anyio.Event()
            # Only after the keys were taken: what a crash dropped may be wanted while its changes are being written.
            if self._follows_a_crash:
                self._follows_a_crash = False
                await self._wait_durable()
            await self._hand_out(keys, await self._read(keys))

    async def _hand_out(self, keys: Sequence[K], values: Mapping[K, V]) -> None:
        """Deliver what was read, in steps. No task keeps it then, which would have it in memory until the next read."""
        self._reads += 1
        self._keys_read += len(keys)
        size = 0
        for key in keys:
            value = values.get(key)
            its = 1 if value is None else len(value)
            if size + its > VALUES_A_TURN:
                size = 0
                await checkpoint()
            size += its
            self._deliver(key, value)

    def statistics(self) -> LoaderStatistics:
        return LoaderStatistics(len(self._wanted), self._reads, self._keys_read)
