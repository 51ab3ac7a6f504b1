"""What each event of others does here: the same calls that any client makes, under the event's id as their key.

So an event that comes again, for whatever reason, does nothing again and has the same answer: a reservation that was
refused under a key is refused again with what was said then. An answer goes out before its event is acknowledged, with
an id that follows from the event's. Killed anywhere in between, the event comes again and ends the same way. That is
why a refusal is never lost, without a table of what is still to be sent.

An order's preferred warehouses are wishes, each line's its own. Where a basket is refused, the wishes that stand in its
way are passed over, and it is tried again under a key of its own. What is tried next follows from refusals that are
remembered: when the event comes again, the same is tried in the same order.

Where an event does not name its reservation, the order's is looked for, and by the time the event comes again the order
may have another one. The key belongs to the first: no other is touched under it.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from events import incoming as says
from events.envelope import OutEvent, answer_id
from events.incoming import Heard, Rejected
from events.stock_port import Asked, CameBack, RowThere, StockPort, StockRefuses

REFUSED_FOR = {"INSUFFICIENT_STOCK": "insufficient_stock", "STOCK_NOT_FOUND": "stock_not_found"}
PASSED_OVER = (*REFUSED_FOR, "WAREHOUSE_INACTIVE")
NARROWED_MAX = 3  # after as many tries no wish is left
REASON_CHARACTERS_MAX = 500
HOLDING = ("active", "confirmed")
REUSED = "REQUEST_ID_REUSED"
DONE = (REUSED, "STOCK_NOT_FOUND")

Answers = list[OutEvent]


class Deeds:
    """Does what events say.

    Args:
        stock: the inventory.
    """

    def __init__(self, stock: StockPort) -> None:
        self._stock = stock
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
            StockRefuses, StockAway, StockFailed: the inventory says no, or does not answer, or fails.
        """
        with self._stock.correlated(heard.correlation_id):
            return await self._does[type(heard.said)](heard, heard.said)

    # ---- orders -----------------------------------------------------------------------------------------------------

    async def _placed(self, heard: Heard, said: says.OrderPlaced) -> Answers:
        goods = [Asked(one.variant_id, one.quantity, one.preferred_warehouse_id or "") for one in said.items]
        ttl_minutes, tries = said.reservation_ttl_minutes or 0, 0
        while True:
            has_wishes = any(one.warehouse_id for one in goods)
            key = f"{heard.key}/preferred/{tries}" if has_wishes else heard.key
            try:
                await self._stock.reserve(heard.organization_id, said.order_id, goods, ttl_minutes, key)
                return []
            except StockRefuses as refused:
                if not has_wishes and refused.reason in REFUSED_FOR:
                    return [_failed(heard, said, refused)]
                if not has_wishes or refused.reason not in PASSED_OVER:
                    raise
                tries += 1
                goods = without_wishes(goods, refused if tries < NARROWED_MAX else None)

    async def _confirmed(self, heard: Heard, said: says.OrderConfirmed) -> Answers:
        async def confirm(reservation_id: str) -> None:
            await self._stock.confirm(heard.organization_id, reservation_id, said.order_id, heard.key)

        return await self._with_reservation(heard, said, HOLDING, confirm)

    async def _cancelled(self, heard: Heard, said: says.OrderCancelled) -> Answers:
        reason = _note(said.cancellation_reason or "order cancelled")

        async def release(reservation_id: str) -> None:
            await self._stock.release(heard.organization_id, reservation_id, reason, heard.key)

        return await self._with_reservation(heard, said, HOLDING, release)

    async def _shipped(self, heard: Heard, said: says.OrderShipped) -> Answers:
        goods = [Asked(one.variant_id, one.quantity, one.warehouse_id or "") for one in said.shipped_items]
        reference = _note(said.shipment_id or "")

        async def ship(reservation_id: str) -> None:
            await self._stock.ship(heard.organization_id, reservation_id, goods, reference, heard.key)

        return await self._with_reservation(heard, said, ("confirmed", "fulfilled"), ship)

    async def _with_reservation(
        self,
        heard: Heard,
        said: says.OrderConfirmed | says.OrderCancelled | says.OrderShipped,
        states: Sequence[str],
        do: Callable[[str], Awaitable[None]],
    ) -> Answers:
        """Do it with the reservation that is named, or with the order's own: the newest in one of these states, or the
        newest of all. If the event's key belongs to another one of them, that one was meant when it came first.
        """
        found = await self._stock.reservations(heard.organization_id, said.order_id)
        if said.reservation_id:
            if said.reservation_id not in [one.reservation_id for one in found]:
                raise Rejected(f"order {said.order_id} has no reservation {said.reservation_id}")
            await do(said.reservation_id)
            return []
        if not found:
            raise Rejected(f"order {said.order_id} has no reservation")
        candidates = sorted(found, key=lambda one: one.state not in states)  # else the newest first, as they come
        for number, one in enumerate(candidates, 1):
            try:
                await do(one.reservation_id)
                break
            except StockRefuses as refused:
                if refused.reason != REUSED or number == len(candidates):
                    raise
        return []

    # ---- goods ------------------------------------------------------------------------------------------------------

    async def _returned(self, heard: Heard, said: says.ReturnReceived) -> Answers:
        lines = [
            CameBack(one.variant_id, said.warehouse_id, one.quantity)
            if (one.condition or "").lower() == "good"
            else CameBack(one.variant_id, said.warehouse_id, 0, one.quantity)
            for one in said.returned_items
        ]
        reference = _note(said.return_id or said.order_id or "")
        await self._stock.receive(heard.organization_id, lines, reference, heard.key)
        return []

    async def _taken_back(self, heard: Heard, said: says.TillReturn) -> Answers:
        lines = [CameBack(one.variant_id, said.where, one.quantity) for one in said.items]
        await self._stock.receive(heard.organization_id, lines, _note(said.transaction_id or ""), heard.key)
        return []

    async def _sold(self, heard: Heard, said: says.TillSale) -> Answers:
        goods = [Asked(one.variant_id, one.quantity, said.where) for one in said.items]
        await self._stock.deduct(heard.organization_id, goods, _note(said.transaction_id or ""), heard.key)
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
        rows = await self._stock.rows(heard.organization_id, said.variant_id)
        if not any(row.total for row in rows):
            return []
        return [_invalid(heard, said.variant_id, rows, "there is stock of it")]

    async def _initialize(self, heard: Heard, said: says.VariantCreated) -> Answers:
        """A row of no pieces wherever there is none. What a row has, one that is there keeps."""
        organization_id, variant_id = heard.organization_id, said.variant_id
        there = {row.warehouse_id for row in await self._stock.rows(organization_id, variant_id)}
        wanted = await self._stock.active_warehouses(organization_id)
        missing = [one for one in wanted if one not in there]
        if missing:
            levels = said.default_min_stock, said.default_max_stock
            await _unless_done(self._stock.make_rows(organization_id, variant_id, missing, levels, heard.key))
        rows = [row for row in await self._stock.rows(organization_id, variant_id) if row.warehouse_id in wanted]
        made = [{"warehouse_id": row.warehouse_id, "stock_id": row.stock_id, "initial_quantity": 0} for row in rows]
        data = {"variant_id": variant_id, "warehouses": made}
        return [_answer(heard, "inventory.stock.initialized", variant_id, data)]

    async def _archive(self, heard: Heard, variant_ids: list[str]) -> Answers:
        """Take the rows of all of them away, or none."""
        rows = {one: await self._stock.rows(heard.organization_id, one) for one in variant_ids}
        blocked = await self._blocked(heard, [row for found in rows.values() for row in found])
        if blocked is not None:
            full = [one for one, found in rows.items() if any(row.total for row in found)] or [blocked.variant_id]
            return [_invalid(heard, one, rows[one], "there is stock of it") for one in full]
        for variant_id, found in rows.items():
            for row in found:
                await self._delete(heard, variant_id, row.warehouse_id)
        return [await self._archived(heard, one) for one in variant_ids]

    async def _blocked(self, heard: Heard, rows: Sequence[RowThere]) -> RowThere | None:
        """A row that cannot go, if there is one. The first that is asked to go decides, those with pieces first. It is
        asked under the event's own key, so that it decides the same when the event comes again.
        """
        for row in sorted(rows, key=lambda one: not one.total):
            about = (row.variant_id, row.warehouse_id, heard.name, heard.key)
            try:
                await self._stock.delete_row(heard.organization_id, *about, heard.key)
                return None
            except StockRefuses as refused:
                if refused.reason == "STOCK_NOT_EMPTY":
                    return row
                if refused.reason not in DONE:
                    raise
        return None

    async def _delete(self, heard: Heard, variant_id: str, warehouse_id: str) -> None:
        key = key_of_row(heard.key, variant_id, warehouse_id)
        told = (heard.name, heard.key)
        await _unless_done(self._stock.delete_row(heard.organization_id, variant_id, warehouse_id, *told, key))

    async def _archived(self, heard: Heard, variant_id: str) -> OutEvent:
        """How many there were is asked of the ledger, so that it is the same when the event comes again."""
        count = await self._stock.deleted(heard.organization_id, variant_id, heard.key)
        data = {"variant_id": variant_id, "records_archived": count}
        return _answer(heard, "inventory.stock.archived", variant_id, data)


async def _unless_done(doing: Awaitable[None]) -> None:
    """A key that belongs to another request belongs to this event's first try, which saw other rows."""
    try:
        await doing
    except StockRefuses as refused:
        if refused.reason not in DONE:
            raise


def without_wishes(goods: Sequence[Asked], refused: StockRefuses | None) -> list[Asked]:
    """The basket without the wishes that the refusal names; without any if it names none, or there is none."""
    named = {(it.variant_id, it.warehouse_id) for it in refused.lacking} if refused is not None else set()
    left = [one if (one.variant_id, one.warehouse_id) not in named else replace(one, warehouse_id="") for one in goods]
    return left if left != list(goods) else [replace(one, warehouse_id="") for one in goods]


def key_of_row(key: str, variant_id: str, warehouse_id: str) -> str:
    return says.key_of(f"{key}/{variant_id}/{warehouse_id}")


def _note(text: str) -> str:
    """As much of it as the ledger takes."""
    return "".join(one if one.isprintable() else " " for one in text[:REASON_CHARACTERS_MAX])


def _failed(heard: Heard, said: says.OrderPlaced, refused: StockRefuses) -> OutEvent:
    """The answer to an order that cannot be served: what was asked for and could not be had."""
    wanted: dict[str, int] = {}
    for one in said.items:
        wanted[one.variant_id] = wanted.get(one.variant_id, 0) + one.quantity
    shortages = [
        {
            "variant_id": it.variant_id,
            "warehouse_id": it.warehouse_id,
            "requested": it.requested or wanted.get(it.variant_id, 1),
            "available": it.available,
        }
        for it in refused.lacking
    ]
    data = {"order_id": said.order_id, "reason": REFUSED_FOR[refused.reason], "shortages": shortages}
    return _answer(heard, "inventory.reservation.failed", said.order_id, data)


def _invalid(heard: Heard, variant_id: str, rows: Sequence[RowThere], reason: str) -> OutEvent:
    affected = [{"warehouse_id": row.warehouse_id, "quantity": row.total} for row in rows if row.total]
    details = {"total_stock": sum(row.total for row in rows), "warehouses_affected": affected}
    data = {"variant_id": variant_id, "reason": reason, "details": details}
    return _answer(heard, "inventory.stock.validation_failed", variant_id, data)


def _answer(heard: Heard, name: str, subject: str, data: dict[str, Any]) -> OutEvent:
    event_id = answer_id(f"{heard.organization_id}/{heard.event_id}/{subject}", name)
    return OutEvent(event_id, name, heard.at_ms, heard.organization_id, heard.correlation_id, subject, 0, data)
