"""The breaker where it is used: what counts, who is let through, what a cancelled call leaves behind."""

import asyncio

import grpc.aio
import pytest
from stockkeeper_client import CircuitBreaker, CircuitOpenError, CircuitState, InventoryClient, Item

from tests.client.conftest import Connect, Hang, Refusal, ScriptedService

pytestmark = pytest.mark.anyio

FAILURES = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNKNOWN,
}
BASKET: list[Item] = [{"variant_id": "var_1", "quantity": 2}]
REFUSALS = set(grpc.StatusCode) - FAILURES - {grpc.StatusCode.OK, grpc.StatusCode.CANCELLED}


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> CircuitBreaker:
    return CircuitBreaker(failure_threshold=2, open_s=60.0, clock=clock)


@pytest.fixture
async def client(connect: Connect, breaker: CircuitBreaker, streaming: bool) -> InventoryClient:
    return connect(breaker=breaker, retry=None, streaming=streaming)


def state(breaker: CircuitBreaker) -> CircuitState:
    """Read anew each time: a type checker takes what an attribute was for what it is."""
    return breaker.state


async def fail(client: InventoryClient, times: int) -> None:
    for _ in range(times):
        with pytest.raises(grpc.aio.AioRpcError):
            await client.reserve_stock("org_1", "order_1", BASKET)


async def open_breaker(client: InventoryClient, service: ScriptedService, refusal: type[Refusal]) -> None:
    service.play(*[refusal(grpc.StatusCode.UNAVAILABLE)] * 2)
    await fail(client, 2)
    service.calls.clear()


@pytest.mark.parametrize("code", sorted(FAILURES, key=str))
async def test_failures_of_the_service_open_it_and_then_no_call_is_made(
    client: InventoryClient,
    service: ScriptedService,
    breaker: CircuitBreaker,
    refusal: type[Refusal],
    code: grpc.StatusCode,
) -> None:
    service.play(refusal(code), refusal(code))
    await fail(client, 2)
    with pytest.raises(CircuitOpenError) as caught:
        await client.reserve_stock("org_1", "order_1", BASKET)
    assert caught.value.retry_after_s == 60.0
    assert len(service.calls) == 2


@pytest.mark.parametrize("code", sorted(REFUSALS, key=str))
async def test_refusals_are_answers(
    client: InventoryClient,
    service: ScriptedService,
    breaker: CircuitBreaker,
    refusal: type[Refusal],
    code: grpc.StatusCode,
) -> None:
    service.play(refusal(grpc.StatusCode.UNAVAILABLE), *[refusal(code)] * 5)
    await fail(client, 6)
    assert state(breaker) is CircuitState.CLOSED
    assert breaker.failures == 0


async def test_a_call_counts_once_however_often_it_is_retried(
    connect: Connect, service: ScriptedService, breaker: CircuitBreaker, refusal: type[Refusal], streaming: bool
) -> None:
    service.play(*[refusal(grpc.StatusCode.UNAVAILABLE)] * 5)
    await fail(connect(breaker=breaker, streaming=streaming), 1)
    assert len(service.calls) == 5
    assert breaker.failures == 1


async def test_of_many_callers_one_is_the_probe(
    client: InventoryClient,
    service: ScriptedService,
    breaker: CircuitBreaker,
    clock: Clock,
    refusal: type[Refusal],
    hang: Hang,
) -> None:
    await open_breaker(client, service, refusal)
    clock.now_s += 60.0
    service.play(hang)
    probe = asyncio.ensure_future(client.reserve_stock("org_1", "order_1", BASKET))
    await hang.arrived.wait()
    others = await asyncio.gather(
        *(client.reserve_stock("org_1", "order_1", BASKET) for _ in range(20)), return_exceptions=True
    )
    assert [type(answer) for answer in others] == [CircuitOpenError] * 20
    assert len(service.calls) == 1

    hang.release.set()
    await probe
    await asyncio.gather(*(client.reserve_stock("org_1", "order_1", BASKET) for _ in range(20)))
    assert state(breaker) is CircuitState.CLOSED


async def test_a_cancelled_probe_makes_room_for_the_next(
    client: InventoryClient,
    service: ScriptedService,
    breaker: CircuitBreaker,
    clock: Clock,
    refusal: type[Refusal],
    hang: Hang,
    streaming: bool,
) -> None:
    await open_breaker(client, service, refusal)
    clock.now_s += 60.0
    service.play(hang)
    probe = asyncio.ensure_future(client.reserve_stock("org_1", "order_1", BASKET))
    await hang.arrived.wait()
    probe.cancel()
    with pytest.raises(asyncio.CancelledError):
        await probe
    if not streaming:  # there the service finishes what it has begun
        await hang.cancelled.wait()
    assert state(breaker) is CircuitState.HALF_OPEN
    await client.reserve_stock("org_1", "order_1", BASKET)
    assert state(breaker) is CircuitState.CLOSED


async def test_a_probe_that_the_service_cancels_makes_room_too(
    client: InventoryClient, service: ScriptedService, breaker: CircuitBreaker, clock: Clock, refusal: type[Refusal]
) -> None:
    await open_breaker(client, service, refusal)
    clock.now_s += 60.0
    service.play(refusal(grpc.StatusCode.CANCELLED))
    await fail(client, 1)
    assert state(breaker) is CircuitState.HALF_OPEN
    await client.reserve_stock("org_1", "order_1", BASKET)


async def test_a_failed_upload_counts_as_any_call(
    client: InventoryClient, service: ScriptedService, breaker: CircuitBreaker, refusal: type[Refusal]
) -> None:
    service.play(*[refusal(grpc.StatusCode.UNAVAILABLE)] * 2)
    for _ in range(2):
        with pytest.raises(grpc.aio.AioRpcError):
            await client.stock.import_stock([])
    with pytest.raises(CircuitOpenError):
        await client.stock.import_stock([])


async def test_clients_may_share_one(
    connect: Connect, service: ScriptedService, breaker: CircuitBreaker, refusal: type[Refusal]
) -> None:
    one, other = connect(breaker=breaker, retry=None), connect(breaker=breaker, retry=None, streaming=True)
    await open_breaker(one, service, refusal)
    with pytest.raises(CircuitOpenError):
        await other.reserve_stock("org_1", "order_1", BASKET)


async def test_each_client_has_its_own_unless_told_otherwise(connect: Connect) -> None:
    one, other = connect(), connect()
    assert one.breaker is not None
    assert one.breaker is not other.breaker


async def test_it_can_be_done_without(connect: Connect, service: ScriptedService, refusal: type[Refusal]) -> None:
    client = connect(breaker=False, retry=None)
    service.play(*[refusal(grpc.StatusCode.UNAVAILABLE)] * 20)
    await fail(client, 20)
    assert client.breaker is None
