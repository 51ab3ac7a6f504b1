"""What works for a call knows when its caller gives up, on both transports and in all kinds of calls."""

from typing import Any

import grpc
import pytest
from stockkeeper_client.v1 import inventory_pb2 as pb
from stockkeeper_client.v1 import stock_pb2, stream_pb2
from stockkeeper_client.v1.inventory_pb2_grpc import InventoryServiceStub
from stockkeeper_client.v1.stock_pb2_grpc import StockServiceStub
from stockkeeper_client.v1.stream_pb2_grpc import ReservationStreamStub

from actors.commands import Import
from actors.outcomes import StockImported
from actors.reply import Reply
from rpc.call_deadlines import CallDeadlines
from rpc.rpc_server import RpcServer
from rpc.transport.transport_name import TransportName
from tests.rpc.fake_inventory import FakeInventory

pytestmark = pytest.mark.anyio

ORDER = pb.ReserveStockRequest(
    organization_id="o", order_id="1", items=[pb.ReservationItem(variant_id="v", quantity=1)]
)


class Waiting(FakeInventory):
    """Notes what each of its callers has left."""

    def __init__(self, deadlines: CallDeadlines) -> None:
        super().__init__()
        self._deadlines = deadlines
        self.left_s: list[float] = []

    def submit(self, command: Any) -> Reply[Any]:
        self.left_s.append(self._deadlines.of_this_call()())
        return super().submit(command)

    async def ask(self, command: Any) -> Any:
        if isinstance(command, Import):
            self.left_s.append(self._deadlines.of_this_call()())
        return await super().ask(command)


async def test_the_callers_deadline_is_known(transport: TransportName) -> None:
    deadlines = CallDeadlines()
    fake = Waiting(deadlines)
    server = RpcServer(fake, host="127.0.0.1", port=0, transport=transport, deadlines=deadlines)
    await server.start()
    async with grpc.aio.insecure_channel(str(server.addresses[0])) as channel:
        for timeout_s in (100, 1_000, None):
            await InventoryServiceStub(channel).ReserveStock(ORDER, timeout=timeout_s)
            stream = ReservationStreamStub(channel).ReserveStock(timeout=timeout_s)
            streamed = stream_pb2.StreamedRequest(sequence=1, request=ORDER)
            await stream.write(stream_pb2.ReserveStockRequests(requests=[streamed]))
            await stream.read()
            stream.cancel()
            fake.outcome, kept = StockImported(1, 1, 0, 0), fake.outcome
            line = stock_pb2.ImportLine(organization_id="o", variant_id="v", warehouse_id="w", total_quantity=1)
            parts = [stock_pb2.ImportStockRequest(request_id="1", lines=[line], lines_total=1)]
            await StockServiceStub(channel).ImportStock(iter(parts), timeout=timeout_s)
            fake.outcome = kept
    await server.stop(0)
    assert [round(left_s, -2) for left_s in fake.left_s if left_s < 10_000] == [100.0] * 3 + [1_000.0] * 3
    assert len(fake.left_s) == 9
