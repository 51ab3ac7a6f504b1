"""Each transaction has its row in the journal's table, in each organization that it touches, on both databases."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import to_builtins
from msgspec.structs import replace
from sqlalchemy import Connection, text

from actors.records import Origin, RequestRecord, WarehouseRecord
from simulation.disks.expected_entries import ENTRY_COLUMNS, entries_of
from storage.sql.audit import audit
from storage.sql.instant_text import ms_to_text
from storage.sql.instants import datetime_to_ms
from storage.sql.snapshot import read_snapshot
from storage.sql.sql_store import SqlStore
from tests.postgres import PostgresServer, running_postgres
from tests.storage.contract import steps_of
from tests.storage.scribe import Scribe

pytestmark = pytest.mark.anyio

AT = "2026-09-21T14:13:20.000Z"
LIMIT = "2026-09-21T14:28:20.000Z"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


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
    return str(postgres.get_uri())


@pytest.fixture
async def store(url: str) -> Any:
    store = SqlStore(url)
    await store.open()
    yield store
    await store.close()


async def entries(url: str, *suffixes: str) -> list[tuple[Any, ...]]:
    columns = ", ".join(ENTRY_COLUMNS)
    tables = " UNION ALL ".join(f"SELECT {columns} FROM journal_entry{suffix}" for suffix in suffixes or ("",))

    def read(connection: Connection) -> list[tuple[Any, ...]]:
        rows = connection.execute(text(f"{tables} ORDER BY lsn, organization_id"))
        return [tuple(_shown(value) for value in row) for row in rows]

    return await read_snapshot(url, read)


def _shown(value: Any) -> Any:
    return ms_to_text(datetime_to_ms(value)) if hasattr(value, "year") else value


async def test_a_confirmation_is_told_though_it_moves_nothing(store: SqlStore, url: str) -> None:
    scribe = Scribe()
    made = scribe.reserve_after_receiving()
    confirmed = replace(scribe.confirm(scribe.only_reservation()), origin=Origin("ana", "checkout-7"))
    await store.write([*made, confirmed])
    order = ("reservation-000002", "order")
    named = json.dumps(
        {"warehouses": [to_builtins(WarehouseRecord("org_1", "w", "Warehouse w"))]}, separators=(",", ":")
    )
    assert await entries(url) == [
        (1, "org_1", AT, "receive", "", "", "", None, "delivery note 7", "goods in", "receive-1", "", "", named),
        (2, "org_1", AT, "reserve", *order, "active", LIMIT, "", "", "", "", "", ""),
        (3, "org_1", AT[:-2] + "1Z", "confirm", *order, "confirmed", LIMIT, "", "", "", "ana", "checkout-7", ""),
    ]


async def test_an_import_is_told_to_each_organization_and_an_answer_to_one_or_none(store: SqlStore, url: str) -> None:
    scribe = Scribe()
    first = scribe.counted([("v", "w", 5), ("u", "w", 5)])
    second = scribe.counted([("v", "w", 5)], organization="org_2")
    several = replace(first, changes=first.changes + second.changes)
    several = replace(several, warehouses=(WarehouseRecord("org_3", "w", "Renamed"),))
    several = replace(several, warehouses_before=(WarehouseRecord("org_3", "w", "w"),))
    alone = replace(scribe.remember("r"), lsn=2)
    for_all = replace(alone, lsn=3, request=RequestRecord("\nhash", "r", "f", b"{}"))
    await store.write([several, alone, for_all])
    found = [(*row[:2], row[3], row[10]) for row in await entries(url)]
    assert found == [
        *((1, organization, "import", "") for organization in ("org_1", "org_2", "org_3")),
        (2, "org_1", "remember", "r"),
        (3, "", "remember", "r"),
    ]
    told = [[*json.loads(row[-1] or "{}")] for row in await entries(url)]
    assert told == [[], [], ["warehouses", "warehouses_before"], [], []]  # and no empty list where it is another's


async def test_lines_that_are_not_those_of_the_reserve_are_kept_with_the_change(store: SqlStore, url: str) -> None:
    scribe = Scribe()
    received, reserved = scribe.reserve_after_receiving()
    amended = replace(scribe.confirm(reserved.reservation), kind="fulfill", reference="SHIP-1")
    await store.write([received, reserved, amended])
    assert (await entries(url))[-1][-1] == (
        '{"items":[{"variant_id":"v","warehouse_id":"w","requested_warehouse_id":"","stock_id":"stock of org_1/v/w at'
        ' 1","quantity":1,"stock_before":10,"stock_after":9,"fulfilled":0}]}'
    )


async def test_every_transaction_of_a_long_history_has_its_rows_before_and_after_housekeeping(
    store: SqlStore, url: str
) -> None:
    scribe = Scribe()
    history = scribe.random_history(seed=5, length=400)
    for begin in range(0, len(history), 7):
        await store.write(history[begin : begin + 7])
    wanted = entries_of(history)
    assert await entries(url) == wanted
    middle_ms = history[len(history) // 2].at_ms
    steps = await steps_of(store, middle_ms, 20)
    archived = await entries(url, "_archive")
    assert len(archived) == sum(step.entries for step in steps) > 100
    assert archived == [row for row in wanted if row[2] < ms_to_text(middle_ms)]
    assert await entries(url, "", "_archive") == wanted
    assert (await read_snapshot(url, audit)).disagreements == ()


async def test_an_entry_stays_as_long_as_a_line_of_it(store: SqlStore, url: str) -> None:
    scribe = Scribe()
    await store.write([scribe.counted([(f"v{number}", "w", 1) for number in range(10)]), scribe.remember("r")])
    scribe.at_ms += 1
    left = []
    for _ in range(4):
        await store.move_out(scribe.at_ms, 4)
        left.append(len(await entries(url)))
    assert left == [2, 2, 1, 0]  # 1 request, 3 lines; 4 lines; 3 lines and a row; the last row
    assert (await read_snapshot(url, audit)).disagreements == ()
