"""The lines of large imports on their way into the database.

An upload belongs to one incarnation: it begins with its first line, each part follows the one before it, and what is
decided in the end must be all of it. So nothing that a broken upload left can ever become part of another.
"""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from itertools import count
from typing import Any

import anyio
from msgspec import Struct

from actors.actor import StartSoon
from actors.commands import DropStaged, StageLines
from actors.reply import Reply
from actors.staged_rows import LinesStaged, Repeat, StagedDropped, StagingFact
from actors.unavailable import restarting
from storage.staging import StagedLine, StagingStore

LINES_A_DROP = 1_000
IDLE_S = 60.0  # longer than a caller may be silent in the middle of an import

Read = Callable[[Awaitable[Any]], Awaitable[Any]]
"""Waits for the database: if it fails here, it fails for all. See `supervisor/store_reader.py`."""


class UploadsStatistics(Struct, frozen=True):
    """Uploads that have lines in the database and no decision yet, and how many of them are being decided."""

    open: int
    taken: int


class Uploads:
    """Stages lines, and forgets those that are never decided.

    Args:
        store, read: what keeps them, and what sees to its failures.
        new_stock_id: a fresh id for a row that is to be made.
        start_soon: starts a task of the incarnation.
        little_first: waits until what is little is written (`Journal.wait_for_little`).
    """

    def __init__(
        self,
        store: StagingStore,
        read: Read,
        new_stock_id: Callable[[], str],
        start_soon: StartSoon,
        little_first: Callable[[], Awaitable[None]],
    ) -> None:
        self._store = store
        self._read = read
        self._new_stock_id = new_stock_id
        self._start_soon = start_soon
        self._little_first = little_first
        self._one_at_a_time = anyio.Lock()  # a small order waits for one part at most, and not for those of all imports
        self._open: dict[str, int] = {}  # how many lines
        self._writing: dict[str, Reply[None]] = {}  # those of which a part is on its way to the database
        self._taken: dict[str, bool] = {}  # whether the upload is to be dropped afterwards
        self._is_watched = False
        self._seen: dict[str, int] = {}  # what was open at the last look for idle ones

    def __repr__(self) -> str:
        return f"<Uploads open={self._open} taken={list(self._taken)}>"

    def statistics(self) -> UploadsStatistics:
        return UploadsStatistics(len(self._open), len(self._taken))

    async def carry_out(self, command: StageLines | DropStaged) -> StagingFact:
        """Do it. Raises `Unavailable`."""
        if isinstance(command, DropStaged):
            await self._read(self._drop(command.import_id))
            return StagedDropped()
        import_id = command.import_id
        if self._open.get(import_id, 0) != command.first_place or import_id in (*self._taken, *self._writing):
            raise restarting()  # its beginning was in another incarnation, or came to nothing
        self._open[command.import_id] = command.first_place + len(command.lines)
        if not self._is_watched:
            self._is_watched = True
            self._start_soon(self._watch)
        places = count(command.first_place)
        staged = [StagedLine(next(places), self._new_stock_id(), line) for line in command.lines]
        written = self._writing[command.import_id] = Reply[None]()
        try:
            return LinesStaged(tuple(await self._read(self._stage(command.import_id, staged))))
        finally:
            del self._writing[command.import_id]
            written.set(None)

    async def _stage(self, import_id: str, staged: Sequence[StagedLine]) -> Sequence[Repeat]:
        async with self._one_at_a_time:
            await self._little_first()
            return await self._store.stage(import_id, staged)

    def take(self, import_id: str, lines: int) -> None:
        """They are about to be decided. Nothing is added or dropped until `let_go`.

        Raises:
            Unavailable: not all of them are there.
        """
        if self._open.get(import_id) != lines or import_id in self._taken or import_id in self._writing:
            raise restarting()
        self._taken[import_id] = False

    def let_go(self, import_id: str, *, is_decided: bool) -> None:
        """They are decided, or will not be."""
        is_to_be_dropped = self._taken.pop(import_id)
        if is_decided:
            del self._open[import_id]
        elif is_to_be_dropped:
            self._start_soon(partial(self._drop, import_id))

    async def clear(self) -> None:
        """Forget what earlier incarnations left.

        Raises:
            StorageError: it failed.
        """
        for import_id in await self._store.staged_imports():
            if import_id not in self._open:
                await self._drop(import_id)

    async def _watch(self) -> None:
        """Look for idle ones for as long as any are open."""
        try:
            while self._open:
                await anyio.sleep(IDLE_S)
                await self.drop_idle()
        finally:
            self._is_watched = False

    async def drop_idle(self) -> None:
        """Forget what nothing was added to since the last look: its caller is gone, and could not say so.

        A caller that is only slow is told to begin anew.

        Raises:
            StorageError: it failed.
        """
        busy = {*self._taken, *self._writing}
        for import_id in [one for one, lines in self._open.items() if self._seen.get(one) == lines and one not in busy]:
            await self._drop(import_id)
        self._seen = dict(self._open)

    async def _drop(self, import_id: str) -> None:
        if import_id in self._taken:
            self._taken[import_id] = True
            return
        self._open.pop(import_id, None)
        if (written := self._writing.get(import_id)) is not None:
            await written.wait()  # the caller gave up while a part was written: that comes first
        while await self._store.drop_staged(import_id, LINES_A_DROP):
            pass
