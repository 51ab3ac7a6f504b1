"""What a caller writes wrongly in a line is refused before anything is sent, and by the line's place."""

from typing import Any

import pytest
from stockkeeper_client.v1 import inventory_pb2 as pb

pytestmark = pytest.mark.anyio

GOOD = {"variant_id": "mug", "quantity": 1}


@pytest.mark.parametrize(
    ("item", "error", "text"),
    [
        (
            {**GOOD, "warehouse": "madrid"},
            TypeError,
            "items[1] has an unknown key 'warehouse'; there are variant_id, warehouse_id, quantity",
        ),
        ({"variant_id": "mug"}, TypeError, "items[1] has no quantity"),
        ({"variant_id": "mug", "quantity": None}, TypeError, "items[1] has no quantity"),
        ({**GOOD, "quantity": "2"}, TypeError, "items[1].quantity cannot be '2', which is a str"),
        ({**GOOD, "quantity": 2.0}, TypeError, "items[1].quantity cannot be 2.0, which is a float"),
        ({**GOOD, "quantity": True}, TypeError, "items[1].quantity cannot be True, which is a bool"),
        ({**GOOD, "variant_id": 7}, TypeError, "items[1].variant_id cannot be 7, which is a int"),
        (
            {**GOOD, "quantity": 2**31},
            ValueError,
            "items[1].quantity cannot be 2147483648: Value out of range: 2147483648",
        ),
        ("mug", TypeError, "items[1] has to be a mapping or a ReservationItem, not 'mug'"),
    ],
)
async def test_an_item_that_is_no_item_is_named(
    service: Any, connect: Any, item: Any, error: type[Exception], text: str
) -> None:
    client = connect()
    with pytest.raises(error) as raised:
        await client.reserve_stock("org_1", "order_1", [GOOD, item])
    assert str(raised.value) == text
    with pytest.raises(error) as raised:
        await client.check_bulk_availability("org_1", [GOOD, item])
    assert str(raised.value) == text.replace("ReservationItem", "AvailabilityItem")
    assert service.calls == []


async def test_a_line_of_an_import_that_is_none_is_named(connect: Any) -> None:
    lines = [{"variant_id": "mug", "total_quantity": 1}, {"variant_id": "mug", "total": 1}]
    with pytest.raises(TypeError, match=r"^lines\[1\] has an unknown key 'total'; there are organization_id, "):
        await connect().stock.import_stock(lines)


async def test_absent_and_none_are_the_same(service: Any, connect: Any) -> None:
    await connect().reserve_stock("org_1", "order_1", [{**GOOD, "warehouse_id": None}, GOOD])
    first, second = service.calls[0].request.items
    assert first == second == pb.ReservationItem(variant_id="mug", quantity=1)
