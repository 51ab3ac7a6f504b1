"""The Store port on a SQL database. What depends on the database is its backend's; errors become the port's here.

SQL is plain functions of a SQLAlchemy `Connection`, handed to the backend, which alone knows where they run: on a
thread, in the caller's, or over asyncpg. An async API all the way down was turned down: each function would be needed
twice, for the simulation runs SQLite inline on any backend of anyio, where a driver of asyncio's cannot.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

from anyio import CancelScope, Lock
from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import URL, Connection
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from actors.changes import Changes, MovementPage, Point, StockAt
from actors.history_feed import CursorRecord, FeedPart
from actors.queries import CountRows, FindStock, GetStockAt, ListMovements, ListReservations, ListStock, ListTransfers
from actors.records import (
    OrderKey,
    RequestKey,
    RequestRecord,
    ReservationRecord,
    StockRecord,
    Transaction,
    VariantKey,
    WarehouseRecord,
)
from actors.row_counts import RowCounts
from actors.sourcing import SourcingRecord
from actors.transfer_records import TransferRecord
from actors.views import ReservationPage, TransferPage
from storage.found_stock import FoundStock
from storage.latecomers import Latecomers, no_latecomers
from storage.sql import (
    feed_reads,
    history_reads,
    movement_reads,
    order_reads,
    reads,
    stock_at_reads,
    stock_reads,
    transfer_reads,
    variant_reads,
)
from storage.sql.backend import Backend
from storage.sql.cell_tables import CellTables
from storage.sql.database_url import parse_url
from storage.sql.epoch import lost_to, read_epoch
from storage.sql.history_begin import time_of
from storage.sql.organization_tables import OrganizationTables
from storage.sql.postgres_address import read_address
from storage.sql.read_steps import read_in_steps
from storage.sql.row_counts_reads import count_rows
from storage.sql.searches import Searches
from storage.sql.sifted_reads import page_in_steps
from storage.sql.sqlite import SqliteBackend
from storage.sql.staged_store import StagedTables
from storage.store import DatabaseGone, Due, MovedOut, Ownership, StorageError

T = TypeVar("T")

log = logging.getLogger(__name__)


def backend_for(url: str, *, inline: bool = False) -> Backend:
    """Choose the database by its URL.

    Raises:
        ValueError: no database is meant by it, in a sentence for the person who wrote it.
    """
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite":
        if parsed.database in (None, "", ":memory:") or parsed.query:
            raise ValueError("the database URL must name a file and nothing else after sqlite+aiosqlite:///")
        return SqliteBackend(Path(str(parsed.database)), inline=inline)
    if parsed.get_backend_name() in ("postgresql", "postgres"):
        return _postgres(parsed)
    raise ValueError("the database URL must begin with sqlite or postgresql")


def _postgres(url: URL) -> Backend:
    try:
        from storage.sql.postgres import PostgresBackend
    except ModuleNotFoundError as error:  # an extra, which most installations do without
        raise ValueError(f"the database URL needs {error.name}: install stockkeeper[postgres]") from None
    return PostgresBackend(read_address(url))


class SqlStoreStatistics(Struct, frozen=True):
    """Counts since a store was made, over all its openings."""

    batches: int
    transactions: int
    reads: int
    failures: int


class SqlStore(StagedTables, CellTables, OrganizationTables):
    """The Store port on the database at `url`.

    >>> import asyncio
    >>> async def next_expiry_ms(url):
    ...     store = SqlStore(url, owner="an example")
    ...     await store.open()
    ...     try:
    ...         return await store.next_expiry_ms()
    ...     finally:
    ...         await store.close()
    >>> print(asyncio.run(next_expiry_ms("sqlite+aiosqlite:///stockkeeper.db")))
    None

    Args:
        url: for example `sqlite+aiosqlite:///stockkeeper.db`.
        owner: the server, as a person who looks at the table `ownership` sees it.
        inline: SQLite only: no threads, any backend of anyio, and the caller's event loop waits for the disk.
        backend: in place of what the URL says.

    Raises:
        ValueError: the URL means no database.
    """

    def __init__(self, url: str = "", *, owner: str = "", inline: bool = False, backend: Backend | None = None) -> None:
        self._backend = backend_for(url, inline=inline) if backend is None else backend
        self._owner = owner
        self._epoch = 0  # 0: not open
        self._has_turn = False  # the lock is held for `open`
        self._searches = Searches()
        self._changing = Lock(fast_acquire=True)  # of what changes beside batches one waits: a batch is next
        self._seen = Ownership(epoch=0, last_lsn=0, last_at_ms=0)  # the newest that the database is known to have had
        self._batches = self._transactions = self._reads = self._failures = 0

    def __repr__(self) -> str:
        return f"<SqlStore {self._backend.name} epoch={self._epoch}>"

    def statistics(self) -> SqlStoreStatistics:
        """Counts since the store was made."""
        return SqlStoreStatistics(self._batches, self._transactions, self._reads, self._failures)

    @property
    def connections(self) -> str:
        """Which connections serve what: SQLite's version decides that."""
        return self._backend.connections

    @property
    def writes_aside(self) -> bool:
        return self._backend.writes_aside

    async def stand_by(self, on_waiting: Callable[[str], None]) -> None:
        """Wait until no server has the database, or the one that has it gives no sign of life; `open` must follow.

        It may be cancelled.

        Args:
            on_waiting: told for whom it waits, unless it need not.

        Raises:
            StorageError: the database is away, or is none for which one can wait.
        """
        await self.close()
        try:
            with self._translated("cannot stand by for"):
                await self._backend.stand_by(on_waiting)
        except BaseException:
            await self.close()
            raise
        self._has_turn = True

    async def open(self) -> Ownership:
        if not self._has_turn:
            await self.close()
        self._has_turn = False
        with CancelScope(shield=True):
            try:
                with self._translated("cannot open"):
                    ownership = await self._backend.open(self._owner)
                    await self._recognize(ownership)
            except BaseException:
                await self._close_backend()
                raise
        self._epoch = ownership.epoch
        self._seen = ownership
        return ownership

    async def _recognize(self, found: Ownership) -> None:
        """See that the database is not an older one, or another one, than this store has had open before.

        Its epoch says nothing: a failover may have lost our takeover, and nothing that was acknowledged. Nor does its
        end, if another server has written since: the newest transaction that we know has to be there, with its time.
        """
        seen = self._seen
        if not seen.epoch:
            return
        if found.database_id != seen.database_id or found.last_lsn < seen.last_lsn:
            raise DatabaseGone(
                f"the database {self._backend.name} was replaced while the server ran: it ends at LSN {found.last_lsn},"
                f" and LSN {seen.last_lsn} was acknowledged"
            )
        if seen.generation and seen.last_lsn:
            at_ms = await self._backend.read(partial(time_of, lsn=seen.last_lsn))
            if at_ms not in (None, seen.last_at_ms):
                raise DatabaseGone(
                    f"the database {self._backend.name} was replaced while another server had it: LSN {seen.last_lsn}"
                    " is another transaction there than the one that was acknowledged"
                )

    async def write(
        self, transactions: Sequence[Transaction], latecomers: Latecomers = no_latecomers
    ) -> Sequence[Transaction]:
        self._check_open()
        with self._translated("cannot write to"), CancelScope(shield=True):
            written = await self._backend.write(self._epoch, transactions, latecomers)
            newest = written[-1]
            self._seen = replace(self._seen, last_lsn=newest.lsn, last_at_ms=newest.at_ms)
            self._batches += 1
            self._transactions += len(written)
        return written

    async def move_out(self, before_ms: int, rows_max: int) -> MovedOut:
        self._check_open()
        with self._translated("cannot tidy"), CancelScope(shield=True):
            async with self._changing:
                moved = await self._backend.move_out(self._epoch, before_ms, rows_max)
        return moved

    async def let_go(self) -> bool:
        self._check_open()
        with self._translated("cannot tidy"):
            return await self._backend.let_go()

    async def catch_up(self) -> None:
        self._check_open()
        with self._translated("cannot write to"), CancelScope(shield=True):
            await self._backend.catch_up()

    async def check_ownership(self) -> None:
        epoch, generation, owner = await self._read(read_epoch)
        if (epoch, generation) != (self._epoch, self._seen.generation):
            raise lost_to(owner, epoch, self._epoch)

    async def load_warehouses(self) -> Sequence[WarehouseRecord]:
        return await self._read(reads.load_warehouses)

    async def load_sourcing(self) -> Sequence[SourcingRecord]:
        return await self._read(reads.load_sourcing)

    async def load_variants(self, keys: Sequence[VariantKey]) -> Sequence[StockRecord]:
        return await read_in_steps(self._read, variant_reads.variants_in_steps(keys))

    async def load_orders(self, keys: Sequence[OrderKey]) -> Sequence[ReservationRecord]:
        return await read_in_steps(self._read, order_reads.orders_in_steps(keys))

    async def find_reservation(self, organization_id: str, reservation_id: str) -> OrderKey | None:
        return await self._read(
            partial(reads.find_reservation, organization_id=organization_id, reservation_id=reservation_id)
        )

    async def load_reservation(self, organization_id: str, reservation_id: str) -> ReservationRecord | None:
        return await self._read(
            partial(reads.load_reservation, organization_id=organization_id, reservation_id=reservation_id)
        )

    async def load_request(self, key: RequestKey) -> RequestRecord | None:
        return await self._read(partial(reads.load_request, key=key))

    async def due(self, now_ms: int, limit: int) -> Sequence[Due]:
        return await self._read(partial(reads.due, now_ms=now_ms, limit=limit))

    async def next_expiry_ms(self) -> int | None:
        return await self._read(reads.next_expiry_ms)

    async def orders_after(self, key: OrderKey | None, limit: int) -> Sequence[OrderKey]:
        return await self._read(partial(reads.orders_after, key=key, limit=limit))

    async def requests_after(self, key: RequestKey | None, limit: int) -> Sequence[RequestKey]:
        return await self._read(partial(reads.requests_after, key=key, limit=limit))

    async def active_reservations(self, limit: int) -> Sequence[ReservationRecord]:
        return await self._read(partial(reads.active_reservations, limit=limit))

    async def list_stock(self, query: ListStock) -> Sequence[StockRecord]:
        return await self._read(partial(stock_reads.list_stock, query=query))

    async def find_stock(self, query: FindStock) -> FoundStock:
        return await self._read(partial(stock_reads.find_stock, query=query))

    async def find_transfer(self, organization_id: str, transfer_id: str) -> TransferRecord | None:
        find = partial(transfer_reads.find_transfer, organization_id=organization_id, transfer_id=transfer_id)
        return await self._read(find)

    async def list_transfers(self, query: ListTransfers) -> TransferPage:
        return await self._search(query.organization_id, partial(transfer_reads.list_transfers, query=query))

    async def list_reservations(self, query: ListReservations) -> ReservationPage:
        return await read_in_steps(partial(self._search, query.organization_id), page_in_steps(query))

    async def list_movements(self, query: ListMovements) -> MovementPage:
        search = partial(self._search, query.organization_id)
        return await read_in_steps(search, movement_reads.movements_in_steps(query))

    async def stock_at(self, query: GetStockAt) -> StockAt:
        search = partial(self._search, query.organization_id)
        return await read_in_steps(search, stock_at_reads.stock_at_in_steps(query))

    async def read_changes(self, organization_id: str, after: Point, rows_max: int) -> tuple[Changes, int]:
        read = partial(history_reads.read_changes, organization_id=organization_id, after=after, rows_max=rows_max)
        return await self._read(read)

    async def read_feed(self, after: Point, rows_max: int) -> tuple[FeedPart, int]:
        return await self._read(partial(feed_reads.read_feed, after=after, rows_max=rows_max))

    async def count_rows(self, query: CountRows) -> RowCounts:
        return await self._read(partial(count_rows, query=query))

    async def lsn_at(self, at_ms: int) -> int:
        return await self._read(partial(history_reads.lsn_at, at_ms=at_ms))

    async def load_cursors(self) -> Sequence[CursorRecord]:
        return await self._read(feed_reads.load_cursors)

    async def write_cursor(self, cursor: CursorRecord) -> None:
        await self._change(partial(feed_reads.write_cursor, cursor=cursor))

    async def drop_cursor(self, name: str) -> None:
        await self._change(partial(feed_reads.drop_cursor, name=name))

    async def _change(self, function: Callable[[Connection], None]) -> None:
        self._check_open()
        with self._translated("cannot write to"), CancelScope(shield=True):
            async with self._changing:
                await self._backend.change(self._epoch, function)

    async def close(self) -> None:
        self._epoch, self._has_turn = 0, False
        with CancelScope(shield=True):
            await self._close_backend()

    async def _close_backend(self) -> None:
        try:
            await self._backend.close()
        except Exception as error:  # noqa: BLE001 - the caller could do nothing about it
            told = {"database": self._backend.name, "reason": _first_line(error)}
            log.warning("storage_not_closed", extra=told)

    async def _read(self, function: Callable[[Connection], T]) -> T:
        self._check_open()
        self._reads += 1
        with self._translated("cannot read"):
            return await self._backend.read(function)

    async def _search(self, organization_id: str, function: Callable[[Connection], T]) -> T:
        async with self._searches.turn(organization_id):
            return await self._read(function)

    def _check_open(self) -> None:
        if self._epoch == 0:
            raise StorageError(f"the database {self._backend.name} is not open")

    @contextmanager
    def _translated(self, what_failed: str) -> Iterator[None]:
        failures: tuple[type[Exception], ...] = (SQLAlchemyError, OSError, *self._backend.errors)
        try:
            yield
        except StorageError:
            self._failures += 1
            raise
        except failures as error:
            self._failures += 1
            cause = error.orig if isinstance(error, DBAPIError) else error
            raise StorageError(f"{what_failed} the database {self._backend.name}: {_first_line(cause)}") from error


def _first_line(error: BaseException | None) -> str:
    lines = str(error).splitlines()
    if isinstance(error, TimeoutError) and not lines:
        return "it did not answer in time"
    return lines[0] if lines else type(error).__name__
