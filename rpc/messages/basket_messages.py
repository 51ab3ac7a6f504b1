"""A basket that says from where its goods may come becomes a command, and what became of it a message."""

from collections.abc import Sequence

from stockkeeper_client.v1 import stock_pb2

from actors.basket_commands import ReserveBasket, Wish
from actors.bounds import INT32_MAX, LINES_MAX
from actors.outcomes import BasketReserved
from rpc.messages.field_checks import change, check_id, raise_if_any, ttl_minutes_of
from rpc.messages.responses import reservation
from rpc.messages.rules import ID_RULE, QUANTITY_RULE, Violation, is_id


def reserve_basket(request: stock_pb2.ReserveRequest) -> ReserveBasket:
    """Raises `Invalid`, as all of `rpc.messages.validation` do."""
    faults: list[Violation] = []
    told = change(faults, request, check_id)
    check_id(faults, "order_id", request.order_id)
    wishes = _wishes(faults, request.items)
    ttl_minutes = ttl_minutes_of(faults, request.ttl_minutes)
    raise_if_any(faults)
    options = request.allow_split, request.allow_partial
    return ReserveBasket(request.organization_id, request.order_id, wishes, ttl_minutes, *options, *told)


def _wishes(faults: list[Violation], items: Sequence[stock_pb2.BasketItem]) -> tuple[Wish, ...]:
    if not 1 <= len(items) <= LINES_MAX:
        faults.append(Violation("items", f"must have 1 to {LINES_MAX} lines"))
        return ()
    if sum(len(item.warehouse_ids) for item in items) > LINES_MAX:
        faults.append(Violation("items", f"must list at most {LINES_MAX} warehouses together"))
        return ()
    for place, item in enumerate(items):
        if not is_id(item.variant_id):
            faults.append(Violation(f"items[{place}].variant_id", ID_RULE))
        if item.quantity < 1:
            faults.append(Violation(f"items[{place}].quantity", QUANTITY_RULE))
        _check_list(faults, f"items[{place}].warehouse_ids", item.warehouse_ids)
    if sum(max(0, item.quantity) for item in items) > INT32_MAX:
        faults.append(Violation("items", f"the quantities must add up to at most {INT32_MAX}"))
    return tuple([Wish(item.variant_id, tuple(item.warehouse_ids), item.quantity) for item in items])


def _check_list(faults: list[Violation], field: str, warehouse_ids: Sequence[str]) -> None:
    faults += [Violation(f"{field}[{place}]", ID_RULE) for place, one in enumerate(warehouse_ids) if not is_id(one)]
    if len(set(warehouse_ids)) < len(warehouse_ids):
        faults.append(Violation(field, "must not list a warehouse twice"))


def basket_reserved(fact: BasketReserved) -> stock_pb2.ReserveResponse:
    missing = sum(one.requested - one.reserved for one in fact.short)
    pieces = "1 piece is short" if missing == 1 else f"{missing} pieces are short"
    return stock_pb2.ReserveResponse(
        message=f"Stock reserved in part; {pieces}" if missing else "Stock reserved",
        reservation=reservation(fact.reservation),
        short=[
            stock_pb2.ShortVariant(variant_id=one.variant_id, requested=one.requested, reserved=one.reserved)
            for one in fact.short
        ],
    )
