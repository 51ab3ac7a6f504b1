"""One reservation: looked at, extended, changed, taken again and shipped."""

from collections.abc import Sequence
from typing import Annotated
from uuid import uuid4

from cyclopts import Parameter
from stockkeeper_client import InventoryClient
from stockkeeper_client.v1.stock_pb2 import Reservation

from actors.bounds import TTL_MINUTES_MAX
from stockkeeper.command_line.order_commands import parse_line
from stockkeeper.command_line.output import counted, show
from stockkeeper.command_line.parameters import DEFAULT_TARGET, Json, RequestId, Target, whole
from stockkeeper.command_line.server_call import call, under_request_id

Reason = Annotated[str, Parameter(help="Why, for the ledger.")]
Reference = Annotated[str, Parameter(help="The parcel's number or other paper, for the ledger.")]


def reservation(
    organization_id: str,
    reservation_id: str,
    /,
    *,
    json: Json = False,
    target: Target = DEFAULT_TARGET,
) -> int:
    """Show one reservation, also one that ended long ago."""

    async def run(client: InventoryClient) -> int:
        answer = await client.stock.get_reservation(organization_id, reservation_id)
        return show(answer.reservation, _told(answer.reservation), as_json=json)

    return call(target, run)


def extend(
    organization_id: str,
    reservation_id: str,
    /,
    *,
    ttl_minutes: Annotated[int, whole(0, TTL_MINUTES_MAX)] = 0,
    reason: Reason = "",
    reference: Reference = "",
    request_id: RequestId = "",
    json: Json = False,
    target: Target = DEFAULT_TARGET,
) -> int:
    """Give an active reservation more time. It never shortens.

    Parameters
    ----------
    ttl_minutes
        How long to hold it from now; 0 means 15.
    """
    request_id = request_id or str(uuid4())

    async def run(client: InventoryClient) -> int:
        answer = await client.stock.extend_reservation(
            organization_id, reservation_id, ttl_minutes, reason=reason, reference=reference, request_id=request_id
        )
        return show(answer, [f"{answer.message}."], as_json=json)

    return call(target, run, again=under_request_id(request_id))


def amend(
    organization_id: str,
    reservation_id: str,
    /,
    *lines: str,
    reason: Reason = "",
    reference: Reference = "",
    request_id: RequestId = "",
    json: Json = False,
    target: Target = DEFAULT_TARGET,
) -> int:
    """Change what an active or confirmed reservation holds to these lines, or change nothing.

    Parameters
    ----------
    lines
        The whole new basket: variant:quantity or variant:quantity@warehouse.
    """
    items = [parse_line(line) for line in lines]
    request_id = request_id or str(uuid4())

    async def run(client: InventoryClient) -> int:
        answer = await client.stock.amend_reservation(
            organization_id, reservation_id, items, reason=reason, reference=reference, request_id=request_id
        )
        return show(answer, [f"{answer.message}.", *_told(answer.reservation)], as_json=json)

    return call(target, run, again=under_request_id(request_id))


def reacquire(
    organization_id: str,
    reservation_id: str,
    /,
    *,
    ttl_minutes: Annotated[int, whole(0, TTL_MINUTES_MAX)] = 0,
    reason: Reason = "",
    reference: Reference = "",
    request_id: RequestId = "",
    json: Json = False,
    target: Target = DEFAULT_TARGET,
) -> int:
    """Take the goods of an expired reservation again, all or none, as when a payment came late.

    Parameters
    ----------
    ttl_minutes
        How long to hold them from now; 0 means 15.
    """
    request_id = request_id or str(uuid4())

    async def run(client: InventoryClient) -> int:
        answer = await client.stock.reacquire_reservation(
            organization_id, reservation_id, ttl_minutes, reason=reason, reference=reference, request_id=request_id
        )
        return show(answer, [f"{answer.message}.", *_told(answer.reservation)], as_json=json)

    return call(target, run, again=under_request_id(request_id))


def fulfill(
    organization_id: str,
    reservation_id: str,
    /,
    *lines: str,
    close: Annotated[bool, Parameter(negative="")] = False,
    reason: Reason = "",
    reference: Reference = "",
    request_id: RequestId = "",
    json: Json = False,
    target: Target = DEFAULT_TARGET,
) -> int:
    """Ship a confirmed reservation, whole or in part: what is shipped leaves the stock.

    Parameters
    ----------
    lines
        variant:quantity or variant:quantity@warehouse; none: all that is left.
    close
        Give back what is left after this shipment. Without it the rest stays confirmed.
    """
    items = [parse_line(line) for line in lines]
    request_id = request_id or str(uuid4())

    async def run(client: InventoryClient) -> int:
        answer = await client.stock.fulfill_reservation(
            organization_id,
            reservation_id,
            items,
            close=close,
            reason=reason,
            reference=reference,
            request_id=request_id,
        )
        shipped, pieces = counted(answer.items_fulfilled, "item"), counted(answer.total_quantity_fulfilled, "piece")
        rest = [f"{answer.message}."] if answer.reservation.state == "confirmed" else []
        return show(answer, [f"{shipped}, {pieces} left at {answer.fulfilled_at}.", *rest], as_json=json)

    return call(target, run, again=under_request_id(request_id))


def _told(found: Reservation) -> Sequence[str]:
    """What a person wants to know of it."""
    until = {"active": f" until {found.expires_at}", "confirmed": f" since {found.confirmed_at}"}
    state = f"{found.state}{until.get(found.state, f' at {found.ended_at}')}"
    why = f" ({found.reason})" if found.reason else ""
    shipped = {item.reservation_item_id: item.quantity for item in found.fulfilled}
    items = [
        f"{item.quantity} {item.variant_id} from {item.warehouse_id}"
        + (f", {shipped[item.reservation_item_id]} shipped" if item.reservation_item_id in shipped else "")
        for item in found.items
    ]
    return [f"Reservation {found.reservation_id} of order {found.order_id} is {state}{why}.", *items]
