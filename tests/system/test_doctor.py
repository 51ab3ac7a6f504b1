"""`stockkeeper doctor` and `check`: an empty database is told from a lost one, and what is wrong is named."""
# ruff: noqa: ASYNC240 - what is done to the files is done between two runs, on purpose

import json
import resource
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from stockkeeper.doctor import clock_look, disk_looks, machine_looks, postgres_looks, settings_looks, sqlite_looks
from stockkeeper.doctor.finding import Finding
from storage.sql.file_state import JournalEnd, look_at_file
from storage.sql.sql_store import SqlStore
from storage.sql.sqlite import SqliteBackend
from tests.postgres import PostgresServer, running_postgres
from tests.storage.scribe import Scribe
from tests.system.servers import run_cli

pytestmark = pytest.mark.anyio

POSTGRES = {
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "synchronous_standby_names": "",
    "server_version_num": "180001",
    "max_connections": "100",
    "superuser_reserved_connections": "3",
}
SETTINGS: dict[str, Any] = {
    "database_password_file": "",
    "tls_key": "",
    "tls_cert": "",
    "insecure_network": False,
    "keys_file": "k.toml",
}
HERE = Path("/data")
INFINITE = resource.RLIM_INFINITY


def with_settings(**changes: str) -> dict[str, str]:
    return {**POSTGRES, **changes}


def encryption(ssl: bool, address: str, *, is_bound: bool = False, is_verified: bool = False) -> Finding:
    return postgres_looks.look_at_encryption(ssl, address, is_bound, is_verified)


LOOKS: list[tuple[Callable[[], Finding], str, str]] = [
    (lambda: machine_looks.look_at_python((3, 10, 1)), "problem", "too old"),
    (lambda: machine_looks.look_at_python((3, 13, 9)), "ok", "tried"),
    (lambda: machine_looks.look_at_python((3, 14, 0)), "advice", "not tried"),
    (lambda: machine_looks.look_at_grpcio("1.85.3"), "ok", "tried"),
    (lambda: machine_looks.look_at_grpcio("1.86.0"), "advice", "grpc-aio"),
    (lambda: machine_looks.look_at_synchronization(0), "ok", "synchronized"),
    (lambda: machine_looks.look_at_synchronization(5), "advice", "not synchronized"),
    (lambda: machine_looks.look_at_synchronization(None), "ok", "does not tell"),
    (lambda: machine_looks.look_at_descriptors(10_000, 1_024), "advice", "1024"),
    (lambda: machine_looks.look_at_descriptors(10_000, INFINITE), "ok", "any number"),
    (lambda: machine_looks.look_at_descriptors(900, 1_024), "ok", "1000 are wanted"),
    (lambda: machine_looks.look_at_file_size(1_000_000), "problem", "1 MB"),
    (lambda: machine_looks.look_at_file_size(INFINITE), "ok", "as large as"),
    (lambda: machine_looks.look_at_memory(100_000_000), "advice", "100 MB"),
    (lambda: machine_looks.look_at_memory(None), "ok", "no limit"),
    (lambda: clock_look.look_at_clock(10_000, 13_600), "problem", "4 s behind"),
    (lambda: clock_look.look_at_clock(10_000, 10_900), "ok", "0 s old"),
    (lambda: clock_look.look_at_clock(10_000, 0), "ok", "no record"),
    (lambda: clock_look.look_at_other_clock(10_000, 13_000), "advice", "3.0 s"),
    (lambda: clock_look.look_at_other_clock(10_000, 9_500), "ok", "this machine's"),
    (lambda: disk_looks.look_at_room(HERE, 1_000), "problem", "0 MB"),
    (lambda: disk_looks.look_at_room(HERE, 500_000_000), "advice", "500 MB"),
    (lambda: disk_looks.look_at_room(HERE, 2 << 30), "ok", "free"),
    (lambda: disk_looks.look_at_sync(HERE, 0.03), "advice", "30.00 ms"),
    (lambda: disk_looks.look_at_sync(HERE, 0.000001), "advice", "0.00 ms"),
    (lambda: disk_looks.look_at_sync(HERE, 0.001), "ok", "1.00 ms"),
    (lambda: sqlite_looks.look_at_version((3, 36, 0)), "problem", "too old"),
    (lambda: sqlite_looks.look_at_version((3, 51, 2)), "advice", "corrupt a WAL"),
    (lambda: sqlite_looks.look_at_version((3, 51, 3)), "ok", "3.51.3"),
    (lambda: postgres_looks.look_at_postgres_version(with_settings(server_version_num="130022")), "advice", "13.22"),
    (lambda: postgres_looks.look_at_standby(True), "problem", "standby"),
    (lambda: postgres_looks.look_at_durability(with_settings(fsync="off")), "problem", "fsync is off"),
    (lambda: postgres_looks.look_at_durability(with_settings(full_page_writes="off")), "problem", "full_page_writes"),
    (lambda: postgres_looks.look_at_replication(POSTGRES, 0), "advice", "this Postgres alone"),
    (
        lambda: postgres_looks.look_at_replication(
            with_settings(synchronous_standby_names="*", synchronous_commit="local"), 1
        ),
        "advice",
        "synchronous_commit is local",
    ),
    (
        lambda: postgres_looks.look_at_replication(with_settings(synchronous_standby_names="*"), 0),
        "advice",
        "no such standby",
    ),
    (lambda: postgres_looks.look_at_replication(with_settings(synchronous_standby_names="*"), 1), "ok", "1 follow"),
    (
        lambda: postgres_looks.look_at_timeouts(with_settings(idle_session_timeout="5000", lock_timeout="0")),
        "ok",
        "idle_session_timeout is 5000 ms for this role; a server takes them from its own sessions",
    ),
    (lambda: postgres_looks.look_at_connections(POSTGRES, 90), "advice", "7 more"),
    (lambda: encryption(False, "10.0.0.1"), "advice", "10.0.0.1 is not encrypted"),
    (lambda: encryption(False, "127.0.0.1"), "ok", "this machine"),
    (lambda: encryption(True, "127.0.0.1"), "ok", "is encrypted"),
    (lambda: encryption(True, "10.0.0.1"), "advice", "encrypted, perhaps to one in the middle"),
    (lambda: encryption(True, "10.0.0.1", is_verified=True), "ok", "certificate is verified"),
    (lambda: encryption(True, "10.0.0.1", is_bound=True), "ok", "login is bound"),
    (lambda: postgres_looks.look_at_commit(0.05), "advice", "50.00 ms"),
    (lambda: postgres_looks.look_at_commit(None), "ok", "not be measured"),
    (lambda: postgres_looks.look_at_contents("d", JournalEnd(-1)), "ok", "no tables yet"),
    (lambda: postgres_looks.look_at_contents("d", JournalEnd(3)), "ok", "empty: 3 starts"),
]


@pytest.mark.parametrize(("look", "level", "words"), LOOKS)
def test_a_look_says_what_it_found_and_what_to_do(look: Callable[[], Finding], level: str, words: str) -> None:
    found = look()
    assert (found.level, bool(found.advice)) == (level, level != "ok")
    assert words in found.found


def test_the_kind_of_a_file_system_is_that_of_the_nearest_mount(tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "1 0 8:1 / / rw - ext4 /dev/sda rw\n"
        f"2 1 0:5 / {tmp_path} rw shared:1 - nfs4 host:/x rw\n"
        f"3 1 0:6 / {tmp_path}/with\\040blank rw - tmpfs tmpfs rw\n"
    )
    (tmp_path / "with blank").mkdir()
    expected = {"/": ("ext4", "ok"), str(tmp_path): ("nfs4", "problem"), f"{tmp_path}/with blank": ("tmpfs", "advice")}
    for directory, (kind, level) in expected.items():
        assert disk_looks.file_system(Path(directory), mounts) == kind
        assert disk_looks.look_at_file_system(Path(directory), mounts).level == level
    assert disk_looks.file_system(tmp_path, tmp_path / "missing") == ""


def test_secrets_that_others_may_read_are_named(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("stockkeeper.toml", "password", "server.key")]
    for file, mode in zip(files, (0o644, 0o640, 0o600), strict=True):
        file.touch()
        file.chmod(mode)
    settings = {**SETTINGS, "database_password_file": str(files[1]), "tls_key": str(files[2])}
    [found] = settings_looks.look_at_settings(settings, str(files[0]))
    assert found.found == f"others than the owner may read {files[0]}, {files[1]}"
    risky = {**SETTINGS, "insecure_network": True, "keys_file": ""}
    assert [one.level for one in settings_looks.look_at_settings(risky, "")] == ["ok", "advice", "advice"]


# ---- an empty database and a lost one


@pytest.fixture
async def database(tmp_path: Path) -> Path:
    """One that a server had, with a delivery in it; a backup of before the second one lies beside."""
    path, scribe = tmp_path / "x.db", Scribe()
    store = SqlStore(backend=SqliteBackend(path))
    await store.open()
    await store.write([scribe.receive()])
    await store.close()
    shutil.copy(path, tmp_path / "backup.db")
    await store.open()
    await store.write([scribe.receive()])
    await store.close()
    return path


def database_of(path: Path) -> Finding:
    return next(one for one in sqlite_looks.look_at_sqlite(path, time.time_ns() // 1_000_000) if one.name == "database")


async def test_a_whole_file_is_whole(database: Path) -> None:
    assert look_at_file(database).kind == "whole"
    assert "ends at LSN 2 of" in database_of(database).found
    assert {one.level for one in sqlite_looks.look_at_sqlite(database, 0)} >= {"ok", "problem"}  # the clock stands at 0


async def test_a_file_that_is_gone_is_lost_and_one_that_never_was_is_none(database: Path, tmp_path: Path) -> None:
    database.unlink()
    found = database_of(database)
    assert found.level == "problem"
    assert f"{database} does not exist, though a server had it in epoch 2" in found.found
    assert f"remove {database}.lock" in found.advice
    database.touch()
    assert "has no bytes, though a server had it" in database_of(database).found
    assert database_of(tmp_path / "new.db").level == "ok"


async def test_an_empty_database_in_its_place_is_lost_and_one_of_its_own_is_empty(database: Path) -> None:
    fresh = database.with_name("fresh.db")
    store = SqlStore(backend=SqliteBackend(fresh))
    await store.open()
    await store.close()
    assert look_at_file(fresh).kind == "empty"
    assert "is empty: nothing was ever written to it" in database_of(fresh).found
    shutil.copy(fresh, database)
    assert look_at_file(database).kind == "lost"
    assert "is empty, though the last server here had it in epoch 2" in database_of(database).found


async def test_an_older_copy_is_told_to_be_one(database: Path) -> None:
    shutil.copy(database.with_name("backup.db"), database)
    found = database_of(database)
    assert found.level == "advice"
    assert "ends at LSN 1" in found.found
    assert "the last server here had it in epoch 2" in found.found


async def test_a_wal_that_is_missing_after_a_kill_is_a_problem(database: Path) -> None:
    with sqlite3.connect(database) as raw:
        raw.execute("PRAGMA user_version = 1")  # as a server leaves it that is killed
    raw.close()
    assert "is missing, though the last server was killed" in database_of(database).found
    assert database_of(database).level == "problem"  # whatever the first look has left beside it


async def test_what_is_no_database_and_who_may_read_it_is_named(tmp_path: Path) -> None:
    path = tmp_path / "text.db"
    path.write_text("no database, " * 100)
    path.chmod(0o644)
    found = {one.name: one for one in sqlite_looks.look_at_sqlite(path, 0)}
    assert "cannot be read: file is not a database" in found["database"].found
    assert found["permissions"].advice == f"chmod 600 {path}"
    nowhere = {one.name: one for one in sqlite_looks.look_at_sqlite(tmp_path / "no" / "x.db", 0)}
    assert nowhere["directory"].level == "problem"


async def test_check_and_doctor_end_with_1_on_what_was_lost_and_with_0_on_what_is_empty(
    database: Path, tmp_path: Path
) -> None:
    url = ("--database-url", f"sqlite+aiosqlite:///{database}")
    database.unlink()
    status, out, err = await run_cli("doctor", *url, "--json")
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["name"] for line in lines if line["level"] == "problem"] == ["database"]
    assert (status, err) == (1, "1 problem found.\n")
    status, out, err = await run_cli("check", *url)
    assert (status, out) == (2, "")
    assert "does not exist, though a server had it in epoch 2" in err
    database.touch()
    status, out, err = await run_cli("check", *url)
    assert (status, out) == (1, "")
    assert "has no bytes, though a server had it" in err
    fresh = tmp_path / "fresh.db"
    store = SqlStore(backend=SqliteBackend(fresh))
    await store.open()
    await store.close()
    status, out, err = await run_cli("check", "--database-url", f"sqlite+aiosqlite:///{fresh}")
    assert (status, out, err) == (0, "The database is empty: nothing was ever written to it.\n", "")


# ---- on Postgres


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with running_postgres() as server:
        yield server


async def test_doctor_looks_at_postgres(postgres: PostgresServer) -> None:
    url = str(postgres.get_uri())
    postgres.psql("DROP SCHEMA public CASCADE; CREATE SCHEMA public;")
    postgres.psql("ALTER DATABASE postgres SET idle_session_timeout = '5min'")
    before = {one.name: one for one in await postgres_looks.look_at_postgres(url)}
    assert "has no tables yet" in before["database"].found
    store = SqlStore(url)
    await store.open()
    await store.write([Scribe().receive()])
    after = {one.name: one for one in await postgres_looks.look_at_postgres(url)}
    await store.close()
    postgres.psql("ALTER DATABASE postgres RESET idle_session_timeout")
    assert "ends at LSN 1 of" in after["database"].found
    assert "idle_session_timeout is 300000 ms" in after["time limits"].found
    assert "a commit takes" in after["commit"].found
    assert after["replication"].level == "advice"
    assert after["durability"].level == ("problem" if "fsync is off" in after["durability"].found else "ok")
    names = ["pooler", "Postgres", "primary", "durability", "replication", "time limits", "connections", "encryption"]
    assert list(after) == [*names, "Postgres' clock", "commit", "database", "clock"]


async def test_a_postgres_that_is_away_is_a_problem_without_its_password(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("s3cret\n")
    options = ("--database-url", "postgresql://u@127.0.0.1:1/d", "--database-password-file", str(tmp_path / "password"))
    status, out, err = await run_cli("doctor", *options)
    assert (status, err) == (1, "1 problem found.\n")
    assert "postgresql://u:***@127.0.0.1:1/d cannot be reached" in out
    assert "s3cret" not in out
