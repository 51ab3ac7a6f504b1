"""A SQLite file that is removed or replaced while a store has it open."""
# ruff: noqa: ASYNC240 - what is done to the files is done between two awaits, on purpose

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from storage.sql import sqlite
from storage.sql.audit import audit
from storage.sql.snapshot import read_file
from storage.sql.sql_store import SqlStore
from storage.sql.sqlite import SqliteBackend
from storage.store import LEASE_S, DatabaseGone, OwnershipLost
from tests.storage.scribe import Scribe

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    directory = tmp_path / "volume"
    directory.mkdir()
    return directory / "x.db"


@pytest.fixture
def scribe() -> Scribe:
    return Scribe()


@pytest.fixture(params=[True, False], ids=["with a reader", "one connection"])
def store(path: Path, request: pytest.FixtureRequest) -> SqlStore:
    return SqlStore(backend=SqliteBackend(path, reader=request.param))


def beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def remove(*suffixes: str) -> Callable[[Path], None]:
    def removing(path: Path) -> None:
        for suffix in suffixes:
            beside(path, suffix).unlink()

    return removing


def replace(path: Path) -> None:
    with sqlite3.connect(beside(path, ".other")) as other, sqlite3.connect(path) as source:
        source.backup(other)
    other.close()
    source.close()
    beside(path, ".other").replace(path)


def unmount(path: Path) -> None:
    path.parent.rename(path.parent.with_name("elsewhere"))


LOSSES = [
    pytest.param(remove(""), id="the database"),
    pytest.param(remove("", "-wal", "-shm"), id="the database and its companions"),
    pytest.param(remove("", "-wal", "-shm", ".lock"), id="all and the lock"),
    pytest.param(remove("-wal"), id="the WAL"),
    pytest.param(remove("-shm"), id="the WAL's index"),
    pytest.param(remove(".lock"), id="the lock"),
    pytest.param(replace, id="another in its place"),
    pytest.param(unmount, id="the whole directory"),
]


@pytest.mark.parametrize("lose", LOSSES)
async def test_nothing_is_acknowledged_into_a_file_that_is_gone(
    store: SqlStore, path: Path, scribe: Scribe, lose: Callable[[Path], None]
) -> None:
    await store.open()
    await store.write([scribe.receive()])
    lose(path)
    with pytest.raises(DatabaseGone, match=r"x\.db.* was removed or replaced while the server ran"):
        await store.write([scribe.receive()])
    with pytest.raises(DatabaseGone):
        await store.check_ownership()
    with pytest.raises(DatabaseGone):
        await store.move_out(1, 1)
    await store.close()


async def test_a_database_that_was_lost_between_two_openings_is_not_made_anew(
    store: SqlStore, path: Path, scribe: Scribe
) -> None:
    await store.open()
    await store.write([scribe.receive()])
    await store.close()
    path.unlink()
    with pytest.raises(DatabaseGone):
        await store.open()
    assert not path.exists()
    await store.close()


async def test_a_file_that_was_written_over_between_two_openings_is_not_served(
    store: SqlStore, path: Path, scribe: Scribe
) -> None:
    await store.open()
    await store.close()
    earlier = path.read_bytes()
    await store.open()
    await store.write([scribe.receive()])
    await store.close()
    path.write_bytes(earlier)
    with pytest.raises(DatabaseGone, match="it ends at LSN 0, and LSN 1 was acknowledged"):
        await store.open()
    await store.close()


async def test_the_old_wal_is_not_left_beside_a_file_put_in_its_place(
    store: SqlStore, path: Path, scribe: Scribe
) -> None:
    await store.open()
    await store.write([scribe.receive(quantity=3)])
    replace(path)
    with pytest.raises(DatabaseGone):
        await store.write([scribe.counted([(f"v{n}", "w", 1) for n in range(2_000)])])
    await store.close()
    assert sorted(file.name for file in path.parent.iterdir()) == ["x.db", "x.db.lock"]
    assert read_file(path, audit).disagreements == ()
    successor = SqlStore(backend=SqliteBackend(path))
    assert (await successor.open()).last_lsn == 1
    await successor.close()


async def test_a_file_that_was_renamed_has_everything_once_the_server_has_ended(
    store: SqlStore, path: Path, scribe: Scribe
) -> None:
    await store.open()
    await store.write(scribe.reserve_after_receiving())
    path.rename(beside(path, ".moved"))
    with pytest.raises(DatabaseGone):
        await store.check_ownership()
    await store.close()
    with sqlite3.connect(beside(path, ".moved")) as moved:
        assert moved.execute("SELECT last_lsn FROM ownership").fetchall() == [(2,)]
    moved.close()


async def test_a_companion_of_the_successor_is_left_alone(store: SqlStore, path: Path) -> None:
    await store.open()
    remove("", "-wal", "-shm", ".lock")(path)
    successor = SqlStore(backend=SqliteBackend(path))
    await successor.open()
    with pytest.raises(DatabaseGone):
        await store.check_ownership()
    await store.close()
    await successor.check_ownership()
    await successor.close()


class KilledInItsWait(Exception):
    pass


async def test_a_successor_waits_where_the_lock_of_its_predecessor_was_removed(
    store: SqlStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    async def wait(delay_s: float) -> None:
        waits.append(delay_s)
        if len(waits) == 1:
            raise KilledInItsWait

    monkeypatch.setattr(sqlite, "sleep", wait)
    await store.open()
    await store.close()
    await store.open()
    assert waits == []
    remove(".lock")(path)
    killed = SqlStore(backend=SqliteBackend(path))
    with pytest.raises(KilledInItsWait):
        await killed.open()
    await killed.close()
    successor = SqlStore(backend=SqliteBackend(path))
    await successor.open()
    assert waits == [LEASE_S, LEASE_S]
    with pytest.raises((DatabaseGone, OwnershipLost)):
        await store.check_ownership()
    await store.close()
    await successor.close()


async def test_its_files_are_for_the_owner_alone(store: SqlStore, path: Path, scribe: Scribe) -> None:
    await store.open()
    await store.write([scribe.receive()])
    modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
    assert modes == dict.fromkeys(("x.db", "x.db-wal", "x.db-shm", "x.db.lock"), 0o600)
    await store.close()
    path.chmod(0o640)
    await store.open()
    assert path.stat().st_mode & 0o777 == 0o640  # what an operator has set stays
    await store.close()


async def test_a_link_in_place_of_the_lock_is_not_followed(store: SqlStore, path: Path, tmp_path: Path) -> None:
    os.symlink(tmp_path / "somebody's file", beside(path, ".lock"))  # noqa: PTH211 - as an attacker would
    with pytest.raises(Exception, match=r"cannot open the database .*x\.db\.lock"):
        await store.open()
    assert not (tmp_path / "somebody's file").exists()
    await store.close()
