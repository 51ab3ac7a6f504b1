"""A large import over the network: staged as it comes, whole or not at all."""

import socket
from collections.abc import AsyncIterator, Callable, Iterator

import anyio
import grpc
import pytest
from stockkeeper_client.v1 import stock_pb2 as pb
from stockkeeper_client.v1.stock_pb2_grpc import StockServiceStub

from actors.commands import DropStaged
from rpc.frontends.frontend_session import FrontendSession
from rpc.frontends.remote_inventory import RemoteInventory
from rpc.messages.import_lines import ImportLines
from rpc.rpc_server import RpcServer
from rpc.services import import_upload
from supervisor.supervisor import Supervisor
from tests.core.conftest import World, available

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_upload, "STAGED_FROM", 6)
    monkeypatch.setattr(import_upload, "LINES_A_PART", 2)
    monkeypatch.setattr(import_upload, "WAREHOUSES_MAX", 3)


@pytest.fixture
def world() -> Iterator[World]:
    world = World()
    yield world
    assert world.crashes == []


@pytest.fixture
async def core(world: World) -> AsyncIterator[Supervisor]:
    async with world.core() as core:
        yield core


def line(number: int, **values: int | str) -> pb.ImportLine:
    row = {"organization_id": "org_1", "variant_id": f"v{number}", "warehouse_id": "w", "total_quantity": 5}
    return pb.ImportLine(**{**row, "line_number": number, **values})  # type: ignore[arg-type]


def request(*lines: pb.ImportLine, last: int | None = None) -> pb.ImportStockRequest:
    return pb.ImportStockRequest(request_id="req_1", lines=lines, lines_total=last)


async def until(is_so: Callable[[], bool]) -> None:
    with anyio.fail_after(30):
        while not is_so():  # noqa: ASYNC110 - the core does not tell
            await anyio.sleep(0.001)


async def send(core: Supervisor, *requests: pb.ImportStockRequest) -> pb.ImportStockResponse:
    server = RpcServer(core, host="127.0.0.1", port=0)
    await server.start()
    try:
        async with grpc.aio.insecure_channel(str(server.addresses[0])) as channel:
            return await StockServiceStub(channel).ImportStock(iter(requests))
    finally:
        await server.stop(0)


async def test_a_large_import_is_answered_as_a_small_one(core: Supervisor, world: World) -> None:
    parts = [request(*[line(number) for number in range(first, first + 4)]) for first in (1, 5, 9)]
    response = await send(core, *parts, request(last=12))
    assert (response.lines, response.rows_created, response.rows_changed) == (12, 12, 0)
    again = await send(core, request(*[line(number) for number in range(1, 13)], last=12))
    assert again == response
    assert len(await available(core)) == 12
    assert [one.kind for one in world.disk.transactions] == ["import"]
    assert world.disk.warehouses["org_1", "w"].name == "w"


async def test_lines_that_repeat_a_row_of_an_earlier_part_are_named(core: Supervisor, world: World) -> None:
    lines = [line(number) for number in range(1, 9)]
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await send(core, request(*lines), request(line(9, variant_id="v2"), line(10, total_quantity=-1), last=10))
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    said = str(refused.value.trailing_metadata())
    assert "is the same row as line 2" in said
    assert "total_quantity must be" in said
    assert await available(core) == {}
    await core.ask(DropStaged("none"))  # behind the end of the upload
    assert world.disk.staged.statistics().lines == 0


@pytest.mark.parametrize("how", ["cut short", "broken off", "of too many warehouses"])
async def test_an_upload_that_comes_to_nothing_leaves_nothing(core: Supervisor, world: World, how: str) -> None:
    lines = [
        line(number, warehouse_id=f"w{number}" if how == "of too many warehouses" else "w") for number in range(12)
    ]
    if how != "broken off":
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await send(core, request(*lines[:8]), request(*lines[8:], last=20))
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    else:
        upload, incoming = import_upload.ImportUpload(core), ImportLines()
        for _ in incoming.add(request(*lines)):
            raise AssertionError("it is short")
        await upload.take(incoming)
        assert world.disk.staged.statistics().lines == 12 or upload.statistics().lines == 12
        upload.end()
    await until(lambda: not world.disk.staged.lines)
    assert await available(core) == {}


async def test_a_front_end_that_dies_leaves_no_lines_behind(core: Supervisor, world: World) -> None:
    ours, theirs = socket.socketpair()
    session = await FrontendSession.connect(ours, core, lambda: None)
    remote = await RemoteInventory.connect(theirs, 100)
    incoming = ImportLines()
    list(incoming.add(request(*[line(number) for number in range(12)])))
    upload = import_upload.ImportUpload(remote)
    await upload.take(incoming)
    assert repr(session)
    await until(lambda: world.disk.staged.statistics().lines == 12)
    remote.close()
    await until(lambda: not world.disk.staged.lines)
