"""No key, token or password is ever in the log: not of callers, not of the server's own, and not at debug."""

import json
from pathlib import Path

import grpc
import pytest
from stockkeeper_client.v1 import inventory_pb2 as pb
from stockkeeper_client.v1.inventory_pb2_grpc import InventoryServiceStub

from tests.system.servers import ORGANIZATION, run_cli, start_server, until_logged

pytestmark = pytest.mark.anyio

SECRET = "s3cr3t"
STRANGERS = [
    ("authorization", f"Bearer {SECRET}-unknown"),
    ("authorization", f"Basic {SECRET}"),
    ("authorization", f"Bearer eyJhbGciOiJub25lIn0.{SECRET}.{SECRET}"),
    ("x-api-key", SECRET),
    ("cookie", f"session={SECRET}"),
]
ITEM = pb.ReservationItem(variant_id="b", quantity=1)
REQUEST = pb.ReserveStockRequest(organization_id=ORGANIZATION, order_id="o1", items=[ITEM])


async def new_key(file: Path, name: str, *options: str) -> str:
    status, out, err = await run_cli("keys", str(file), name, *options)
    assert status == 0, err
    return out.split()[-1]


async def test_no_secret_is_logged(tmp_path: Path) -> None:
    keys = tmp_path / "keys.toml"
    key = await new_key(keys, "shop", "--organization", ORGANIZATION, "--scope", "reserve")
    relays_key = await new_key(keys, "relay", "--organization", "*", "--scope", "manage")
    broker = f"amqp://user:{SECRET}@127.0.0.1:1/"
    server = await start_server(
        tmp_path / "stock.db",
        *("--log-level", "debug", "--keys-file", str(keys), "--events-to", broker, "--slow-call-ms", "1"),
        environment={"STOCKKEEPER_KEY": relays_key},
    )
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            reserve = InventoryServiceStub(channel).ReserveStock
            known = (("authorization", f"Bearer {key}"), ("x-password", SECRET))
            for metadata in [*((one, ("x-actor", "somebody")) for one in STRANGERS), known]:
                with pytest.raises(grpc.aio.AioRpcError):
                    await reserve(REQUEST, metadata=metadata)
        await until_logged(server, "relaying")
        receive = ("receive", ORGANIZATION, "a:5@w", "--target", f"localhost:{server.port}")
        assert (await run_cli(*receive, environment={"STOCKKEEPER_KEY": relays_key}))[0] == 0
        await until_logged(server, "broker_lost")
    finally:
        assert await server.terminate() == 0
    log = server.log.read_text()
    for secret in (SECRET, key, relays_key):
        assert secret not in log
    entries = [json.loads(text) for text in log.splitlines()]
    events = [entry["event"] for entry in entries]
    stranger = next(entry for entry in entries if entry["event"] == "call_not_allowed")
    assert (stranger["code"], stranger["actor"]) == ("UNAUTHENTICATED", "somebody")
    assert "order_id" not in stranger  # its message was not read
    assert events.count("call_not_allowed") == len(STRANGERS)
    assert events.count("rpc_refused") == 1  # of the call that had a key
