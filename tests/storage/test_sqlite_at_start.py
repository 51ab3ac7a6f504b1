"""What a server makes of the SQLite files that it finds: empty, lost, of another program, not belonging together."""
# ruff: noqa: ASYNC240 - what is done to the files is done between two awaits, on purpose

import logging
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from actors.records import VariantKey
from storage.sql import sqlite
from storage.sql.backup import back_up
from storage.sql.sql_store import SqlStore
from storage.sql.sqlite import SqliteBackend
from storage.sql.sqlite_session import SqliteSession
from storage.store import StorageError
from tests.storage.scribe import ORGANIZATION, Scribe

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "x.db"


def made(path: Path) -> SqlStore:
    return SqlStore(backend=SqliteBackend(path))


def beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


async def killed(path: Path, variants: int = 200) -> None:
    """Files as a killed server leaves them: all that came after its start is in the WAL alone."""
    living = path.with_name(f"{path.stem} while it lived.db")
    store = made(living)
    await store.open()
    await store.write([Scribe().counted([(f"v{number}", "w", 1) for number in range(variants)])])
    for suffix in ("", "-wal", ".lock"):
        shutil.copyfile(beside(living, suffix), beside(path, suffix))
    await store.close()


@pytest.mark.parametrize("lose", [Path.unlink, lambda path: path.write_bytes(b"")], ids=["missing", "empty"])
async def test_a_database_that_was_there_is_not_begun_anew(path: Path, lose: object) -> None:
    assert callable(lose)
    store = made(path)
    await store.open()
    await store.close()
    lose(path)
    with pytest.raises(StorageError, match=r"x\.db is empty or missing, though a server had it in epoch 1:"):
        await made(path).open()
    beside(path, ".lock").unlink()
    store = made(path)
    assert (await store.open()).epoch == 1
    await store.close()


async def test_a_start_that_failed_leaves_no_witness(path: Path) -> None:
    path.write_text("no database" * 999)
    failed = made(path)
    with pytest.raises(StorageError, match="file is not a database"):
        await failed.open()
    path.unlink()
    store = made(path)
    assert (await store.open()).epoch == 1
    await store.close()


async def test_a_database_of_another_program_is_named(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA application_id = 252006673")
    with pytest.raises(StorageError, match="belongs to another program: its application_id is 252006673"):
        await made(path).open()


async def test_a_killed_server_leaves_nothing_suspect(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    await killed(path)
    with caplog.at_level(logging.WARNING):
        store = made(path)
        assert (await store.open()).last_lsn == 1
        await store.close()
        await store.open()
        await store.close()
    assert caplog.records == []


async def test_the_file_itself_is_a_database_though_its_wal_is_lost(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await killed(path)
    beside(path, "-wal").unlink()
    store = made(path)
    ownership = await store.open()
    assert (ownership.epoch, ownership.last_lsn) == (2, 0)
    await store.close()
    assert "x.db-wal is missing, though the last server was killed" in caplog.records[0].reason  # type: ignore[attr-defined]


async def test_when_nothing_is_to_be_written_what_is_in_the_wal_is_copied_before_it_is_much(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "CHANGES_CHECKED_IN", 400)
    store, scribe = made(path), Scribe()
    await store.open()
    begun_bytes = path.stat().st_size
    for number, grows in enumerate((False, True, False, True)):  # 150 rows and as many lines of the ledger each
        await store.write([scribe.counted([(f"v{number}-{line}", "w", 1) for line in range(150)])])
        assert path.stat().st_size == begun_bytes
        await store.catch_up()
        assert (path.stat().st_size > begun_bytes) is grows
        begun_bytes = path.stat().st_size
    await store.close()


async def test_a_wal_that_cannot_be_copied_now_ends_nothing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def disk_is_full(session: SqliteSession) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(sqlite, "CHANGES_CHECKED_IN", 1)
    store, scribe = made(path), Scribe()
    await store.open()
    monkeypatch.setattr(SqliteSession, "check_in", disk_is_full)
    for number in range(2):
        await store.write([scribe.counted([(f"v{number}", "w", 1)])])
        await store.catch_up()
    await store.close()


async def test_a_file_that_another_wal_would_ruin_is_refused(path: Path) -> None:
    """A server is killed right after another file was put in the place of its own."""
    await killed(path.with_name("source.db"), variants=3)
    back_up(path.with_name("source.db"), path.with_name("backup.db"))
    await killed(path)
    path.with_name("backup.db").replace(path)
    with pytest.raises(StorageError, match=r"x\.db-wal was written for the file that was .*x\.db before"):
        await made(path).open()
    beside(path, "-wal").unlink()
    store = made(path)
    assert len(await variants(store)) == 3
    await store.close()


async def variants(store: SqlStore) -> list[str]:
    await store.open()
    return [row.variant_id for row in await store.load_variants([VariantKey(ORGANIZATION, f"v{n}") for n in range(9)])]


async def test_files_of_a_killed_server_may_be_moved_together(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    await killed(path)  # copies them: every inode is another one
    store = made(path)
    assert len(await variants(store)) == 9
    await store.close()
    assert caplog.records == []


async def test_a_backup_of_a_database_in_use_is_restored_without_a_word(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await killed(path)
    back_up(path, path.with_name("copy.db"))
    store = made(path.with_name("copy.db"))
    assert (await store.open()).last_lsn == 1
    await store.close()
    assert caplog.records == []
