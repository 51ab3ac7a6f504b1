"""Connections that die without a word, and proxies that are none of this service's business."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from stockkeeper_client import InventoryClient
from stockkeeper_client.channel import channel_options, is_on_this_machine

# In a network of its own (`unshare -n`): from the first answer on, every packet of the client's connection is lost.
DEAD_CONNECTION = """
import asyncio, subprocess, time
import grpc.aio
from stockkeeper_client import InventoryClient
from stockkeeper_client.v1 import inventory_pb2 as pb, inventory_pb2_grpc

class Service(inventory_pb2_grpc.InventoryServiceServicer):
    async def GetStockInfo(self, request, context):
        return pb.GetStockInfoResponse()

async def main():
    server = grpc.aio.server()
    inventory_pb2_grpc.add_InventoryServiceServicer_to_server(Service(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with InventoryClient("127.0.0.1", port, breaker=False, timeout_s=1.0) as client:
        await client.get_stock_info("shop", "mug")
        find = ["ss", "-Htn", "state", "established", f"( dport = :{port} )"]
        local = subprocess.run(find, capture_output=True, text=True, check=True).stdout.split()[2].rpartition(":")[2]
        for number, side in enumerate(("sport", "dport"), start=1):
            rule = f"ip rule add pref {number} ipproto tcp {side} {local} blackhole"
            subprocess.run(rule.split(), check=True)
        begin, failures = time.monotonic(), 0
        while True:
            try:
                await client.get_stock_info("shop", "mug")
                break
            except grpc.aio.AioRpcError as error:
                assert error.code() in (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE), error
                failures += 1
            assert time.monotonic() - begin < 12, "the connection is still taken for alive"
        assert failures, "the connection never died"
    await server.stop(None)

subprocess.run("ip link set lo up; ip rule del pref 0; ip rule add pref 100 lookup local", shell=True, check=True)
asyncio.run(main())
"""


def can_have_a_network() -> bool:
    tools = shutil.which("unshare") and shutil.which("ip") and shutil.which("ss")
    return bool(tools) and subprocess.run(["unshare", "-n", "true"], capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not can_have_a_network(), reason="needs leave to make a network namespace, and iproute2")
def test_a_connection_that_dies_without_a_word_is_given_up_within_seconds(tmp_path: Path) -> None:
    script = tmp_path / "dead_connection.py"
    script.write_text(DEAD_CONNECTION)
    done = subprocess.run(["unshare", "-n", sys.executable, script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_keepalive_is_on_and_not_more_often_than_the_service_allows() -> None:
    options = dict(channel_options(None))
    assert options["grpc.keepalive_timeout_ms"] == 5_000
    assert 10_000 < int(options["grpc.keepalive_time_ms"]) <= 20_000


@pytest.fixture
def proxied(monkeypatch: pytest.MonkeyPatch) -> None:
    """A company's proxy for everything. Nothing listens there."""
    for name in ("no_proxy", "no_grpc_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("grpc_proxy", "https_proxy", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")


@pytest.mark.anyio
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.usefixtures("proxied")
async def test_a_service_on_this_machine_is_reached_without_the_proxy(service: Any, host: str) -> None:
    assert os.environ["https_proxy"]
    async with InventoryClient(host, service.port, timeout_s=3, retry=None) as client:
        await client.get_stock_info("org_1", "mug")


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("localhost:50053", True),
        ("LocalHost.:50053", True),
        ("127.0.0.1:1", True),
        ("127.3.2.1:1", True),
        ("[::1]:50053", True),
        ("0.0.0.0:50053", True),
        ("[::]:50053", True),
        ("inventory.internal:443", False),
        ("localhost.example.com:443", False),
        ("10.0.0.1:50053", False),
        ("[2001:db8::1]:50053", False),
    ],
)
def test_what_is_this_machine(target: str, expected: bool) -> None:
    assert is_on_this_machine(target) is expected
