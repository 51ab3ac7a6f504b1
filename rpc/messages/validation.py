"""Requests become commands and queries, or `Invalid` with everything that is wrong with them.

Each function makes one pass: it reads a field once, checks it, and notes a violation where there is one.
Nothing is built for the sake of an error before there is an error, since ReserveStock comes through here
thousands of times a second.
"""

from collections.abc import Iterable, Sequence
from typing import cast

from msgspec.structs import replace
from stockkeeper_client.v1 import inventory_pb2, stock_pb2, stream_pb2

from actors.bounds import INT32_MAX
from actors.commands import (
    Adjust,
    Adjustment,
    AdjustmentKind,
    Announce,
    Confirm,
    Deduct,
    Delete,
    DeliveryLine,
    Line,
    Receive,
    Release,
    Reserve,
)
from actors.queries import CheckBasket, GetStock
from rpc.messages.field_checks import basket_lines as _lines
from rpc.messages.field_checks import bounded as _bounded
from rpc.messages.field_checks import change as _change
from rpc.messages.field_checks import check_id as _check_id
from rpc.messages.field_checks import check_new_id as _check_new_id
from rpc.messages.field_checks import check_note as _check_note
from rpc.messages.field_checks import check_optional_id as _check_optional_id
from rpc.messages.field_checks import check_sum as _check_sum
from rpc.messages.field_checks import goods as _goods
from rpc.messages.field_checks import raise_if_any as _raise_if_any
from rpc.messages.field_checks import ttl_minutes_of
from rpc.messages.rules import (
    FIGURE_RULE,
    ID_RULE,
    QUANTITY_RULE,
    Violation,
    is_id,
)

IDEMPOTENCY_KEY = "idempotency-key"


def reserve(request: inventory_pb2.ReserveStockRequest, metadata: Iterable[tuple[str, str | bytes]]) -> Reserve:
    """Args:
        metadata: the call's, of which only the idempotency key is looked at.

    Raises:
        Invalid: see `rpc.messages.rules`; so do all functions below.
    """
    key_faults: list[Violation] = []
    return _reserve(request, _idempotency_key(key_faults, metadata), key_faults)


def reserve_streamed(streamed: stream_pb2.StreamedRequest) -> Reserve:
    key_faults: list[Violation] = []
    _check_optional_id(key_faults, "idempotency_key", streamed.idempotency_key)
    return _reserve(streamed.request, streamed.idempotency_key, key_faults)


def _reserve(request: inventory_pb2.ReserveStockRequest, request_id: str, key_faults: Sequence[Violation]) -> Reserve:
    faults: list[Violation] = []
    organization_id, order_id = request.organization_id, request.order_id
    _check_id(faults, "organization_id", organization_id)
    _check_id(faults, "order_id", order_id)
    lines = _lines(faults, request.items, quantity_min=1)
    ttl_minutes = ttl_minutes_of(faults, request.ttl_minutes)
    faults.extend(key_faults)
    _raise_if_any(faults)
    return Reserve(organization_id, order_id, lines, ttl_minutes, request_id)


def confirm(
    request: inventory_pb2.ConfirmReservationRequest, metadata: Iterable[tuple[str, str | bytes]] = ()
) -> Confirm:
    faults: list[Violation] = []
    key = _idempotency_key(faults, metadata)
    _check_id(faults, "organization_id", request.organization_id)
    _check_id(faults, "reservation_id", request.reservation_id)
    _check_id(faults, "order_id", request.order_id)
    _raise_if_any(faults)
    return Confirm(request.organization_id, request.reservation_id, request.order_id, key)


def release(
    request: inventory_pb2.ReleaseReservationRequest, metadata: Iterable[tuple[str, str | bytes]] = ()
) -> Release:
    faults: list[Violation] = []
    key = _idempotency_key(faults, metadata)
    _check_id(faults, "organization_id", request.organization_id)
    _check_id(faults, "reservation_id", request.reservation_id)
    _check_note(faults, "reason", request.reason)
    _raise_if_any(faults)
    return Release(request.organization_id, request.reservation_id, request.reason, key)


def check_availability(request: inventory_pb2.CheckAvailabilityRequest) -> CheckBasket:
    faults: list[Violation] = []
    _check_id(faults, "organization_id", request.organization_id)
    _check_id(faults, "variant_id", request.variant_id)
    _check_optional_id(faults, "warehouse_id", request.warehouse_id)
    if request.quantity < 0:
        faults.append(Violation("quantity", FIGURE_RULE))
    _raise_if_any(faults)
    return CheckBasket(request.organization_id, (Line(request.variant_id, request.warehouse_id, request.quantity),))


def check_bulk_availability(request: inventory_pb2.CheckBulkAvailabilityRequest) -> CheckBasket:
    faults: list[Violation] = []
    _check_id(faults, "organization_id", request.organization_id)
    lines = _lines(faults, request.items, quantity_min=0)
    _raise_if_any(faults)
    return CheckBasket(request.organization_id, lines)


def stock_info(request: inventory_pb2.GetStockInfoRequest) -> GetStock:
    faults: list[Violation] = []
    _check_id(faults, "organization_id", request.organization_id)
    _check_id(faults, "variant_id", request.variant_id)
    _check_optional_id(faults, "warehouse_id", request.warehouse_id)
    _raise_if_any(faults)
    return GetStock(request.organization_id, request.variant_id, request.warehouse_id)


def receive(request: stock_pb2.ReceiveStockRequest) -> Receive:
    faults: list[Violation] = []
    change = _change(faults, request, _check_new_id)
    lines = []
    for position, line in enumerate(_bounded(faults, request.lines)):
        place = f"lines[{position}]"
        _check_new_id(faults, f"{place}.variant_id", line.variant_id)
        _check_new_id(faults, f"{place}.warehouse_id", line.warehouse_id)
        _check_received(faults, place, line)
        lines.append(
            DeliveryLine(line.variant_id, line.warehouse_id, line.quantity, line.damaged_quantity, line.from_in_transit)
        )
    _check_sum(faults, [figure for line in lines for figure in (line.quantity, line.damaged)])
    _raise_if_any(faults)
    return Receive(request.organization_id, tuple(lines), *change)


def announce(request: stock_pb2.AnnounceStockRequest) -> Announce:
    faults: list[Violation] = []
    change = _change(faults, request, _check_new_id)
    lines = _goods(faults, request.lines, _check_new_id, _check_new_id)
    _raise_if_any(faults)
    return Announce(request.organization_id, lines, *change)


def deduct(request: stock_pb2.DeductStockRequest) -> Deduct:
    faults: list[Violation] = []
    change = _change(faults, request, _check_id)
    lines = _goods(faults, request.lines, _check_id, _check_optional_id)
    _raise_if_any(faults)
    return Deduct(request.organization_id, lines, *change)


def adjust(request: stock_pb2.AdjustStockRequest) -> Adjust:
    faults: list[Violation] = []
    change = _change(faults, request, _check_id)
    lines: dict[tuple[str, str], Adjustment] = {}
    for position, line in enumerate(_bounded(faults, request.adjustments, "adjustments")):
        place = f"adjustments[{position}]"
        _check_id(faults, f"{place}.variant_id", line.variant_id)
        _check_id(faults, f"{place}.warehouse_id", line.warehouse_id)
        if (line.variant_id, line.warehouse_id) in lines:
            faults.append(Violation(place, "must be of another row than those before it"))
        lines[line.variant_id, line.warehouse_id] = _adjustment(faults, place, line)
    _raise_if_any(faults)
    adjust = Adjust(request.organization_id, tuple(lines.values()), *change)
    return replace(adjust, release_uncovered=True) if request.release_uncovered else adjust


def _adjustment(faults: list[Violation], place: str, line: stock_pb2.Adjustment) -> Adjustment:
    row = line.variant_id, line.warehouse_id
    kind = cast(AdjustmentKind | None, line.WhichOneof("change"))
    if kind == "count":
        count = line.count
        if count.counted_total < 0:
            faults.append(Violation(f"{place}.count.counted_total", FIGURE_RULE))
        if count.expected_total < 0:
            faults.append(Violation(f"{place}.count.expected_total", FIGURE_RULE))
        expected = count.expected_total if count.HasField("expected_total") else None
        return Adjustment(*row, kind, count.counted_total, expected)
    if kind is None:
        faults.append(Violation(f"{place}.change", "must be given"))
        return Adjustment(*row, "delta", 0)
    pieces: int = getattr(line, kind)
    if kind == "delta" and (not pieces or pieces < -INT32_MAX):
        faults.append(Violation(f"{place}.delta", f"must be 1 to {INT32_MAX}, or the same below 0"))
    if kind != "delta" and pieces < 1:
        faults.append(Violation(f"{place}.{kind}", QUANTITY_RULE))
    return Adjustment(*row, kind, pieces)


def delete(request: stock_pb2.DeleteStockRequest) -> Delete:
    faults: list[Violation] = []
    change = _change(faults, request, _check_id)
    _check_id(faults, "variant_id", request.variant_id)
    _check_id(faults, "warehouse_id", request.warehouse_id)
    _raise_if_any(faults)
    return Delete(request.organization_id, request.variant_id, request.warehouse_id, *change)


def _check_received(faults: list[Violation], place: str, line: stock_pb2.ReceivedLine) -> None:
    if line.quantity < 0:
        faults.append(Violation(f"{place}.quantity", FIGURE_RULE))
    if line.damaged_quantity < 0:
        faults.append(Violation(f"{place}.damaged_quantity", FIGURE_RULE))
    if not line.quantity and not line.damaged_quantity:
        faults.append(Violation(f"{place}.quantity", f"{QUANTITY_RULE}, or 0 if damaged pieces came"))


def _idempotency_key(faults: list[Violation], metadata: Iterable[tuple[str, str | bytes]]) -> str:
    found = ""
    for key, value in metadata:
        if key == IDEMPOTENCY_KEY:
            if found or not isinstance(value, str) or not is_id(value):
                faults.append(Violation(IDEMPOTENCY_KEY, f"{ID_RULE}, and must be given once"))
                return ""
            found = value
    return found
