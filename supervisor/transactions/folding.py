"""Folds the rows of decided large imports into the stock table, a few hundred lines at a time.

From its decision on an import is true of all its rows, though most of them stand in the database as staged lines
(`storage/staging.py`). So that no reader sees a row as it was before, or some of them: a row is folded before it is
loaded (`settle`), and what reads rows or the ledger from the tables waits until all of the organization's are (`over`).
Lists are the price: they wait for some seconds after an import of a million lines. Orders do not, since they ask for
rows by name.

A crash loses nothing: what is decided and not folded stands in the database, and is gone on with at the start.

Turned down: reading the tables together with the staged lines (every list, page and look into the past would be written
twice, and planned anew); one transaction for all rows (others wait 20 s for it).
"""

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import TypeVar

import anyio
from msgspec import Struct

from actors.records import VariantKey
from actors.reply import Reply
from actors.turn import Doing, Turn
from storage.staging import StagingStore
from supervisor.transactions.journal import Journal

T = TypeVar("T")

LINES_A_STEP = 250  # a batch of the journal waits for a step: 2 to 4 ms
REST_S = 0.0  # between steps: that batch is next in any case


class FoldingStatistics(Struct, frozen=True):
    """Imports that are being folded now, and how many were begun since the start."""

    under_way: int
    begun: int


class _Fold(Struct, frozen=True):
    organizations: frozenset[str] | None  # None: it was found at the start, and may be of any
    over: Reply[None]


class Folding:
    """Carries decided imports out.

    Args:
        store: has the lines.
        journal: says when a decision is durable.
    """

    def __init__(self, store: StagingStore, journal: Journal) -> None:
        self._store = store
        self._journal = journal
        self._open: dict[str, _Fold] = {}
        self._has_work = anyio.Event()
        self._one_at_a_time = anyio.Lock()  # two steps must not carry out the same line
        self._begun = 0

    def __repr__(self) -> str:
        return f"<Folding under_way={list(self._open)} begun={self._begun}>"

    def statistics(self) -> FoldingStatistics:
        return FoldingStatistics(len(self._open), self._begun)

    @property
    def is_under_way(self) -> bool:
        return bool(self._open)

    def begin(self, import_id: str, organizations: Collection[str] | None) -> Reply[None]:
        """This import is decided. The reply comes when its last row is folded."""
        fold = self._open[import_id] = _Fold(None if organizations is None else frozenset(organizations), Reply())
        self._begun += 1
        self._has_work.set()
        return fold.over

    def over(self, organization_id: str | None) -> Turn[None]:
        """Wait until no row of the organization (None: of any) is still to be folded."""
        while (fold := self._of(organization_id)) is not None:
            yield fold.over

    def unfolded(self, organization_id: str | None, read: Callable[[], Awaitable[T]]) -> Turn[T]:
        """What a read of the tables finds while nothing is being folded."""
        while True:
            yield from self.over(organization_id)
            begun = self._begun
            found: T = yield Doing(read)
            if self._begun == begun:
                return found  # else some rows may have been folded by then, and others not

    async def settle(self, keys: Sequence[VariantKey]) -> None:
        """Fold the rows of these variants, which are about to be loaded.

        Raises:
            StorageError: it failed.
        """
        if self._open and any(self._of(key.organization_id) for key in keys):
            await self._journal.wait_durable()
            async with self._one_at_a_time:
                await self._store.fold_variants(keys)

    async def resume(self) -> None:
        """Find what an earlier incarnation left. Called before anything is served."""
        for import_id in await self._store.decided_imports():
            self.begin(import_id, None)

    async def run(self) -> None:
        """Fold until cancelled.

        Raises:
            StorageError: it failed.
        """
        while True:
            if not self._open:
                self._has_work = anyio.Event()
                await self._has_work.wait()
            import_id = next(iter(self._open))
            await self._journal.wait_durable()
            while await self._step(import_id):
                pass
            self._open.pop(import_id).over.set(None)

    async def _step(self, import_id: str) -> bool:
        await self._journal.wait_for_little()
        async with self._one_at_a_time:
            is_more = await self._store.fold(import_id, LINES_A_STEP)
        await anyio.sleep(REST_S)
        return is_more

    def _of(self, organization_id: str | None) -> _Fold | None:
        for fold in self._open.values():
            if organization_id is None or fold.organizations is None or organization_id in fold.organizations:
                return fold
        return None
