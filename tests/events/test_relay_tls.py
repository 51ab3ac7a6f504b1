"""A server that wants TLS and certificates of its callers, with a relay beside it and the commands for events."""

import asyncio
import json
from pathlib import Path

import grpc
import pytest
from stockkeeper_client import InventoryClient, tls_credentials

from events.server_feed import ServerFeed
from tests.authority import Authority
from tests.events.heard import Heard, until_heard
from tests.events.programs import lay_in
from tests.events.real_brokers import running_broker
from tests.system.servers import run_cli, start_server

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_a_relay_reads_from_a_server_that_wants_certificates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path, "shop")
    own = authority.files(client_ca=authority.file)
    for name, path in (("CA", authority.file), ("CERT", own.certificate), ("KEY", own.key)):
        monkeypatch.setenv(f"STOCKKEEPER_TLS_{name}", str(path))
    with running_broker("nats", tmp_path / "broker") as broker:
        options = ("--tls-cert", own.certificate, "--tls-key", own.key, "--tls-client-ca", own.client_ca)
        server = await start_server(tmp_path / "stock.db", *options, "--events-to", broker.url)
        where = ("--target", f"https://localhost:{server.port}")
        credentials = tls_credentials(authority.file, certificate=own.certificate, key=own.key)
        heard = Heard()
        try:
            async with InventoryClient("localhost", server.port, credentials=credentials) as client:
                await until_relaying(server.port, credentials)
                await lay_in(client)
            await until_heard("nats", broker.url, heard, 28)
            status, out, err = await run_cli("events", "status", "relay", "--json", *where)
            assert (status, err) == (0, "")
            assert json.loads(out)["held"], out
            monkeypatch.setenv("STOCKKEEPER_TLS_CA", str(Authority(tmp_path, "other").file))
            assert (await run_cli("events", "status", *where))[0] == 1
            monkeypatch.setenv("STOCKKEEPER_TLS_CA", "/no/file")
            for command in (("events", "status"), ("relay", "--to", broker.url), ("consume", "--from", broker.url)):
                status, _, err = await run_cli(*command, *where)
                assert (status, err) == (2, "The file /no/file cannot be read: No such file or directory.\n")
        finally:
            await server.terminate()


async def until_relaying(port: int, credentials: grpc.ChannelCredentials) -> None:
    feed = ServerFeed(f"localhost:{port}", credentials)
    async with asyncio.timeout(30):
        while not any(one.held for one in (await feed.cursors()).cursors):  # noqa: ASYNC110 - a server does not call
            await asyncio.sleep(0.05)
    await feed.close()
