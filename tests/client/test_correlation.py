"""The id under which a block's calls are known, in both clients."""

import asyncio

import pytest
from stockkeeper_client import correlated
from stockkeeper_client.sync import InventoryClient

from tests.client.conftest import Connect, ScriptedService

pytestmark = pytest.mark.anyio


async def test_calls_of_a_block_carry_its_id_before_the_clients_own(service: ScriptedService, connect: Connect) -> None:
    client = connect()
    with correlated("web-1"):
        await client.get_stock_info("org_1", "var_1")
        with correlated("web-2"):
            await asyncio.gather(client.stock.delete_stock("org_1", "var_1", "w"), client.stock.import_stock([]))
        await client.get_stock_info("org_1", "var_1")
    await client.get_stock_info("org_1", "var_1")
    sent = [call.metadata.get("x-correlation-id") for call in service.calls]
    assert sent == ["web-1", "web-2", "web-2", "web-1", None]
    own = connect(metadata=[("x-correlation-id", "all")])._connection
    with correlated("web-3"):
        names = own.with_own(())
    assert names[0] == ("x-correlation-id", "web-3")  # of a name that is there twice the service takes the first


async def test_a_stream_that_calls_share_has_no_ones_id(service: ScriptedService, connect: Connect) -> None:
    with correlated("web-1"):
        await connect(streaming=True).reserve_stock("org_1", "order_1", [{"variant_id": "var_1", "quantity": 1}])
    assert "x-correlation-id" not in dict(service.streams[0].invocation_metadata())


async def test_a_block_is_its_threads_own(service: ScriptedService) -> None:
    client = InventoryClient("127.0.0.1", service.port)

    def call(correlation_id: str) -> None:
        with correlated(correlation_id):
            client.get_stock_info("org_1", correlation_id)

    names = [f"thread-{number}" for number in range(8)]
    await asyncio.gather(*(asyncio.to_thread(call, name) for name in names))
    await asyncio.to_thread(client.close)
    assert {call.request.variant_id: call.metadata["x-correlation-id"] for call in service.calls} == {
        name: name for name in names
    }


@pytest.mark.parametrize("correlation_id", ["", "ñ", "a\nb", "a\x00"])
def test_what_no_call_can_carry_is_refused(correlation_id: str) -> None:
    with pytest.raises(ValueError, match="correlation id"), correlated(correlation_id):
        pass
