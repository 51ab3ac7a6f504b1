"""A router's link to an owner: it comes and goes with either of them, and both sides speak one protocol."""

import asyncio
import socket
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from actors.commands import Line, Reserve
from actors.unavailable import Unavailable
from cells.cell_map import parse_map
from rpc.frontends import link_greeting, link_listener, owner_link
from rpc.frontends import link_messages as say
from rpc.frontends.link_doors import PortDoor, UnixDoor
from rpc.frontends.link_greeting import GREETING_BYTES, greeting
from rpc.frontends.link_listener import LinkListener
from rpc.frontends.link_tls import LinkTls
from rpc.frontends.owner_link import OwnerLink
from rpc.frontends.owner_links import OwnerLinks
from rpc.transport.addresses import ListenError
from rpc.transport.certificates import TlsError
from rpc.transport.tls_files import TlsFiles
from tests.authority import Authority
from tests.rpc.fake_inventory import FakeInventory
from tests.rpc.test_link import an_import

pytestmark = pytest.mark.anyio

ORDER = Reserve("org_123", "order_456", (Line("var_789", "", 2),), 15)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - a link tells of nothing
            await asyncio.sleep(0.005)


@asynccontextmanager
async def a_listener(path: Path, fake: FakeInventory) -> AsyncIterator[LinkListener]:
    listener = LinkListener(UnixDoor(str(path)), fake)
    listener.start()
    try:
        yield listener
    finally:
        await listener.drain(1.0)


@asynccontextmanager
async def a_link(path: Path) -> AsyncIterator[OwnerLink]:
    link = OwnerLink("north", f"unix:{path}", 100, lambda: None)
    running = asyncio.create_task(link.run())
    try:
        yield link
    finally:
        running.cancel()


@asynccontextmanager
async def at_door(door: PortDoor, fake: FakeInventory) -> AsyncIterator[LinkListener]:
    listener = LinkListener(door, fake)
    listener.start()
    try:
        yield listener
    finally:
        await listener.drain(1.0)


@asynccontextmanager
async def a_link_to(door: PortDoor, tls: LinkTls | None = None) -> AsyncIterator[OwnerLink]:
    link = OwnerLink("north", f"{door._host}:{door.statistics().port}", 100, lambda: None, tls)
    running = asyncio.create_task(link.run())
    try:
        yield link
    finally:
        running.cancel()
        await asyncio.wait([running])


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
        LinkListener(UnixDoor(str(path)), fake).start()
    assert path.read_text() == "no socket"


async def test_the_other_side_must_speak_the_same_protocol(
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
            assert events[0]["event"] == "router_refused"
            assert "of an old release: it says 'stockkeeper link 0.0.1'" in events[0]["reason"]
            assert listener.statistics() == 0
    async with a_link(path) as link:
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(path))
            other.listen()
            other.setblocking(False)
            connection, _ = await loop.sock_accept(other)
            await loop.sock_sendall(connection, b"stockkeeper link 9 9.0.0".ljust(GREETING_BYTES))
            await until(lambda: "speaks protocol 9 of links" in link._said)
            assert not link.serving
            with pytest.raises(Unavailable):
                link.submit(ORDER)
            connection.close()


async def test_a_router_and_an_owner_of_different_releases_work_together(
    tmp_path: Path, fake: FakeInventory, monkeypatch: pytest.MonkeyPatch
) -> None:
    releases = iter(("1.9.0", "1.8.3"))
    monkeypatch.setattr(link_greeting, "version", lambda name: next(releases))
    path = tmp_path / "north.sock"
    async with a_listener(path, fake), a_link(path) as link:
        await until(lambda: link.serving)
        assert await link.ask(ORDER)
    assert next(releases, None) is None


async def test_an_owner_that_is_silent_is_let_go_and_its_requests_fail(
    tmp_path: Path, events: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owner_link, "PING_EVERY_S", 0.05)
    loop, path = asyncio.get_running_loop(), tmp_path / "north.sock"
    async with a_link(path) as link:
        with socket.socket(socket.AF_UNIX) as stopped:
            stopped.bind(str(path))
            stopped.listen()
            stopped.setblocking(False)
            connection, _ = await loop.sock_accept(stopped)
            body = msgspec.msgpack.encode([say.Serving(True)])
            await loop.sock_sendall(connection, greeting() + len(body).to_bytes(4, "big") + body)
            await until(lambda: link.serving)
            reply = link.submit(ORDER)
            with pytest.raises(Unavailable):
                await reply.wait()
            assert not link.serving
            assert events[-1]["reason"] == "it is silent"
            connection.close()


async def test_a_link_over_a_port_goes_on_for_as_long_as_its_owner_answers(
    fake: FakeInventory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owner_link, "PING_EVERY_S", 0.01)
    door = PortDoor("127.0.0.1", 0, None)
    async with at_door(door, fake) as listener, a_link_to(door) as link:
        await until(lambda: link.serving)
        there = link._inventory
        for _ in range(20):
            await asyncio.sleep(0.01)
            assert await link.ask(ORDER)
        assert link._inventory is there  # which was pinged more often than it may be silent
        assert listener.statistics() == 1
        fake.serving = False
        listener.set_serving(False)
        await until(lambda: link._inventory is not there)  # another one may have its place: it is looked for


@dataclass
class Pair:
    """What owners and routers show each other."""

    place: Path

    def __post_init__(self) -> None:
        self.ours, self.others = Authority(self.place, "ours"), Authority(self.place, "others")

    def tls(self, by: str = "ours", believes: str = "ours", name: str = "") -> LinkTls:
        return LinkTls(getattr(self, by).files(client_ca=getattr(self, believes).file), name)


async def test_a_link_over_tls_is_for_those_whose_certificates_one_authority_has_signed(
    tmp_path: Path, fake: FakeInventory, events: list[Any]
) -> None:
    pair = Pair(tmp_path)
    door = PortDoor("localhost", 0, pair.tls(name="localhost"))
    async with at_door(door, fake):
        async with a_link_to(door, pair.tls()) as link:
            await until(lambda: link.serving)
            fact = await link.ask(an_import(2_600))  # more than a record of TLS
            assert fact == fake.outcome
            transport = link._inventory._link._transport  # type: ignore[union-attr]
            assert transport is not None
            assert transport.get_extra_info("ssl_object").version() == "TLSv1.3"
        for tls, said in (
            (None, "router_refused"),
            (pair.tls(by="others"), "router_refused"),
            (pair.tls(believes="others"), "cell_is_away"),
        ):
            events.clear()
            async with a_link_to(door, tls) as link:
                await until(lambda said=said: any(one["event"] == said for one in events))  # type: ignore[misc]
                assert not link.serving
    with pytest.raises(TlsError, match=r"^The file .* cannot be read: No such file or directory\.$"):
        LinkTls(TlsFiles("a", "b", "c"))


async def test_a_router_whose_certificate_has_another_name_is_turned_away(
    tmp_path: Path, fake: FakeInventory, events: list[Any]
) -> None:
    pair = Pair(tmp_path)
    door = PortDoor("localhost", 0, pair.tls(name="router"))
    async with at_door(door, fake), a_link_to(door, pair.tls()) as link:
        await until(lambda: any(one["event"] == "router_refused" for one in events))
        refused = next(one for one in events if one["event"] == "router_refused")
        assert refused["reason"] == "The router's certificate has not the name router, but localhost."
        assert not link.serving


async def test_an_owner_whose_certificate_has_another_name_is_not_believed(
    tmp_path: Path, fake: FakeInventory, events: list[Any]
) -> None:
    pair = Pair(tmp_path)
    door = PortDoor("127.0.0.1", 0, pair.tls())  # they are for localhost
    async with at_door(door, fake), a_link_to(door, pair.tls()) as link:
        await until(lambda: any(one["event"] == "cell_is_away" for one in events))
        away = next(one for one in events if one["event"] == "cell_is_away")
        assert "IP address mismatch" in away["reason"] or "certificate verify failed" in away["reason"]
        assert not link.serving


async def test_certificates_that_have_changed_are_taken_by_the_next_link(
    tmp_path: Path, fake: FakeInventory, events: list[Any]
) -> None:
    pair = Pair(tmp_path)
    owners, routers = pair.tls(), pair.tls()
    door = PortDoor("localhost", 0, owners)
    async with at_door(door, fake):
        pair.ours.files()
        async with a_link_to(door, routers) as link:
            await until(lambda: link.serving)
        assert (owners.statistics().reloads, routers.statistics().reloads) == (1, 1)
        pair.ours.spoil_key()
        async with a_link_to(door, routers) as link:
            await until(lambda: link.serving)  # with those of before
        assert (owners.statistics().reloads_failed, routers.statistics().reloads_failed) == (1, 1)
        assert "link_tls_not_reloaded" in {one["event"] for one in events}


async def test_a_stranger_who_says_nothing_holds_nothing_up(
    tmp_path: Path, fake: FakeInventory, events: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_greeting, "GREETED_WITHIN_S", 1.0)
    door = PortDoor("localhost", 0, Pair(tmp_path).tls())
    async with at_door(door, fake) as listener:
        monkeypatch.setattr(link_listener, "GREETINGS_MAX", 2)
        strangers = [socket.create_connection(("127.0.0.1", door.statistics().port)) for _ in range(3)]
        await until(lambda: bool(events))
        assert events[0]["reason"] == "TimeoutError"
        await until(lambda: len(listener._tasks) == len(listener._accepting))
        for one in strangers:
            one.setblocking(False)
            assert await asyncio.get_running_loop().sock_recv(one, 1) == b""
            one.close()


async def test_a_door_that_another_owner_has_taken_is_left_to_it(tmp_path: Path, fake: FakeInventory) -> None:
    path = tmp_path / "north.sock"
    async with a_listener(path, fake) as first:
        async with a_listener(path, fake) as second:
            await first.drain(0)
            async with a_link(path) as link:
                await until(lambda: link.serving)
                assert second.statistics() == 1
                await first.start_again()
                assert path.exists()
        assert path.exists()


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
