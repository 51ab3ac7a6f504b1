"""A broker that is away costs reservations nothing, and `events status` says how much waits for it, and why."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.events.heard import Heard, until_heard
from tests.events.programs import BEGINNING, facts_of, lay_in, orders, relay
from tests.events.real_brokers import running_broker
from tests.system.servers import run_cli, running_server

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_what_waits_for_a_broker_is_told_and_comes_when_it_is_back(tmp_path: Path) -> None:
    with running_broker("nats", tmp_path / "broker") as broker:
        async with running_server(tmp_path / "stock.db") as server, server.client() as client:
            began = datetime.now(UTC) - timedelta(milliseconds=1)  # as exact as the instants of the ledger
            where = ("--target", f"127.0.0.1:{server.port}")
            program = await relay(tmp_path, server, broker.url, "--from", BEGINNING)
            await lay_in(client)
            await orders(client, 0, 3)
            heard = Heard()
            await until_heard("nats", broker.url, heard, len(await facts_of(server)))
            broker.kill()
            await orders(client, 3, 12)  # as fast as ever
            await program.until_it_says("broker_lost")
            with anyio.fail_after(60):
                # The relay says what is wrong at its next word.
                while not (away := await status_of(where)).get("problem"):  # noqa: ASYNC110
                    await anyio.sleep(0.1)
            assert away["held"], away
            assert int(away["behind"]) > 0
            assert away["problem"].startswith(broker.url)
            assert began < datetime.fromisoformat(away["waiting_since"]) < datetime.now(UTC)
            code, table, _ = await run_cli("events", "status", "relay", *where, environment={"COLUMNS": "220"})
            assert code == 0
            assert broker.url in table
            assert table.split()[table.split().index("relaying") + 1] == away["behind"]
            broker.start()
            facts = await facts_of(server)
            await until_heard("nats", broker.url, heard, len(facts))
            assert list(heard.events) == [fact.event_id for fact in facts]
            await program.terminate()
            back = await status_of(where)
            assert (back.get("behind", "0"), back.get("problem", ""), back.get("held", False)) == ("0", "", False)
            assert int(back["cursor"]["published"]) == len(facts)
        assert (tmp_path / "relay.log").read_text().count("broker_lost") == 1


async def status_of(where: tuple[str, str]) -> dict[str, Any]:
    code, out, err = await run_cli("events", "status", "relay", "--json", *where)
    assert (code, err) == (0, "")
    found: dict[str, Any] = json.loads(out)
    return found
