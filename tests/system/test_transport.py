"""The program on the transport that the operator chooses."""

from collections.abc import Mapping
from pathlib import Path

import grpc.aio
import pytest
from stockkeeper_client import Item

from tests.system.servers import ORGANIZATION, line, start_server, until_logged

pytestmark = pytest.mark.anyio

ENDED = "grpc_aio_server_ended"  # what only grpc.aio says of a path that is not UTF-8
STARTED_AGAIN = "grpc_aio_server_started_again"
ANOTHER_GRPCIO = """
import sys, types

sys.modules["grpc._grpcio_metadata"] = types.SimpleNamespace(__version__="1.99.0")
"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.parametrize(
    ("options", "environment", "is_grpc_aio"),
    [
        ((), {}, False),
        (("--transport", "core"), {}, False),
        (("--transport", "grpc-aio"), {}, True),
        ((), {"STOCKKEEPER_TRANSPORT": "grpc-aio"}, True),
        (("--transport", "grpc-aio", "--frontends", "1"), {}, True),
    ],
)
async def test_the_program_serves_on_the_transport_that_is_chosen(
    tmp_path: Path, options: tuple[str, ...], environment: Mapping[str, str], is_grpc_aio: bool
) -> None:
    server = await start_server(tmp_path / "stock.db", *options, environment=environment)
    try:
        async with server.client() as client:
            await client.stock.import_stock([line("mug", 5)], request_id="first")
            items: list[Item] = [{"variant_id": "mug", "quantity": 2}]
            reserved = await client.reserve_stock(ORGANIZATION, "order_1", items)
            assert reserved.success
        async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            with pytest.raises(grpc.aio.AioRpcError):
                await channel.unary_unary(b"/\xff\xfe")(b"", timeout=10)  # type: ignore[arg-type]
        if is_grpc_aio:
            await until_logged(server, STARTED_AGAIN)  # until then calls are lost
        async with server.client() as client:
            again = await client.reserve_stock(ORGANIZATION, "order_1", items)
            assert again.reservation_id == reserved.reservation_id
        assert await server.terminate() == 0
        assert (ENDED in server.log.read_text()) == is_grpc_aio
    finally:
        if server.process.returncode is None:
            await server.kill()


async def test_a_grpcio_that_was_not_tried_has_the_program_serve_on_its_public_api(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(ANOTHER_GRPCIO)
    server = await start_server(tmp_path / "stock.db", environment={"PYTHONPATH": str(tmp_path)})
    try:
        async with server.client() as client:
            await client.stock.import_stock([line("mug", 5)], request_id="first")
        assert await server.terminate() == 0
        [told] = [one for one in server.log.read_text().splitlines() if "transport_chosen" in one]
        assert "grpc-aio" in told
        assert "grpcio 1.99.0 was not tried with core" in told
    finally:
        if server.process.returncode is None:
            await server.kill()


async def test_a_transport_that_does_not_exist_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="did not start"):
        await start_server(tmp_path / "stock.db", "--transport", "http3")


@pytest.mark.parametrize("frontends", ["0", "1"])
async def test_the_operator_bounds_messages(tmp_path: Path, frontends: str) -> None:
    options = ("--message-bytes-max", "4096", "--frontends", frontends)
    server = await start_server(tmp_path / "stock.db", *options)
    try:
        async with server.client() as client:
            with pytest.raises(grpc.aio.AioRpcError, match="larger than max") as raised:
                await client.reserve_stock("o", "x" * 5_000, [{"variant_id": "v", "quantity": 1}])
        assert raised.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert await server.terminate() == 0
    finally:
        if server.process.returncode is None:
            await server.kill()
