"""Who holds places of imports: no address has more than half of what is free, whatever it says or leaves unsaid."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import grpc.aio
import pytest
from grpc import StatusCode
from stockkeeper_client.v1 import stock_pb2
from stockkeeper_client.v1.stock_pb2_grpc import StockServiceStub

from actors.outcomes import StockImported
from actors.unavailable import Unavailable
from rpc.in_flight import InFlightLimit
from rpc.network_bounds import NetworkBounds
from rpc.rpc_server import RpcServer
from rpc.transport.transport_name import TransportName
from tests.rpc.fake_inventory import FakeInventory
from tests.rpc.other_address import channel_from_elsewhere
from tests.rpc.test_authorization import ended_sending
from tests.rpc.test_limits import one_line
from tests.rpc.test_reservation_stream import until

pytestmark = pytest.mark.anyio

IMPORTS_MAX = 4
Said = Callable[[int], stock_pb2.ImportStockRequest]


def a_request_id(number: int) -> stock_pb2.ImportStockRequest:
    return stock_pb2.ImportStockRequest(request_id="r")


def a_line_of_its_own_organization(number: int) -> stock_pb2.ImportStockRequest:
    return one_line(number, f"attacker-{number}")


@pytest.fixture(params=[0, IMPORTS_MAX])
async def served(request: pytest.FixtureRequest, fake: FakeInventory, transport: TransportName) -> AsyncIterator[Any]:
    """A server, and channels to it from two addresses. Beyond 0 a caller may have as many imports as that."""
    fake.outcome = StockImported(0, 0, 0, 0)
    bounds = NetworkBounds(imports_max=IMPORTS_MAX, imports_a_caller_max=request.param)
    server = RpcServer(fake, host="127.0.0.1", port=0, transport=transport, bounds=bounds)
    [address] = await server.start()
    async with (
        channel_from_elsewhere("127.0.0.1", address.port) as attacker,
        grpc.aio.insecure_channel(str(address), options=[("grpc.enable_retries", 0)]) as bystander,
    ):
        yield server, attacker, bystander
    await server.stop(0)


async def held_by(channel: grpc.aio.Channel, said: Said, server: RpcServer) -> Sequence[Any]:
    """Imports that are begun, of which those that found a place go on for ever."""
    imports = [StockServiceStub(channel).ImportStock() for _ in range(8)]

    async def begin(number: int) -> None:
        try:
            await imports[number].write(said(number))
            await imports[number].wait_for_connection()
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            pass  # it was refused

    await asyncio.gather(*map(begin, range(len(imports))))
    has = server._frame._uploads._of_caller_max or IMPORTS_MAX // 2
    await until(lambda: sum(one.done() for one in imports) == len(imports) - has)
    assert server._frame._uploads.under_way == has
    return imports


@pytest.mark.parametrize("said", [a_request_id, a_line_of_its_own_organization])
async def test_an_address_has_half_of_the_imports_and_another_gets_in(served: Any, said: Said) -> None:
    server, attacker, bystander = served
    imports = await held_by(attacker, said, server)
    is_shared = not server._frame._uploads._of_caller_max
    whole = one_line(0, "bystander")
    whole.lines_total = 1
    for _ in range(3):
        code = await ended_sending(StockServiceStub(bystander).ImportStock(), whole)
        assert code is (StatusCode.OK if is_shared else StatusCode.UNAVAILABLE)
    for one in imports:
        one.cancel()
    await until(lambda: server._frame._uploads.under_way == 0)


def test_a_bound_for_each_caller_goes_before_the_share_of_what_is_free() -> None:
    limit = InFlightLimit(4, "imports", share=1, of_caller_max=3)
    for _ in range(3):
        limit.enter("", "proxy")
    with pytest.raises(Unavailable):
        limit.enter("", "proxy")
    limit.enter("", "other")
    with pytest.raises(Unavailable):
        limit.enter("", "third")
    for caller in ("proxy", "proxy", "proxy", "other"):
        limit.leave("", caller)
    assert (limit.under_way, limit._by_caller) == (0, {})
