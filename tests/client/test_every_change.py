"""What every method of StockService owes: a retry by its request id, which is looked at, a refusal of another content
under it, nothing of another organization's, a method of the client, of the blocking one and of the test kit, and a
command.

The names are those of `proto/contract/stock.md`: a method that is new there fails here until it has its row.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import grpc
import pytest
from stockkeeper_client import InvalidRequest, InventoryClient, InventoryRefusal, RequestIdReused, StockNotFound, sync

from stockkeeper.command_line.cli import COMMANDS
from stockkeeper.testkit import Simulation, World
from tests.rpc.test_stock_contract import CHANGES, ROWS

SHOP, OTHER = "shop", "other"
MUG, POT = {"variant_id": "mug", "warehouse_id": "madrid"}, {"variant_id": "pot", "warehouse_id": "madrid"}
ASKED: Mapping[str, Mapping[str, Any]] = {
    "UpsertWarehouse": {"warehouse_id": "paris", "name": "Paris"},
    "SetSourcingPolicy": {"policy": "priority"},
    "AnnounceStock": {"lines": [{**MUG, "quantity": 2}]},
    "ReceiveStock": {"lines": [{**MUG, "quantity": 2}]},
    "DeductStock": {"lines": [{**MUG, "quantity": 2}]},
    "AdjustStock": {"adjustments": [{**MUG, "delta": -1}]},
    "SetStockLevels": {"levels": [{**MUG, "min_stock": 2}]},
    "ShipTransfer": {
        "from_warehouse_id": "madrid",
        "to_warehouse_id": "lisbon",
        "lines": [{"variant_id": "mug", "quantity": 2}],
    },
    "ReceiveTransfer": {"transfer_id": "van", "lines": [{"variant_id": "mug", "quantity": 1}]},
    "CancelTransfer": {"transfer_id": "van"},
    "Reserve": {"order_id": "o-9", "items": [{"variant_id": "mug", "quantity": 1}]},
    "ExtendReservation": {"reservation_id": "active", "ttl_minutes": 900},
    "AmendReservation": {"reservation_id": "active", "items": [{**MUG, "quantity": 1}]},
    "FulfillReservation": {"reservation_id": "confirmed", "lines": [{**MUG, "quantity": 1}]},
    "ReacquireReservation": {"reservation_id": "expired"},
}
MADE = {"UpsertWarehouse", "SetSourcingPolicy", "AnnounceStock", "ReceiveStock"}
"""What another organization may do with the same names: it gets something of its own."""
COMMAND = {
    "UpsertWarehouse": "warehouse",
    "ListWarehouses": "warehouses",
    "SetSourcingPolicy": "sourcing",
    "GetSourcingPolicy": "sourcing",
    "AnnounceStock": "announce",
    "ReceiveStock": "receive",
    "DeductStock": "deduct",
    "AdjustStock": "adjust",
    "SetStockLevels": "levels",
    "ShipTransfer": "transfer",
    "ReceiveTransfer": "transfer-receive",
    "CancelTransfer": "transfer-cancel",
    "GetTransfer": "transfers",
    "ListTransfers": "transfers",
    "Reserve": "reserve-basket",
    "GetReservation": "reservation",
    "ListReservations": "reservations",
    "ExtendReservation": "extend",
    "AmendReservation": "amend",
    "FulfillReservation": "fulfill",
    "ReacquireReservation": "reacquire",
    "ExplainReservation": "explain",
    "ListStock": "stock",
    "GetStockAt": "stock",
    "ListMovements": "movements",
    "WatchChanges": "watch",
    "ImportStock": "import",
    "ExportStock": "export",
}


def method_of(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def caller(client: InventoryClient, name: str, organization_id: str) -> Callable[..., Awaitable[Any]]:
    method = getattr(client.stock, method_of(name))

    async def call(**arguments: Any) -> Any:
        return await method(organization_id, **arguments)

    return call


async def filled(world: World) -> dict[str, str]:
    """The reservations of a shop with goods, one in each state, and a transfer on its way. Their ids."""
    client = world.client()
    for row in (MUG, POT):
        await client.stock.receive_stock(SHOP, [{**row, "quantity": 20}])  # type: ignore[list-item]
    ids: dict[str, str] = {}
    for state in ("expired", "active", "confirmed"):
        minutes = 1 if state == "expired" else 600
        held = await client.reserve_stock(SHOP, state, [{"variant_id": "mug", "quantity": 2}], ttl_minutes=minutes)
        ids[state] = held.reservation_id
    await client.confirm_reservation(SHOP, ids["confirmed"], "confirmed")
    await world.sleep(120)
    await client.stock.upsert_warehouse(SHOP, "lisbon")
    await client.stock.ship_transfer(
        SHOP, "madrid", "lisbon", [{"variant_id": "mug", "quantity": 3}], transfer_id="van"
    )
    return ids


async def picture(client: InventoryClient, organization_id: str = SHOP) -> tuple[Any, ...]:
    """All that an organization can be asked for, and its ledger."""
    stock = client.stock
    return (
        [row async for row in stock.list_stock_levels(organization_id)],
        [one async for one in stock.list_reservations(organization_id)],
        [one async for one in stock.list_transfers(organization_id)],
        [one async for one in stock.list_warehouses(organization_id)],
        [one async for one in stock.list_movements(organization_id)],
        (await stock.get_sourcing_policy(organization_id)).policy,
    )


def arguments_of(name: str, ids: Mapping[str, str]) -> dict[str, Any]:
    given = dict(ASKED[name])
    if "reservation_id" in given:
        given["reservation_id"] = ids[given["reservation_id"]]
    return given


def test_every_method_of_the_page_has_a_row_here_a_method_and_a_command() -> None:
    assert ASKED.keys() == set(CHANGES)
    assert COMMAND.keys() == {row.method for row in ROWS}
    assert set(COMMAND.values()) <= set(COMMANDS)
    for name in COMMAND:
        assert callable(getattr(InventoryClient("localhost", 1).stock, method_of(name))), name
        assert callable(getattr(sync.StockClient, method_of(name))), name


@pytest.mark.parametrize("name", ASKED)
def test_a_change_is_made_once_by_its_request_id_and_for_its_organization_alone(name: str) -> None:
    async def scenario(world: World) -> None:
        client = world.client()
        arguments = arguments_of(name, await filled(world))
        change = caller(client, name, SHOP)
        before = await picture(client)
        for bad in ("x" * 129, "\n"):
            with pytest.raises(InvalidRequest, match="request_id: must"):
                await change(**arguments, request_id=bad)
        assert await picture(client) == before
        first = await change(**arguments, request_id="once", reference="paper")
        done = await picture(client)
        assert done != before
        assert await change(**arguments, request_id="once", reference="paper") == first
        with pytest.raises(RequestIdReused) as reused:
            await change(**arguments, request_id="once", reference="another paper")
        assert reused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert await picture(client) == done
        theirs = caller(client, name, OTHER)
        if name in MADE:
            await theirs(**arguments, request_id="once")  # an id of a request is one organization's, too
        else:
            with pytest.raises(InventoryRefusal) as refused:
                await theirs(**arguments, request_id="once")
            assert isinstance(refused.value, StockNotFound) or refused.value.reason.endswith("_NOT_FOUND")
        assert await picture(client) == done

    Simulation().run(scenario, backend="asyncio")


def test_what_is_asked_by_another_organization_has_nothing_of_it() -> None:
    async def scenario(world: World) -> None:
        client = world.client()
        ids = await filled(world)
        rows, reservations, transfers, warehouses, movements, _ = await picture(client, OTHER)
        assert not any((rows, reservations, transfers, warehouses, movements))
        assert [line async for line in client.stock.export_stock(OTHER)] == []
        explained = await client.stock.explain_reservation(OTHER, [{"variant_id": "mug", "quantity": 1}])
        assert not explained.fits
        assert not explained.lines[0].alternatives
        for call in (client.stock.get_reservation(OTHER, ids["active"]), client.stock.get_transfer(OTHER, "van")):
            with pytest.raises(InventoryRefusal) as refused:
                await call
            assert refused.value.code() is grpc.StatusCode.NOT_FOUND

    Simulation().run(scenario, backend="asyncio")
