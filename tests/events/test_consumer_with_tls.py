"""A consumer, a server and a broker that trust each other by certificates and keys alone."""

from pathlib import Path

import pytest
from stockkeeper_client import InventoryClient, tls_credentials

from events.inbox_port import ORDERS
from tests.authority import Authority
from tests.events.others import others_on
from tests.events.programs import Program
from tests.events.real_brokers import RabbitServer
from tests.events.test_consumer import until_stock_is, until_there_are
from tests.system.servers import ORGANIZATION, line, run_cli, start_server
from tests.system.test_keys import make_key

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_events_are_done_by_way_of_tls_with_a_key_and_wait_while_the_key_is_not_known(
    rabbit: RabbitServer, tmp_path: Path
) -> None:
    authority, callers = Authority(tmp_path, "ours"), Authority(tmp_path, "callers")
    shown, own = authority.files(client_ca=callers.file), callers.files()
    keys = tmp_path / "keys.toml"
    scopes = [word for scope in ("read", "reserve", "manage") for word in ("--scope", scope)]
    key = await make_key(keys, "--organization", ORGANIZATION, *scopes)
    tls = ("--tls-cert", shown.certificate, "--tls-key", shown.key, "--tls-client-ca", shown.client_ca)
    server = await start_server(tmp_path / "stock.db", *tls, "--keys-file", str(keys))
    where = ("--target", f"https://localhost:{server.port}", "--from", rabbit.tls_url)
    known = {"STOCKKEEPER_TLS_CA": str(authority.file), "STOCKKEEPER_TLS_CERT": own.certificate}
    known["STOCKKEEPER_TLS_KEY"] = own.key
    placed = {"order_id": "o1", "items": [{"variant_id": "mug", "quantity": 1}]}
    credentials = tls_credentials(authority.file, certificate=own.certificate, key=own.key)
    metadata = [("authorization", f"Bearer {key}")]
    async with (
        others_on("rabbit", rabbit) as others,
        InventoryClient("localhost", server.port, credentials=credentials, metadata=metadata) as client,
    ):
        await client.stock.import_stock([line("mug", 10)])
        stranger = await Program.start(tmp_path, "consume", *where, environment={**known, "STOCKKEEPER_KEY": "wrong"})
        await stranger.until_it_says("listening")
        await others.say("order.placed", placed, "p1")
        await stranger.until_it_says("UNAUTHENTICATED")
        assert await stranger.terminate() == 0
        consumer = await Program.start(tmp_path, "consume", *where, environment={**known, "STOCKKEEPER_KEY": key})
        await until_stock_is(client, {("mug", "w1"): (9, 1)})
        await until_there_are(others, ORDERS.queue, 0)
        assert await others.buried() == []
        assert await consumer.terminate() == 0
        assert await server.terminate() == 0
        # And one that runs beside the server, in a process of its own.
        beside = ("--keys-file", str(keys), "--consume", rabbit.tls_url)
        environment = {**known, "STOCKKEEPER_KEY": key}
        server = await start_server(tmp_path / "stock.db", *tls, *beside, port=server.port, environment=environment)
        await others.say("order.placed", {**placed, "order_id": "o2"}, "p2")
        await until_stock_is(client, {("mug", "w1"): (8, 2)})
        await until_there_are(others, ORDERS.queue, 0)
    assert await server.terminate() == 0
    said = (tmp_path / "consume.log").read_text() + server.log.read_text()
    assert "guest:guest" not in said
    assert key not in said
    missing = {"STOCKKEEPER_TLS_CA": "missing.pem"}
    status, _, err = await run_cli("consume", *where, environment=missing)
    assert (status, err) == (2, "The file missing.pem cannot be read: No such file or directory.\n")
