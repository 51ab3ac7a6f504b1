"""`stockkeeper backup` and the restore that the manual describes, with the manual's own commands."""

import asyncio
import shutil
import sqlite3
import sys
from pathlib import Path

import anyio
import pytest

from tests.postgres import running_postgres
from tests.system.load import under_load
from tests.system.manual import commands, on_postgres, shell
from tests.system.servers import ORGANIZATION, ServerProcess, line, run_cli, start_server

pytestmark = pytest.mark.anyio


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def contents(database: Path) -> tuple[bytes, bytes]:
    """The file's and its WAL's."""
    return database.read_bytes(), database.with_name(f"{database.name}-wal").read_bytes()


def url(database: Path) -> str:
    return f"sqlite+aiosqlite:///{database}"


async def reservations(server: ServerProcess) -> dict[str, str]:
    """By order."""
    async with server.client() as client:
        found = client.stock.list_reservations(ORGANIZATION, page_size=1000)
        return {reservation.order_id: reservation.reservation_id async for reservation in found}


async def test_a_backup_taken_under_load_is_restored_as_the_manual_says(tmp_path: Path) -> None:
    database, copy = tmp_path / "stockkeeper.db", tmp_path / "backup.db"
    server = await start_server(database)
    async with under_load(server) as load:
        await load.wait_for_more(100)
        before = dict(load.acknowledged)
        status, out, err = await run_cli("backup", str(copy), "--database-url", url(database))
        assert (status, err) == (0, "")
        assert "All agrees: 5 stock rows, " in out
        await load.wait_for_more(100)
        after = dict(load.acknowledged)
        await server.kill()
    assert [name for name in names(tmp_path) if "backup" in name] == ["backup.db"]
    assert (await run_cli("check", "--database-url", url(copy)))[0] == 0

    backup, *restore = commands("Backup and restore, SQLite")
    assert backup == "stockkeeper backup backup.db --database-url sqlite+aiosqlite:///stockkeeper.db"
    for command in restore:
        await shell(command, tmp_path)
    server = await start_server(database)
    found = await reservations(server)
    assert before.items() <= found.items()
    assert not after.items() <= found.items(), "what came after the backup is gone"
    async with server.client() as client:
        await client.reserve_stock(ORGANIZATION, "new", [{"variant_id": "v1", "quantity": 1}])
    assert (await run_cli("check", "--database-url", url(database)))[0] == 0
    assert await server.terminate() == 0


async def leave_a_wal(database: Path) -> None:
    server = await start_server(database)
    async with server.client() as client:
        await client.stock.import_stock([line("a", 10)])
        await client.reserve_stock(ORGANIZATION, "o1", [{"variant_id": "a", "quantity": 2}])
    await server.kill()


@pytest.fixture(scope="module")
def left_behind(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All that a killed server left."""
    directory = tmp_path_factory.mktemp("killed")
    anyio.run(leave_a_wal, directory / "stock.db")
    return directory


@pytest.fixture
def killed(left_behind: Path, tmp_path: Path) -> Path:
    """The database of a server that was killed: its file is nearly empty, its WAL has the stock."""
    shutil.copytree(left_behind, tmp_path, dirs_exist_ok=True)
    return tmp_path / "stock.db"


async def test_what_a_killed_server_left_in_its_wal_is_copied_and_left_there(killed: Path) -> None:
    before = contents(killed)
    assert before[1]
    for command in ("check", "backup"):
        arguments = [str(killed.with_name("copy.db"))] if command == "backup" else []
        status, out, _ = await run_cli(command, *arguments, "--database-url", url(killed))
        assert status == 0
        assert "1 stock rows, 2 movements, 1 reservations" in out
        assert contents(killed) == before
    copy = sqlite3.connect(killed.with_name("copy.db").as_uri() + "?mode=ro&immutable=1", uri=True)
    assert copy.execute("SELECT available, reserved FROM stock").fetchall() == [(8, 2)]
    assert copy.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    copy.close()


async def test_a_file_that_exists_is_replaced_only_when_told(killed: Path) -> None:
    copy = killed.with_name("copy.db")
    copy.write_text("precious")
    status, out, err = await run_cli("backup", str(copy), "--database-url", url(killed))
    assert (status, out, err) == (2, "", f"{copy} exists; --replace would replace it.\n")
    assert copy.read_text() == "precious"
    assert (await run_cli("backup", str(copy), "--replace", "--database-url", url(killed)))[0] == 0
    assert (await run_cli("check", "--database-url", url(copy)))[0] == 0


@pytest.mark.parametrize(
    ("name", "database_url", "sentence"),
    [
        ("copy.db", "postgresql+asyncpg://u:secret@localhost/d", "use pg_dump"),
        ("copy.db", "sqlite+aiosqlite:///{}/missing.db", "missing.db does not exist"),
        ("nowhere/copy.db", "sqlite+aiosqlite:///{}/stock.db", "in a directory that exists"),
        ("stock.db", "sqlite+aiosqlite:///{}/stock.db", "is the database itself"),
        ("link.db", "sqlite+aiosqlite:///{}/stock.db", "is the database itself"),
        ("stock.db", "sqlite+aiosqlite:///{}/link.db", "is the database itself"),
        ("hard.db", "sqlite+aiosqlite:///{}/stock.db", "is the database itself"),
        ("../{name}/stock.db", "sqlite+aiosqlite:///{}/stock.db", "is the database itself"),
        ("stock.db-wal", "sqlite+aiosqlite:///{}/stock.db", "is the database itself, or belongs to it"),
        ("stock.db-shm", "sqlite+aiosqlite:///{}/stock.db", "is the database itself, or belongs to it"),
        ("stock.db.lock", "sqlite+aiosqlite:///{}/stock.db", "is the database itself, or belongs to it"),
    ],
)
async def test_a_copy_to_the_database_itself_is_a_usage_error(
    killed: Path, name: str, database_url: str, sentence: str
) -> None:
    directory = killed.parent
    directory.joinpath("link.db").symlink_to(killed)
    directory.joinpath("hard.db").hardlink_to(killed)
    before, before_contents = names(directory), contents(killed)
    target = str(directory / name.format(name=directory.name))
    status, out, err = await run_cli("backup", target, "--replace", "--database-url", database_url.format(directory))
    assert (status, out) == (2, "")
    assert sentence in err
    assert len(err.splitlines()) == 1
    assert names(directory) == before
    assert contents(killed) == before_contents


async def test_a_database_that_another_server_uses_is_not_replaced(killed: Path, tmp_path: Path) -> None:
    live = tmp_path / "live.db"
    server = await start_server(live)
    status, _, err = await run_cli("backup", str(live), "--replace", "--database-url", url(killed))
    assert (status, err) == (2, f"{live} is a database that a server uses.\n")
    assert await server.terminate() == 0
    assert (await run_cli("backup", str(live), "--replace", "--database-url", url(killed)))[0] == 0


async def test_a_copy_is_for_its_owners_eyes(killed: Path) -> None:
    copy = killed.with_name("copy.db")
    assert (await run_cli("backup", str(copy), "--database-url", url(killed)))[0] == 0
    assert copy.stat().st_mode & 0o777 == 0o600


def disagree(database: Path) -> None:
    connection = sqlite3.connect(database)
    with connection:
        connection.execute("UPDATE stock SET available = 7, total = 9")
    connection.close()


def damage(database: Path) -> None:
    """Change an index, so that it does not fit to its table."""
    connection = sqlite3.connect(database)
    [root] = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'reservation_by_order'").fetchone()
    connection.close()  # checks the WAL in
    contents = database.read_bytes()
    page = contents[(root - 1) * 4096 : root * 4096]
    assert b"o1" in page
    database.write_bytes(contents.replace(page, page.replace(b"o1", b"o2")))


@pytest.mark.parametrize(
    ("spoil", "sentence"), [(disagree, "conservation, available: org_1/a@w1 has 7"), (damage, "is damaged: row")]
)
async def test_a_copy_that_is_not_good_gets_no_name(killed: Path, spoil: object, sentence: str) -> None:
    assert callable(spoil)
    spoil(killed)
    copy = killed.with_name("copy.db")
    status, out, err = await run_cli("backup", str(copy), "--database-url", url(killed))
    assert (status, out) == (1, "")
    assert sentence in err
    assert err.splitlines()[-1].startswith("Nothing was backed up: the copy of ")
    assert not [name for name in names(killed.parent) if "copy" in name]


async def test_a_dump_of_postgres_taken_under_load_is_restored_as_the_manual_says(tmp_path: Path) -> None:
    with running_postgres() as postgres:
        uri = str(postgres.get_uri())
        database_url = uri.replace("postgresql://", "postgresql+asyncpg://")

        async def run(command: str) -> None:
            await shell(on_postgres(command, uri), tmp_path)

        dump, *restore = commands("Backup and restore, Postgres")
        server = await start_server(tmp_path / "server", database_url=database_url)
        async with under_load(server) as load:
            await load.wait_for_more(100)
            before = dict(load.acknowledged)
            await run(dump)
            await load.wait_for_more(100)
            after = dict(load.acknowledged)
            await server.kill()
        for command in restore:
            await run(command)
        server = await start_server(tmp_path / "server", database_url=database_url)
        found = await reservations(server)
        assert before.items() <= found.items()
        assert not after.items() <= found.items(), "what came after the dump is gone"
        assert (await run_cli("check", "--database-url", database_url))[0] == 0
        assert await server.terminate() == 0


async def test_a_copy_that_finds_no_room_leaves_nothing_behind(killed: Path) -> None:
    before = names(killed.parent)
    copy = killed.with_name("copy.db")
    process = await asyncio.create_subprocess_shell(
        f"ulimit -f 16; {sys.executable} -m stockkeeper backup {copy} --database-url {url(killed)}",
        stderr=asyncio.subprocess.PIPE,
    )
    _, err = await process.communicate()
    assert process.returncode == 1
    assert err.decode().startswith("Nothing was backed up: ")
    assert len(err.splitlines()) == 1
    assert names(killed.parent) == before
