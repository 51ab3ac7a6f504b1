"""Checks that several kinds of requests have in common: each notes what is wrong, and `raise_if_any` tells it all."""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from stockkeeper_client.v1 import stock_pb2

from actors.bounds import INT32_MAX, LINES_MAX, TTL_MINUTES_DEFAULT, TTL_MINUTES_MAX
from actors.commands import Line
from rpc.messages.rules import (
    FIGURE_RULE,
    ID_RULE,
    INSTANT_RULE,
    NEW_ID_RULE,
    NOTE_RULE,
    OPTIONAL_ID_RULE,
    QUANTITY_RULE,
    Invalid,
    Violation,
    is_id,
    is_new_id,
    is_note,
    read_instant,
)

PAGE_SIZE_DEFAULT = 100
PAGE_SIZE_MAX = 1_000

T = TypeVar("T")

Check = Callable[[list[Violation], str, str], None]
"""Notes a violation of the rule for a field's text, if it is one."""


class Changing(Protocol):
    """What all changes of goods have in common."""

    organization_id: str
    request_id: str
    reason: str
    reference: str


class Wished(Protocol):
    """What the items of a reservation and of a check have in common."""

    variant_id: str
    warehouse_id: str
    quantity: int


def basket_lines(faults: list[Violation], items: Sequence[Wished], quantity_min: int) -> tuple[Line, ...]:
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


def change(faults: list[Violation], request: Changing, check: Check) -> tuple[str, str, str]:
    """What every change of goods has: its idempotency key, its reason and its reference.

    Args:
        check: of the organization's id.
    """
    check(faults, "organization_id", request.organization_id)
    check_id(faults, "request_id", request.request_id)
    check_note(faults, "reason", request.reason)
    check_note(faults, "reference", request.reference)
    return request.request_id, request.reason, request.reference


def goods(
    faults: list[Violation], items: Sequence[stock_pb2.GoodsLine], check_variant: Check, check_warehouse: Check
) -> tuple[Line, ...]:
    lines = []
    for position, item in enumerate(bounded(faults, items)):
        check_variant(faults, f"lines[{position}].variant_id", item.variant_id)
        check_warehouse(faults, f"lines[{position}].warehouse_id", item.warehouse_id)
        if item.quantity < 1:
            faults.append(Violation(f"lines[{position}].quantity", QUANTITY_RULE))
        lines.append(Line(item.variant_id, item.warehouse_id, item.quantity))
    check_sum(faults, [line.quantity for line in lines])
    return tuple(lines)


def bounded(faults: list[Violation], lines: Sequence[T], field: str = "lines") -> Sequence[T]:
    """The lines, none if there are too many to look at."""
    if 1 <= len(lines) <= LINES_MAX:
        return lines
    faults.append(Violation(field, f"must have 1 to {LINES_MAX} lines"))
    return ()


def check_sum(faults: list[Violation], quantities: Sequence[int]) -> None:
    # No sum over some of the lines, those on one row for instance, exceeds the sum over all.
    if sum(quantity for quantity in quantities if quantity > 0) > INT32_MAX:
        faults.append(Violation("lines", f"the quantities must add up to at most {INT32_MAX}"))


def page_size(faults: list[Violation], page_size: int) -> int:
    if not 0 <= page_size <= PAGE_SIZE_MAX:
        faults.append(Violation("page_size", f"must be 1 to {PAGE_SIZE_MAX}, or 0 for {PAGE_SIZE_DEFAULT}"))
    return page_size or PAGE_SIZE_DEFAULT


def check_id(faults: list[Violation], field: str, text: str) -> None:
    if not is_id(text):
        faults.append(Violation(field, ID_RULE))


def check_new_id(faults: list[Violation], field: str, text: str) -> None:
    if not is_new_id(text):
        faults.append(Violation(field, NEW_ID_RULE))


def check_optional_id(faults: list[Violation], field: str, text: str) -> None:
    if text and not is_id(text):
        faults.append(Violation(field, OPTIONAL_ID_RULE))


def check_note(faults: list[Violation], field: str, text: str) -> None:
    if not is_note(text):
        faults.append(Violation(field, NOTE_RULE))


def raise_if_any(faults: list[Violation]) -> None:
    if faults:
        raise Invalid(faults)


def ttl_minutes_of(faults: list[Violation], minutes: int) -> int:
    """A time limit, the default for 0."""
    ttl_minutes = minutes or TTL_MINUTES_DEFAULT
    if not 1 <= ttl_minutes <= TTL_MINUTES_MAX:
        text = f"must be 1 to {TTL_MINUTES_MAX}, or 0 for the default"
        faults.append(Violation("ttl_minutes", text))
    return ttl_minutes


def instant(faults: list[Violation], field: str, text: str) -> int:
    """A time in milliseconds; 0 for none."""
    if not text:
        return 0
    try:
        at_ms = read_instant(text)
    except ValueError:
        at_ms = 0
    if at_ms <= 0:
        faults.append(Violation(field, INSTANT_RULE))
    return at_ms
