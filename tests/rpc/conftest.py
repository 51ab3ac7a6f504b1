"""A real server on a real socket before a fake inventory."""

import logging
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Sequence, Sized
from typing import Any

import grpc.aio
import pytest
from stockkeeper_client.v1.inventory_pb2_grpc import InventoryServiceStub
from stockkeeper_client.v1.stock_pb2_grpc import StockServiceStub

from rpc.frontends.frontend_session import FrontendSession
from rpc.frontends.remote_inventory import RemoteInventory
from rpc.in_flight import InFlightLimit
from rpc.rpc_server import RpcServer
from rpc.services.health_service import HealthServicer
from rpc.transport.active_calls import ActiveCalls
from rpc.transport.transport_name import TransportName
from tests.rpc.fake_inventory import FakeInventory


class _Events(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.logged: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        values = {name: value for name, value in vars(record).items() if name not in _OF_EVERY_RECORD}
        error = {"exc_info": record.exc_info[1]} if record.exc_info else {}
        self.logged.append({"event": record.getMessage(), "log_level": record.levelname.lower(), **values, **error})


_OF_EVERY_RECORD = vars(logging.makeLogRecord({}))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # grpc.aio knows no other


COUNTS: dict[type, Callable[[Any], Sized]] = {
    InFlightLimit: lambda limit: range(limit.under_way),
    ActiveCalls: lambda calls: calls,
    HealthServicer: lambda health: health._watchers,
    RemoteInventory: lambda remote: remote._replies,
    FrontendSession: lambda session: session._imports,
}


@pytest.fixture(autouse=True)
def all_that_counts(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """After every test, whatever counts what is under way has counted all of it down again."""
    made: list[Any] = []
    for kind in COUNTS:
        monkeypatch.setattr(kind, "__init__", _noting(kind.__init__, made))  # type: ignore[misc]
    yield made
    assert [one for one in made if len(COUNTS[type(one)](one))] == []


def _noting(init: Callable[..., None], made: list[Any]) -> Callable[..., None]:
    def noting_init(self: Any, *args: Any, **named: Any) -> None:
        init(self, *args, **named)
        made.append(self)

    return noting_init


@pytest.fixture(autouse=True)
def own_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """A channel shares nothing with those of other tests. By default gRPC keeps for the whole process what it knows of
    an address: that nothing listens there, too, though by now the test's own server has the port.
    """
    opened = grpc.aio.insecure_channel

    def insecure_channel(target: str, options: Sequence[tuple[str, Any]] = ()) -> grpc.aio.Channel:
        return opened(target, [*options, ("grpc.use_local_subchannel_pool", 1)])

    monkeypatch.setattr(grpc.aio, "insecure_channel", insecure_channel)


@pytest.fixture
def events() -> Iterator[list[Any]]:
    """What `rpc` logged, as values."""
    logger, handler = logging.getLogger("rpc"), _Events()
    logger.addHandler(handler)
    yield handler.logged
    logger.removeHandler(handler)


@pytest.fixture
async def fake(anyio_backend: str) -> FakeInventory:
    return FakeInventory()


@pytest.fixture
async def session(fake: FakeInventory) -> AsyncIterator[tuple[RemoteInventory, FrontendSession]]:
    """Both ends of a link in this process: the front-end's, which has the fake inventory at the other."""
    ours, theirs = socket.socketpair()
    session = await FrontendSession.connect(ours, fake, lambda: None)
    remote = await RemoteInventory.connect(theirs, 100)
    yield remote, session
    remote.close()
    await remote.lost.wait()


@pytest.fixture(params=["core", "grpc-aio"])
def transport(request: pytest.FixtureRequest) -> TransportName:
    """Callers see the same of both, so a test of what they see runs on both."""
    name: TransportName = request.param
    return name


@pytest.fixture
async def server(fake: FakeInventory, transport: TransportName) -> AsyncIterator[RpcServer]:
    server = RpcServer(fake, host="127.0.0.1", port=0, transport=transport)
    await server.start()
    yield server
    await server.stop(0)


@pytest.fixture
async def channel(server: RpcServer) -> AsyncIterator[grpc.aio.Channel]:
    options = [("grpc.max_send_message_length", -1), ("grpc.enable_retries", 0)]
    async with grpc.aio.insecure_channel(str(server.addresses[0]), options=options) as channel:
        yield channel


@pytest.fixture
def inventory(channel: grpc.aio.Channel) -> InventoryServiceStub:
    return InventoryServiceStub(channel)


@pytest.fixture
def stock(channel: grpc.aio.Channel) -> StockServiceStub:
    return StockServiceStub(channel)
