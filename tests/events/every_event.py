"""A depot's day in which each event happens that no order makes."""

from typing import Any

from stockkeeper_client import InventoryClient

from tests.system.servers import ORGANIZATION


def _pieces(**figures: int) -> list[Any]:
    return [{"variant_id": "glue", "warehouse_id": "depot", **figures}]


async def a_day_at_the_depot(client: InventoryClient) -> None:
    """Goods come, run low, run out and come back; warehouses open and close; goods go from one to another."""
    stock = client.stock
    await stock.upsert_warehouse(ORGANIZATION, "depot", name="Depot")
    await stock.upsert_warehouse(ORGANIZATION, "depot", name="The depot")
    await stock.upsert_warehouse(ORGANIZATION, "shed", name="Shed")
    await stock.upsert_warehouse(ORGANIZATION, "shed", active=False, reason="it leaks")
    await stock.receive_stock(ORGANIZATION, _pieces(quantity=10))
    await stock.set_stock_levels(ORGANIZATION, _pieces(min_stock=2, reorder_point=5))
    reserved = await client.reserve_stock(ORGANIZATION, "glue-1", _pieces(quantity=10), 10)
    await stock.extend_reservation(ORGANIZATION, reserved.reservation_id, 600)
    await client.release_reservation(ORGANIZATION, reserved.reservation_id, "changed my mind")
    await stock.adjust_stock(ORGANIZATION, _pieces(delta=-1), reason="it dried")
    await stock.deduct_stock(ORGANIZATION, _pieces(quantity=1), reason="sale")
    pieces: list[Any] = [{"variant_id": "glue", "quantity": 2}]
    sent = await stock.ship_transfer(ORGANIZATION, "depot", "w1", pieces)
    await stock.receive_transfer(ORGANIZATION, sent.transfer.transfer_id, pieces)
    back = await stock.ship_transfer(ORGANIZATION, "depot", "w1", pieces)
    await stock.cancel_transfer(ORGANIZATION, back.transfer.transfer_id, reason="flat tyre")
    await client.reserve_stock(ORGANIZATION, "glue-2", _pieces(quantity=1), 1)  # it runs out
