"""Every refusal has its code, its reason and its words; what is unknown tells nothing."""

from typing import get_args

import pytest
from grpc import StatusCode

from actors.bounds import INT32_MAX
from actors.cell_records import WrongCell
from actors.outcomes import (
    ActorCrashed,
    AdjustmentsRefused,
    ImportRejected,
    InsufficientStock,
    MoreThanReserved,
    QuantityTooLarge,
    Refusal,
    Refused,
    RefusedAdjustment,
    RefusedLine,
    RefusedShipment,
    RequestIdReused,
    ReservationExists,
    ReservationExpired,
    ReservationNotConfirmed,
    ReservationNotFound,
    ReservationOfOtherOrder,
    ReservationWasConfirmed,
    ReservationWasFulfilled,
    ReservationWasReleased,
    ShippedAlready,
    Shortage,
    StockNotEmpty,
    StockNotFound,
    TooLargeRow,
    UnaskedShipment,
)
from actors.records import StockRecord
from actors.transfer_outcomes import (
    Excess,
    MoreThanSent,
    TransferExists,
    TransferIsClosed,
    TransferNotFound,
    WarehouseNotFound,
)
from actors.unavailable import Unavailable
from actors.warehouse_outcomes import ClosedRow, DisagreeingLevels, LevelsDisagree, TooManyWarehouses, WarehouseInactive
from rpc.messages.problems import INTERNAL, UnknownService, describe
from rpc.messages.rules import Invalid, Violation
from rpc.messages.status import Problem

SHORTAGES = (Shortage("var_789", "wh_101", 5, 2), Shortage("var_456", "", 3, 1))

CASES = [
    (
        StockNotFound("var_789", "wh_101"),
        (StatusCode.NOT_FOUND, "STOCK_NOT_FOUND", "Stock not found for variant var_789"),
        {"variant_id": "var_789", "warehouse_id": "wh_101"},
    ),
    (
        InsufficientStock(SHORTAGES),
        (StatusCode.FAILED_PRECONDITION, "INSUFFICIENT_STOCK", "Insufficient stock for variant var_789"),
        {"variant_id": "var_789", "warehouse_id": "wh_101", "requested": "5", "available": "2"},
    ),
    (
        ReservationExists("res_1"),
        (
            StatusCode.ALREADY_EXISTS,
            "RESERVATION_EXISTS",
            "The order already has a reservation of other lines, res_1",
        ),
        {"reservation_id": "res_1"},
    ),
    (
        ReservationNotFound("res_1"),
        (StatusCode.NOT_FOUND, "RESERVATION_NOT_FOUND", "Reservation not found"),
        {"reservation_id": "res_1"},
    ),
    (
        ReservationOfOtherOrder("res_1"),
        (
            StatusCode.FAILED_PRECONDITION,
            "RESERVATION_OF_OTHER_ORDER",
            "Reservation res_1 belongs to another order",
        ),
        {"reservation_id": "res_1"},
    ),
    (
        ReservationExpired("res_1"),
        (StatusCode.FAILED_PRECONDITION, "RESERVATION_EXPIRED", "Reservation res_1 has expired"),
        {"reservation_id": "res_1"},
    ),
    (
        ReservationWasReleased("res_1"),
        (StatusCode.FAILED_PRECONDITION, "RESERVATION_RELEASED", "Reservation res_1 was released"),
        {"reservation_id": "res_1"},
    ),
    (
        ReservationWasFulfilled("res_1"),
        (StatusCode.FAILED_PRECONDITION, "RESERVATION_FULFILLED", "Reservation res_1 was fulfilled"),
        {"reservation_id": "res_1"},
    ),
    (
        ShippedAlready("res_1", (UnaskedShipment("mug", "w1", 3, 1),)),
        (
            StatusCode.FAILED_PRECONDITION,
            "RESERVATION_PARTLY_FULFILLED",
            "Of variant mug in warehouse w1 3 were shipped already, and the new basket has 1",
        ),
        {
            **{"reservation_id": "res_1", "variant_id": "mug", "warehouse_id": "w1"},
            **{"requested": "1", "shipped": "3"},
        },
    ),
    (
        ReservationWasConfirmed("res_1"),
        (
            StatusCode.FAILED_PRECONDITION,
            "RESERVATION_CONFIRMED",
            "Reservation res_1 is confirmed and has no time limit",
        ),
        {"reservation_id": "res_1"},
    ),
    (
        MoreThanReserved("res_1", (RefusedShipment("mug", "w1", 5, 3), RefusedShipment("pot", "", 1, 0))),
        (
            StatusCode.FAILED_PRECONDITION,
            "MORE_THAN_RESERVED",
            "Of variant mug in warehouse w1 3 are left to ship, and 5 were asked for (and 1 more)",
        ),
        {
            **{"reservation_id": "res_1", "variant_id": "mug", "warehouse_id": "w1"},
            **{"requested": "5", "reserved": "3"},
        },
    ),
    (
        ReservationNotConfirmed("res_1"),
        (StatusCode.FAILED_PRECONDITION, "RESERVATION_NOT_CONFIRMED", "Reservation res_1 is not confirmed"),
        {"reservation_id": "res_1"},
    ),
    (
        QuantityTooLarge((TooLargeRow("var_789", "wh_101", INT32_MAX + 1),)),
        (
            StatusCode.FAILED_PRECONDITION,
            "QUANTITY_TOO_LARGE",
            "The total of variant var_789 would be 2147483648, and can be at most 2147483647",
        ),
        {"variant_id": "var_789", "warehouse_id": "wh_101", "total": "2147483648"},
    ),
    (
        AdjustmentsRefused((RefusedAdjustment("stale", StockRecord("o", "mug", "w1", "s", 4, 3, 2, 1), 9),) * 2),
        (
            StatusCode.FAILED_PRECONDITION,
            "COUNT_IS_STALE",
            "Variant mug in warehouse w1 has 10 in all, and the count expects another total (and 1 more)",
        ),
        {
            **{"variant_id": "mug", "warehouse_id": "w1", "requested": "9", "total": "10", "available": "4"},
            **{"reserved": "3", "damaged": "2", "in_transit": "1"},
        },
    ),
    (
        StockNotEmpty("mug", "w1", 0, 3, 0, 5),
        (
            StatusCode.FAILED_PRECONDITION,
            "STOCK_NOT_EMPTY",
            "Variant mug in warehouse w1 has 3 reserved, 5 in transit; only an empty row can go",
        ),
        {
            **{"variant_id": "mug", "warehouse_id": "w1", "available": "0", "reserved": "3"},
            **{"damaged": "0", "in_transit": "5"},
        },
    ),
    (
        WarehouseInactive((ClosedRow("mug", "w1"), ClosedRow("pot", "w2"))),
        (StatusCode.FAILED_PRECONDITION, "WAREHOUSE_INACTIVE", "Warehouse w1 is not active (and 1 more)"),
        {"variant_id": "mug", "warehouse_id": "w1"},
    ),
    (
        LevelsDisagree((DisagreeingLevels("mug", "w1", 5, 4), DisagreeingLevels("pot", "w1", 2, 1))),
        (
            StatusCode.FAILED_PRECONDITION,
            "LEVELS_DISAGREE",
            "Variant mug in warehouse w1: min_stock 5 would exceed max_stock 4 (and 1 more)",
        ),
        {"variant_id": "mug", "warehouse_id": "w1", "min_stock": "5", "max_stock": "4"},
    ),
    (
        TooManyWarehouses("shop", 10_002),
        (
            StatusCode.FAILED_PRECONDITION,
            "TOO_MANY_WAREHOUSES",
            "The organization would have 10002 warehouses, and can have at most 10000",
        ),
        {"organization_id": "shop", "warehouses": "10002"},
    ),
    (
        WarehouseNotFound(("w8", "w9")),
        (StatusCode.NOT_FOUND, "WAREHOUSE_NOT_FOUND", "There is no warehouse w8 (and 1 more)"),
        {"warehouse_id": "w8"},
    ),
    (
        TransferExists("t1"),
        (StatusCode.ALREADY_EXISTS, "TRANSFER_EXISTS", "The id t1 belongs to another transfer"),
        {"transfer_id": "t1"},
    ),
    (
        TransferNotFound("t1"),
        (StatusCode.NOT_FOUND, "TRANSFER_NOT_FOUND", "Transfer not found"),
        {"transfer_id": "t1"},
    ),
    (
        TransferIsClosed("t1", "cancelled"),
        (StatusCode.FAILED_PRECONDITION, "TRANSFER_IS_CLOSED", "Transfer t1 is over: it was cancelled"),
        {"transfer_id": "t1", "state": "cancelled"},
    ),
    (
        MoreThanSent("t1", (Excess("mug", 5, 2, 3), Excess("pot", 0, 0, 1))),
        (
            StatusCode.FAILED_PRECONDITION,
            "MORE_THAN_SENT",
            "Of variant mug 2 of 5 are still on their way, and 3 were reported (and 1 more)",
        ),
        {"transfer_id": "t1", "variant_id": "mug", "sent": "5", "open": "2", "reported": "3"},
    ),
    (
        ImportRejected((RefusedLine(3, "no"),), 1),
        (
            StatusCode.INVALID_ARGUMENT,
            "IMPORT_REJECTED",
            "Nothing was imported: 1 line is bad, the first is line 3: no",
        ),
        {},
    ),
    (
        RequestIdReused("req_1"),
        (
            StatusCode.INVALID_ARGUMENT,
            "REQUEST_ID_REUSED",
            "The request id or idempotency key req_1 belongs to a different request",
        ),
        {"request_id": "req_1"},
    ),
    (
        WrongCell("shop", "north", 3, "south"),
        (StatusCode.FAILED_PRECONDITION, "WRONG_CELL", "Organization shop has moved to cell south"),
        {"organization_id": "shop", "cell": "north", "map_version": "3", "moved_to": "south"},
    ),
]


def described(error: Exception) -> Problem:
    problem = describe(error)
    assert problem is not None
    return problem


@pytest.mark.parametrize(("refusal", "words", "metadata"), CASES, ids=[type(case[0]).__name__ for case in CASES])
def test_a_refusal_has_its_status(
    refusal: Refusal, words: tuple[StatusCode, str, str], metadata: dict[str, str]
) -> None:
    problem = described(Refused(refusal))
    assert (problem.code, problem.reason, problem.message) == words
    assert problem.metadata == metadata


def test_no_refusal_is_left_out() -> None:
    assert {type(case[0]) for case in CASES} == set(get_args(Refusal))


def test_reasons_are_different() -> None:
    assert len({case[1][1] for case in CASES}) == len(CASES)


def test_a_shortage_lists_every_short_line_and_says_when_stock_may_return() -> None:
    problem = described(Refused(InsufficientStock(SHORTAGES, retry_after_ms=30_000)))
    assert problem.listed == SHORTAGES
    assert problem.retry_after_ms == 30_000


def test_a_rejected_import_counts_more_than_it_names() -> None:
    problem = described(Refused(ImportRejected((RefusedLine(3, "no"),), 7)))
    assert problem.message == "Nothing was imported: 7 lines are bad, the first is line 3: no"
    assert problem.listed_total == 7


def test_unavailable_keeps_its_reason_and_its_delay() -> None:
    problem = described(Unavailable("STORAGE_DOWN", "The database is away.", 250))
    assert (problem.code, problem.reason) == (StatusCode.UNAVAILABLE, "STORAGE_DOWN")
    assert (problem.message, problem.retry_after_ms) == ("The database is away.", 250)


def test_an_invalid_request_names_the_first_violation_and_counts_the_others() -> None:
    violations = [Violation("order_id", "is bad"), Violation("items", "are bad")]
    problem = described(Invalid(violations))
    assert (problem.code, problem.reason) == (StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert problem.message == "order_id: is bad (and 1 more)"
    assert problem.listed == violations
    assert described(Invalid([Violation("", "Not a message")], "MALFORMED_REQUEST")).message == "Not a message"


def test_a_crash_tells_nothing_of_itself() -> None:
    assert describe(ActorCrashed("<StockActor secret>")) == INTERNAL


def test_what_is_unknown_is_left_to_the_log() -> None:
    assert describe(KeyError("secret")) is None


def test_health_of_an_unknown_service_is_not_found() -> None:
    assert described(UnknownService()).code is StatusCode.NOT_FOUND
