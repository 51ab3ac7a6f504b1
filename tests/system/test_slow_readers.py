"""Readers of changes that do not read hold up none but themselves, and miss nothing."""

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import anyio
import grpc.aio
import pytest
from stockkeeper_client.v1 import stock_pb2 as pb
from stockkeeper_client.v1.stock_pb2_grpc import StockServiceStub

from tests.system.servers import start_server

pytestmark = pytest.mark.anyio

DELIVERIES = 80
# Large changes, and a client that takes in little ahead of its reader: a few of them fill a stream.
LINES = [{"variant_id": f"{number:0128}", "warehouse_id": "w" * 128, "quantity": 1} for number in range(50)]
OPTIONS = [("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 16_384), ("grpc.use_local_subchannel_pool", 1)]


async def test_writes_go_on_while_no_stream_is_read_and_a_reader_that_fell_behind_is_told_and_hears_all(
    tmp_path: Path,
) -> None:
    server = await start_server(tmp_path / "stock.db", program="tests.system.impatient_server")
    try:
        async with AsyncExitStack() as open_now:
            streams: list[Any] = []
            for _ in range(3):
                channel = grpc.aio.insecure_channel(f"127.0.0.1:{server.port}", options=OPTIONS)
                await open_now.enter_async_context(channel)
                streams.append(StockServiceStub(channel).WatchChanges(pb.WatchChangesRequest(organization_id="shop")))
                assert (await streams[-1].read()).lsn == 0
            writer = await open_now.enter_async_context(server.client())
            for number in range(DELIVERIES):  # each has its answer, and a deadline as always
                await writer.stock.receive_stock("shop", LINES, reference=f"PO-{number + 1}")  # type: ignore[arg-type]
            lsns: list[int] = []
            was_told = False
            with anyio.fail_after(60):
                while not lsns or lsns[-1] < DELIVERIES:
                    message = await streams[0].read()
                    was_told |= message.fell_behind
                    if message.kind:
                        assert (len(message.rows), message.reference) == (50, f"PO-{message.lsn}")
                        lsns.append(message.lsn)
            assert lsns == list(range(1, DELIVERIES + 1))
            assert was_told
        assert await server.terminate() == 0
    finally:
        if server.process.returncode is None:
            await server.kill()
