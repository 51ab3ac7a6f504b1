"""The sessions of the Postgres store: their settings and time limits, and what stands between them and Postgres."""

import asyncio
import shutil
import socket
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rpc.transport.tls_files import TlsFiles
from storage.schema_errors import SchemaTooNew
from storage.sql.database_url import complete_url
from storage.sql.sql_store import SqlStore
from storage.store import OwnershipLost, StorageError
from tests.authority import Authority
from tests.ports import free_port
from tests.postgres import EmbeddedPostgres, PostgresServer, embedded_postgres, running_postgres
from tests.storage.scribe import Scribe

asyncpg = pytest.importorskip("asyncpg")
postgres = pytest.importorskip("storage.sql.postgres")
postgres_lock = pytest.importorskip("storage.sql.postgres_lock")
postgres_session = pytest.importorskip("storage.sql.postgres_session")

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with running_postgres() as server:
        yield server


@pytest.fixture
def url(server: PostgresServer) -> str:
    """An empty database."""
    server.psql("DROP SCHEMA public CASCADE; CREATE SCHEMA public;")
    return str(server.get_uri())


@pytest.fixture
def psql(server: PostgresServer, url: str) -> Callable[..., str]:
    return server.psql


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def with_parameter(url: str, parameter: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}{parameter}"


async def settings(connection: Any, *names: str) -> dict[str, str]:
    rows = await connection.fetch("SELECT name, current_setting(name) AS value FROM unnest($1::text[]) AS name", names)
    return {row["name"]: row["value"] for row in rows}


# ---- settings


async def test_every_session_has_the_settings_that_the_store_relies_on(url: str, psql: Callable[[str], str]) -> None:
    store = SqlStore(url)
    await store.open()
    backend = store._backend
    async with backend._engine.connect() as reader:  # type: ignore[attr-defined]
        reading = (await reader.get_raw_connection()).driver_connection
        for connection in (backend._holder, backend._writer, reading):  # type: ignore[attr-defined]
            found = await settings(connection, *postgres_session.SESSION_SETTINGS, "synchronous_commit")
            assert found == {
                "timezone": "UTC",
                "enable_seqscan": "off",
                "enable_bitmapscan": "off",
                "jit": "off",
                "plan_cache_mode": "auto" if connection is backend._writer else "force_custom_plan",  # type: ignore[attr-defined]
                "idle_in_transaction_session_timeout": "5s",
                "synchronous_commit": "on",
                # A socket of the file system has none.
                "tcp_keepalives_idle": found["tcp_keepalives_idle"],
                "tcp_keepalives_interval": found["tcp_keepalives_interval"],
                "tcp_keepalives_count": found["tcp_keepalives_count"],
            }
    await store.close()


async def test_a_lost_peer_is_noticed_by_keepalives_on_a_network_socket() -> None:
    with embedded_postgres() as server:
        port = free_port()
        server.stop_immediately()
        server.start(port=port)
        store = SqlStore(f"postgresql://postgres@127.0.0.1:{port}/postgres")
        await store.open()
        holder = store._backend._holder  # type: ignore[attr-defined]
        names = ("tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_keepalives_count")
        assert await settings(holder, *names) == dict(zip(names, ("15", "5", "3"), strict=True))
        await store.close()


@pytest.mark.parametrize("name", ["idle_session_timeout", "transaction_timeout", "statement_timeout", "lock_timeout"])
async def test_a_time_limit_that_an_administrator_set_for_others_is_not_ours(
    url: str, psql: Callable[..., str], name: str
) -> None:
    if not psql(f"SELECT 'known' FROM pg_settings WHERE name = '{name}'").count("known"):
        pytest.skip("an older Postgres")
    psql(f"DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET {name} = 1000', current_database()); END $$")
    store = SqlStore(url)
    try:
        await store.open()
        backend = store._backend
        assert await settings(backend._writer, name) == {name: "0"}  # type: ignore[attr-defined]
        # The holder waits for the owner's lock, and for nothing else.
        waits = "2s" if name == "lock_timeout" else "0"
        assert await settings(backend._holder, name) == {name: waits}  # type: ignore[attr-defined]
        if name == "idle_session_timeout":
            await asyncio.sleep(1.2)  # idle for longer than others may be
        else:
            await backend._writer.fetch("SELECT pg_sleep(1.2)")  # type: ignore[attr-defined]
        await store.check_ownership()
        await store.write([Scribe().receive()])
    finally:
        await store.close()
        psql(
            f"DO $$ BEGIN EXECUTE format('ALTER DATABASE %I RESET {name}', current_database()); END $$", f"-c {name}=0"
        )


async def test_parameters_of_the_url_reach_the_session(url: str, psql: Callable[[str], str]) -> None:
    psql("DROP SCHEMA IF EXISTS inv CASCADE; CREATE SCHEMA inv")
    parameters = "application_name=shop&options=-csearch_path%3Dinv&channel_binding=prefer&connect_timeout=5"
    store = SqlStore(with_parameter(url, parameters))
    await store.open()
    second = SqlStore(with_parameter(url, "options=-csearch_path%3Dinv"))
    with pytest.raises(OwnershipLost, match="shop on this machine, Postgres process"):
        await second.open()
    assert "ownership" in psql("SELECT tablename FROM pg_tables WHERE schemaname = 'inv'")
    assert "ownership" not in psql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    await store.close()


async def test_a_schema_is_made_and_servers_in_two_know_nothing_of_each_other(
    url: str, psql: Callable[[str], str]
) -> None:
    stores = [SqlStore(complete_url(url, "", schema)) for schema in ("Inventory_1", "inventory_2")]
    for quantity, store in enumerate([*stores, SqlStore(url)], 1):
        assert (await store.open()).last_lsn == 0
        await store.write([Scribe().receive(quantity=quantity)])
        stores[quantity - 1 :] = [store]
    found = psql("SELECT schemaname FROM pg_tables WHERE tablename = 'ownership'").split()
    assert {"Inventory_1", "inventory_2", "public"} <= set(found)
    assert "3" in psql("SELECT available FROM stock").split()
    assert "2" in psql("SELECT available FROM inventory_2.stock").split()
    for store in stores:
        await store.close()


async def test_of_several_hosts_the_first_that_answers_is_taken(url: str, server: PostgresServer) -> None:
    if not isinstance(server, EmbeddedPostgres):
        pytest.skip("needs a Postgres of the test's own")
    socket_name = server.get_uri().partition("host=")[2]
    hosts = f"host=%2Fnowhere,{socket_name}&target_session_attrs=read-write"
    store = SqlStore(f"postgresql://postgres@/postgres?{hosts}")
    await store.open()
    assert "%2Fnowhere" in repr(store)
    await store.close()


@pytest.mark.parametrize(
    ("parameter", "sentence"),
    [("sslmode=never", "`sslmode` parameter must be one of"), ("options=-cnonsense%3D1", "nonsense")],
)
async def test_an_unknown_value_is_one_sentence(url: str, parameter: str, sentence: str) -> None:
    store = SqlStore(with_parameter(url, parameter))
    with pytest.raises(StorageError, match=rf"cannot open the database postgresql://.*: .*{sentence}") as error:
        await store.open()
    assert "\n" not in str(error.value)


# ---- time limits of ours


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server that takes connections and says nothing."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield int(listening.getsockname()[1])


async def test_connecting_to_a_silent_server_takes_as_long_as_the_url_allows(silent: int) -> None:
    store = SqlStore(f"postgresql://u@127.0.0.1:{silent}/d?connect_timeout=1")
    begun_s = asyncio.get_running_loop().time()
    with pytest.raises(StorageError, match=r"cannot open the database .*: it did not answer in time"):
        await asyncio.wait_for(store.open(), 9)
    assert asyncio.get_running_loop().time() - begun_s >= 0.9


async def test_a_statement_that_is_not_answered_fails(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert postgres_session.COMMAND_TIMEOUT_S == 60
    store = SqlStore(url)
    await store.open()
    await store.close()
    monkeypatch.setattr(postgres_session, "COMMAND_TIMEOUT_S", 1.0)
    await store.open()
    locked = await asyncpg.connect(url)
    async with locked.transaction():
        await locked.execute("LOCK TABLE ownership")
        for doing in (store.check_ownership, lambda: store.write([Scribe().receive()])):
            with pytest.raises(StorageError):
                await asyncio.wait_for(attempt(doing), 9)
    await locked.close()
    await store.close()


async def attempt(doing: Callable[[], Awaitable[object]]) -> None:
    await doing()


async def test_waiting_for_the_lock_of_another_owner_ends(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert postgres_lock.LOCK_WAIT_MS == 2_000
    monkeypatch.setattr(postgres_lock, "LOCK_WAIT_MS", 300)
    store, second = SqlStore(url), SqlStore(url)
    await store.open()
    with pytest.raises(OwnershipLost):
        await asyncio.wait_for(second.open(), 9)
    await store.close()


async def test_housekeeping_waits_for_a_locked_archive_no_longer_than_two_seconds(url: str) -> None:
    scribe, store = Scribe(), SqlStore(url)
    await store.open()
    await store.write([scribe.receive()])
    operator = await asyncpg.connect(url)
    async with operator.transaction():
        await operator.execute("LOCK TABLE stock_movement_archive")
        with pytest.raises(StorageError, match="lock timeout"):
            await asyncio.wait_for(store.move_out(scribe.at_ms + 1, 100), 9)
    assert (await store.move_out(scribe.at_ms + 1, 100)).movements == 1
    await operator.close()
    await store.close()


async def test_closing_does_not_wait_for_a_server_that_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    assert postgres.CLOSE_TIMEOUT_S == 2
    monkeypatch.setattr(postgres, "CLOSE_TIMEOUT_S", 0.2)
    with embedded_postgres() as server:
        store = SqlStore(server.get_uri())
        await store.open()
        reading = asyncio.create_task(store.check_ownership())
        server.freeze()
        await asyncio.wait_for(store.close(), 9)
        server.thaw()
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


# ---- poolers


@pytest.fixture
def pooler(server: PostgresServer, url: str) -> Iterator[Callable[[str], str]]:
    """PgBouncer before the database, in a mode; returns the URL through it."""
    program = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin:/usr/local/bin")
    if program is None or not isinstance(server, EmbeddedPostgres):
        pytest.skip("needs PgBouncer, and a Postgres of the test's own")
    processes: list[subprocess.Popen[bytes]] = []

    def start(mode: str, tls: TlsFiles | None = None) -> str:
        port = free_port()
        directory = server.directory / f"pgbouncer-{port}"
        directory.mkdir()
        (directory / "users").write_text('"postgres" ""\n')
        (directory / "pgbouncer.ini").write_text(
            f"[databases]\n* = host={server.directory}\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = trust\n"
            f"auth_file = {directory}/users\npool_mode = {mode}\nignore_startup_parameters = extra_float_digits\n"
            + (_with_tls(directory, tls) if tls else "")
        )
        processes.append(server.run_beside(program, "-q", str(directory / "pgbouncer.ini")))
        return f"postgresql://postgres@127.0.0.1:{port}/postgres"

    yield start
    for process in processes:
        process.terminate()
        process.wait(10)


def _with_tls(directory: Path, tls: TlsFiles) -> str:
    """What makes a pooler refuse all that is not encrypted. Its user has to be able to read the files."""
    for name in (tls.certificate, tls.key):
        shutil.copyfile(name, directory / Path(name).name)
    certificate, key = (directory / Path(name).name for name in (tls.certificate, tls.key))
    return f"client_tls_sslmode = require\nclient_tls_cert_file = {certificate}\nclient_tls_key_file = {key}\n"


async def opened(store: SqlStore) -> None:
    """Open it, once the pooler listens."""
    while True:
        try:
            await store.open()
        except StorageError as error:
            if "Connect call failed" not in str(error):
                raise
        else:
            return


async def test_a_pooler_in_transaction_mode_is_refused_and_nothing_stays_behind(
    pooler: Callable[[str], str], psql: Callable[[str], str], url: str
) -> None:
    store = SqlStore(pooler("transaction"))
    for _ in range(2):
        with pytest.raises(StorageError, match=r"a pooler in transaction mode .* connect to Postgres itself") as error:
            await asyncio.wait_for(opened(store), 20)
        assert "\n" not in str(error.value)
    assert "0" in psql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").split()
    direct = SqlStore(url)
    assert (await direct.open()).epoch == 1
    await direct.close()


async def test_a_pooler_in_session_mode_serves(pooler: Callable[[str], str]) -> None:
    store = SqlStore(pooler("session"))
    await asyncio.wait_for(opened(store), 20)
    await store.write([Scribe().receive()])
    assert await settings(store._backend._writer, "enable_seqscan") == {"enable_seqscan": "off"}  # type: ignore[attr-defined]
    await store.close()


async def test_doctor_names_the_pooler_and_says_what_to_do(pooler: Callable[[str], str]) -> None:
    looks = pytest.importorskip("stockkeeper.doctor.postgres_looks")
    for mode, level, found, advice in (
        ("transaction", "problem", "a pooler in transaction mode", "onnect to Postgres itself"),
        ("session", "ok", "a pooler in session mode stands before the database", ""),
    ):
        first, *others = await asyncio.wait_for(looked(looks, pooler(mode)), 20)
        assert (first.name, first.level) == ("pooler", level)
        assert found in first.found
        assert advice in first.advice
        assert bool(first.advice) is bool(advice)
        assert "database" in {one.name for one in others}


async def looked(looks: Any, url: str) -> Any:
    """What doctor says, once the pooler listens."""
    while "Connect call failed" in (findings := await looks.look_at_postgres(url))[0].found:
        pass
    return findings


async def test_sslmode_means_what_it_means_to_libpq(pooler: Callable[..., str], tmp_path: Path) -> None:
    """To a pooler, since the Postgres of the tests has no TLS."""
    ours, theirs = Authority(tmp_path, "ours"), Authority(tmp_path, "theirs")
    url = pooler("session", ours.files()).replace("127.0.0.1", "localhost")
    trusted = f"sslmode=verify-full&sslrootcert={ours.file}"
    for parameters in (trusted, "sslmode=require", "sslmode=prefer&channel_binding=prefer"):
        store = SqlStore(with_parameter(url, parameters))
        await asyncio.wait_for(opened(store), 20)
        assert store._backend._writer._transport.get_extra_info("ssl_object") is not None  # type: ignore[attr-defined]
        await store.close()
    for parameters, said in (
        (f"sslmode=verify-full&sslrootcert={theirs.file}", "certificate verify failed"),
        ("sslmode=disable", "SSL required"),
    ):
        with pytest.raises(StorageError, match=said) as error:
            await SqlStore(with_parameter(url, parameters)).open()
        assert "\n" not in str(error.value)


# ---- beside another program


async def test_another_programs_alembic_version_is_left_alone(url: str, psql: Callable[[str], str]) -> None:
    psql("CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)")
    psql("INSERT INTO alembic_version VALUES ('a1b2c3d4e5f6')")
    store = SqlStore(url)
    for _ in range(2):
        await store.open()
        await store.close()
    assert "a1b2c3d4e5f6" in psql("SELECT * FROM alembic_version")


async def test_the_schema_version_of_before_is_taken_over(url: str, psql: Callable[[str], str]) -> None:
    store = SqlStore(url)
    await store.open()
    await store.close()
    psql("ALTER TABLE stockkeeper_schema_version RENAME TO alembic_version")
    assert (await store.open()).epoch == 2
    await store.close()
    assert "(0 rows)" in psql("SELECT 1 FROM pg_tables WHERE tablename = 'alembic_version'")
    psql("ALTER TABLE stockkeeper_schema_version RENAME TO alembic_version")
    psql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(SchemaTooNew, match="has the schema 9999"):
        await store.open()
