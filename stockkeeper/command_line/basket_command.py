"""`stockkeeper reserve-basket`: reserve items from where they may come."""

from typing import Annotated
from uuid import uuid4

from stockkeeper_client import BasketItem, InventoryClient
from stockkeeper_client.v1.stock_pb2 import ReserveResponse

from actors.bounds import TTL_MINUTES_MAX
from stockkeeper.command_line.goods_commands import Flag, Reason, Reference
from stockkeeper.command_line.order_commands import check_order_id, parse_line
from stockkeeper.command_line.output import show
from stockkeeper.command_line.parameters import DEFAULT_TARGET, Json, RequestId, Target, whole
from stockkeeper.command_line.server_call import call, under_request_id


def reserve_basket(
    organization_id: str,
    order_id: str,
    /,
    *lines: str,
    split: Flag = False,
    partial: Flag = False,
    ttl_minutes: Annotated[int, whole(0, TTL_MINUTES_MAX)] = 0,
    reason: Reason = "",
    reference: Reference = "",
    request_id: RequestId = "",
    json: Json = False,
    target: Target = DEFAULT_TARGET,
) -> int:
    """Reserve stock for an order from the warehouses that each line lists, the first rather than the next.

    Parameters
    ----------
    order_id
        The order.
    lines
        variant:quantity or variant:quantity@warehouse,warehouse.
    split
        A line that no warehouse can serve alone may come from several.
    partial
        Reserve what there is, if that is less.
    ttl_minutes
        How long to hold it; 0 means what the server was told, 15 by default.
    """
    check_order_id(order_id)
    items = [_parse(line) for line in lines]
    request_id = request_id or str(uuid4())

    async def run(client: InventoryClient) -> int:
        answer = await client.stock.reserve(
            organization_id,
            order_id,
            items,
            ttl_minutes,
            allow_split=split,
            allow_partial=partial,
            reason=reason,
            reference=reference,
            request_id=request_id,
        )
        return show(answer, _told(answer), as_json=json)

    return call(target, run, again=under_request_id(request_id))


def _parse(line: str) -> BasketItem:
    wish, at, places = line.partition("@")
    item = parse_line(wish)
    listed = places.split(",") if at else []
    return {"variant_id": item["variant_id"], "quantity": item["quantity"], "warehouse_ids": listed}


def _told(answer: ReserveResponse) -> list[str]:
    it = answer.reservation
    taken = [f"{item.quantity} {item.variant_id} from {item.warehouse_id}." for item in it.items]
    short = [f"{one.variant_id}: {one.reserved} of {one.requested}." for one in answer.short]
    return [*taken, *short, f"{answer.message}.", f"Reservation {it.reservation_id} holds until {it.expires_at}."]
