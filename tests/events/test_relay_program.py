"""A server, a relay and a broker, as programs: what is killed loses nothing and repeats with the same ids."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import psutil
import pytest
from stockkeeper_client import InventoryClient

from events.server_feed import ServerFeed
from tests.events.heard import Heard, hear, until_heard
from tests.events.kills import Kills, run
from tests.events.programs import BEGINNING, Program, facts_of, lay_in, orders, relay
from tests.events.real_brokers import BrokerProcess, running_broker
from tests.system.servers import ORGANIZATION, ServerProcess, run_cli, running_server, start_server

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=["rabbit", "nats"])
def real(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, BrokerProcess]]:
    if request.param == "rabbit":
        yield "rabbit", request.getfixturevalue("rabbit")
        return
    with running_broker("nats", tmp_path / "broker") as broker:
        yield "nats", broker


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ServerProcess]:
    async with running_server(tmp_path / "stock.db") as server:
        yield server


async def assert_all_is_heard(kind: str, broker: BrokerProcess, server: ServerProcess, heard: Heard) -> None:
    facts = await facts_of(server)
    await until_heard(kind, broker.url, heard, len(facts))
    assert list(heard.events) == [event.event_id for event in facts]


async def test_what_is_killed_loses_nothing_and_what_is_heard_rebuilds_what_there_is(
    real: tuple[str, BrokerProcess], tmp_path: Path
) -> None:
    kind, broker = real
    heard = await run(kind, tmp_path, broker, Kills(2, 2, 1, 1, 5), 0.5)
    assert heard.names
    for program in ("relay", "consume"):
        assert "Traceback" not in (tmp_path / f"{program}.log").read_text()


async def test_a_second_relay_waits_until_the_first_is_gone_and_a_name_of_its_own_gets_everything(
    server: ServerProcess, tmp_path: Path
) -> None:
    with running_broker("nats", tmp_path / "broker") as broker:
        first = await relay(tmp_path, server, broker.url, "--from", BEGINNING)
        await first.until_it_says("relaying")
        second = await relay(tmp_path, server, broker.url)
        await second.until_it_says("standing_by")
        async with server.client() as client:
            await lay_in(client)
            await first.kill()
            await second.until_it_says("relaying", times=2)
            await orders(client, 0, 5)
        heard = Heard()
        await assert_all_is_heard("nats", broker, server, heard)
        assert await second.terminate() == 0
        where = ("--target", f"127.0.0.1:{server.port}")
        assert (await run_cli("events", "drop", "relay", *where))[:2] == (0, "The cursor relay is forgotten.\n")
        assert (await run_cli("events", "drop", "relay", *where))[0] == 1
        status, out, err = await run_cli("events", "status", *where)
        assert (status, out, err) == (0, "", "No relay has ever been here.\n")


async def test_events_are_sent_again_from_a_time_and_from_a_token(server: ServerProcess, tmp_path: Path) -> None:
    with running_broker("nats", tmp_path / "broker") as broker:
        async with server.client() as client:
            await lay_in(client)
            await orders(client, 0, 3)
        program = await relay(tmp_path, server, broker.url, "--name", "new")
        await program.until_it_says("relaying")
        await program.terminate()
        heard = Heard()
        await hear("nats", broker.url, heard)
        assert heard.events == {}  # a new name begins now
        program = await relay(tmp_path, server, broker.url, "--name", "new", "--from", BEGINNING)
        await assert_all_is_heard("nats", broker, server, heard)
        await program.terminate()
        token, before = (await cursor_of(server, "new"))["token"], len(heard.events)
        async with server.client() as client:
            await orders(client, 3, 2)
        assert {one.get("specversion") for one in heard.events.values()} == {
            "1.0"
        }  # CloudEvents, if not said otherwise
        other = ("--events-format", "erp")
        program = await relay(tmp_path, server, broker.url, "--name", "later", "--from", token, *other)
        await assert_all_is_heard("nats", broker, server, heard)
        await program.terminate()
        assert int((await cursor_of(server, "later"))["published"]) == len(heard.events) - before > 0
        assert {one.get("version") for one in list(heard.events.values())[before:]} == {"1.0"}


async def cursor_of(server: ServerProcess, name: str) -> dict[str, str]:
    """As `events status` tells of it."""
    status, out, _ = await run_cli("events", "status", name, "--json", "--target", f"127.0.0.1:{server.port}")
    assert status == 0
    found: dict[str, str] = json.loads(out)["cursor"]
    return found


async def test_events_are_shown_without_a_broker(server: ServerProcess, tmp_path: Path) -> None:
    where = ("--target", f"127.0.0.1:{server.port}")
    async with server.client() as client:
        await lay_in(client)
        tail = await asyncio.create_subprocess_exec(
            *("env", "PYTHONUNBUFFERED=1", ".venv/bin/stockkeeper", "events", "tail", "--from", BEGINNING, *where),
            stdout=asyncio.subprocess.PIPE,
        )
        assert tail.stdout is not None
        await orders(client, 0, 4)
        async with InventoryClient("127.0.0.1", server.port, metadata=[("x-correlation-id", "checkout-7")]) as shop:
            await orders(shop, 5, 1)
        facts = await facts_of(server)
        assert [fact.name for fact in facts if fact.correlation_id == "checkout-7"] == [
            "inventory.stock.reserved",
            "inventory.stock.updated",
        ]
        async with asyncio.timeout(20):
            lines = [json.loads(await tail.stdout.readline()) for _ in facts]
        assert [one["event_id"] for one in lines] == [fact.event_id for fact in facts]
        assert {one["organization_id"] for one in lines} == {ORGANIZATION}
        tail.kill()
        await tail.communicate()


async def test_what_cannot_work_is_said_in_a_sentence(server: ServerProcess) -> None:
    where = ("--target", f"127.0.0.1:{server.port}")
    for arguments, status, sentence in [
        (("relay", *where), 2, "Say where events go"),
        (("relay", "--to", "kafka://a", *where), 2, "begins with amqp:// or nats://"),
        (("relay", "--to", "nats://127.0.0.1:1", "--from", "nonsense", *where), 1, "from_token: must be a token"),
        (("events", "drop", *where), 2, "Say which cursor"),
        (("events", "status", "x", *where), 1, "There is no cursor x."),
        (("events", "tail", "--from", "nonsense", *where), 1, "must be a token"),
        (("events", "status", "--target", "127.0.0.1:1"), 1, "No answer from the server"),
    ]:
        found, _, err = await run_cli(*arguments)
        assert found == status, (arguments, err)
        assert sentence in err, (arguments, err)
        assert "Traceback" not in err


async def test_a_relay_waits_for_a_server_and_a_broker_that_are_not_there(tmp_path: Path) -> None:
    program = await Program.start(tmp_path, "relay", "--target", "127.0.0.1:1", "--to", "nats://127.0.0.1:1")
    await program.until_it_says("inventory_away")
    assert await program.terminate() == 0


async def test_a_relay_beside_the_server_ends_with_it_however_that_ends(tmp_path: Path, rabbit: BrokerProcess) -> None:
    with running_broker("nats", tmp_path / "broker") as nats_server:
        for end, broker in (("terminate", nats_server), ("kill", rabbit)):
            server = await start_server(tmp_path / f"{end}.db", "--events-to", broker.url)
            await until(server, held=True)
            async with server.client() as client:
                await lay_in(client)
                await orders(client, 0, 3)
            await until(server, behind=0)
            [beside] = relays_of(server)
            await (server.terminate() if end == "terminate" else server.kill())
            async with asyncio.timeout(30):
                while is_running(beside):  # noqa: ASYNC110 - it is no child of this process
                    await asyncio.sleep(0.05)
            assert "Traceback" not in server.log.read_text()


def relays_of(server: ServerProcess) -> list[psutil.Process]:
    """Those that run beside it."""
    children = psutil.Process(server.process.pid).children(recursive=True)
    return [one for one in children if "stockkeeper.serving.beside_main" in one.cmdline()]


def is_running(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


async def until(server: ServerProcess, **wanted: object) -> None:
    """Wait until the one cursor is so."""
    feed = ServerFeed(f"127.0.0.1:{server.port}")
    async with asyncio.timeout(30), aclosing_feed(feed):
        while True:
            cursors = (await feed.cursors()).cursors
            if cursors and all(getattr(cursors[0], name) == value for name, value in wanted.items()):
                return
            await asyncio.sleep(0.05)


@asynccontextmanager
async def aclosing_feed(feed: ServerFeed) -> AsyncIterator[None]:
    try:
        yield
    finally:
        await feed.close()
