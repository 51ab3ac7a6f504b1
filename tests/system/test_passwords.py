"""A Postgres that asks for its password: from a file, from PGPASSFILE, and in no message."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from stockkeeper.command_line.database_options import DatabaseOptions
from stockkeeper.config import ConfigurationError
from storage.sql.sql_store import SqlStore
from storage.store import StorageError
from tests.ports import free_port
from tests.postgres import embedded_postgres
from tests.system.servers import start_server

pytestmark = pytest.mark.anyio

HBA = "local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    port = free_port()
    with embedded_postgres() as server:
        server.psql("ALTER USER postgres PASSWORD 's3cret'")
        (server.directory / "pg_hba.conf").write_text(HBA)
        server.stop_immediately()
        server.start(port=port)
        yield f"postgresql://postgres@127.0.0.1:{port}/postgres"


async def opened(url: str) -> None:
    store = SqlStore(url)
    try:
        await store.open()
    finally:
        await store.close()


async def test_a_password_comes_from_a_file_and_is_in_no_message(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, passfile = tmp_path / "password", tmp_path / "pgpass"
    monkeypatch.setenv("PGPASSFILE", str(tmp_path / "missing"))
    file.write_text("s3cret\nand a note\n")
    options = DatabaseOptions(database_url=url, database_password_file=str(file))
    await opened(options.url)
    assert "s3cret" not in repr(SqlStore(options.url))
    passfile.write_text("*:*:*:*:s3cret\n")
    passfile.chmod(0o600)
    await opened(f"{url}?passfile={passfile}&channel_binding=prefer&sslmode=prefer")
    monkeypatch.setenv("PGPASSFILE", str(passfile))
    await opened(url)
    file.write_text("wr0ng")
    with pytest.raises(StorageError, match="password authentication failed") as refused:
        await opened(options.url)
    assert "wr0ng" not in str(refused.value)


async def test_a_server_takes_it_from_the_file_that_a_variable_names(url: str, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("s3cret")
    environment = {"DATABASE_PASSWORD_FILE": str(tmp_path / "password")}
    server = await start_server(tmp_path / "server", database_url=url, environment=environment)
    assert await server.terminate() == 0
    assert "s3cret" not in server.log.read_text()
    assert "postgresql://postgres:***@127.0.0.1" in server.log.read_text()


@pytest.mark.parametrize(
    ("content", "sentence"), [(None, "cannot be read"), ("", "has no password"), ("\ns3cret", "has no password")]
)
def test_a_file_without_a_password_is_refused(tmp_path: Path, content: str | None, sentence: str) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ConfigurationError, match=sentence) as refused:
        _ = DatabaseOptions(database_url="postgresql://u@h/d", database_password_file=str(file)).url
    assert "s3cret" not in str(refused.value)
