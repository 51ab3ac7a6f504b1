"""A router's link to an owner: it comes and goes with either of them, and is of one version on both sides."""

import asyncio
import socket
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from actors.commands import Line, Reserve
from actors.unavailable import Unavailable
from cells.cell_map import parse_map
from rpc.frontends.link_greeting import GREETING_BYTES
from rpc.frontends.link_listener import LinkListener
from rpc.frontends.owner_link import OwnerLink
from rpc.frontends.owner_links import OwnerLinks
from rpc.transport.addresses import ListenError
from tests.rpc.fake_inventory import FakeInventory

pytestmark = pytest.mark.anyio

ORDER = Reserve("org_123", "order_456", (Line("var_789", "", 2),), 15)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - a link tells of nothing
            await asyncio.sleep(0.005)


@asynccontextmanager
async def a_listener(path: Path, fake: FakeInventory) -> AsyncIterator[LinkListener]:
    listener = LinkListener(str(path), fake)
    listener.start()
    try:
        yield listener
    finally:
        await listener.drain(1.0)


@asynccontextmanager
async def a_link(path: Path) -> AsyncIterator[OwnerLink]:
    link = OwnerLink("north", str(path), 100, lambda: None)
    running = asyncio.create_task(link.run())
    try:
        yield link
    finally:
        running.cancel()


async def test_a_link_is_made_when_the_owner_comes_and_anew_when_it_comes_again(
    tmp_path: Path, fake: FakeInventory, events: list[Any]
) -> None:
    path = tmp_path / "north.sock"
    async with a_link(path) as link:
        with pytest.raises(Unavailable) as away:
            link.submit(ORDER)
        assert away.value.reason == "CELL_AWAY"
        await until(lambda: bool(events))
        for _ in range(2):
            async with a_listener(path, fake) as listener:
                await until(lambda: link.serving)
                assert listener.statistics() == 1
                assert await link.ask(ORDER)
                listener.set_serving(False)
                await until(lambda: not link.serving)
            with pytest.raises(Unavailable):
                link.submit(ORDER)
            assert not path.exists()
    assert {event["event"] for event in events} == {"cell_is_away"}


async def test_an_owner_that_is_killed_leaves_its_socket_and_the_next_one_takes_it(
    tmp_path: Path, fake: FakeInventory
) -> None:
    path = tmp_path / "north.sock"
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(path))
    left.close()
    async with a_listener(path, fake), a_link(path) as link:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        await until(lambda: link.serving)
    path.write_text("no socket")
    with pytest.raises(ListenError, match=r"^The socket .*north\.sock cannot be had: Address already in use\.$"):
        LinkListener(str(path), fake).start()
    assert path.read_text() == "no socket"


async def test_the_other_side_must_be_of_the_same_version(
    tmp_path: Path, fake: FakeInventory, events: list[Any]
) -> None:
    path = tmp_path / "north.sock"
    loop = asyncio.get_running_loop()
    async with a_listener(path, fake) as listener:
        with socket.socket(socket.AF_UNIX) as other:
            other.setblocking(False)
            await loop.sock_connect(other, str(path))
            await loop.sock_sendall(other, b"stockkeeper link 0.0.1".ljust(GREETING_BYTES))
            await until(lambda: bool(events))
            assert (events[0]["event"], events[0]["reason"]) == ("router_refused", "stockkeeper link 0.0.1")
            assert listener.statistics() == 0
    async with a_link(path) as link:
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(path))
            other.listen()
            other.setblocking(False)
            connection, _ = await loop.sock_accept(other)
            await loop.sock_sendall(connection, b"stockkeeper link 9.0.0".ljust(GREETING_BYTES))
            await until(lambda: link._said == "is of another version: stockkeeper link 9.0.0")
            assert not link.serving
            connection.close()


async def test_links_follow_the_map(tmp_path: Path, fake: FakeInventory) -> None:
    def a_map(**sockets: str) -> Any:
        tables = "".join(f'[cells.{name}]\naddress = "unix:{tmp_path}/{path}"\n' for name, path in sockets.items())
        return parse_map(f"version = 1\n{tables}")

    links = OwnerLinks(100, lambda: None)
    async with a_listener(tmp_path / "1", fake), a_listener(tmp_path / "2", fake):
        links.follow(a_map(a="1", b="away"))
        await until(lambda: links.statistics() == (2, 1))
        a = links.owner_of("a")
        links.follow(a_map(a="1", b="2"))
        await until(lambda: links.statistics() == (2, 2))
        assert links.owner_of("a") is a  # which has not moved
        links.follow(a_map(b="2"))
        with pytest.raises(Unavailable):
            links.owner_of("a")
        await until(lambda: not a.serving)
        links.close()
