"""A refusal of the server is an exception of its own class in the client, with values that have types."""

import asyncio
import copy
import inspect
import pickle
import re
import textwrap
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
import stockkeeper_client
from stockkeeper_client import (
    BelowReserved,
    CountIsStale,
    ImportRejected,
    InsufficientStock,
    InvalidRequest,
    InventoryClient,
    InventoryRefusal,
    LineError,
    MoreThanSent,
    RefusedRow,
    ShortLine,
    StockNotFound,
    StockRefusal,
    Unauthenticated,
    error_details,
    refusals,
)
from stockkeeper_client.refusals import BY_REASON, typed
from stockkeeper_client.sync import InventoryClient as BlockingClient

from actors import outcomes
from actors.outcomes import AdjustmentsRefused, Refused, RefusedAdjustment, Shortage
from actors.records import StockRecord
from actors.shortfall import Uncovered
from rpc.messages.problems import NotAllowed, NotAuthenticated, describe
from rpc.messages.rules import Invalid, Violation
from rpc.messages.status import Problem, to_status
from rpc.rpc_server import RpcServer
from stockkeeper.testkit import Simulation, World
from tests.rpc.fake_inventory import FakeInventory
from tests.rpc.test_authorization import KEYS
from tests.rpc.test_errors import CASES

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]
SHORT: Any = CASES[1][0]
ITEMS: Any = [{"variant_id": "mug", "quantity": 5}]
LINE: Any = {"organization_id": "shop", "variant_id": "mug", "warehouse_id": "w", "total_quantity": 1}
NO_CLASS = {
    *("INTERNAL", "OVERLOADED", "STREAM_STALLED"),  # failures, not answers
    *("CURSOR_NOT_HELD", "CURSOR_UNKNOWN", "TOO_MANY_CURSORS"),  # relays have their own client
    *("SERVICE_UNKNOWN", "RESERVATION_UNCOVERED"),  # of health, and of one line among the details
}


def raised_by(problem: Problem) -> grpc.RpcError:
    """What gRPC raises for it."""
    status = to_status(problem)
    trailers: Any = status.trailing_metadata
    told = grpc.aio.AioRpcError(
        status.code, grpc.aio.Metadata(), grpc.aio.Metadata(*trailers), details=status.details, debug_error_string="d"
    )
    return typed(told)


def refused(error: Exception) -> Any:
    problem = describe(error)
    assert problem is not None
    return raised_by(problem)


@pytest.mark.parametrize(("refusal", "words", "metadata"), CASES, ids=[type(case[0]).__name__ for case in CASES])
def test_each_refusal_has_a_class_that_tells_all_its_values(refusal: Any, words: Any, metadata: dict[str, str]) -> None:
    error = refused(Refused(refusal))
    assert type(error).reason == words[1]
    assert (error.code(), error.details()) == (words[0], words[2])
    assert {name: str(getattr(error, name)) for name in metadata} == metadata
    assert isinstance(error, grpc.aio.AioRpcError)
    assert type(error).__name__ in stockkeeper_client.__all__


def test_every_reason_that_the_server_gives_has_a_class() -> None:
    sources = [*(ROOT / "rpc/messages").glob("*.py"), *(ROOT / "rpc/services").glob("*.py")]
    reasons = {word for file in sources for word in re.findall(r'"([A-Z]+_[A-Z_]+|UNAUTHENTICATED)"', file.read_text())}
    assert reasons - NO_CLASS == set(BY_REASON)
    assert {kind.__name__ for _, kind in inspect.getmembers(refusals, inspect.isclass)} >= {
        kind.__name__ for kind in BY_REASON.values()
    }


def test_short_lines_have_their_figures() -> None:
    short = refused(Refused(outcomes.InsufficientStock((Shortage("a@b", "w1", 5, 2), Shortage("pot", "", 3, 1)))))
    assert isinstance(short, InsufficientStock)
    assert [(one.variant_id, one.warehouse_id, one.requested, one.available) for one in short.shortages] == [
        ("a@b", "w1", 5, 2),
        ("pot", "", 3, 1),
    ]
    missing = refused(Refused(outcomes.StockNotFound("mug", "w1", shortages=(Shortage("pot", "w2", 3, 1),))))
    assert isinstance(missing, StockNotFound)
    assert missing.shortages == (ShortLine("pot", "w2", "requested 3, available 1", 3, 1),)


def test_adjustments_have_the_figures_of_their_rows() -> None:
    row = StockRecord("o", "mug", "w1", "s", 4, 3, 2, 1)
    short = refused(Refused(AdjustmentsRefused((RefusedAdjustment("insufficient", row, 9),))))
    assert isinstance(short, InsufficientStock)
    assert [(line.requested, line.available) for line in short.shortages] == [(9, 4)]
    uncovered = (Uncovered("r1", "o1", "mug", "w1", 2, is_confirmed=True),)
    below = refused(Refused(AdjustmentsRefused((RefusedAdjustment("below_reserved", row, 1),), uncovered)))
    assert isinstance(below, BelowReserved)
    assert (below.reserved, [one.subject for one in below.uncovered]) == (3, ["r1"])
    stale = refused(Refused(AdjustmentsRefused((RefusedAdjustment("stale", row, 9),))))
    assert isinstance(stale, CountIsStale)
    assert stale.lines == (RefusedRow("mug", "w1", "has 10 in all, and the count expects another total"),)


def test_what_is_wrong_in_itself_says_where() -> None:
    error = refused(Invalid([Violation("items[0].quantity", "must be 1")]))
    assert isinstance(error, InvalidRequest)
    assert [one.field for one in error.field_violations] == ["items[0].quantity"]
    bad = refused(Refused(outcomes.ImportRejected((outcomes.RefusedLine(3, "no"),), 1)))
    assert isinstance(bad, ImportRejected)
    assert (bad.line_errors, bad.line_errors_total, bad.imported_cells) == ((LineError(3, "no"),), 1, ())
    partly = refused(Refused(outcomes.ImportRejected((outcomes.RefusedLine(3, "no"),), 1, ("north", "west"))))
    assert isinstance(partly, ImportRejected)
    assert partly.imported_cells == ("north", "west")
    assert str(partly.details()).startswith("Only what is in north and west was imported: 1 line is bad")
    for one in (NotAuthenticated(), NotAllowed()):
        assert isinstance(refused(one), InventoryRefusal)


def test_a_refusal_is_copied_and_pickled_whole_and_says_what_it_is() -> None:
    sent = refused(Refused(SHORT))
    for one in (pickle.loads(pickle.dumps(sent)), copy.copy(sent), copy.deepcopy(sent)):
        assert type(one) is InsufficientStock
        assert (one.code(), one.details(), one.shortages) == (sent.code(), sent.details(), sent.shortages)
        assert one.debug_error_string() == "d"
    assert repr(sent) == "<InsufficientStock FAILED_PRECONDITION: Insufficient stock for variant var_789>"
    assert str(sent) == "Insufficient stock for variant var_789 [FAILED_PRECONDITION, INSUFFICIENT_STOCK]"
    assert typed(sent) is sent
    assert issubclass(MoreThanSent, InventoryRefusal)
    assert not issubclass(MoreThanSent, StockRefusal)


def test_what_another_service_says_stays_what_it_is() -> None:
    ours = refused(Refused(SHORT))
    packed = dict(ours.trailing_metadata())["grpc-status-details-bin"].replace(b"inventory.v1", b"invoices.v12")
    theirs = grpc.aio.AioRpcError(
        ours.code(), grpc.aio.Metadata(), grpc.aio.Metadata(("grpc-status-details-bin", packed))
    )
    assert error_details(theirs).reason == "INSUFFICIENT_STOCK"
    assert typed(theirs) is theirs
    bare = grpc.RpcError()
    assert typed(bare) is bare


@pytest.fixture
async def server(fake: FakeInventory, tmp_path: Path) -> AsyncIterator[RpcServer]:
    (tmp_path / "keys.toml").write_text(KEYS)
    server = RpcServer(fake, host="127.0.0.1", port=0, keys_file=str(tmp_path / "keys.toml"))
    await server.start()
    yield server
    await server.stop(0)


CALLS: dict[str, Callable[[Any], Any]] = {
    "call": lambda client: client.reserve_stock("shop", "o", ITEMS),
    "upload": lambda client: client.stock.import_stock([LINE] * 3, chunk_lines=1),
    "list": lambda client: client.stock.list_stock("shop"),
    "download": lambda client: client.stock.export_stock("shop"),
    "subscription": lambda client: client.stock.watch_changes("shop"),
}


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("breaker", [False, True])
@pytest.mark.parametrize("kind", [*CALLS])
async def test_each_kind_of_call_raises_it(server: RpcServer, kind: str, breaker: bool, streaming: bool) -> None:
    port = server.addresses[0].port
    async with InventoryClient("127.0.0.1", port, breaker=breaker, streaming=streaming, retry=None) as client:
        with pytest.raises(Unauthenticated):
            await _drain(CALLS[kind](client))

    def block() -> None:
        with BlockingClient("127.0.0.1", port, breaker=breaker, streaming=streaming, retry=None) as blocking:
            outcome = CALLS[kind](blocking)
            if hasattr(outcome, "__next__"):
                next(outcome)

    with pytest.raises(grpc.RpcError) as raised:
        await asyncio.to_thread(block)
    assert isinstance(raised.value, Unauthenticated)
    assert raised.value.code() is grpc.StatusCode.UNAUTHENTICATED


async def _drain(outcome: Any) -> None:
    if hasattr(outcome, "__anext__"):
        async for _ in outcome:
            pass
    else:
        await outcome


@pytest.mark.parametrize(
    "refusal", [CASES[0][0], SHORT, outcomes.ReservationExists("res_1")], ids=["other", "short", "taken"]
)
async def test_the_example_of_the_manual_catches_each(fake: FakeInventory, refusal: Any) -> None:
    fake.outcome = Refused(refusal)
    server = RpcServer(fake, host="127.0.0.1", port=0)
    [address] = await server.start()
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / "client/README.md").read_text(), re.MULTILINE | re.DOTALL)
    [block] = [block for block in blocks if "as taken:" in block]
    names: dict[str, Any] = vars(stockkeeper_client) | {"items": ITEMS}
    exec("async def example(client):\n" + textwrap.indent(block, "    "), names)
    async with InventoryClient("127.0.0.1", address.port) as client:
        await names["example"](client)
    await server.stop(0)


@pytest.mark.parametrize("streaming", [False, True])
def test_the_test_kit_raises_the_same(streaming: bool) -> None:
    async def scenario(world: World) -> None:
        client = world.client(streaming=streaming)
        await client.stock.import_stock([LINE])
        with pytest.raises(InsufficientStock) as raised:
            await client.reserve_stock("shop", "o", ITEMS)
        assert [(line.variant_id, line.requested) for line in raised.value.shortages] == [("mug", 5)]
        with pytest.raises(ImportRejected):
            await client.stock.import_stock([LINE | {"variant_id": ""}])
        with pytest.raises(InvalidRequest):
            await anext(client.stock.watch_changes("shop", token="none"))

    Simulation().run(scenario, clients=1)
