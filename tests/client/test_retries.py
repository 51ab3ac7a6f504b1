"""gRPC's own retries as this client asks for them, against a real server."""

import asyncio
import json
from typing import Any

import grpc.aio
import pytest
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from stockkeeper_client import Item, RetryPolicy
from stockkeeper_client.channel import service_config
from stockkeeper_client.v1 import inventory_pb2, stock_pb2

from tests.client.conftest import Connect, Hang, Refusal, ScriptedService

pytestmark = pytest.mark.anyio

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE
BASKET: list[Item] = [{"variant_id": "var_1", "quantity": 2}]


async def test_an_unavailable_service_is_asked_again_with_the_same_request(
    service: ScriptedService, connect: Connect, refusal: type[Refusal], streaming: bool
) -> None:
    service.play(
        refusal(UNAVAILABLE), refusal(UNAVAILABLE), inventory_pb2.ReserveStockResponse(success=True, reservation_id="r")
    )
    answer = await connect(streaming=streaming).reserve_stock("org_1", "order_1", BASKET, idempotency_key="key_1")
    assert answer.reservation_id == "r"
    first, *others = service.calls
    assert [call.request for call in others] == [first.request] * 2
    assert {call.metadata["idempotency-key"] for call in service.calls} == {"key_1"}


async def test_a_request_id_is_made_once_for_all_attempts_and_anew_for_each_call(
    service: ScriptedService, connect: Connect, refusal: type[Refusal]
) -> None:
    client = connect()
    service.play(refusal(UNAVAILABLE), stock_pb2.ReceiveStockResponse(), stock_pb2.ReceiveStockResponse())
    await client.stock.receive_stock("org_1", [{"variant_id": "var_1", "warehouse_id": "wh_1", "quantity": 5}])
    await client.stock.receive_stock("org_1", [{"variant_id": "var_1", "warehouse_id": "wh_1", "quantity": 5}])
    first, again, other = [call.request.request_id for call in service.calls]
    assert first == again != other


async def test_five_attempts_are_made_and_no_more(
    service: ScriptedService, connect: Connect, refusal: type[Refusal], streaming: bool
) -> None:
    service.play(*[refusal(UNAVAILABLE, f"attempt {number}") for number in range(1, 10)])
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await connect(streaming=streaming).reserve_stock("org_1", "order_1", BASKET)
    assert (caught.value.code(), caught.value.details()) == (UNAVAILABLE, "attempt 5")
    assert len(service.calls) == 5


@pytest.mark.parametrize("code", sorted(set(grpc.StatusCode) - {grpc.StatusCode.OK, UNAVAILABLE}, key=str))
async def test_nothing_else_is_asked_again(
    service: ScriptedService, connect: Connect, refusal: type[Refusal], streaming: bool, code: grpc.StatusCode
) -> None:
    service.play(refusal(code))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await connect(streaming=streaming).reserve_stock("org_1", "order_1", BASKET)
    assert caught.value.code() is code
    assert len(service.calls) == 1


async def test_no_retries_when_they_are_switched_off(
    service: ScriptedService, connect: Connect, refusal: type[Refusal], streaming: bool
) -> None:
    service.play(refusal(UNAVAILABLE))
    with pytest.raises(grpc.aio.AioRpcError):
        await connect(retry=None, streaming=streaming).reserve_stock("org_1", "order_1", BASKET)
    assert len(service.calls) == 1


async def test_the_service_sets_the_delay_with_a_pushback_trailer(
    service: ScriptedService, connect: Connect, refusal: type[Refusal]
) -> None:
    service.play(refusal(UNAVAILABLE, trailers=(("grpc-retry-pushback-ms", "20"),)))
    client = connect(retry=RetryPolicy(backoff_s=1_000.0, backoff_s_max=1_000.0))
    await client.reserve_stock("org_1", "order_1", BASKET)
    assert len(service.calls) == 2


async def test_the_service_forbids_a_retry_with_a_negative_pushback(
    service: ScriptedService, connect: Connect, refusal: type[Refusal]
) -> None:
    service.play(refusal(UNAVAILABLE, trailers=(("grpc-retry-pushback-ms", "-1"),)))
    with pytest.raises(grpc.aio.AioRpcError):
        await connect().reserve_stock("org_1", "order_1", BASKET)
    assert len(service.calls) == 1


async def test_grpc_does_not_read_retry_info(
    service: ScriptedService, connect: Connect, refusal: type[Refusal]
) -> None:
    service.play(refusal(UNAVAILABLE, details=(RetryInfo(retry_delay=Duration(seconds=1_000)),)))
    await connect().reserve_stock("org_1", "order_1", BASKET)
    assert len(service.calls) == 2


async def test_the_largest_basket_is_retried_too(
    service: ScriptedService, connect: Connect, refusal: type[Refusal], streaming: bool
) -> None:
    basket: list[Item] = [{"variant_id": f"{n:0128}", "warehouse_id": "w" * 128, "quantity": 1} for n in range(1_000)]
    service.play(refusal(UNAVAILABLE))
    await connect(streaming=streaming).reserve_stock("org_1", "order_1", basket)
    assert [len(call.request.items) for call in service.calls] == [1_000, 1_000]


async def test_a_call_outlives_the_restart_of_the_service(
    service: ScriptedService, connect: Connect, streaming: bool
) -> None:
    client = connect(retry=RetryPolicy(), streaming=streaming)
    await client.reserve_stock("org_1", "order_1", BASKET)
    await service.stop()
    call = asyncio.ensure_future(client.reserve_stock("org_1", "order_1", BASKET))
    await service.start()
    await call
    assert len(service.calls) == 2


async def test_the_deadline_holds_for_all_attempts_together(
    service: ScriptedService, connect: Connect, refusal: type[Refusal], streaming: bool
) -> None:
    service.play(*[refusal(UNAVAILABLE)] * 5)
    client = connect(timeout_s=1.0, streaming=streaming, retry=RetryPolicy(backoff_s=1_000.0, backoff_s_max=1_000.0))
    with pytest.raises(grpc.aio.AioRpcError):
        await client.reserve_stock("org_1", "order_1", BASKET)
    assert len(service.calls) == 1


@pytest.mark.parametrize(("timeout_s", "call_timeout_s"), [(1.0, None), (60.0, 1.0)])  # it has to arrive before
async def test_a_call_ends_at_its_deadline(
    service: ScriptedService,
    connect: Connect,
    hang: Hang,
    streaming: bool,
    timeout_s: float,
    call_timeout_s: float | None,
) -> None:
    service.play(hang)
    client = connect(streaming=streaming, timeout_s=timeout_s)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await client.reserve_stock("org_1", "order_1", BASKET, timeout_s=call_timeout_s)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    if not streaming:  # there the service finishes what it has begun
        await hang.cancelled.wait()
    assert len(service.calls) == 1


def test_the_policy_covers_both_services_by_name() -> None:
    config = json.loads(json.dumps(service_config(RetryPolicy())))
    method, streamed = config["methodConfig"]
    assert streamed == {"name": [{"service": "inventory.v1.StockService", "method": "ImportStock"}]}
    assert method["name"] == [{"service": "inventory.v1.InventoryService"}, {"service": "inventory.v1.StockService"}]
    assert method["retryPolicy"]["retryableStatusCodes"] == ["UNAVAILABLE"]


def test_every_setting_of_the_policy_reaches_grpc() -> None:
    config = service_config(RetryPolicy(attempts_max=3, backoff_s=0.25, backoff_s_max=1.5, backoff_factor=3.0))
    policy = json.loads(json.dumps(config))["methodConfig"][0]["retryPolicy"]
    assert policy["maxAttempts"] == 3
    assert (float(policy["initialBackoff"].rstrip("s")), float(policy["maxBackoff"].rstrip("s"))) == (0.25, 1.5)
    assert policy["backoffMultiplier"] == 3.0


@pytest.mark.parametrize(
    "wrong", [{"attempts_max": 1}, {"attempts_max": 6}, {"backoff_s": 0.001}, {"backoff_factor": 0.0}]
)
def test_a_policy_that_grpc_would_not_follow_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="to be"):
        RetryPolicy(**wrong)
