"""What is asked of reservations after they were made, from requests to commands and queries.

Each function raises `Invalid` with everything that is wrong, as those of `rpc/messages/validation.py` do.
"""

from typing import get_args

from stockkeeper_client.v1 import stock_pb2

from actors.commands import Amend, Extend, Fulfill, Reacquire
from actors.queries import GetReservation, ListReservations
from actors.records import ReservationState
from rpc.messages.field_checks import (
    basket_lines,
    change,
    check_id,
    check_optional_id,
    goods,
    instant,
    page_size,
    raise_if_any,
    ttl_minutes_of,
)
from rpc.messages.page_tokens import TOKEN_RULE, read_reservation_token
from rpc.messages.rules import Violation

STATES: tuple[ReservationState, ...] = get_args(ReservationState)


def fulfill(request: stock_pb2.FulfillReservationRequest) -> Fulfill:
    faults: list[Violation] = []
    request_id, reason, reference = change(faults, request, check_id)
    check_id(faults, "reservation_id", request.reservation_id)
    lines = goods(faults, request.lines, check_id, check_optional_id) if request.lines else ()
    raise_if_any(faults)
    names = request.organization_id, request.reservation_id, request_id, reference
    return Fulfill(*names, reason, lines, request.close)


def extend(request: stock_pb2.ExtendReservationRequest) -> Extend:
    faults: list[Violation] = []
    told = change(faults, request, check_id)
    check_id(faults, "reservation_id", request.reservation_id)
    ttl_minutes = ttl_minutes_of(faults, request.ttl_minutes)
    raise_if_any(faults)
    return Extend(request.organization_id, request.reservation_id, ttl_minutes, *told)


def amend(request: stock_pb2.AmendReservationRequest) -> Amend:
    faults: list[Violation] = []
    told = change(faults, request, check_id)
    check_id(faults, "reservation_id", request.reservation_id)
    lines = basket_lines(faults, request.items, quantity_min=1)
    raise_if_any(faults)
    return Amend(request.organization_id, request.reservation_id, lines, *told)


def reacquire(request: stock_pb2.ReacquireReservationRequest) -> Reacquire:
    faults: list[Violation] = []
    told = change(faults, request, check_id)
    check_id(faults, "reservation_id", request.reservation_id)
    ttl_minutes = ttl_minutes_of(faults, request.ttl_minutes)
    raise_if_any(faults)
    return Reacquire(request.organization_id, request.reservation_id, ttl_minutes, *told)


def get_reservation(request: stock_pb2.GetReservationRequest) -> GetReservation:
    faults: list[Violation] = []
    check_id(faults, "organization_id", request.organization_id)
    check_id(faults, "reservation_id", request.reservation_id)
    raise_if_any(faults)
    return GetReservation(request.organization_id, request.reservation_id)


def list_reservations(request: stock_pb2.ListReservationsRequest) -> ListReservations:
    faults: list[Violation] = []
    check_id(faults, "organization_id", request.organization_id)
    check_optional_id(faults, "order_id", request.order_id)
    check_optional_id(faults, "variant_id", request.variant_id)
    check_optional_id(faults, "warehouse_id", request.warehouse_id)
    after_ms = instant(faults, "created_after", request.created_after)
    before_ms = instant(faults, "created_before", request.created_before)
    state = next((state for state in STATES if state == request.state), None)
    if request.state and state is None:
        faults.append(Violation("state", f"must be empty or one of {', '.join(STATES)}"))
    limit = page_size(faults, request.page_size)
    before = ""
    if request.page_token:
        try:
            before = read_reservation_token(request.page_token, request.organization_id)
        except ValueError:
            faults.append(Violation("page_token", TOKEN_RULE))
    raise_if_any(faults)
    return ListReservations(
        request.organization_id,
        state,
        request.order_id,
        before,
        limit,
        variant_id=request.variant_id,
        warehouse_id=request.warehouse_id,
        created_after_ms=after_ms,
        created_before_ms=before_ms,
    )
