"""A `grpc.aio` server with gRPC's own settings that answers all with nothing: what stands beside in an attack."""

import asyncio
import sys
from typing import Any

import grpc
import grpc.aio


class _AnyMethod(grpc.GenericRpcHandler):
    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        if "Stream" in handler_call_details.method or handler_call_details.method.endswith("ImportStock"):
            return grpc.stream_stream_rpc_method_handler(_echo)
        return grpc.unary_unary_rpc_method_handler(_nothing)


async def _nothing(request: bytes, context: object) -> bytes:
    return bytes(2_000_000 if len(request) < 30 and b"\x20\xe8\x07" in request else 0)  # a page of 1,000 rows


async def _echo(requests: Any, context: object) -> Any:
    async for request in requests:
        yield request


async def main() -> None:
    server = grpc.aio.server(handlers=(_AnyMethod(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    sys.stdout.write(f"plain grpc.aio listens on 127.0.0.1:{port}, nothing is kept\n")
    sys.stdout.flush()
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(main())
