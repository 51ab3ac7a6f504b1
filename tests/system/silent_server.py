"""A server that takes changes and never answers: `python -m tests.system.silent_server one|all`.

Of an import it reads one message, or all of them. It says on stdout what it has read, and the test decides what
happens next.
"""

import asyncio
import sys
from collections.abc import AsyncIterator

import grpc.aio
from stockkeeper_client.v1 import stock_pb2 as pb
from stockkeeper_client.v1.stock_pb2_grpc import StockServiceServicer, add_StockServiceServicer_to_server


class SilentServicer(StockServiceServicer):
    """ListStock is answered, so that a client knows that a server is there."""

    def __init__(self, *, reads_all: bool) -> None:
        self._reads_all = reads_all

    async def ListStock(self, request: pb.ListStockRequest, context: object) -> pb.ListStockResponse:
        return pb.ListStockResponse()

    async def ImportStock(
        self, requests: AsyncIterator[pb.ImportStockRequest], context: object
    ) -> pb.ImportStockResponse:
        async for _ in requests:
            if not self._reads_all:
                break
        await self._keep_silent()
        raise AssertionError("nothing ends that")

    async def ReceiveStock(self, request: pb.ReceiveStockRequest, context: object) -> pb.ReceiveStockResponse:
        await self._keep_silent()
        raise AssertionError("nothing ends that")

    async def _keep_silent(self) -> None:
        print("has read", flush=True)  # noqa: T201
        await asyncio.Event().wait()


async def main() -> None:
    server = grpc.aio.server()
    add_StockServiceServicer_to_server(SilentServicer(reads_all=sys.argv[1] == "all"), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)  # noqa: T201
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(main())
