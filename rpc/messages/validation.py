"""Requests become commands and queries, or `Invalid` with everything that is wrong with them.

Each function makes one pass: it reads a field once, checks it, and notes a violation where there is one.
Nothing is built for the sake of an error before there is an error, since ReserveStock comes through here
thousands of times a second.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeVar, cast, get_args

from stockkeeper_client.v1 import inventory_pb2, stock_pb2, stream_pb2

from actors.bounds import INT32_MAX, LINES_MAX, TTL_MINUTES_DEFAULT, TTL_MINUTES_MAX
from actors.commands import (
    Adjust,
    Adjustment,
    AdjustmentKind,
    Announce,
    Confirm,
    Deduct,
    Delete,
    DeliveryLine,
    Fulfill,
    Line,
    Receive,
    Release,
    Reserve,
)
from actors.queries import CheckBasket, GetStock, ListReservations
from actors.records import ReservationState
from rpc.messages.page_tokens import TOKEN_RULE, read_reservation_token
from rpc.messages.rules import (
    FIGURE_RULE,
    ID_RULE,
    NEW_ID_RULE,
    NOTE_RULE,
    OPTIONAL_ID_RULE,
    QUANTITY_RULE,
    Invalid,
    Violation,
    is_id,
    is_new_id,
    is_note,
)

IDEMPOTENCY_KEY = "idempotency-key"
PAGE_SIZE_DEFAULT = 100
PAGE_SIZE_MAX = 1_000

STATES: tuple[ReservationState, ...] = get_args(ReservationState)


T = TypeVar("T")

Check = Callable[[list[Violation], str, str], None]
"""Notes a violation of the rule for a field's text, if it is one."""


class _Change(Protocol):
    """What all changes of goods have in common."""

    organization_id: str
    request_id: str
    reason: str
    reference: str


class _Item(Protocol):
    """What the items of a reservation and of a check have in common."""

    variant_id: str
    warehouse_id: str
    quantity: int


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
    ttl_minutes = request.ttl_minutes or TTL_MINUTES_DEFAULT
    if not 1 <= ttl_minutes <= TTL_MINUTES_MAX:
        text = f"must be 1 to {TTL_MINUTES_MAX}, or 0 for {TTL_MINUTES_DEFAULT}"
        faults.append(Violation("ttl_minutes", text))
    faults.extend(key_faults)
    _raise_if_any(faults)
    return Reserve(organization_id, order_id, lines, ttl_minutes, request_id)


def confirm(request: inventory_pb2.ConfirmReservationRequest) -> Confirm:
    faults: list[Violation] = []
    _check_id(faults, "organization_id", request.organization_id)
    _check_id(faults, "reservation_id", request.reservation_id)
    _check_id(faults, "order_id", request.order_id)
    _raise_if_any(faults)
    return Confirm(request.organization_id, request.reservation_id, request.order_id)


def release(request: inventory_pb2.ReleaseReservationRequest) -> Release:
    faults: list[Violation] = []
    _check_id(faults, "organization_id", request.organization_id)
    _check_id(faults, "reservation_id", request.reservation_id)
    _check_note(faults, "reason", request.reason)
    _raise_if_any(faults)
    return Release(request.organization_id, request.reservation_id, request.reason)


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
    return Adjust(request.organization_id, tuple(lines.values()), *change)


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


def fulfill(request: stock_pb2.FulfillReservationRequest) -> Fulfill:
    faults: list[Violation] = []
    _check_id(faults, "organization_id", request.organization_id)
    _check_id(faults, "request_id", request.request_id)
    _check_id(faults, "reservation_id", request.reservation_id)
    _check_note(faults, "reference", request.reference)
    _raise_if_any(faults)
    return Fulfill(request.organization_id, request.reservation_id, request.request_id, request.reference)


def list_reservations(request: stock_pb2.ListReservationsRequest) -> ListReservations:
    faults: list[Violation] = []
    _check_id(faults, "organization_id", request.organization_id)
    _check_optional_id(faults, "order_id", request.order_id)
    state = next((state for state in STATES if state == request.state), None)
    if request.state and state is None:
        faults.append(Violation("state", f"must be empty or one of {', '.join(STATES)}"))
    limit = _page_size(faults, request.page_size)
    before = ""
    if request.page_token:
        try:
            before = read_reservation_token(request.page_token, request.organization_id)
        except ValueError:
            faults.append(Violation("page_token", TOKEN_RULE))
    _raise_if_any(faults)
    return ListReservations(request.organization_id, state, request.order_id, before, limit)


def _lines(faults: list[Violation], items: Sequence[_Item], quantity_min: int) -> tuple[Line, ...]:
    if not 1 <= len(items) <= LINES_MAX:
        # Too many are not looked at one by one: there may be 200,000 of them.
        faults.append(Violation("items", f"must have 1 to {LINES_MAX} lines"))
        return ()
    lines = []
    total = 0
    for position, item in enumerate(items):
        variant_id, warehouse_id, quantity = item.variant_id, item.warehouse_id, item.quantity
        if not is_id(variant_id):
            faults.append(Violation(f"items[{position}].variant_id", ID_RULE))
        if warehouse_id and not is_id(warehouse_id):
            faults.append(Violation(f"items[{position}].warehouse_id", OPTIONAL_ID_RULE))
        if quantity < quantity_min:
            rule = QUANTITY_RULE if quantity_min else FIGURE_RULE
            faults.append(Violation(f"items[{position}].quantity", rule))
        else:
            total += quantity
        lines.append(Line(variant_id, warehouse_id, quantity))
    # No sum over some of the lines, those on one row for instance, exceeds the sum over all.
    if total > INT32_MAX:
        faults.append(Violation("items", f"the quantities must add up to at most {INT32_MAX}"))
    return tuple(lines)


def _change(faults: list[Violation], request: _Change, check: Check) -> tuple[str, str, str]:
    """What every change of goods has: its idempotency key, its reason and its reference.

    Args:
        check: of the organization's id.
    """
    check(faults, "organization_id", request.organization_id)
    _check_id(faults, "request_id", request.request_id)
    _check_note(faults, "reason", request.reason)
    _check_note(faults, "reference", request.reference)
    return request.request_id, request.reason, request.reference


def _goods(
    faults: list[Violation], items: Sequence[stock_pb2.GoodsLine], check_variant: Check, check_warehouse: Check
) -> tuple[Line, ...]:
    lines = []
    for position, item in enumerate(_bounded(faults, items)):
        check_variant(faults, f"lines[{position}].variant_id", item.variant_id)
        check_warehouse(faults, f"lines[{position}].warehouse_id", item.warehouse_id)
        if item.quantity < 1:
            faults.append(Violation(f"lines[{position}].quantity", QUANTITY_RULE))
        lines.append(Line(item.variant_id, item.warehouse_id, item.quantity))
    _check_sum(faults, [line.quantity for line in lines])
    return tuple(lines)


def _check_received(faults: list[Violation], place: str, line: stock_pb2.ReceivedLine) -> None:
    if line.quantity < 0:
        faults.append(Violation(f"{place}.quantity", FIGURE_RULE))
    if line.damaged_quantity < 0:
        faults.append(Violation(f"{place}.damaged_quantity", FIGURE_RULE))
    if not line.quantity and not line.damaged_quantity:
        faults.append(Violation(f"{place}.quantity", f"{QUANTITY_RULE}, or 0 if damaged pieces came"))


def _bounded(faults: list[Violation], lines: Sequence[T], field: str = "lines") -> Sequence[T]:
    """The lines, none if there are too many to look at."""
    if 1 <= len(lines) <= LINES_MAX:
        return lines
    faults.append(Violation(field, f"must have 1 to {LINES_MAX} lines"))
    return ()


def _check_sum(faults: list[Violation], quantities: Sequence[int]) -> None:
    # No sum over some of the lines, those on one row for instance, exceeds the sum over all.
    if sum(quantity for quantity in quantities if quantity > 0) > INT32_MAX:
        faults.append(Violation("lines", f"the quantities must add up to at most {INT32_MAX}"))


def _idempotency_key(faults: list[Violation], metadata: Iterable[tuple[str, str | bytes]]) -> str:
    found = ""
    for key, value in metadata:
        if key == IDEMPOTENCY_KEY:
            if found or not isinstance(value, str) or not is_id(value):
                faults.append(Violation(IDEMPOTENCY_KEY, f"{ID_RULE}, and must be given once"))
                return ""
            found = value
    return found


def _page_size(faults: list[Violation], page_size: int) -> int:
    if not 0 <= page_size <= PAGE_SIZE_MAX:
        faults.append(Violation("page_size", f"must be 1 to {PAGE_SIZE_MAX}, or 0 for {PAGE_SIZE_DEFAULT}"))
    return page_size or PAGE_SIZE_DEFAULT


def _check_id(faults: list[Violation], field: str, text: str) -> None:
    if not is_id(text):
        faults.append(Violation(field, ID_RULE))


def _check_new_id(faults: list[Violation], field: str, text: str) -> None:
    if not is_new_id(text):
        faults.append(Violation(field, NEW_ID_RULE))


def _check_optional_id(faults: list[Violation], field: str, text: str) -> None:
    if text and not is_id(text):
        faults.append(Violation(field, OPTIONAL_ID_RULE))


def _check_note(faults: list[Violation], field: str, text: str) -> None:
    if not is_note(text):
        faults.append(Violation(field, NOTE_RULE))


def _raise_if_any(faults: list[Violation]) -> None:
    if faults:
        raise Invalid(faults)
