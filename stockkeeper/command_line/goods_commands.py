"""Goods that come in, are on their way, or leave without a reservation."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Literal
from uuid import uuid4

from cyclopts import Parameter
from stockkeeper_client import AdjustedRow, InventoryClient, Item, ReceivedLine
from stockkeeper_client.v1.inventory_pb2 import StockInfo

from stockkeeper.command_line.order_commands import parse_line
from stockkeeper.command_line.output import show
from stockkeeper.command_line.parameters import DEFAULT_TARGET, Json, RequestId, Target, whole
from stockkeeper.command_line.server_call import call, under_request_id
from stockkeeper.config import ConfigurationError
from stockkeeper.whole_number import whole_number

Flag = Annotated[bool, Parameter(negative="")]
Reason = Annotated[str, Parameter(help="Why, for the ledger.")]
Reference = Annotated[str, Parameter(help="The delivery note, receipt or other paper, for the ledger.")]


def receive(
    organization_id: str,
    /,
    *lines: str,
    damaged: Flag = False,
    from_in_transit: Flag = False,
    reason: Reason = "",
    reference: Reference = "",
    request_id: RequestId = "",
    json: Json = False,
    target: Target = DEFAULT_TARGET,
) -> int:
    """Add goods that came in to their rows, all lines or none. A row that does not exist is made.

    Parameters
    ----------
    lines
        variant:quantity@warehouse.
    damaged
        They came damaged, and cannot be sold.
    from_in_transit
        They had been announced: take them from what the rows have in transit.
    """
    delivery = [_received(item, damaged, from_in_transit) for item in _with_warehouses(lines)]
    request_id = request_id or str(uuid4())

    async def run(client: InventoryClient) -> int:
        answer = await client.stock.receive_stock(
            organization_id, delivery, reason=reason, reference=reference, request_id=request_id
        )
        begun = [f"{answer.message}."] if answer.rows_created else []
        return show(answer, [*map(_available, answer.rows), *begun], as_json=json)

    return call(target, run, again=under_request_id(request_id))


def _received(item: Item, damaged: bool, from_in_transit: bool) -> ReceivedLine:
    line: ReceivedLine = {
        "variant_id": item["variant_id"],
        "warehouse_id": item["warehouse_id"] or "",
        "from_in_transit": from_in_transit,
    }
    line["damaged_quantity" if damaged else "quantity"] = item["quantity"]
    return line


def announce(
    organization_id: str,
    /,
    *lines: str,
    reason: Reason = "",
    reference: Reference = "",
    request_id: RequestId = "",
    json: Json = False,
    target: Target = DEFAULT_TARGET,
) -> int:
    """Say that goods are on their way. `receive --from-in-transit` takes them in.

    Parameters
    ----------
    lines
        variant:quantity@warehouse.
    """
    items = _with_warehouses(lines)
    request_id = request_id or str(uuid4())

    async def run(client: InventoryClient) -> int:
        answer = await client.stock.announce_stock(
            organization_id, items, reason=reason, reference=reference, request_id=request_id
        )
        sentences = [
            f"{are(pieces, row.variant_id)} on {'its' if pieces == 1 else 'their'} way to {row.warehouse_id}."
            for row in answer.rows
            for pieces in (row.in_transit_quantity,)
        ]
        begun = [f"{answer.message}."] if answer.rows_created else []
        return show(answer, [*sentences, *begun], as_json=json)

    return call(target, run, again=under_request_id(request_id))


def deduct(
    organization_id: str,
    /,
    *lines: str,
    reason: Reason = "",
    reference: Reference = "",
    request_id: RequestId = "",
    json: Json = False,
    target: Target = DEFAULT_TARGET,
) -> int:
    """Take goods out without a reservation, as a till does, all lines or none.

    Parameters
    ----------
    lines
        variant:quantity or variant:quantity@warehouse.
    """
    items = [parse_line(line) for line in lines]
    request_id = request_id or str(uuid4())

    async def run(client: InventoryClient) -> int:
        answer = await client.stock.deduct_stock(
            organization_id, items, reason=reason, reference=reference, request_id=request_id
        )
        taken = [f"{line.quantity} {line.variant_id} left {line.warehouse_id}." for line in answer.lines]
        return show(answer, [*taken, *map(_available, answer.rows)], as_json=json)

    return call(target, run, again=under_request_id(request_id))


AdjustKind = Literal["delta", "mark-damaged", "repair", "write-off-damaged", "count"]


def adjust(
    organization_id: str,
    row: str,
    change: AdjustKind,
    pieces: str,
    /,
    *,
    expected_total: Annotated[int | None, whole(0)] = None,
    release_uncovered: Flag = False,
    reason: Reason = "",
    reference: Reference = "",
    request_id: RequestId = "",
    json: Json = False,
    target: Target = DEFAULT_TARGET,
) -> int:
    """Set a row right that is not as the service has it.

    Parameters
    ----------
    row
        variant@warehouse.
    change
        delta, mark-damaged, repair, write-off-damaged or count.
    pieces
        How many; after delta they are added, as in +2, or taken away, as in -2.
    expected_total
        Of a count: what the row must have in all, or else it is refused.
    release_uncovered
        Pieces may be gone that active reservations hold: the newest of those are released. Otherwise it is refused.
    """
    adjustment = _adjustment(row, change, pieces, expected_total)
    request_id = request_id or str(uuid4())

    async def run(client: InventoryClient) -> int:
        answer = await client.stock.adjust_stock(
            organization_id,
            [adjustment],
            release_uncovered=release_uncovered,
            reason=reason,
            reference=reference,
            request_id=request_id,
        )
        damaged = [f"{are(row.damaged_quantity)} damaged." for row in answer.rows if row.damaged_quantity]
        released = [
            f"Reservation {one.reservation_id} of order {one.order_id} is released: "
            f"{are(one.pieces, one.variant_id)} gone."
            for one in answer.shortfall
        ]
        return show(answer, [*map(_available, answer.rows), *damaged, *released], as_json=json)

    return call(target, run, again=under_request_id(request_id))


def _adjustment(row: str, change: AdjustKind, pieces: str, expected_total: int | None) -> AdjustedRow:
    variant_id, warehouse_id = _ids_of(row)
    sign = -1 if change == "delta" and pieces.startswith("-") else 1
    try:
        number = sign * whole_number(pieces.removeprefix("-" if sign < 0 else "+"), 0 if change == "count" else 1)
    except ValueError as error:
        raise ConfigurationError(f"The pieces of {row} {error}.") from None
    if expected_total is not None and change != "count":
        raise ConfigurationError("Only a count has an --expected-total.")
    adjustment: AdjustedRow = {"variant_id": variant_id, "warehouse_id": warehouse_id}
    match change:
        case "delta":
            adjustment["delta"] = number
        case "mark-damaged":
            adjustment["mark_damaged"] = number
        case "repair":
            adjustment["repair"] = number
        case "write-off-damaged":
            adjustment["write_off_damaged"] = number
        case "count":
            adjustment["count"] = {"counted_total": number}
            if expected_total is not None:
                adjustment["count"]["expected_total"] = expected_total
    return adjustment


def _ids_of(row: str) -> tuple[str, str]:
    """The variant and the warehouse of `variant@warehouse`.

    Raises:
        ConfigurationError: it is none.
    """
    variant_id, _, warehouse_id = row.partition("@")
    if not variant_id or not warehouse_id:
        raise ConfigurationError(f"A row must be variant@warehouse, not {row!r}.")
    return variant_id, warehouse_id


def delete(
    organization_id: str,
    row: str,
    /,
    *,
    reason: Reason = "",
    reference: Reference = "",
    request_id: RequestId = "",
    json: Json = False,
    target: Target = DEFAULT_TARGET,
) -> int:
    """Take an empty row away, as one that a typing error made. The ledger keeps its history.

    Parameters
    ----------
    row
        variant@warehouse.
    """
    variant_id, warehouse_id = _ids_of(row)
    request_id = request_id or str(uuid4())

    async def run(client: InventoryClient) -> int:
        answer = await client.stock.delete_stock(
            organization_id, variant_id, warehouse_id, reason=reason, reference=reference, request_id=request_id
        )
        return show(answer, [f"{answer.message}: {row}."], as_json=json)

    return call(target, run, again=under_request_id(request_id))


def _with_warehouses(lines: Iterable[str]) -> Sequence[Item]:
    """The items that the lines name.

    Raises:
        ConfigurationError: a line is none, or names no warehouse.
    """
    items = [parse_line(line) for line in lines]
    for line, item in zip(lines, items, strict=True):
        if not item["warehouse_id"]:
            raise ConfigurationError(f"A line must be variant:quantity@warehouse, not {line!r}.")
    return items


def _available(row: StockInfo) -> str:
    there = are(row.available_quantity, row.variant_id)
    return f"{there} available in {row.warehouse_id}, {row.total_quantity} in all."


def are(number: int, what: str = "") -> str:
    """The words before what they are: `1 mug is`, `2 mug are`."""
    return f"{number}{what and ' '}{what} {'is' if number == 1 else 'are'}"
