"""What the consumer asks of the inventory: `server_stock` asks a server, the simulation its core.

What is done is done under a key: again it has the same answer, or the same refusal, and nothing is done twice.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

from msgspec import Struct


class StockAway(Exception):
    """The inventory does not answer now. What was asked may have been done. Its text is one sentence.

    Args:
        again_s: in how many seconds it may, if it says so.
    """

    def __init__(self, sentence: str, again_s: float = 0.0) -> None:
        super().__init__(sentence)
        self.again_s = again_s


class StockFailed(Exception):
    """The inventory fails at it, and perhaps not the next time. Its text is one sentence."""


class Lacking(Struct, frozen=True):
    """What a refusal names: goods, perhaps those of one warehouse, and how many there are.

    Args:
        requested: 0: it does not say.
    """

    variant_id: str
    warehouse_id: str = ""
    requested: int = 0
    available: int = 0


class StockRefuses(Exception):
    """The inventory says no, and will again.

    Args:
        reason: the cause, in capitals, as the contract names it.
        sentence: the same for people.
        lacking: what it is about.
    """

    def __init__(self, reason: str, sentence: str, lacking: Sequence[Lacking] = ()) -> None:
        super().__init__(f"{reason}: {sentence}")
        self.reason = reason
        self.lacking = tuple(lacking)


class Asked(Struct, frozen=True):
    """Pieces of a variant. Without a warehouse: from any."""

    variant_id: str
    quantity: int
    warehouse_id: str = ""


class CameBack(Struct, frozen=True):
    """Pieces that came in, of which `damaged` more cannot be sold."""

    variant_id: str
    warehouse_id: str
    quantity: int
    damaged: int = 0


class OwnReservation(NamedTuple):
    """A reservation of an order, and what has become of it."""

    reservation_id: str
    state: str


class RowThere(NamedTuple):
    """A row that exists."""

    variant_id: str
    warehouse_id: str
    stock_id: str
    total: int


class StockPort(Protocol):
    """The inventory. Every method but the first may raise `StockAway`, `StockFailed` and `StockRefuses`."""

    def correlated(self, correlation_id: str) -> AbstractContextManager[None]:
        """What is done in the block is told under this id to those who hear of it."""
        ...

    async def reserve(
        self, organization_id: str, order_id: str, goods: Sequence[Asked], ttl_minutes: int, key: str
    ) -> None:
        """Hold all of it, or nothing; `ttl_minutes` 0: for as long as is usual."""
        ...

    async def confirm(self, organization_id: str, reservation_id: str, order_id: str, key: str) -> None: ...

    async def release(self, organization_id: str, reservation_id: str, reason: str, key: str) -> None: ...

    async def ship(
        self, organization_id: str, reservation_id: str, goods: Sequence[Asked], reference: str, key: str
    ) -> None:
        """Without `goods`: all that is left of it."""
        ...

    async def receive(self, organization_id: str, lines: Sequence[CameBack], reference: str, key: str) -> None: ...

    async def deduct(self, organization_id: str, goods: Sequence[Asked], reference: str, key: str) -> None: ...

    async def make_rows(
        self,
        organization_id: str,
        variant_id: str,
        warehouse_ids: Sequence[str],
        levels: tuple[int | None, int | None],
        key: str,
    ) -> None:
        """Rows without pieces; `levels` are their minimum and maximum."""
        ...

    async def delete_row(
        self, organization_id: str, variant_id: str, warehouse_id: str, reason: str, reference: str, key: str
    ) -> None:
        """Only an empty one can go."""
        ...

    async def deleted(self, organization_id: str, variant_id: str, reference: str) -> int:
        """How many rows of the variant were deleted under this reference."""
        ...

    async def reservations(self, organization_id: str, order_id: str) -> list[OwnReservation]:
        """Those of an order, the newest first."""
        ...

    async def rows(self, organization_id: str, variant_id: str) -> list[RowThere]: ...

    async def active_warehouses(self, organization_id: str) -> list[str]: ...
