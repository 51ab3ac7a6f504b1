"""The inventory as a consumer has it: a server, over gRPC."""

import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import grpc
import grpc.aio
from stockkeeper_client import InventoryClient, correlated
from stockkeeper_client.correlation import is_carried
from stockkeeper_client.errors import PreconditionViolation, error_details
from stockkeeper_client.v1.stock_pb2 import ImportLine

from events.stock_port import Asked, CameBack, Lacking, OwnReservation, RowThere, StockAway, StockFailed, StockRefuses

# A key that is wrong, no longer known, or allows too little is the operator's affair, and no fault of the events that
# come meanwhile.
AWAY = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.UNAUTHENTICATED,
    grpc.StatusCode.PERMISSION_DENIED,
)
RATE_LIMITED = "RATE_LIMITED"  # what is asked too often now is not later
FAILED = (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.RESOURCE_EXHAUSTED)


class ServerStock:
    """`StockPort` by way of InventoryService and StockService.

    Args:
        client: calls the server.
    """

    def __init__(self, client: InventoryClient) -> None:
        self._client = client

    def __repr__(self) -> str:
        return f"<ServerStock by {self._client}>"

    def correlated(self, correlation_id: str) -> AbstractContextManager[None]:
        """Without one that a call cannot carry: then the ledger has the event's own id."""
        return correlated(correlation_id) if is_carried(correlation_id) else nullcontext()

    async def reserve(
        self, organization_id: str, order_id: str, goods: Sequence[Asked], ttl_minutes: int, key: str
    ) -> None:
        items: list[Any] = [
            {
                "variant_id": one.variant_id,
                "quantity": one.quantity,
                "warehouse_ids": [one.warehouse_id] if one.warehouse_id else [],
            }
            for one in goods
        ]
        with _translated({one.variant_id for one in goods}):
            await self._client.stock.reserve(organization_id, order_id, items, ttl_minutes, request_id=key)

    async def confirm(self, organization_id: str, reservation_id: str, order_id: str, key: str) -> None:
        with _translated():
            await self._client.confirm_reservation(organization_id, reservation_id, order_id, idempotency_key=key)

    async def release(self, organization_id: str, reservation_id: str, reason: str, key: str) -> None:
        with _translated():
            await self._client.release_reservation(organization_id, reservation_id, reason, idempotency_key=key)

    async def ship(
        self, organization_id: str, reservation_id: str, goods: Sequence[Asked], reference: str, key: str
    ) -> None:
        with _translated():
            await self._client.stock.fulfill_reservation(
                organization_id, reservation_id, _lines(goods), reference=reference, request_id=key
            )

    async def receive(self, organization_id: str, lines: Sequence[CameBack], reference: str, key: str) -> None:
        came: list[Any] = [
            {
                "variant_id": one.variant_id,
                "warehouse_id": one.warehouse_id,
                "quantity": one.quantity,
                "damaged_quantity": one.damaged,
            }
            for one in lines
        ]
        with _translated():
            await self._client.stock.receive_stock(
                organization_id, came, reason="return", reference=reference, request_id=key
            )

    async def deduct(self, organization_id: str, goods: Sequence[Asked], reference: str, key: str) -> None:
        with _translated():
            await self._client.stock.deduct_stock(
                organization_id, _lines(goods), reason="sale", reference=reference, request_id=key
            )

    async def make_rows(
        self,
        organization_id: str,
        variant_id: str,
        warehouse_ids: Sequence[str],
        levels: tuple[int | None, int | None],
        key: str,
    ) -> None:
        lines = [
            ImportLine(
                organization_id=organization_id,
                variant_id=variant_id,
                warehouse_id=warehouse_id,
                min_stock=levels[0],
                max_stock=levels[1],
            )
            for warehouse_id in warehouse_ids
        ]
        with _translated():
            await self._client.stock.import_stock(lines, request_id=key)

    async def delete_row(
        self, organization_id: str, variant_id: str, warehouse_id: str, reason: str, reference: str, key: str
    ) -> None:
        with _translated():
            await self._client.stock.delete_stock(
                organization_id, variant_id, warehouse_id, reason=reason, reference=reference, request_id=key
            )

    async def deleted(self, organization_id: str, variant_id: str, reference: str) -> int:
        movements = self._client.stock.list_movements(
            organization_id, variant_id=variant_id, reference=reference, kinds=("delete",)
        )
        with _translated():
            return len([one async for one in movements])

    async def reservations(self, organization_id: str, order_id: str) -> list[OwnReservation]:
        found = self._client.stock.list_reservations(organization_id, order_id=order_id)
        with _translated():
            return [OwnReservation(one.reservation_id, one.state) async for one in found]

    async def rows(self, organization_id: str, variant_id: str) -> list[RowThere]:
        found = self._client.stock.list_stock(organization_id, variant_id=variant_id)
        with _translated():
            return [RowThere(row.variant_id, row.warehouse_id, row.stock_id, row.total_quantity) async for row in found]

    async def active_warehouses(self, organization_id: str) -> list[str]:
        with _translated():
            every = self._client.stock.list_warehouses(organization_id, active_only=True)
            return [one.warehouse_id async for one in every]


def _lines(goods: Sequence[Asked]) -> list[Any]:
    return [{"variant_id": one.variant_id, "warehouse_id": one.warehouse_id, "quantity": one.quantity} for one in goods]


@contextmanager
def _translated(variant_ids: Collection[str] = ()) -> Iterator[None]:
    """The server's statuses as the port's exceptions. `variant_ids` are those that may be named."""
    try:
        yield
    except grpc.aio.AioRpcError as error:
        details, code = error_details(error), error.code()
        reason, sentence = details.reason or code.name, error.details() or "no more is said"
        if code in AWAY or reason == RATE_LIMITED:
            raise StockAway(f"{reason}: {sentence}", details.retry_delay_s or 0.0) from error
        if code in FAILED:
            raise StockFailed(f"{reason}: {sentence}") from error
        lacking = [_lacking(it, variant_ids) for it in details.precondition_violations]
        raise StockRefuses(reason, sentence, lacking) from error


def _lacking(violation: PreconditionViolation, variant_ids: Collection[str]) -> Lacking:
    """Of `mug@madrid`, or of `mug` where no warehouse is meant. An id may have an @ too."""
    variant_id, at, warehouse_id = violation.subject.rpartition("@")
    if not at or violation.subject in variant_ids:
        variant_id, warehouse_id = violation.subject, ""
    figures = re.search(r"requested (\d+), available (\d+)", violation.description)
    requested, available = map(int, figures.groups()) if figures else (0, 0)
    return Lacking(variant_id, warehouse_id, requested, available)
