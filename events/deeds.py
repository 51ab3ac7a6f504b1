"""What each event of others does here: the same calls that any client makes, under the event's id as their key.

So an event that comes again, for whatever reason, does nothing again and has the same answer: a reservation that was
refused under a key is refused again with what was said then. An answer goes out before its event is acknowledged, with
an id that follows from the event's. Killed anywhere in between, the event comes again and ends the same way. That is
why a refusal is never lost, without a table of what is still to be sent.

An order's preferred warehouses are wishes. It is tried with them, under a key of its own, and where that is refused
without them.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import grpc.aio
from stockkeeper_client import InventoryClient
from stockkeeper_client.errors import ErrorDetails, error_details
from stockkeeper_client.v1.stock_pb2 import ImportLine

from events import incoming as says
from events.envelope import OutEvent, answer_id
from events.incoming import Heard, Rejected

REFUSED_FOR = {"INSUFFICIENT_STOCK": "insufficient_stock", "STOCK_NOT_FOUND": "stock_not_found"}
PASSED_OVER = (*REFUSED_FOR, "WAREHOUSE_INACTIVE")
REASON_CHARACTERS_MAX = 500
HOLDING = ("active", "confirmed")

Answers = list[OutEvent]


class Deeds:
    """Does what events say.

    Args:
        client: calls the inventory.
    """

    def __init__(self, client: InventoryClient) -> None:
        self._client = client
        self._does: Mapping[type[Any], Callable[[Heard, Any], Awaitable[Answers]]] = {
            says.VariantCreated: self._created,
            says.VariantUpdated: self._updated,
            says.VariantDeleted: lambda heard, said: self._archive(heard, [said.variant_id]),
            says.ProductDeleted: lambda heard, said: self._archive(heard, list(dict.fromkeys(said.variant_ids))),
            says.OrderPlaced: self._placed,
            says.OrderConfirmed: self._confirmed,
            says.OrderCancelled: self._cancelled,
            says.OrderShipped: self._shipped,
            says.ReturnReceived: self._returned,
            says.TillSale: self._sold,
            says.TillReturn: self._taken_back,
        }

    def __repr__(self) -> str:
        return f"<Deeds of {len(self._does)} kinds>"

    async def do(self, heard: Heard) -> Answers:
        """Returns what is to be published before the event is acknowledged.

        Raises:
            Rejected: it can never succeed.
            grpc.aio.AioRpcError: the inventory says no, or does not answer.
        """
        return await self._does[type(heard.said)](heard, heard.said)

    # ---- orders -----------------------------------------------------------------------------------------------------

    async def _placed(self, heard: Heard, said: says.OrderPlaced) -> Answers:
        plain: list[Any] = [{"variant_id": one.variant_id, "quantity": one.quantity} for one in said.items]
        wished = [
            {**line, "warehouse_id": one.preferred_warehouse_id} if one.preferred_warehouse_id else line
            for line, one in zip(plain, said.items, strict=True)
        ]
        if wished != plain and await self._is_reserved(heard, said, wished):
            return []
        try:
            await self._reserve(heard, said, plain, heard.key)
        except grpc.aio.AioRpcError as error:
            details = error_details(error)
            if details.reason not in REFUSED_FOR:
                raise
            data = {
                "order_id": said.order_id,
                "reason": REFUSED_FOR[details.reason],
                "shortages": shortages(details, said),
            }
            return [_answer(heard, "inventory.reservation.failed", said.order_id, data)]
        return []

    async def _is_reserved(self, heard: Heard, said: says.OrderPlaced, wished: list[Any]) -> bool:
        try:
            await self._reserve(heard, said, wished, f"{heard.key}/preferred")
        except grpc.aio.AioRpcError as error:
            if error_details(error).reason not in PASSED_OVER:
                raise
            return False
        return True

    async def _reserve(self, heard: Heard, said: says.OrderPlaced, items: list[Any], key: str) -> None:
        ttl_minutes = said.reservation_ttl_minutes or 0
        await self._client.reserve_stock(heard.organization_id, said.order_id, items, ttl_minutes, idempotency_key=key)

    async def _confirmed(self, heard: Heard, said: says.OrderConfirmed) -> Answers:
        reservation_id = await self._reservation(heard, said.order_id, said.reservation_id, HOLDING)
        await self._client.confirm_reservation(heard.organization_id, reservation_id, said.order_id)
        return []

    async def _cancelled(self, heard: Heard, said: says.OrderCancelled) -> Answers:
        reservation_id = await self._reservation(heard, said.order_id, said.reservation_id, HOLDING)
        reason = _note(said.cancellation_reason or "order cancelled")
        await self._client.release_reservation(heard.organization_id, reservation_id, reason)
        return []

    async def _shipped(self, heard: Heard, said: says.OrderShipped) -> Answers:
        reservation_id = await self._reservation(heard, said.order_id, said.reservation_id, ("confirmed", "fulfilled"))
        lines: list[Any] = [
            {"variant_id": one.variant_id, "quantity": one.quantity, "warehouse_id": one.warehouse_id or ""}
            for one in said.shipped_items
        ]
        reference = _note(said.shipment_id or "")
        await self._client.stock.fulfill_reservation(
            heard.organization_id, reservation_id, lines, reference=reference, request_id=heard.key
        )
        return []

    async def _reservation(self, heard: Heard, order_id: str, given: str | None, states: Sequence[str]) -> str:
        """The one that is named, or the order's own: the newest in one of these states, or the newest of all."""
        if given:
            return given
        found = [one async for one in self._client.stock.list_reservations(heard.organization_id, order_id=order_id)]
        if not found:
            raise Rejected(f"order {order_id} has no reservation")
        return next((one for one in found if one.state in states), found[0]).reservation_id

    # ---- goods ------------------------------------------------------------------------------------------------------

    async def _returned(self, heard: Heard, said: says.ReturnReceived) -> Answers:
        lines: list[Any] = [
            {
                "variant_id": one.variant_id,
                "warehouse_id": said.warehouse_id,
                "quantity" if (one.condition or "").lower() == "good" else "damaged_quantity": one.quantity,
            }
            for one in said.returned_items
        ]
        await self._receive(heard, lines, said.return_id or said.order_id or "")
        return []

    async def _taken_back(self, heard: Heard, said: says.TillReturn) -> Answers:
        await self._receive(heard, _lines(said), said.transaction_id or "")
        return []

    async def _receive(self, heard: Heard, lines: list[Any], reference: str) -> None:
        await self._client.stock.receive_stock(
            heard.organization_id, lines, reason="return", reference=_note(reference), request_id=heard.key
        )

    async def _sold(self, heard: Heard, said: says.TillSale) -> Answers:
        reference = _note(said.transaction_id or "")
        await self._client.stock.deduct_stock(
            heard.organization_id, _lines(said), reason="sale", reference=reference, request_id=heard.key
        )
        return []

    # ---- the catalog ------------------------------------------------------------------------------------------------

    async def _created(self, heard: Heard, said: says.VariantCreated) -> Answers:
        return await self._initialize(heard, said) if said.track_inventory else []

    async def _updated(self, heard: Heard, said: says.VariantUpdated) -> Answers:
        tracked = said.changes.track_inventory
        if tracked is None or tracked.new is None or tracked.new == tracked.old:
            return []
        if tracked.new:
            return await self._initialize(heard, says.VariantCreated(said.variant_id))
        rows = await self._rows(heard, said.variant_id)
        if not any(row.total_quantity for row in rows):
            return []
        return [_invalid(heard, said.variant_id, rows, "there is stock of it")]

    async def _initialize(self, heard: Heard, said: says.VariantCreated) -> Answers:
        """A row of no pieces wherever there is none. What a row has, one that is there keeps."""
        there = {row.warehouse_id for row in await self._rows(heard, said.variant_id)}
        every = self._client.stock.list_warehouses(heard.organization_id, active_only=True)
        wanted = [one.warehouse_id async for one in every]
        lines = [
            ImportLine(
                organization_id=heard.organization_id,
                variant_id=said.variant_id,
                warehouse_id=warehouse_id,
                min_stock=said.default_min_stock,
                max_stock=said.default_max_stock,
            )
            for warehouse_id in wanted
            if warehouse_id not in there
        ]
        if lines:
            await _unless_done(self._client.stock.import_stock(lines, request_id=heard.key))
        rows = [row for row in await self._rows(heard, said.variant_id) if row.warehouse_id in wanted]
        made = [{"warehouse_id": row.warehouse_id, "stock_id": row.stock_id, "initial_quantity": 0} for row in rows]
        data = {"variant_id": said.variant_id, "warehouses": made}
        return [_answer(heard, "inventory.stock.initialized", said.variant_id, data)]

    async def _archive(self, heard: Heard, variant_ids: list[str]) -> Answers:
        """Take the rows of all of them away, or none."""
        rows = {one: await self._rows(heard, one) for one in variant_ids}
        full = {one: found for one, found in rows.items() if any(row.total_quantity for row in found)}
        if full:
            return [_invalid(heard, one, found, "there is stock of it") for one, found in full.items()]
        for variant_id, found in rows.items():
            for row in found:
                await self._delete(heard, variant_id, row.warehouse_id)
        return [await self._archived(heard, one) for one in variant_ids]

    async def _delete(self, heard: Heard, variant_id: str, warehouse_id: str) -> None:
        deletion = self._client.stock.delete_stock(
            heard.organization_id,
            variant_id,
            warehouse_id,
            reason=heard.name,
            reference=heard.key,
            request_id=key_of_row(heard.key, variant_id, warehouse_id),
        )
        await _unless_done(deletion)

    async def _archived(self, heard: Heard, variant_id: str) -> OutEvent:
        """How many there were is asked of the ledger, so that it is the same when the event comes again."""
        movements = self._client.stock.list_movements(
            heard.organization_id, variant_id=variant_id, reference=heard.key, kinds=("delete",)
        )
        count = len([one async for one in movements])
        data = {"variant_id": variant_id, "records_archived": count}
        return _answer(heard, "inventory.stock.archived", variant_id, data)

    async def _rows(self, heard: Heard, variant_id: str) -> list[Any]:
        return [row async for row in self._client.stock.list_stock(heard.organization_id, variant_id=variant_id)]


async def _unless_done(call: Awaitable[Any]) -> None:
    """A key that belongs to another request belongs to this event's first try, which saw other rows."""
    try:
        await call
    except grpc.aio.AioRpcError as error:
        if error_details(error).reason not in ("REQUEST_ID_REUSED", "STOCK_NOT_FOUND"):
            raise


def key_of_row(key: str, variant_id: str, warehouse_id: str) -> str:
    return says.key_of(f"{key}/{variant_id}/{warehouse_id}")


def _lines(said: says.TillSale) -> list[Any]:
    return [{"variant_id": one.variant_id, "warehouse_id": said.where, "quantity": one.quantity} for one in said.items]


def _note(text: str) -> str:
    """As much of it as the ledger takes."""
    return "".join(one if one.isprintable() else " " for one in text[:REASON_CHARACTERS_MAX])


def shortages(details: ErrorDetails, said: says.OrderPlaced) -> list[dict[str, Any]]:
    """What was asked for and could not be had, by variant and, if it was named, warehouse."""
    wanted: dict[str, int] = {}
    for one in said.items:
        wanted[one.variant_id] = wanted.get(one.variant_id, 0) + one.quantity
    found = []
    for it in details.precondition_violations or ():
        variant_id, _, warehouse_id = it.subject.partition("@") if it.subject not in wanted else (it.subject, "", "")
        figures = re.search(r"requested (\d+), available (\d+)", it.description)
        requested, available = map(int, figures.groups()) if figures else (wanted.get(variant_id, 1), 0)
        found.append(
            {"variant_id": variant_id, "warehouse_id": warehouse_id, "requested": requested, "available": available}
        )
    return found


def _invalid(heard: Heard, variant_id: str, rows: Sequence[Any], reason: str) -> OutEvent:
    affected = [
        {"warehouse_id": row.warehouse_id, "quantity": row.total_quantity} for row in rows if row.total_quantity
    ]
    details = {"total_stock": sum(one["quantity"] for one in affected), "warehouses_affected": affected}
    data = {"variant_id": variant_id, "reason": reason, "details": details}
    return _answer(heard, "inventory.stock.validation_failed", variant_id, data)


def _answer(heard: Heard, name: str, subject: str, data: dict[str, Any]) -> OutEvent:
    event_id = answer_id(f"{heard.organization_id}/{heard.event_id}/{subject}", name)
    return OutEvent(event_id, name, heard.at_ms, heard.organization_id, heard.correlation_id, subject, 0, data)
