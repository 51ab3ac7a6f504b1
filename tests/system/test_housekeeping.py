"""`serve --keep-days` under load, on both databases: what is old goes, work goes on, and the archive may be emptied."""

import shlex
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from sqlalchemy import Connection, text

from actors.records import ReservationRecord
from storage.sql.snapshot import read_snapshot
from storage.sql.sql_store import SqlStore
from tests.postgres import PostgresServer, running_postgres
from tests.storage.scribe import Scribe
from tests.system.load import under_load
from tests.system.manual import commands, on_postgres, shell
from tests.system.servers import run_cli, start_server

pytestmark = pytest.mark.anyio

DAY_MS = 24 * 60 * 60 * 1_000
COUNTS = [
    "SELECT count(*) FROM stock_movement WHERE lsn <= :lsn",
    "SELECT count(*) FROM reservation WHERE lsn <= :lsn AND state NOT IN ('active', 'confirmed', 'expired')",
    "SELECT count(*) FROM request WHERE lsn <= :lsn",
]


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with running_postgres() as server:
        yield server


async def write_old_history(url: str) -> tuple[int, list[ReservationRecord]]:
    """What was done a hundred days ago: its last LSN, and what is still confirmed of it."""
    scribe = Scribe()
    scribe.at_ms = time.time_ns() // 1_000_000 - 100 * DAY_MS
    store = SqlStore(url)
    await store.open()
    history = scribe.random_history(seed=9, length=3_000)
    for begin in range(0, len(history), 500):
        await store.write(history[begin : begin + 500])
    await store.close()
    return scribe.lsn, [r for r in scribe.reservations.values() if r.state == "confirmed"]


async def old_rows(url: str, lsn: int) -> int:
    def count(connection: Connection) -> int:
        return sum(int(connection.execute(text(query), {"lsn": lsn}).scalar_one()) for query in COUNTS)

    return await read_snapshot(url, count)


async def tidy_under_load(tmp_path: Path, url: str) -> None:
    lsn, confirmed = await write_old_history(url)
    assert await old_rows(url, lsn) > 3_000
    server = await start_server(tmp_path / "server", database_url=url, environment={"KEEP_DAYS": "30"})
    try:
        async with under_load(server, shoppers=3) as load:
            with anyio.fail_after(240):
                while await old_rows(url, lsn):
                    await load.wait_for_more(20)
                    status, _, err = await run_cli("check", "--database-url", url)
                    assert (status, err) == (0, "")
            await load.wait_for_more(100)
            acknowledged = dict(load.acknowledged)
        async with server.client() as client:
            found = client.stock.list_reservations("org_1", state="confirmed", page_size=1_000)
            still_there = {reservation.reservation_id async for reservation in found}
            mine = [reservation for reservation in confirmed if reservation.organization_id == "org_1"]
            assert mine
            assert {reservation.reservation_id for reservation in mine} <= still_there
            await client.stock.fulfill_reservation("org_1", mine[0].reservation_id)
            newest = client.stock.list_reservations("org_1", page_size=1_000)
            assert set(acknowledged.values()) <= {reservation.reservation_id async for reservation in newest}
        assert "actor_crashed" not in await anyio.Path(server.log).read_text()
    finally:
        assert await server.terminate() == 0


async def archived(url: str) -> str:
    """What `check` says of the archive, on a database in which all agrees."""
    status, out, err = await run_cli("check", "--database-url", url)
    assert (status, err) == (0, "")
    return out.partition("; archived: ")[2]


@pytest.mark.long
async def test_sqlite(tmp_path: Path) -> None:
    database = tmp_path / "stockkeeper.db"
    url = f"sqlite+aiosqlite:///{database}"
    await tidy_under_load(tmp_path, url)
    assert await archived(url)
    backup, empty = commands("Housekeeping")[1:3]
    await shell(backup, tmp_path)
    program, name, sql = shlex.split(empty)
    assert (program, name) == ("sqlite3", "stockkeeper.db")
    size = database.stat().st_size
    connection = sqlite3.connect(database, isolation_level=None)
    connection.executescript(sql)
    connection.close()
    assert database.stat().st_size < size
    assert not await archived(url)
    assert await archived(f"sqlite+aiosqlite:///{tmp_path}/archive-2027.db")


@pytest.mark.long
async def test_postgres(tmp_path: Path, postgres: PostgresServer) -> None:
    uri = str(postgres.get_uri())
    await tidy_under_load(tmp_path, uri)
    assert await archived(uri)
    server = await start_server(tmp_path / "server", database_url=uri)
    for command in commands("Housekeeping")[3:]:
        await shell(on_postgres(command, uri), tmp_path)
    assert not await archived(uri)
    assert await server.terminate() == 0


async def test_days_below_none_are_a_usage_error() -> None:
    status, _, err = await run_cli("serve", "--keep-days", "-1", "--port", "0")
    assert status == 2
    assert "--keep-days" in err
