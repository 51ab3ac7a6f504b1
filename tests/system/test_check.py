"""`stockkeeper check` finds what does not agree, and nothing where all does."""

import shutil
import sqlite3
from pathlib import Path

import anyio
import pytest

from tests.system.servers import ORGANIZATION, line, run_cli, running_server

pytestmark = pytest.mark.anyio


async def prepare(database: Path) -> None:
    async with running_server(database) as server, server.client() as client:
        await client.stock.import_stock([line("a", 10), line("b", 10)])
        reserved = await client.reserve_stock(ORGANIZATION, "o1", [{"variant_id": v, "quantity": 2} for v in "ab"])
        await client.confirm_reservation(ORGANIZATION, reserved.reservation_id, "o1")
        await client.reserve_stock(ORGANIZATION, "o2", [{"variant_id": "a", "quantity": 3}])
        status, out, err = await run_cli("check", "--database-url", f"sqlite+aiosqlite:///{database}")
        assert (status, out, err) == (0, "All agrees: 2 stock rows, 5 movements, 2 reservations.\n", "")


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database in which all agrees."""
    database = tmp_path_factory.mktemp("sound") / "stock.db"
    anyio.run(prepare, database)
    return database


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        ("UPDATE stock SET available = available - 1, total = total - 1 WHERE variant_id = 'a'", "has 4 available"),
        ("UPDATE stock_movement SET reserved_before = 1 WHERE lsn = 2", "begins at 1 reserved"),
        ("DELETE FROM stock_movement WHERE lsn = 2", "movements add up to"),
        ("UPDATE reservation SET state = 'released', ended_at = created_at WHERE order_id = 'o2'", "hold 2"),
        ("UPDATE ownership SET last_lsn = 1", "the journal ends at LSN 1"),
        ("DELETE FROM stock WHERE variant_id = 'b'", "org_1/b@w1 does not exist"),
    ],
)
async def test_each_kind_of_damage_is_named(sound: Path, tmp_path: Path, damage: str, sentence: str) -> None:
    database = tmp_path / "stock.db"
    shutil.copytree(sound.parent, tmp_path, dirs_exist_ok=True)
    connection = sqlite3.connect(database)
    with connection:
        assert connection.execute(damage).rowcount > 0
    connection.close()
    status, out, err = await run_cli("check", "--database-url", f"sqlite+aiosqlite:///{database}")
    assert (status, out) == (1, "")
    assert sentence in err


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.db").write_text("not a database, " * 100)
    for name, status in (("missing.db", 2), ("text.db", 1)):
        got, _, err = await run_cli("check", "--database-url", f"sqlite+aiosqlite:///{tmp_path / name}")
        assert got == status
        assert len(err.splitlines()) == 1
