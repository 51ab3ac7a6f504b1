"""The link between a front-end and the owner: what goes over it is whole, comes in batches, and is bounded."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec
import pytest

from actors.commands import CountedLine, Import, Line, Reserve
from actors.outcomes import ActorCrashed, Refusal, Refused, StockImported, StockReserved
from actors.queries import CheckBasket, Query
from actors.records import ReservationItem, ReservationRecord
from actors.unavailable import Unavailable
from rpc.frontends import link_messages as say
from rpc.frontends.frontend_session import FrontendSession
from rpc.frontends.link import LENGTH_BYTES
from rpc.frontends.remote_inventory import LINES_A_PART, RemoteInventory
from tests.rpc.fake_inventory import FakeInventory, a_reservation
from tests.rpc.test_errors import CASES

pytestmark = pytest.mark.anyio

V = TypeVar("V")

Session = tuple[RemoteInventory, FrontendSession]

ORDER = Reserve("org_123", "order_456", (Line("var_789", "", 2),), 15)


def an_import(lines: int) -> Import:
    counted = (CountedLine("org_123", f"var_{n}", "wh_1", "Main", n, 0, 0, 0, 0, n + 1) for n in range(lines))
    return Import(tuple(counted), "import_1")


class Peer:
    """The other end of a link, as a plain socket: it reads and writes only what the test says."""

    def __init__(self, connection: socket.socket, kind: Any) -> None:
        connection.setblocking(False)
        self._connection = connection
        self._decoder = msgspec.msgpack.Decoder(list[kind])

    async def send(self, *messages: object) -> None:
        body = msgspec.msgpack.encode(messages)
        frame = len(body).to_bytes(LENGTH_BYTES, "big") + body
        await asyncio.get_running_loop().sock_sendall(self._connection, frame)

    async def receive(self) -> list[Any]:
        """The messages of one frame."""
        messages: list[Any] = self._decoder.decode(await self._read(int.from_bytes(await self._read(LENGTH_BYTES))))
        return messages

    async def _read(self, size: int) -> bytes:
        read = b""
        while len(read) < size:
            read += await asyncio.get_running_loop().sock_recv(self._connection, size - len(read))
        return read

    def close(self) -> None:
        self._connection.close()


async def a_front_end(requests_max: int = 1_000) -> tuple[RemoteInventory, Peer]:
    """A remote inventory whose owner is the test."""
    ours, theirs = socket.socketpair()
    owner = Peer(ours, say.FromFrontend)
    await owner.send(say.Serving(True))
    return await RemoteInventory.connect(theirs, requests_max), owner


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - a link tells of nothing
            await asyncio.sleep(0)


def asks_for(message: object, kind: type[object]) -> bool:
    return isinstance(message, say.Ask) and isinstance(message.request, kind)


async def look(remote: RemoteInventory, query: Query[V]) -> V:
    return await remote.answer(query).wait()


async def failure(call: Awaitable[object]) -> Exception:
    with pytest.raises(Exception) as raised:  # noqa: PT011 - whatever it is, it is looked at
        await call
    assert isinstance(raised.value, Exception)
    return raised.value


@pytest.mark.parametrize("refusal", [case[0] for case in CASES], ids=lambda refusal: type(refusal).__name__)
async def test_a_refusal_is_raised_again_as_it_was(session: Session, fake: FakeInventory, refusal: Refusal) -> None:
    fake.outcome = Refused(refusal)
    error = await failure(session[0].ask(ORDER))
    assert isinstance(error, Refused)
    assert error.refusal == refusal


async def test_unavailable_keeps_all_that_it_says(session: Session, fake: FakeInventory) -> None:
    fake.outcome = Unavailable("OVERLOADED", "Too much", 777)
    error = await failure(session[0].ask(ORDER))
    assert isinstance(error, Unavailable)
    assert (error.reason, error.message, error.retry_after_ms) == ("OVERLOADED", "Too much", 777)


async def test_a_bug_is_logged_where_it_is_and_tells_nothing(
    session: Session, fake: FakeInventory, events: list[Any]
) -> None:
    fake.outcome = KeyError("the secret inside")
    assert isinstance(await failure(session[0].ask(ORDER)), ActorCrashed)
    [event] = events
    assert event["event"] == "request_failed"
    fake.outcome = ActorCrashed("the core has logged it")
    assert isinstance(await failure(session[0].ask(ORDER)), ActorCrashed)
    assert len(events) == 1


async def test_what_is_asked_in_one_turn_goes_out_in_one_frame() -> None:
    remote, owner = await a_front_end()
    replies = [remote.submit(ORDER) for _ in range(100)]
    assert remote._link.statistics() == (100, 0)
    assert remote.statistics() == (100, 0)
    asked = await owner.receive()
    assert [message.request for message in asked] == [ORDER] * 100
    await owner.send(*(say.Given(message.number, StockReserved(a_reservation())) for message in asked))
    await until(lambda: all(reply.is_done for reply in replies))
    assert remote.statistics() == (0, 0)
    assert remote._link.statistics() == (0, 0)
    owner.close()
    await remote.lost.wait()


async def test_what_is_answered_in_one_turn_comes_back_in_one_frame(fake: FakeInventory) -> None:
    ours, theirs = socket.socketpair()
    session, frontend = await FrontendSession.connect(ours, fake, lambda: None), Peer(theirs, say.FromOwner)
    assert await frontend.receive() == [say.Serving(True)]
    fake.gate.clear()
    await frontend.send(*(say.Ask(number, ORDER) for number in range(100)))
    await until(lambda: len(fake.asked) == 100)
    fake.gate.set()
    assert sorted(answer.number for answer in await frontend.receive()) == list(range(100))
    session.close()
    frontend.close()


async def test_one_request_too_many_is_refused_until_another_was_answered() -> None:
    remote, owner = await a_front_end(requests_max=3)
    calls = [asyncio.create_task(remote.ask(ORDER)) for _ in range(3)]
    asked = await owner.receive()
    calls[0].cancel()  # a caller that gives up leaves the request with the owner
    error = await failure(remote.ask(ORDER))
    assert isinstance(error, Unavailable)
    assert error.reason == "OVERLOADED"
    assert remote.statistics() == (3, 1)
    await owner.send(say.Given(asked[0].number, StockReserved(a_reservation())))
    await until(lambda: remote.statistics().under_way == 2)
    fourth = asyncio.create_task(remote.ask(ORDER))
    [request] = await owner.receive()
    await owner.send(say.Given(request.number, StockReserved(a_reservation())))
    assert await fourth == StockReserved(a_reservation())
    owner.close()
    for call in calls[1:]:
        assert isinstance(await failure(call), Unavailable)


async def test_an_import_arrives_whole(session: Session, fake: FakeInventory) -> None:
    fake.outcome = StockImported(2_600, 2_600, 0, 0)
    command = an_import(2_600)
    assert await session[0].ask(command) == fake.outcome
    assert fake.asked == [command]


async def test_what_others_ask_overtakes_a_large_import() -> None:
    remote, owner = await a_front_end()
    importing = asyncio.create_task(remote.ask(an_import(100 * LINES_A_PART)))
    assert isinstance((await owner.receive())[0], say.ImportPart)
    remote.submit(ORDER)
    frames = [await owner.receive()]
    while not asks_for(frames[-1][-1], Import):
        frames.append(await owner.receive())
    place = next(place for place, frame in enumerate(frames) if any(asks_for(it, Reserve) for it in frame))
    assert place < 90
    assert max(map(len, frames)) <= 2  # a part, and what another asked
    owner.close()
    assert isinstance(await failure(importing), Unavailable)


async def test_an_import_waits_for_an_owner_that_does_not_read() -> None:
    remote, owner = await a_front_end()
    importing = asyncio.create_task(remote.ask(an_import(100 * LINES_A_PART)))
    await until(lambda: "held_up=True" in repr(remote))
    for _ in range(1_000):
        await asyncio.sleep(0)
    assert "waiting=0" in repr(remote)  # most of its parts are still to be sent
    while not asks_for((await owner.receive())[-1], Import):
        pass
    owner.close()
    assert isinstance(await failure(importing), Unavailable)


async def test_an_import_that_is_given_up_half_way_leaves_nothing_behind(fake: FakeInventory) -> None:
    ours, theirs = socket.socketpair()
    session = await FrontendSession.connect(ours, fake, lambda: None)
    remote = await RemoteInventory.connect(theirs, 10)
    importing = asyncio.create_task(remote.ask(an_import(100 * LINES_A_PART)))
    await until(lambda: session.statistics().imports == 1)
    parts, rest = divmod(session.statistics().lines, LINES_A_PART)
    assert (parts > 0, rest) == (True, 0)
    importing.cancel()
    await until(lambda: session.statistics() == (0, 0))
    await asyncio.gather(importing, return_exceptions=True)
    assert not fake.asked
    remote.close()
    await remote.lost.wait()


async def test_of_a_front_end_that_does_not_read_no_more_is_read(fake: FakeInventory) -> None:
    items = tuple(ReservationItem(f"var_{n}", "wh_1", "", "stock", 1, 2, 1) for n in range(1_000))
    fake.outcome = StockReserved(ReservationRecord("res_1", "org_123", "order_456", "active", 1, 2, items))
    large = Reserve("org_123", "order_456", tuple(Line(f"var_{n}", "wh_101", 1) for n in range(1_000)), 15)
    ours, theirs = socket.socketpair()
    session, frontend = await FrontendSession.connect(ours, fake, lambda: None), Peer(theirs, say.FromOwner)

    async def send_all() -> None:
        for number in range(100):
            await frontend.send(say.Ask(number, large))

    sending = asyncio.create_task(send_all())
    await until(lambda: "held_up=True" in repr(session))
    for _ in range(1_000):
        await asyncio.sleep(0)
    assert len(fake.asked) < 50
    assert not sending.done()
    assert await frontend.receive() == [say.Serving(True)]
    answered: list[int] = []
    while len(answered) < 100:
        answered += [answer.number for answer in await frontend.receive()]
    assert sorted(answered) == list(range(100))
    await sending
    session.close()
    frontend.close()


async def test_when_the_owner_is_gone_every_caller_is_told_to_try_again() -> None:
    remote, owner = await a_front_end()
    told: list[bool] = []
    remote.on_serving = told.append
    waiting = asyncio.create_task(remote.ask(ORDER))
    await owner.receive()
    owner.close()
    questions = (waiting, remote.ask(ORDER), look(remote, CheckBasket("org_1", ())))
    for error in [await failure(question) for question in questions]:
        assert isinstance(error, Unavailable)
        assert error.reason == "SHUTTING_DOWN"
    assert told == [False]
    assert remote.stop_asked.is_set()


async def test_the_serving_state_is_told_at_first_and_at_each_change(session: Session) -> None:
    remote, at_owner = session
    assert remote.serving
    at_owner.set_serving(False)
    await until(lambda: not remote.serving)
    at_owner.set_serving(True)
    await until(lambda: remote.serving)


async def test_what_a_front_end_asked_before_it_died_is_finished(fake: FakeInventory) -> None:
    ours, theirs = socket.socketpair()
    session, frontend = await FrontendSession.connect(ours, fake, lambda: None), Peer(theirs, say.FromOwner)
    fake.gate.clear()
    await frontend.send(say.Ask(1, ORDER), say.Ask(2, CheckBasket("org_123", ORDER.lines)))
    await until(lambda: len(fake.asked) == 2)
    frontend.close()
    fake.gate.set()
    await until(lambda: not fake.tasks)
    assert "open=False" in repr(session)
