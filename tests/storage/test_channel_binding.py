"""TLS to Postgres itself: what `sslmode` means, and that `channel_binding=require` keeps a man in the middle out."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from rpc.transport.tls_files import TlsFiles
from stockkeeper.doctor.postgres_looks import look_at_postgres
from storage.sql.database_url import parse_url
from storage.sql.postgres_address import read_address
from storage.sql.sql_store import SqlStore
from storage.store import StorageError
from tests.authority import Authority
from tests.storage.middle import Middle
from tests.storage.scribe import Scribe
from tests.system.servers import line, run_cli, start_server
from tests.tls_postgres import OTHER_PASSWORDS, PASSWORD, TlsPostgres, tls_postgres

asyncpg = pytest.importorskip("asyncpg")
postgres_session = pytest.importorskip("storage.sql.postgres_session")
pytestmark = pytest.mark.anyio

REQUIRED = "channel_binding=require"


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ours"), "ours")


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("theirs"), "theirs")


@pytest.fixture(scope="module")
def pair(ours: Authority) -> TlsFiles:
    """The server's."""
    return ours.files()


@pytest.fixture(scope="module")
def server(pair: TlsFiles) -> Iterator[TlsPostgres]:
    with tls_postgres(pair) as server:
        yield server


@pytest.fixture
def anyio_backend() -> Any:
    return "asyncio"


@pytest.fixture
def trusted(tmp_path: Path, ours: Authority, theirs: Authority) -> Path:
    """A file of authorities, whose certificates a client takes."""
    file = tmp_path / "trusted.pem"
    file.write_bytes(ours.file.read_bytes() + theirs.file.read_bytes())
    return file


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Any]:
    connection = await asyncio.wait_for(postgres_session.connect(read_address(parse_url(url))), 20)
    try:
        yield connection
    finally:
        connection.terminate()


async def encryption(url: str) -> str:
    """The version of TLS by which a URL connects; empty without."""
    async with connected(url) as connection:
        return str(await connection.fetchval("SELECT version FROM pg_stat_ssl WHERE pid = pg_backend_pid()") or "")


async def refusal(url: str) -> str:
    """Why a database cannot be opened."""
    with pytest.raises(StorageError) as error:
        await asyncio.wait_for(SqlStore(url).open(), 20)
    assert "\n" not in str(error.value)
    assert PASSWORD not in str(error.value)
    return str(error.value)


# ---- sslmode


async def test_sslmode_means_what_it_means_to_libpq(server: TlsPostgres, ours: Authority, theirs: Authority) -> None:
    root, other = f"&sslrootcert={ours.file}", f"&sslrootcert={theirs.file}"
    assert await encryption(server.url("bound", parameters="sslmode=disable")) == ""
    for mode in ("prefer", "require", f"verify-ca{root}", f"verify-full{root}"):
        assert await encryption(server.url("bound", parameters=f"sslmode={mode}")) == "TLSv1.3"
    by_address = server.url("bound", parameters=f"sslmode=verify-ca{root}").replace("localhost", "127.0.0.1")
    assert await encryption(by_address) == "TLSv1.3"
    for url in (
        by_address.replace("verify-ca", "verify-full"),
        server.url("bound", parameters=f"sslmode=verify-ca{other}"),
        server.url("bound", parameters=f"sslmode=verify-full{other}"),
    ):
        assert "certificate verify failed" in await refusal(url)
    missing = await refusal(server.url("bound", parameters="sslmode=verify-full&sslrootcert=/nowhere"))
    assert missing.endswith("the file /nowhere of sslrootcert cannot be read")


async def test_the_systems_authorities_are_trusted_where_the_url_says_so(
    server: TlsPostgres, ours: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = server.url("bound", parameters="sslrootcert=system")
    assert "certificate verify failed" in await refusal(url)
    monkeypatch.setenv("SSL_CERT_FILE", str(ours.file))
    assert await encryption(url) == "TLSv1.3"
    assert await encryption(f"{url}&{REQUIRED}&sslmode=verify-full") == "TLSv1.3"
    assert "certificate verify failed" in await refusal(url.replace("localhost", "127.0.0.1"))
    monkeypatch.setenv("PGSSLROOTCERT", "system")
    assert await encryption(server.url("bound")) == "TLSv1.3"


# ---- channel_binding=require


@pytest.mark.parametrize("anyio_backend", [("asyncio", {"use_uvloop": uses}) for uses in (False, True)], ids=str)
async def test_a_login_is_bound_and_the_connection_is_as_any_other(
    server: TlsPostgres, ours: Authority, anyio_backend: Any
) -> None:
    for parameters in ("", "&sslmode=prefer", f"&sslmode=verify-full&sslrootcert={ours.file}"):
        assert await encryption(server.url("bound", parameters=REQUIRED + parameters)) == "TLSv1.3"
    for role, password in OTHER_PASSWORDS.items():
        assert await encryption(server.url(role, password, REQUIRED)) == "TLSv1.3"
    async with connected(server.url("bound", parameters=REQUIRED)) as connection:
        large = "x" * 5_000_000
        assert await connection.fetchval("SELECT $1::text || 'y'", large) == f"{large}y"
        with pytest.raises(TimeoutError):
            await connection.execute("SELECT pg_sleep(60)", timeout=0.1)
        await connection.executemany("SELECT $1::int", [(1,), (2,)])
        assert type(connection._loop) is type(asyncio.get_running_loop())


@pytest.mark.parametrize("anyio_backend", [("asyncio", {"use_uvloop": True})], ids=str)
async def test_a_store_whose_connections_were_cut_makes_bound_ones(server: TlsPostgres, anyio_backend: Any) -> None:
    server.renew()
    store = SqlStore(server.url("bound", parameters=REQUIRED))
    await store.open()
    try:
        await store.write([Scribe().receive()])
        holder, writer = store._backend._holder, store._backend._writer  # type: ignore[attr-defined]
        kept = f"{holder.get_server_pid()}, {writer.get_server_pid()}"
        sessions = f"FROM pg_stat_activity WHERE usename = 'bound' AND pid NOT IN ({kept})"
        assert "t" in server.psql(f"SELECT pg_terminate_backend(pid, 20000) {sessions}").split()
        with pytest.raises(StorageError, match="terminating connection"):
            await store.check_ownership()
        await store.check_ownership()
        assert "1" in server.psql(f"SELECT count(*) {sessions}").split()
    finally:
        await store.close()


async def test_a_wrong_password_is_one_sentence(server: TlsPostgres) -> None:
    said = await refusal(server.url("bound", "wr0ng", REQUIRED))
    assert said.endswith('require: password authentication failed for user "bound"')
    assert "wr0ng" not in said
    assert (await refusal(server.url("bound", "", REQUIRED))).endswith("needs a password, and none was given")


@pytest.mark.parametrize("role", ["trusted", "hashed", "clear"])
async def test_a_server_that_does_not_bind_is_told_nothing(server: TlsPostgres, pair: TlsFiles, role: str) -> None:
    middle = Middle(server.port, pair)
    async with middle.standing():
        said = await refusal(middle.url(server.url(role, parameters=REQUIRED)))
    assert said.endswith("the server offers no SCRAM-SHA-256-PLUS, which channel_binding=require asks for")
    assert middle.heard.endswith(b"application_name\0stockkeeper\0\0")


@pytest.mark.parametrize("is_direct", [False, True])
async def test_a_man_in_the_middle_whose_certificate_is_trusted_is_kept_out(
    server: TlsPostgres, pair: TlsFiles, theirs: Authority, trusted: Path, is_direct: bool
) -> None:
    parameters = f"sslmode=verify-full&sslrootcert={trusted}" + is_direct * "&sslnegotiation=direct"
    url = server.url("bound", parameters=parameters)
    middle = Middle(server.port, theirs.files(), is_direct=is_direct)
    async with middle.standing():
        said = await refusal(middle.url(f"{url}&{REQUIRED}"))
        assert said.endswith("SCRAM channel binding check failed")
        assert b"SCRAM-SHA-256-PLUS\0" in middle.heard
        assert await encryption(middle.url(url))  # without it nothing keeps him out
    pooler = Middle(server.port, pair, is_direct=is_direct)  # which has the server's own certificate
    async with pooler.standing():
        assert await encryption(pooler.url(f"{url}&{REQUIRED}"))


async def test_of_several_hosts_one_without_tls_is_passed_over(server: TlsPostgres) -> None:
    directory = server.get_uri().partition("host=")[2].partition("&")[0]
    url = f"postgresql://bound:{PASSWORD}@/postgres?{REQUIRED}&port={server.port}&host={directory}"
    assert (await refusal(url)).endswith("has no TLS, which channel_binding=require needs")
    assert await encryption(f"{url},localhost".replace(f"port={server.port}", f"port={server.port},{server.port}"))


async def test_doctor_says_that_a_login_is_bound(server: TlsPostgres) -> None:
    found = {one.name: one for one in await look_at_postgres(server.url("bound", parameters=REQUIRED))}
    assert (found["encryption"].level, found["encryption"].found) == (
        "ok",
        "the connection is encrypted, and the login is bound to it",
    )


@pytest.mark.long
async def test_a_server_and_the_commands_log_in_so_where_the_environment_says_so(
    server: TlsPostgres, theirs: Authority, tmp_path: Path
) -> None:
    server.renew()
    required, url = {"PGCHANNELBINDING": "require"}, server.url("bound")
    running = await start_server(tmp_path / "server", database_url=url, environment=required)
    async with running.client() as client:
        await client.stock.import_stock([line("v1", 5)])
    status, out, err = await run_cli("doctor", "--database-url", url, environment=required)
    assert "the connection is encrypted, and the login is bound to it" in out
    assert await running.terminate() == 0
    assert server.psql("SELECT available FROM stock").split()[2] == "5"
    assert PASSWORD not in out + err + running.log.read_text()
    middle = Middle(server.port, theirs.files())
    async with middle.standing():
        status, out, err = await run_cli("check", "--database-url", middle.url(url), environment=required)
    assert (status, out) == (1, "")
    assert err == "The database cannot be checked: SCRAM channel binding check failed.\n"
