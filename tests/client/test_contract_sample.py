"""The client is called as the contract's sample code calls it, by name and by position."""

import asyncio
import json
from typing import Any

import grpc.aio
import pytest
from google.protobuf.json_format import MessageToDict
from stockkeeper_client import InventoryClient, RetryPolicy
from stockkeeper_client.channel import merged_options
from stockkeeper_client.v1 import inventory_pb2 as pb

from tests.client.conftest import Connect, Hang, ScriptedService

pytestmark = pytest.mark.anyio


def as_dict(message: Any) -> dict[str, Any]:
    return dict(MessageToDict(message, preserving_proto_field_name=True))


async def test_the_sample_works_as_it_is_written(service: ScriptedService, connect: Connect) -> None:
    client = connect()
    service.play(
        pb.CheckAvailabilityResponse(available=True, available_quantity=7),
        pb.ReserveStockResponse(success=True, reservation_id="res_1", expires_at="2026-01-01T00:15:00Z"),
    )
    response: Any = await client.check_availability(
        organization_id="org_123", variant_id="var_789", warehouse_id="wh_101", quantity=5
    )
    assert (response.available, response.available_quantity) == (True, 7)

    response = await client.reserve_stock(
        organization_id="org_123",
        order_id="order_456",
        items=[
            {"variant_id": "var_789", "warehouse_id": "wh_101", "quantity": 2},
            {"variant_id": "var_456", "quantity": 1},
        ],
        ttl_minutes=15,
    )
    assert (response.reservation_id, response.expires_at) == ("res_1", "2026-01-01T00:15:00Z")

    assert [(call.method, as_dict(call.request)) for call in service.calls] == [
        (
            "CheckAvailability",
            {"organization_id": "org_123", "variant_id": "var_789", "warehouse_id": "wh_101", "quantity": 5},
        ),
        (
            "ReserveStock",
            {
                "organization_id": "org_123",
                "order_id": "order_456",
                "items": [
                    {"variant_id": "var_789", "warehouse_id": "wh_101", "quantity": 2},
                    {"variant_id": "var_456", "quantity": 1},
                ],
                "ttl_minutes": 15,
            },
        ),
    ]


async def test_arguments_go_by_position_in_the_sample_s_order(service: ScriptedService, connect: Connect) -> None:
    client = connect()
    await client.check_availability("org_123", "var_789", "wh_101", 5)
    await client.reserve_stock("org_123", "order_456", [{"variant_id": "var_789", "quantity": 2}], 30)
    await client.confirm_reservation("org_123", "res_1", "order_456")
    await client.release_reservation("org_123", "res_1", "payment_failed")
    await client.check_bulk_availability("org_123", [{"variant_id": "var_789", "quantity": 2}])
    await client.get_stock_info("org_123", "var_789", "wh_101")
    check, reserve, confirm, release, bulk, info = [as_dict(call.request) for call in service.calls]
    assert check == {"organization_id": "org_123", "variant_id": "var_789", "warehouse_id": "wh_101", "quantity": 5}
    assert reserve == {
        "organization_id": "org_123",
        "order_id": "order_456",
        "items": [{"variant_id": "var_789", "quantity": 2}],
        "ttl_minutes": 30,
    }
    assert confirm == {"organization_id": "org_123", "reservation_id": "res_1", "order_id": "order_456"}
    assert release == {"organization_id": "org_123", "reservation_id": "res_1", "reason": "payment_failed"}
    assert bulk == {"organization_id": "org_123", "items": [{"variant_id": "var_789", "quantity": 2}]}
    assert info == {"organization_id": "org_123", "variant_id": "var_789", "warehouse_id": "wh_101"}


async def test_a_reservation_lives_15_minutes_unless_told_otherwise(service: ScriptedService, connect: Connect) -> None:
    await connect().reserve_stock("org_123", "order_456", [])
    assert service.calls[0].request.ttl_minutes == 15
    assert "idempotency-key" not in service.calls[0].metadata


async def test_items_are_mappings_or_messages_and_need_no_warehouse(service: ScriptedService, connect: Connect) -> None:
    await connect().reserve_stock(
        "org_123",
        "order_456",
        [
            pb.ReservationItem(variant_id="var_1", quantity=1),
            {"variant_id": "var_2", "warehouse_id": None, "quantity": 2},
        ],
    )
    assert [as_dict(item) for item in service.calls[0].request.items] == [
        {"variant_id": "var_1", "quantity": 1},
        {"variant_id": "var_2", "quantity": 2},
    ]


async def test_an_item_without_a_quantity_is_not_sent(service: ScriptedService, connect: Connect) -> None:
    with pytest.raises(TypeError, match=r"items\[0\] has no quantity"):
        await connect().reserve_stock("org_123", "order_456", [{"variant_id": "var_1"}])  # type: ignore[list-item]
    assert service.calls == []


async def test_metadata_of_the_client_goes_with_every_call(service: ScriptedService, connect: Connect) -> None:
    client = connect(metadata=[("authorization", "Bearer token")])
    await client.reserve_stock("org_123", "order_456", [], idempotency_key="key_1")
    await client.stock.import_stock([])
    assert [call.metadata["authorization"] for call in service.calls] == ["Bearer token"] * 2
    assert service.calls[0].metadata["idempotency-key"] == "key_1"


def test_a_client_is_made_outside_of_any_event_loop_and_closed_unused() -> None:
    client = InventoryClient(host="localhost", port=50053)
    assert repr(client) == "<InventoryClient localhost:50053 breaker=<CircuitBreaker closed failures=0/5>>"
    asyncio.run(client.close())


@pytest.mark.parametrize("host", ["::1", "[::1]"])
def test_a_host_may_be_an_ipv6_address(host: str) -> None:
    assert "[::1]:50053" in repr(InventoryClient(host))


def test_a_host_may_be_several_addresses_of_which_the_one_that_serves_is_asked() -> None:
    host = "ipv4:10.0.0.1:50053,10.0.0.2"
    assert f"{host}:50054" in repr(InventoryClient(host, 50_054))
    with_retries, without = (dict(merged_options(f"{host}:50054", retry, ())) for retry in (RetryPolicy(), None))
    for options in (with_retries, without):
        config = json.loads(str(options["grpc.service_config"]))
        assert config["healthCheckConfig"] == {"serviceName": ""}
        assert ("methodConfig" in config) is bool(options["grpc.enable_retries"])
    assert "healthCheckConfig" not in str(dict(merged_options("10.0.0.1:50053", RetryPolicy(), ())))


async def test_a_closed_client_says_so(service: ScriptedService, connect: Connect) -> None:
    async with connect() as client:
        await client.get_stock_info("org_123", "var_789")
    with pytest.raises(RuntimeError, match="closed"):
        await client.get_stock_info("org_123", "var_789")
    await client.close()


async def test_messages_may_have_50_mb(service: ScriptedService, connect: Connect) -> None:
    service.play(pb.GetStockInfoResponse(stock_info=[pb.StockInfo(stock_id="s" * 20_000_000)]))
    answer = await connect().get_stock_info("org_123", "v" * 20_000_000, timeout_s=30.0)
    assert len(answer.stock_info[0].stock_id) == len(service.calls[0].request.variant_id) == 20_000_000


async def test_cancelling_a_method_cancels_the_call(service: ScriptedService, connect: Connect, hang: Hang) -> None:
    service.play(hang)
    call = asyncio.ensure_future(connect().get_stock_info("org_123", "var_789"))
    await hang.arrived.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await hang.cancelled.wait()


async def test_channel_and_stub_are_there_as_in_the_sample(service: ScriptedService, connect: Connect) -> None:
    client = connect()
    await client.stub.GetStockInfo(pb.GetStockInfoRequest(organization_id="org_123"))
    assert isinstance(client.channel, grpc.aio.Channel)
    assert len(service.calls) == 1
