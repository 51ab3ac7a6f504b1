"""Reservations: made, listed, confirmed and released."""

from typing import Annotated

from stockkeeper_client import InventoryClient, Item
from stockkeeper_client.v1.stock_pb2 import Reservation

from actors.bounds import TTL_MINUTES_MAX
from rpc.messages.rules import NEW_ID_RULE, is_new_id
from stockkeeper.command_line.output import Column, counted, print_list, show
from stockkeeper.command_line.parameters import DEFAULT_TARGET, Json, RowsMax, Target, Watch, whole
from stockkeeper.command_line.server_call import REPEATABLE, call
from stockkeeper.command_line.watched_list import watched
from stockkeeper.config import ConfigurationError
from stockkeeper.whole_number import whole_number

PAGE_ROWS_MAX = 1_000
ITEMS_SHOWN_MAX = 5
RESERVED = "Stock reserved successfully"  # what the service says where there is nothing else to say

RESERVATION_COLUMNS = (
    Column("Reservation"),
    Column("Order"),
    Column("State"),
    Column("Expires", need=1),
    Column("Items", need=2, width_min=16),
)


def reservations(
    organization_id: str,
    order_id: str = "",
    /,
    *,
    state: str = "",
    variant: str = "",
    warehouse: str = "",
    created_after: str = "",
    created_before: str = "",
    rows: RowsMax = 100,
    watch: Watch = False,
    json: Json = False,
    target: Target = DEFAULT_TARGET,
) -> int:
    """Show an organization's reservations, newest first.

    Parameters
    ----------
    order_id
        Only this order's.
    state
        active, confirmed, fulfilled, released or expired.
    variant
        Only those with an item of this variant.
    warehouse
        Only those with an item from this warehouse.
    created_after
        Only those made at this time or later, as 2026-01-31T12:00:00Z.
    created_before
        Only those made before this time.
    """

    async def run(client: InventoryClient) -> int:
        found = client.stock.list_reservations(
            organization_id,
            state=state,
            order_id=order_id,
            variant_id=variant,
            warehouse_id=warehouse,
            created_after=created_after,
            created_before=created_before,
            page_size=min(rows + 1, PAGE_ROWS_MAX),
        )
        sentence = f"{organization_id} has no such reservation."
        shown = await print_list(found, RESERVATION_COLUMNS, _reservation_cells, rows, as_json=json, if_empty=sentence)
        return 0 if shown or not order_id else 1  # an order that was named is missed, an empty list is an answer

    return call(target, watched(organization_id, run) if watch else run)


def _reservation_cells(reservation: Reservation) -> tuple[str, ...]:
    items = [f"{item.quantity} {item.variant_id}@{item.warehouse_id}" for item in reservation.items]
    more = f", and {len(items) - ITEMS_SHOWN_MAX} more" if len(items) > ITEMS_SHOWN_MAX else ""
    return (
        reservation.reservation_id,
        reservation.order_id,
        reservation.state,
        reservation.expires_at if reservation.state == "active" else "",
        ", ".join(items[:ITEMS_SHOWN_MAX]) + more,
    )


def reserve(
    organization_id: str,
    order_id: str,
    /,
    *lines: str,
    ttl_minutes: Annotated[int, whole(0, TTL_MINUTES_MAX)] = 0,
    json: Json = False,
    target: Target = DEFAULT_TARGET,
) -> int:
    """Reserve stock for an order, all lines or none.

    Parameters
    ----------
    order_id
        The order. An id that looks like another, by a blank at an end or an invisible character, is refused here; the
        service takes it, as its contract says.
    lines
        variant:quantity or variant:quantity@warehouse.
    ttl_minutes
        How long to hold it; 0 means what the server was told, 15 by default.
    """
    check_order_id(order_id)
    items = [parse_line(line) for line in lines]

    async def run(client: InventoryClient) -> int:
        answer = await client.reserve_stock(organization_id, order_id, items, ttl_minutes)
        sentences = [
            f"{item.quantity} {item.variant_id} from {item.warehouse_id}: "
            f"{item.stock_before} were available, {item.stock_after} are left"
            for item in answer.reserved_items
        ]
        if answer.message != RESERVED:
            sentences.append(f"{answer.message}.")
        sentences.append(f"Reservation {answer.reservation_id} holds until {answer.expires_at}.")
        return show(answer, sentences, as_json=json)

    return call(target, run, again=REPEATABLE)


def check_order_id(order_id: str) -> None:
    """Raises ConfigurationError: it looks like another."""
    if not is_new_id(order_id):
        raise ConfigurationError(f"The order id {order_id!r} {NEW_ID_RULE}.")


def parse_line(line: str) -> Item:
    """The item that `variant:quantity` or `variant:quantity@warehouse` names.

    Raises:
        ConfigurationError: it is neither.
    """
    wish, _, warehouse_id = line.partition("@")
    variant_id, _, quantity = wish.rpartition(":")
    if not variant_id:
        raise ConfigurationError(f"A line must be variant:quantity or variant:quantity@warehouse, not {line!r}.")
    try:
        return {"variant_id": variant_id, "warehouse_id": warehouse_id, "quantity": whole_number(quantity, 1)}
    except ValueError as error:
        raise ConfigurationError(f"The quantity of {line!r} {error}.") from None


def confirm(
    organization_id: str,
    reservation_id: str,
    order_id: str,
    /,
    *,
    json: Json = False,
    target: Target = DEFAULT_TARGET,
) -> int:
    """Confirm a reservation: the payment succeeded."""

    async def run(client: InventoryClient) -> int:
        answer = await client.confirm_reservation(organization_id, reservation_id, order_id)
        return show(answer, [f"{answer.message} at {answer.confirmed_at}."], as_json=json)

    return call(target, run, again=REPEATABLE)


def release(
    organization_id: str,
    reservation_id: str,
    reason: str = "cancelled",
    /,
    *,
    json: Json = False,
    target: Target = DEFAULT_TARGET,
) -> int:
    """Release a reservation: its goods go back.

    Parameters
    ----------
    reason
        Why, for the ledger.
    """

    async def run(client: InventoryClient) -> int:
        answer = await client.release_reservation(organization_id, reservation_id, reason)
        items, pieces = counted(answer.items_released, "item"), counted(answer.total_quantity_released, "piece")
        return show(answer, [f"{answer.message}: {items}, {pieces} went back."], as_json=json)

    return call(target, run, again=REPEATABLE)
