"""Reads for callers and for activations, and what becomes of them when storage fails.

A read that fails ends the incarnation, as a batch that fails does. To answer this one caller with an error and go on
was turned down: whether the database is still ours is unknown then, and one place that decides it is enough.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from anyio.lowlevel import checkpoint

from actors.queries import ListReservations
from actors.records import OrderKey, RequestKey, RequestRecord, ReservationRecord, StockRecord, VariantKey
from actors.transfer_records import TransferRecord
from actors.unavailable import database_down
from actors.views import ReservationPage
from storage.store import OwnershipLost, StorageError, Store
from supervisor.transactions.folding import Folding
from supervisor.transactions.journal import Journal

T = TypeVar("T")

ROWS_A_TURN = 4_000  # are put to their variants, which takes 3 ms


class StoreReader:
    """Asks the database.

    Args:
        store: the open store.
        journal: knows what is durable.
        folding: folds rows before they are loaded.
        fail: told of a storage failure, which ends the incarnation.
        is_over: whether the incarnation has ended.
    """

    def __init__(
        self,
        store: Store,
        journal: Journal,
        folding: Folding,
        fail: Callable[[Exception], None],
        is_over: Callable[[], bool],
    ) -> None:
        self._store = store
        self._folding = folding
        self._journal = journal
        self._fail = fail
        self._is_over = is_over

    def __repr__(self) -> str:
        return f"<StoreReader {self._journal!r}>"

    def end(self, cause: Exception) -> None:
        """End the incarnation: what is in memory is not to be used any more."""
        self._fail(cause)

    async def read(self, reading: Awaitable[T]) -> T:
        """A read in a caller's task or in an actor's turn: if storage fails there, it fails for all.

        Raises:
            Unavailable: storage failed.
        """
        try:
            return await reading
        except (StorageError, OwnershipLost) as error:  # the latter where a cursor is written
            self._fail(error)
            raise database_down() from error

    async def published(self, reading: Awaitable[T]) -> T:
        """A caller's read of what the database has, given when memory shows as much: a batch that has landed but not
        been heard of yet would let a later reader of memory see less than an earlier reader of the database.

        Raises:
            Unavailable: storage failed, or the incarnation ended meanwhile.
        """
        value = await self.read(reading)
        if self._is_over():
            raise database_down()
        return await self._journal.answered(value).wait()

    async def find_reservation(self, organization_id: str, reservation_id: str) -> OrderKey | None:
        """The order that a reservation belongs to. Raises Unavailable."""
        return await self.read(self._store.find_reservation(organization_id, reservation_id))

    async def reservation(self, organization_id: str, reservation_id: str) -> ReservationRecord | None:
        """A reservation with all of its items. Raises Unavailable."""
        return await self.read(self._store.load_reservation(organization_id, reservation_id))

    async def find_transfer(self, organization_id: str, transfer_id: str) -> TransferRecord | None:
        """A transfer. Raises Unavailable."""
        return await self.read(self._store.find_transfer(organization_id, transfer_id))

    async def list_reservations(self, query: ListReservations) -> ReservationPage:
        """A page of reservations, as the database has them. Raises Unavailable."""
        return await self.read(self._store.list_reservations(query))

    async def load_request(self, key: RequestKey) -> RequestRecord | None:
        """What was answered under an idempotency key. Raises Unavailable."""
        return await self.read(self._store.load_request(key))

    async def variants(self, keys: Sequence[VariantKey]) -> dict[VariantKey, list[StockRecord]]:
        """The rows of variants, for a loader. Raises StorageError."""
        await self._folding.settle(keys)
        records: dict[VariantKey, list[StockRecord]] = {}
        for number, record in enumerate(await self._store.load_variants(keys), 1):
            records.setdefault(record.key.variant, []).append(record)
            if number % ROWS_A_TURN == 0:
                await checkpoint()
        return records

    async def orders(self, keys: Sequence[OrderKey]) -> dict[OrderKey, list[ReservationRecord]]:
        """The reservations of orders, for a loader. Raises StorageError."""
        reservations: dict[OrderKey, list[ReservationRecord]] = {}
        for reservation in await self._store.load_orders(keys):
            reservations.setdefault(reservation.order, []).append(reservation)
        return reservations
