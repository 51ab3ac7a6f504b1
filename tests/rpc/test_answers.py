"""Facts become responses in the contract's words."""

import pytest

from actors.commands import Line
from actors.outcomes import (
    MovedRow,
    ReservationConfirmed,
    ReservationFulfilled,
    ReservationReleased,
    StockAnnounced,
    StockDeducted,
    StockImported,
    StockReceived,
    StockReserved,
)
from actors.records import StockRecord
from actors.stock_alerts import status_of
from actors.views import BasketCheck
from rpc.messages import reservation_answers, responses
from tests.rpc.fake_inventory import AT_MS, a_line, a_reservation, a_view


@pytest.mark.parametrize(
    ("at_ms", "text"),
    [
        (0, ""),
        (1, "1970-01-01T00:00:00.001Z"),
        (AT_MS, "2026-01-31T12:00:00.123Z"),
        (1_769_860_800_000, "2026-01-31T12:00:00.000Z"),
    ],
)
def test_timestamps_are_rfc_3339_in_utc(at_ms: int, text: str) -> None:
    assert responses.timestamp(at_ms) == text


@pytest.mark.parametrize(
    ("available", "min_stock", "status"),
    [
        (0, 0, "out_of_stock"),
        (0, 5, "out_of_stock"),
        (1, 1, "low_stock"),
        (5, 5, "low_stock"),
        (1, 0, "in_stock"),
        (6, 5, "in_stock"),
    ],
)
def test_stock_status(available: int, min_stock: int, status: str) -> None:
    assert status_of(StockRecord("o", "v", "w", "s", available, min_stock=min_stock)) == status


def test_reserved() -> None:
    response = responses.reserved(StockReserved(a_reservation()))
    assert response.success
    assert response.message == "Stock reserved successfully"
    assert (response.reservation_id, response.expires_at) == ("res_1", "2026-01-31T12:15:00.123Z")
    first, second = response.reserved_items
    assert (first.reservation_item_id, first.variant_id, first.warehouse_id) == ("res_1.1", "var_789", "wh_101")
    assert (first.stock_id, first.quantity, first.stock_before, first.stock_after) == ("stock_1", 2, 10, 8)
    assert second.reservation_item_id == "res_1.2"


def test_confirmed() -> None:
    response = responses.confirmed(ReservationConfirmed(a_reservation("confirmed")))
    assert response.success
    assert (response.message, response.confirmed_at) == ("Reservation confirmed", "2026-01-31T12:00:01.123Z")


def test_released() -> None:
    response = responses.released(ReservationReleased(a_reservation("released")))
    assert (response.success, response.message) == (True, "Reservation released")
    assert (response.items_released, response.total_quantity_released) == (2, 3)


def test_a_release_after_the_expiry_says_so_and_gives_nothing_back() -> None:
    response = responses.released(ReservationReleased(a_reservation("expired")))
    assert response.success
    assert "expired" in response.message
    assert "2026-01-31T12:00:02.123Z" in response.message
    assert (response.items_released, response.total_quantity_released) == (0, 0)


def test_fulfilled() -> None:
    response = reservation_answers.fulfilled(ReservationFulfilled(a_reservation("fulfilled")))
    assert (response.success, response.message) == (True, "Reservation fulfilled")
    assert response.fulfilled_at == "2026-01-31T12:00:02.123Z"
    assert (response.items_fulfilled, response.total_quantity_fulfilled) == (2, 3)


def a_row(variant_id: str = "mug", *, is_new: bool = False) -> MovedRow:
    return MovedRow(StockRecord("shop", variant_id, "w1", "stock_1", 12, 2, 1, 3, version=5), "Madrid", is_new)


def test_received() -> None:
    response = responses.received(StockReceived((a_row(),)))
    assert (response.message, response.rows_created) == ("Stock received", 0)
    [row] = response.rows
    assert (row.stock_id, row.variant_id, row.warehouse_id, row.warehouse_name) == ("stock_1", "mug", "w1", "Madrid")
    assert (row.total_quantity, row.available_quantity, row.reserved_quantity) == (18, 12, 2)
    assert (row.damaged_quantity, row.in_transit_quantity) == (1, 3)


def test_announced_and_deducted() -> None:
    announced = responses.announced(StockAnnounced((a_row(is_new=True),)))
    assert (announced.message, announced.rows_created) == ("Stock announced; new row: mug@w1", 1)
    assert [row.variant_id for row in announced.rows] == ["mug"]
    deducted = responses.deducted(StockDeducted((a_row(),), (Line("mug", "w1", 2),)))
    assert deducted.message == "Stock deducted"
    assert [(line.variant_id, line.warehouse_id, line.quantity) for line in deducted.lines] == [("mug", "w1", 2)]
    assert [row.available_quantity for row in deducted.rows] == [12]


def test_a_new_row_and_a_new_organization_are_told() -> None:
    response = responses.received(StockReceived((a_row(), a_row("mugg", is_new=True)), True))
    assert response.message == "Stock received; new row: mugg@w1; new organization: shop"
    assert (response.rows_created, response.organization_created) == (1, True)
    many = responses.received(StockReceived(tuple(a_row(f"v{number}", is_new=True) for number in range(8))))
    assert many.message == "Stock received; new rows: v0@w1, v1@w1, v2@w1, v3@w1, v4@w1 and 3 more"
    assert list(responses.imported(StockImported(6, 1, 2, 3, ("shop",))).new_organizations) == ["shop"]


def test_a_repetition_with_another_time_limit_is_told_that_it_changes_nothing() -> None:
    record = a_reservation("active")
    minutes = (record.expires_at_ms - record.created_at_ms) // 60_000
    assert responses.reserved(StockReserved(record), minutes).message == "Stock reserved successfully"
    again = responses.reserved(StockReserved(record), minutes + 1)
    assert again.message == f"Stock was reserved before; its time limit was not changed and is {minutes} minutes"
    confirmed = StockReserved(a_reservation("confirmed"))
    assert responses.reserved(confirmed, minutes + 1).message == "Stock reserved successfully"


def test_imported() -> None:
    response = responses.imported(StockImported(6, 1, 2, 3))
    assert (response.lines, response.rows_created, response.rows_changed, response.rows_unchanged) == (6, 1, 2, 3)
    assert response.message == "Stock imported"


@pytest.mark.parametrize(
    ("found", "fits", "message"),
    [(True, True, "Available"), (True, False, "Insufficient stock"), (False, False, "Stock not found")],
)
def test_availability(found: bool, fits: bool, message: str) -> None:
    response = responses.availability(BasketCheck(fits, (a_line(found, fits, available=3),)))
    assert (response.available, response.available_quantity, response.message) == (fits, 3, message)
    assert response.warehouse_id == ("wh_101" if found else "")


def test_bulk_availability() -> None:
    response = responses.bulk_availability(BasketCheck(False, (a_line(), a_line(found=False, fits=False, available=0))))
    assert not response.all_available
    assert [result.message for result in response.results] == ["Available", "Stock not found"]
    assert [result.requested_quantity for result in response.results] == [5, 5]
    assert [result.variant_id for result in response.results] == ["var_789", "var_789"]


def test_stock_info_adds_up() -> None:
    [info] = responses.stock_info([a_view()])
    assert (info.stock_id, info.variant_id, info.warehouse_id, info.warehouse_name) == (
        "stock_1",
        "var_789",
        "wh_101",
        "Main",
    )
    assert info.total_quantity == 14
    parts = (info.available_quantity, info.reserved_quantity, info.damaged_quantity, info.in_transit_quantity)
    assert parts == (8, 2, 1, 3)
    assert (info.min_stock, info.max_stock, info.stock_status) == (5, 50, "in_stock")


def test_a_listed_reservation_has_its_times_and_items() -> None:
    listed = responses.reservation(a_reservation("released"))
    assert (listed.reservation_id, listed.organization_id, listed.order_id) == ("res_1", "org_123", "order_456")
    assert (listed.state, listed.reason) == ("released", "cancelled")
    assert listed.created_at == "2026-01-31T12:00:00.123Z"
    assert (listed.confirmed_at, listed.ended_at) == ("", "2026-01-31T12:00:02.123Z")
    assert [item.reservation_item_id for item in listed.items] == ["res_1.1", "res_1.2"]
