"""The test kit as an Order Service's developers use it; docs/simulation.md shows the same."""

import grpc
import grpc.aio
import pytest
from inventory import error_details

from simulation.kit import Simulation
from simulation.pytest_plugin import simulation as simulation_fixture

simulation = simulation_fixture

SHIRT = [{"variant_id": "shirt", "quantity": 1}]


async def pay(inventory, order_id, *, is_careful):
    """An Order Service's checkout. The careless one takes an error for a refusal, though the goods may be reserved."""
    try:
        reservation = await inventory.reserve_stock("org_1", order_id, SHIRT, ttl_minutes=1)
    except grpc.aio.AioRpcError as error:
        if is_careful and error.code() is grpc.StatusCode.UNAVAILABLE:
            return await pay(inventory, order_id, is_careful=True)
        return "refused"
    await inventory.confirm_reservation("org_1", reservation.reservation_id, order_id)
    return "paid"


def checkout(*, is_careful):
    async def scenario(world):
        await world.bring({("shirt", "wh_1"): 1})
        outcome = await pay(world.client(attempts=1), "order_1", is_careful=is_careful)
        world.stop_faults()
        [row] = (await world.client().get_stock_info("org_1", "shirt")).stock_info
        assert (outcome, row.reserved_quantity) in (("paid", 1), ("refused", 0))

    return scenario


def test_a_careless_order_service_is_caught(simulation: Simulation) -> None:
    with pytest.raises(AssertionError, match="seed"):
        simulation.run(checkout(is_careful=False), seeds=60, faults=("reply_lost",))


def test_time_passes_without_taking_any(simulation: Simulation) -> None:
    async def scenario(world):
        inventory = world.client()
        await world.bring({("shirt", "wh_1"): 1})
        reservation = await inventory.reserve_stock("org_1", "order_1", SHIRT, ttl_minutes=120)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await inventory.reserve_stock("org_1", "order_2", SHIRT)
        assert error_details(refused.value).reason == "INSUFFICIENT_STOCK"
        await world.sleep_until_expired(reservation)
        assert (await inventory.check_availability("org_1", "shirt", "", 1)).available
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await inventory.confirm_reservation("org_1", reservation.reservation_id, "order_1")
        assert error_details(refused.value).reason == "RESERVATION_EXPIRED"

    simulation.run(scenario, seed=3)


def test_the_whole_interface_is_there_and_survives_a_crash(simulation: Simulation) -> None:
    async def scenario(world):
        inventory = world.client()
        await world.bring({("shirt", "wh_1"): 5})
        received = await inventory.stock.receive_stock("org_1", "shirt", "wh_2", 2, request_id="delivery-1")
        assert received.total_quantity == 2
        reservation = await inventory.reserve_stock("org_1", "order_1", SHIRT)
        await world.crash()
        confirmed = await inventory.confirm_reservation("org_1", reservation.reservation_id, "order_1")
        assert confirmed.success
        assert (await inventory.stock.fulfill_reservation("org_1", reservation.reservation_id)).items_fulfilled == 1
        assert [row.total_quantity async for row in inventory.stock.list_stock("org_1")] == [4, 2]
        assert [one.state async for one in inventory.stock.list_reservations("org_1")] == ["fulfilled"]
        assert (await inventory.check_bulk_availability("org_1", SHIRT)).all_available
        line = {"organization_id": "org_1", "variant_id": "shirt", "warehouse_id": "wh_1", "total_quantity": 9}
        assert (await inventory.stock.import_stock([line])).rows_changed == 1
        other = await inventory.reserve_stock("org_1", "order_2", SHIRT)
        assert (await inventory.release_reservation("org_1", other.reservation_id, "cancelled")).items_released == 1

    simulation.run(scenario, seeds=3)


def test_the_built_in_workload_takes_a_number_of_clients(simulation: Simulation) -> None:
    simulation.run(clients=12, seeds=3)
