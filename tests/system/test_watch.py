"""A watcher that is cut again and again, under load and by kill -9 of the server, knows in the end what is there."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import grpc.aio
import pytest
from stockkeeper_client import InventoryClient
from stockkeeper_client.v1.stock_pb2 import Quantities, WatchChangesResponse

from tests.postgres import PostgresServer, running_postgres
from tests.system.load import Load, under_load
from tests.system.servers import ORGANIZATION, ServerProcess, line, run_cli, running_server, start_server

pytestmark = pytest.mark.anyio

Row = tuple[str, str]
CUTS = 20
SHELF = [f"w{number:03}" for number in range(700)]  # behind what the load moves, and more than a page of a snapshot
SOLD = SHELF[:350]


@dataclass
class Picture:
    """What a reader knows that was told of changes."""

    rows: dict[Row, tuple[int, ...]] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)
    lsns: list[int] = field(default_factory=list)
    token: str = ""
    last_lsn: int = 0
    is_whole: bool = False

    def hear(self, message: WatchChangesResponse) -> None:
        is_empty = not message.rows and not message.HasField("reservation") and not message.snapshot_done
        if message.kind == "snapshot" and is_empty:
            self.rows.clear()
            self.states.clear()
        for row in message.rows:
            if self.is_whole and row.HasField("before"):
                known = self.rows.get((row.variant_id, row.warehouse_id), (0, 0, 0, 0))
                assert known == figures_of(row.before), (message, known)
            if row.HasField("after"):
                self.rows[row.variant_id, row.warehouse_id] = figures_of(row.after)
            else:
                del self.rows[row.variant_id, row.warehouse_id]
        if message.HasField("reservation"):
            self.states[message.reservation.reservation_id] = message.reservation.state
        if message.kind and self.is_whole:
            assert not self.lsns or message.lsn > self.lsns[-1], (message.lsn, self.lsns[-1])
            self.lsns.append(message.lsn)
        self.is_whole |= message.snapshot_done
        self.token, self.last_lsn = message.token, message.lsn


def held_in(states: Mapping[str, str]) -> set[tuple[str, str]]:
    """Those that hold stock: a snapshot tells of no others."""
    return {one for one in states.items() if one[1] in ("active", "confirmed")}


def figures_of(pieces: Quantities) -> tuple[int, ...]:
    return pieces.available, pieces.reserved, pieces.damaged, pieces.in_transit


async def what_is_there(client: InventoryClient) -> tuple[dict[Row, tuple[int, ...]], dict[str, str]]:
    rows: dict[Row, tuple[int, ...]] = {
        (row.variant_id, row.warehouse_id): (
            row.available_quantity,
            row.reserved_quantity,
            row.damaged_quantity,
            row.in_transit_quantity,
        )
        async for row in client.stock.list_stock(ORGANIZATION)
    }
    states = {one.reservation_id: one.state async for one in client.stock.list_reservations(ORGANIZATION)}
    return rows, states


async def listen(server: ServerProcess, picture: Picture, messages: int) -> None:
    """Hear this number of messages from where the picture ends, then hang up; also if the server dies meanwhile."""
    async with server.client() as client:
        stream = client.stock.watch_changes(ORGANIZATION, token=picture.token, snapshot=not picture.token, resume=False)
        try:
            async with aclosing(stream) as changes:
                async for message in changes:
                    picture.hear(message)
                    messages -= bool(message.kind)
                    if messages <= 0 and picture.token:
                        return
        except grpc.aio.AioRpcError as error:
            assert error.code() is grpc.StatusCode.UNAVAILABLE, error


async def listen_to_the_end(server: ServerProcess, picture: Picture) -> None:
    """Hear all that has happened, and no more: nothing goes on."""
    async with server.client() as client:
        [last] = [one async for one in _first(client)]
        stream = client.stock.watch_changes(ORGANIZATION, token=picture.token)
        async with aclosing(stream) as changes:
            async for message in changes:
                picture.hear(message)
                if message.lsn >= last.lsn:
                    return


async def agreed(server: ServerProcess, picture: Picture) -> tuple[dict[Row, tuple[int, ...]], dict[str, str]]:
    """What is there when nothing more happens: of those that were cut off some calls were still under way."""
    async with server.client() as client:
        while True:
            await listen_to_the_end(server, picture)
            there = await what_is_there(client)
            if [one.lsn async for one in _first(client)] == [picture.last_lsn]:
                return there


async def _first(client: InventoryClient) -> AsyncIterator[WatchChangesResponse]:
    """Where the history ends now."""
    async with aclosing(client.stock.watch_changes(ORGANIZATION)) as changes:
        async for message in changes:
            yield message
            return


async def begin_amid_sales(server: ServerProcess, picture: Picture) -> None:
    """A snapshot of what is there, cut once before it is whole, while rows of it change that never change again.

    A change that came between the look at a row and where the stream goes on is seen in the end: nothing covers it.
    """
    async with server.client() as client:
        selling = asyncio.gather(*(_sell(client, SOLD[part::2]) for part in range(2)))
        async with aclosing(client.stock.watch_changes(ORGANIZATION, snapshot=True, resume=False)) as changes:
            async for message in changes:
                picture.hear(message)
                if message.rows:
                    break
        assert (len(picture.rows) >= 500, picture.is_whole) == (True, False)
        await listen(server, picture, 1)
        await selling


async def _sell(client: InventoryClient, variants: Sequence[str]) -> None:
    for variant in variants:
        await client.stock.deduct_stock(ORGANIZATION, [{"variant_id": variant, "quantity": 1}])


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with running_postgres() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path}/x.db"
    postgres = request.getfixturevalue("postgres")
    postgres.psql("DROP SCHEMA public CASCADE; CREATE SCHEMA public;")
    return str(postgres.get_uri()).replace("postgresql://", "postgresql+asyncpg://")


@asynccontextmanager
async def loaded(server: ServerProcess) -> AsyncIterator[Load]:
    async with under_load(server, shoppers=4) as load:
        yield load


@pytest.mark.long
async def test_a_watcher_that_is_cut_20_times_rebuilds_all_of_it(tmp_path: Path, url: str) -> None:
    picture, late = Picture(), Picture()
    server = await start_server(tmp_path / "server", database_url=url)
    try:
        async with server.client() as client:
            await client.stock.import_stock([line(variant, 9) for variant in SHELF])
        await listen(server, picture, 1)  # of what nothing has happened to yet: all that comes is told
        for number in range(4):
            async with loaded(server) as load:
                await load.wait_for_more(5)
                for _ in range(CUTS // 4):
                    await listen(server, picture, 40)
                if number == 1:
                    await begin_amid_sales(server, late)
                if number < 3:
                    listening = asyncio.create_task(listen(server, picture, 1_000_000))
                    await load.wait_for_more(20)
                    await server.kill()
                    await listening
            if number < 3:
                server = await start_server(tmp_path / "server", database_url=url)
        rows, states = await agreed(server, picture)
        assert picture.rows == rows
        assert picture.states == states
        assert len(picture.lsns) > 500
        await listen_to_the_end(server, late)
        assert late.is_whole
        assert late.rows == rows
        assert held_in(late.states) == held_in(states)
    finally:
        await server.terminate()


@pytest.mark.parametrize("options", [("--frontends", "2"), ("--transport", "grpc-aio")])
async def test_a_watch_goes_through_front_ends_and_either_transport_and_ends_at_a_stop(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    picture = Picture()
    server = await start_server(tmp_path / "x.db", *options)
    async with server.client() as client:
        await client.stock.import_stock([line("mug", 5)])
        listening = asyncio.create_task(listen(server, picture, 1_000_000))
        with anyio.fail_after(20):
            while not picture.is_whole:  # noqa: ASYNC110 - a picture does not tell
                await asyncio.sleep(0.01)
            await client.reserve_stock(ORGANIZATION, "o1", [{"variant_id": "mug", "quantity": 2}])
            while picture.rows != {("mug", "w1"): (3, 2, 0, 0)}:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.01)
    assert await server.terminate() == 0
    with anyio.fail_after(10):
        await listening


async def test_the_ledger_and_a_watch_on_the_command_line(tmp_path: Path) -> None:
    async with running_server(tmp_path / "x.db") as server:
        target = ("--target", f"localhost:{server.port}")
        await run_cli("receive", "shop", "mug:5@w1", "--reference", "PO-7", *target)
        await run_cli("reserve", "shop", "o1", "mug:2@w1", *target)
        status, out, err = await run_cli("movements", "shop", "mug", "--newest-first", *target)
        assert (status, err) == (0, "")
        heading, last, first = [text.split("\t") for text in out.splitlines()]
        assert heading[:5] == ["lsn", "at", "kind", "variant", "warehouse"]
        assert [last[0], *last[2:7]] == ["2", "reserve", "mug", "w1", "5 → 3", "0 → 2"]
        assert [first[0], first[2], first[5], first[11]] == ["1", "receive", "0 → 5", "PO-7"]
        assert await run_cli("movements", "shop", "--kind", "delete", *target) == (
            1,
            "",
            "shop has no such movement.\n",
        )
        status, out, _ = await run_cli("stock", "shop", "mug", "--warehouse", "w1", "--at", first[1], *target)
        assert (status, out.partition(", ")[2]) == (
            0,
            "mug@w1: 5 available, 0 reserved, 0 damaged, 0 in transit.\n",
        )
        early = ("stock", "shop", "mug", "--warehouse", "w1", "--at", "2020-01-01T00:00:00Z")
        assert (await run_cli(*early, *target))[0] == 1
        wrong = await run_cli("stock", "shop", "mug", "--at", "2020-01-01T00:00:00Z")
        assert wrong == (2, "", "With --at, a variant and --warehouse name the row.\n")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "stockkeeper", "watch", "shop", "--snapshot", *target),
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        said = [(await process.stdout.readline()).decode() for _ in range(3)]
        process.kill()
        await process.wait()
    assert said[0] == "snapshot mug@w1 available 0 → 3, reserved 0 → 2\n"
    assert said[1].startswith("snapshot ")
    assert said[1].endswith(" of order o1: active\n")
    assert said[2] == "snapshot is complete\n"
