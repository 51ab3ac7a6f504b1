"""A database made by an earlier version keeps its answers, and its ledger learns what the newer one says.

`databases/schema_0002.sql` is what a server of revision f239411 wrote: two days of deliveries and orders, of which
housekeeping has moved a part to the archive.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from msgspec.structs import astuple
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool, StaticPool

from storage.schema_errors import SchemaTooOld
from storage.sql.audit import audit
from storage.sql.backup import back_up
from storage.sql.migrate import alembic_config
from storage.sql.snapshot import read_snapshot
from storage.sql.sql_store import SqlStore
from tests.postgres import running_postgres
from tests.storage.contract import contents

pytestmark = pytest.mark.anyio

DUMP = Path(__file__).parent / "databases" / "schema_0002.sql"
TABLES = (
    *("warehouse", "stock", "stock_opening", "reservation", "reservation_item", "reservation_archive"),
    *("reservation_item_archive", "stock_movement", "stock_movement_archive", "request"),
)
LEDGER = " UNION ALL ".join(
    f"SELECT lsn, position, kind, reference, reason, reservation_id, order_id FROM {table}"
    for table in ("stock_movement_archive", "stock_movement")
)

# kind, reference, reservation and order of each movement of the second day; the first one's are alike.
SECOND_DAY = [
    (18, 0, "import", "import-2", "", "", ""),
    (18, 1, "import", "import-2", "", "", ""),
    (19, 0, "receive", "PO-2", "purchase", "", ""),
    (20, 0, "reserve", "", "", "id-0011", "a2"),
    (20, 1, "reserve", "", "", "id-0011", "a2"),
    (22, 0, "fulfill", "SHIP-2", "", "id-0011", "a2"),
    (22, 1, "fulfill", "SHIP-2", "", "id-0011", "a2"),
    (23, 0, "reserve", "", "", "id-0012", "b2"),
    (24, 0, "release", "", "card declined", "id-0012", "b2"),
    (25, 0, "reserve", "", "", "id-0013", "b2"),
    (27, 0, "fulfill", "", "", "id-0013", "b2"),
    (28, 0, "reserve", "", "", "id-0014", "c2"),
    (29, 0, "reserve", "", "", "id-0015", "c2"),
    (30, 0, "reserve", "", "", "id-0016", "d2"),
    (30, 1, "reserve", "", "", "id-0016", "d2"),
    (32, 0, "reserve", "", "", "id-0017", "e2"),
    (33, 0, "expire", "", "", "id-0014", "c2"),
    (34, 0, "expire", "", "", "id-0015", "c2"),
]
ENTRIES = " UNION ALL ".join(
    f"SELECT lsn, organization_id, kind, reservation_id, state, reference, request_id FROM journal_entry{suffix}"
    for suffix in ("_archive", "")
)
# Confirmations (21, 26, 31) had no line, and no LSN that was kept.
SECOND_DAY_ENTRIES = [
    (18, "shop", "import", "", "", "import-2", "import-2"),
    (19, "shop", "receive", "", "", "PO-2", "delivery-2"),
    (20, "shop", "reserve", "id-0011", "active", "", ""),
    (22, "shop", "fulfill", "id-0011", "fulfilled", "SHIP-2", "ship-2"),
    (23, "shop", "reserve", "id-0012", "active", "", "key-2"),
    (24, "shop", "release", "id-0012", "released", "", ""),
    (25, "shop", "reserve", "id-0013", "active", "", ""),
    (27, "shop", "fulfill", "id-0013", "fulfilled", "", "ship-again-2"),
    (28, "shop", "reserve", "id-0014", "active", "", ""),
    (29, "other", "reserve", "id-0015", "active", "", ""),
    (30, "shop", "reserve", "id-0016", "active", "", ""),
    (32, "shop", "reserve", "id-0017", "active", "", ""),
    (33, "shop", "expire", "id-0014", "expired", "", ""),
    (34, "other", "expire", "id-0015", "expired", "", ""),
]

# What the version before did not say: a reservation was shipped as a whole.
SHIPPED = "\n".join(
    f"UPDATE reservation_item{suffix} SET fulfilled = quantity WHERE (organization_id, reservation_id) IN"
    f" (SELECT organization_id, reservation_id FROM reservation{suffix} WHERE state = 'fulfilled');"
    for suffix in ("", "_archive")
)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def before(tmp_path: Path) -> Path:
    """The file as the earlier version left it."""
    path = tmp_path / "before.db"
    with closing(sqlite3.connect(path)) as raw:
        raw.executescript(DUMP.read_text())
    return path


def upgrade_to(connection: Connection, revision: str) -> None:
    config = alembic_config()
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def copied(before: Path) -> str:
    """The rows of the file as statements that both databases read."""
    with closing(sqlite3.connect(before)) as raw:
        lines = ["DELETE FROM ownership;"]
        for table in (*TABLES, "ownership"):
            columns = [row[1] for row in raw.execute(f"PRAGMA table_info({table})")]
            quoted = ", ".join(f"quote({column})" for column in columns)
            rows = raw.execute(f"SELECT {quoted} FROM {table}").fetchall()
            lines += [f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join(row)});" for row in rows]
    return "\n".join(lines)


async def ledger(url: str, query: str = LEDGER) -> list[Any]:
    def read(connection: Connection) -> list[Any]:
        order = "position" if query is LEDGER else "organization_id"
        return [tuple(row) for row in connection.execute(text(f"{query} ORDER BY lsn, {order}"))]

    return await read_snapshot(url, read)


def shifted(movement: tuple[Any, ...]) -> tuple[Any, ...]:
    """A movement of the second day as that of the first would be: everything has another number."""
    kind, reference, reason, reservation_id, order_id = movement[2:]
    number = f"id-{int(reservation_id[3:]) - 7:04}" if reservation_id else ""
    return kind, reference.replace("2", "1"), reason, number, order_id.replace("2", "1")


async def assert_upgraded(url: str) -> None:
    store = SqlStore(url)
    assert astuple(await store.open())[:3] == (2, 34, 1_790_864_122_210)
    await store.close()
    found = await ledger(url)
    assert [movement for movement in found if movement[0] >= 18] == SECOND_DAY
    first_day = [movement[2:] for movement in found if movement[0] in range(2, 18)]
    assert first_day == [shifted(movement) for movement in SECOND_DAY if movement[0] > 18]
    assert (await read_snapshot(url, audit)).disagreements == ()
    entries = await ledger(url, ENTRIES)
    assert [entry for entry in entries if entry[0] >= 18] == SECOND_DAY_ENTRIES
    assert await ledger(url, "SELECT entries_from_lsn AS lsn, 0 AS organization_id FROM ownership") == [(35, 0)]
    assert set(await read_snapshot(url, shipped)) == {("fulfilled", True), ("other", False)}


def shipped(connection: Connection) -> list[Any]:
    """In which states items are shipped in full, also in the archive; none is shipped in part."""
    found = [
        text(
            f"SELECT CASE r.state WHEN 'fulfilled' THEN 'fulfilled' ELSE 'other' END, i.fulfilled, i.quantity"
            f" FROM reservation_item{suffix} i JOIN reservation{suffix} r USING (organization_id, reservation_id)"
        )
        for suffix in ("", "_archive")
    ]
    rows = [row for statement in found for row in connection.execute(statement)]
    assert {row[1] for row in rows if row[0] == "other"} == {0}
    return [(state, fulfilled == quantity) for state, fulfilled, quantity in rows]


async def test_a_file_of_the_version_before_is_brought_up_to_date(before: Path) -> None:
    await assert_upgraded(f"sqlite+aiosqlite:///{before}")


async def test_a_postgres_database_of_the_version_before_is_brought_up_to_date(before: Path) -> None:
    pytest.importorskip("asyncpg")
    with running_postgres() as server:
        url = str(server.get_uri()).replace("postgresql://", "postgresql+asyncpg://")
        engine = create_async_engine(url, poolclass=NullPool)
        async with engine.begin() as connection:
            await connection.run_sync(upgrade_to, "0002")
        await engine.dispose()
        server.psql("ALTER TABLE stockkeeper_schema_version RENAME TO alembic_version")
        server.psql(copied(before))
        await assert_upgraded(url)


async def test_every_answer_is_as_before(before: Path, tmp_path: Path) -> None:
    """The answers of the file are those of a new database with the same rows."""
    url = f"sqlite+aiosqlite:///{tmp_path}/made.db"
    made = SqlStore(url)
    await made.open()
    await made.close()
    rows = copied(before)
    with closing(sqlite3.connect(tmp_path / "made.db")) as raw:
        raw.executescript(f"{rows}\n{SHIPPED}")
    made, kept = SqlStore(url), SqlStore(f"sqlite+aiosqlite:///{before}")
    await made.open()
    await kept.open()
    answers = await contents(kept)
    assert answers == await contents(made)
    assert {
        (row.organization_id, row.variant_id): (row.available, row.reserved, row.damaged, row.in_transit)
        for rows in answers["stock"].values()
        for row in rows
    } == {("shop", "mug"): (47, 4, 1, 2), ("shop", "pot"): (13, 6, 0, 0), ("other", "mug"): (5, 0, 0, 0)}
    assert [order.order_id for order in answers["orders"]] == ["c2", "a2", "b2", "c2", "d1", "d2", "e1", "e2"]
    keys = ["import-2", "delivery-2", "key-2", "ship-2", "ship-again-2"]
    assert [request.request_id for request in answers["requests"]] == keys
    await made.close()
    await kept.close()


async def test_before_a_start_of_the_server_it_is_named_too_old_and_can_be_backed_up(before: Path) -> None:
    with pytest.raises(SchemaTooOld, match=r"lacks the schema 0017, which a start of the server makes"):
        await read_snapshot(f"sqlite+aiosqlite:///{before}", audit)
    saved = back_up(before, before.with_name("saved.db"))
    assert (saved.audit, saved.last_lsn) == (None, 34)


def test_two_shipments_at_one_moment_are_left_without_ids_rather_than_with_wrong_ones(tmp_path: Path) -> None:
    raw = sqlite3.connect(":memory:", isolation_level=None)
    engine = create_engine("sqlite://", creator=lambda: raw, poolclass=StaticPool)
    at = "2026-11-01T00:00:00.000Z"
    with engine.connect() as connection:
        upgrade_to(connection, "0002")
        for name in ("1", "2"):
            raw.execute(
                "INSERT INTO reservation VALUES ('o', ?, ?, 'fulfilled', ?, ?, ?, ?, '', ?)",
                (f"r{name}", f"order{name}", at, at, at, at, int(name)),
            )
            raw.execute("INSERT INTO reservation_item VALUES ('o', ?, 0, 'v', 'w', '', 's', 1, 9, 8)", (f"r{name}",))
            raw.execute(
                "INSERT INTO stock_movement VALUES (?, 0, ?, 'fulfill', 'o', 'v', 'w', 0, 2, 0, 0, 0, 1, 0, 0, ?, '')",
                (10 + int(name), at, f"SHIP-{name}"),
            )
        upgrade_to(connection, "0003")
        assert raw.execute("SELECT reference, reservation_id, order_id FROM stock_movement").fetchall() == [
            ("SHIP-1", "", ""),
            ("SHIP-2", "", ""),
        ]
    raw.close()
