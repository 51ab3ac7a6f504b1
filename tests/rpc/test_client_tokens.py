"""The client's key or token: as it is now, never where others can read it, and renewed under streams that are open."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from stockkeeper_client import InventoryClient, TokenFile, Unauthenticated, bearer, tls_credentials
from stockkeeper_client.sync import InventoryClient as BlockingClient
from stockkeeper_client.v1 import stock_pb2

from rpc.authorization import guard as guards
from rpc.authorization import key_ring
from rpc.rpc_server import RpcServer
from tests.rpc.fake_inventory import FakeInventory
from tests.rpc.test_authorization import key

pytestmark = pytest.mark.anyio

ITEMS: Any = [{"variant_id": "mug", "quantity": 1}]


def test_a_token_file_gives_what_it_has_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "token"
    token = TokenFile(file)
    with pytest.raises(FileNotFoundError):
        token()
    file.write_text("\n")
    with pytest.raises(ValueError, match="has no token"):
        token()
    file.write_text("one\n")
    assert token() == "one"
    file.write_text("two")
    assert token() == "one"  # it looks once a second
    monkeypatch.setattr(bearer, "LOOK_EVERY_S", 0)
    token = TokenFile(file)
    assert token() == "two"
    for gone in (lambda: file.write_text(""), file.unlink):
        gone()
        assert token() == "two"
    file.write_text("three")
    assert token() == "three"
    assert "three" not in repr(token)


@pytest.mark.parametrize("kind", [InventoryClient, BlockingClient])
@pytest.mark.parametrize("host", ["inventory.example", "192.0.2.1", "localhost.example", "::2"])
def test_a_token_is_not_sent_where_others_can_read_it(kind: Callable[..., Any], host: str) -> None:
    with pytest.raises(ValueError, match=r"not sent to .* without TLS") as raised:
        kind(host, token="secret")
    assert "secret" not in str(raised.value)
    for options in ({"token_over_plaintext": True}, {"credentials": tls_credentials()}):
        client = kind(host, token="secret", **options)
        assert "secret" not in repr(client)
    for here in ("localhost", "127.0.0.2", "::1"):
        kind(here, token="secret")


@pytest.fixture
def key_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(guards, "LOOK_EVERY_S", 0.02)
    monkeypatch.setattr(key_ring, "LOOK_EVERY_S", 0)
    file = tmp_path / "keys.toml"
    file.write_text(only("old"))
    return file


def put(file: Path, content: str) -> None:
    file.write_text(content)


def only(name: str) -> str:
    return key(name, ["shop"], ["read", "reserve"])


@pytest.fixture
async def server(fake: FakeInventory, key_file: Path) -> AsyncIterator[RpcServer]:
    server = RpcServer(fake, host="127.0.0.1", port=0, keys_file=str(key_file))
    await server.start()
    yield server
    await server.stop(0)


@pytest.mark.parametrize("streaming", [False, True])
async def test_a_reservation_is_made_with_the_key_of_now(server: RpcServer, key_file: Path, streaming: bool) -> None:
    """Also over a stream that was opened with another one."""
    now, port = "old", server.addresses[0].port
    async with InventoryClient("127.0.0.1", port, token=lambda: now, streaming=streaming, breaker=False) as client:
        await client.reserve_stock("shop", "o1", ITEMS)
        put(key_file, only("new"))
        with pytest.raises(Unauthenticated):
            await client.reserve_stock("shop", "o2", ITEMS)
        await client.close()
    put(key_file, only("old") + "#")
    with BlockingClient("127.0.0.1", port, token=lambda: now, streaming=streaming, breaker=False) as blocking:
        await asyncio.to_thread(blocking.reserve_stock, "shop", "o1", ITEMS)
        async with InventoryClient("127.0.0.1", port, token=lambda: now, streaming=streaming) as client:
            await client.reserve_stock("shop", "o1", ITEMS)
            put(key_file, only("new") + "##")
            now = "new"
            await client.reserve_stock("shop", "o2", ITEMS)
        await asyncio.to_thread(blocking.reserve_stock, "shop", "o2", ITEMS)


async def test_a_watch_goes_on_with_the_next_key_and_ends_without_one(
    server: RpcServer, key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    now = "old"

    async def changes(_: Any, request: Any, _pages: Any) -> Any:
        opened.append(request.token)
        while True:
            yield stock_pb2.WatchChangesResponse(token=f"t{len(opened)}")
            await asyncio.sleep(0.01)

    monkeypatch.setattr("rpc.services.stock_service.watch", changes)
    port = server.addresses[0].port
    async with InventoryClient("127.0.0.1", port, token=lambda: now) as client:
        watching = client.stock.watch_changes("shop")
        while (await anext(watching)).token == "t1":
            now = "new"
            put(key_file, only("new"))
        put(key_file, only("third one"))
        with pytest.raises(Unauthenticated):
            await _last_of(watching)
    assert opened == ["", "t1"]


async def _last_of(messages: AsyncIterator[Any]) -> None:
    async for _ in messages:
        pass


async def test_a_blocking_watch_does_so_too(server: RpcServer, key_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = "old"

    async def changes(_: Any, request: Any, _pages: Any) -> Any:
        while True:
            yield stock_pb2.WatchChangesResponse(token=f"{request.token}t")
            await asyncio.sleep(0.01)

    monkeypatch.setattr("rpc.services.stock_service.watch", changes)

    def watch() -> str:
        nonlocal now
        with BlockingClient("127.0.0.1", server.addresses[0].port, token=lambda: now) as client:
            for message in client.stock.watch_changes("shop"):
                if message.token == "tt":
                    return message.token
                now = "new"
                put(key_file, only("new"))
        return ""

    assert await asyncio.to_thread(watch) == "tt"


async def test_a_token_of_one_call_is_the_one_of_that_call(server: RpcServer, key_file: Path) -> None:
    given = iter(["old", "old", "wrong", "old"])
    async with InventoryClient("127.0.0.1", server.addresses[0].port, token=lambda: next(given)) as client:
        for is_good in (True, True, False, True):
            if is_good:
                await client.get_stock_info("shop", "mug")
            else:
                with pytest.raises(grpc.RpcError):
                    await client.get_stock_info("shop", "mug")
