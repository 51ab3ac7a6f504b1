"""What `SqlStore` needs of a database: SQLite and Postgres each say how it is done there."""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from sqlalchemy import Connection

from actors.records import Transaction
from storage.latecomers import Latecomers
from storage.store import MovedOut, Ownership

T = TypeVar("T")


class Backend(Protocol):
    """A database behind a URL. Its methods raise the drivers' own errors; `SqlStore` translates them."""

    @property
    def name(self) -> str:
        """The database as messages name it, without a password."""
        ...

    @property
    def connections(self) -> str:
        """Which connections serve what, for a log line and the tests."""
        ...

    @property
    def writes_aside(self) -> bool:
        """See `Store.writes_aside`."""
        ...

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """What the drivers raise when the database fails, beyond SQLAlchemy's errors and OSError."""
        ...

    async def stand_by(self, on_waiting: Callable[[str], None]) -> None:
        """Wait until no other server has the database, and keep it locked for `open`. May be cancelled."""
        ...

    async def open(self, owner: str) -> Ownership:
        """Lock out other servers, connect, migrate, raise the epoch. After a failure `close` must follow."""
        ...

    async def write(
        self, epoch: int, transactions: Sequence[Transaction], latecomers: Latecomers
    ) -> Sequence[Transaction]:
        """Write a batch, all or nothing, if the epoch is still this one. Returns it, with those that came late."""
        ...

    async def move_out(self, epoch: int, before_ms: int, rows_max: int) -> MovedOut:
        """Do one step of housekeeping, all or nothing, if the epoch is still this one."""
        ...

    async def change(self, epoch: int, function: Callable[[Connection], None]) -> None:
        """Write what is no part of the inventory, in a transaction of its own, if the epoch is still this one."""
        ...

    async def read(self, function: Callable[[Connection], T]) -> T:
        """Run a function of `storage.sql.reads` where it may use the database."""
        ...

    async def let_go(self) -> bool:
        """Give up caches that are ours. Returns whether they were worth it."""
        ...

    async def catch_up(self) -> None:
        """See `Store.catch_up`."""
        ...

    async def close(self) -> None:
        """Close what is open, in whatever state it is, and give up the lock last. May be called twice."""
        ...
