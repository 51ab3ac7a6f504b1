"""The frame by itself: the first word ends a call, and no other counts."""

import asyncio
from typing import Any

import pytest
from stockkeeper_client.v1.inventory_pb2 import ConfirmReservationResponse, GetStockInfoRequest, GetStockInfoResponse

from actors.outcomes import Fact
from actors.reply import Reply
from rpc.call_answers import Deferred
from rpc.company import Company
from rpc.fair_turns import LARGE_BYTES, NoTurns
from rpc.frame import Frame
from rpc.pace import Pace
from rpc.request_stream import Requests
from rpc.service_names import INVENTORY

pytestmark = pytest.mark.anyio
PATH = f"/{INVENTORY}/GetStockInfo"


class Answering:
    """A servicer whose one method does what the test says."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def __getattr__(self, name: str) -> Any:
        return lambda request, context: self._answer()


class Said:
    """A call that notes what it was ended with."""

    def __init__(self) -> None:
        self.is_over = False
        self.watched: Any = None
        self.caller = ""
        self.words: list[Any] = []
        self.task: asyncio.Task[None] | None = None

    def invocation_metadata(self) -> Any:
        return ()

    def peer(self) -> str:
        return ""

    def when_over(self, listener: Any) -> None:
        self.listener = listener

    def when_gone(self, listener: Any) -> None:
        self.gone = listener

    def receive(self, on_message: Any) -> None:
        on_message(GetStockInfoRequest().SerializeToString())

    def run(self, coroutine: Any) -> None:
        self.task = asyncio.create_task(coroutine)

    def answer(self, message: bytes) -> None:
        self.over(message)

    def abort(self, status: Any) -> None:
        self.over(status.code.name)

    def cancel(self) -> None:
        self.over("cancelled")

    def over(self, word: Any) -> None:
        self.is_over = True
        self.words.append(word)
        self.gone()


def serve(answer: Any) -> tuple[Frame, Said]:
    frame, call = Frame(calls_max=10), Said()
    frame.add_service(INVENTORY, Answering(answer))
    frame.serve(PATH, call)  # type: ignore[arg-type]
    return frame, call


async def test_a_response_that_is_at_hand_needs_no_task() -> None:
    frame, call = serve(GetStockInfoResponse)
    assert call.words == [b""]
    assert call.task is None
    assert frame.statistics().calls_under_way == 0


async def test_a_reply_of_the_core_is_answered_as_it_is_given() -> None:
    reply: Reply[Fact] = Reply()
    frame, call = serve(lambda: Deferred(reply, lambda fact: GetStockInfoResponse()))
    assert not call.words
    assert frame.statistics().calls_under_way == 1
    reply.set(None)  # type: ignore[arg-type]
    assert call.words == [b""]
    assert call.task is None
    assert frame.statistics().calls_under_way == 0


@pytest.mark.parametrize("fails", [True, False])
async def test_a_reply_for_a_caller_that_is_gone_is_dropped(fails: bool, events: list[Any]) -> None:
    reply: Reply[Fact] = Reply()
    frame, call = serve(lambda: Deferred(reply, lambda fact: GetStockInfoResponse()))
    call.over("gone")
    assert frame.statistics().calls_under_way == 0
    if fails:
        reply.fail(RuntimeError("a bug"))
    else:
        reply.set(None)  # type: ignore[arg-type]
    assert call.words == ["gone"]
    assert not events


async def test_a_cancelled_task_says_nothing(events: list[Any]) -> None:
    async def never() -> GetStockInfoResponse:
        await asyncio.Event().wait()
        raise AssertionError

    _, call = serve(never)
    assert call.task is not None
    await asyncio.sleep(0)
    call.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call.task
    assert not call.words
    assert not events
    call.over("gone")  # the transport cancels a task because its call is over


@pytest.mark.parametrize("how", ["at once", "in a task", "later"])
async def test_a_bug_is_internal_and_logged(how: str, events: list[Any]) -> None:
    reply: Reply[Fact] = Reply()

    def answers_immediately() -> Any:
        if how == "later":
            return Deferred(reply, lambda fact: GetStockInfoResponse())
        if how == "in a task":
            return in_a_task()
        raise RuntimeError("secret")

    async def in_a_task() -> Any:
        raise RuntimeError("secret")

    frame, call = serve(answers_immediately)
    if how == "later":
        reply.fail(RuntimeError("secret"))
    if call.task is not None:
        await call.task
    assert call.words == ["INTERNAL"]
    assert [event["event"] for event in events] == ["rpc_failed"]
    assert frame.statistics().calls_under_way == 0


async def test_a_status_that_cannot_be_given_cancels_the_call(
    monkeypatch: pytest.MonkeyPatch, events: list[Any]
) -> None:
    """And nothing is raised: the journal gives the other callers their replies on the same stack."""
    reply: Reply[Fact] = Reply()
    frame, call = serve(lambda: Deferred(reply, lambda fact: GetStockInfoResponse()))
    monkeypatch.setattr("rpc.call_answers.to_status", lambda *_: 1 // 0)
    reply.fail(RuntimeError("secret"))
    assert call.words == ["cancelled"]
    assert [event["event"] for event in events] == ["rpc_failed", "status_failed"]
    assert frame.statistics().calls_under_way == 0


async def test_a_bug_is_logged_also_if_its_caller_is_gone(events: list[Any]) -> None:
    async def fail_in_the_end() -> GetStockInfoResponse:
        try:
            await asyncio.Event().wait()
        finally:
            raise RuntimeError("secret")

    _, call = serve(fail_in_the_end)
    assert call.task is not None
    await asyncio.sleep(0)
    call.over("gone")
    call.task.cancel()
    await call.task
    assert call.words == ["gone"]
    assert [event["event"] for event in events] == ["rpc_failed"]


class BrokenStream:
    """A call that looks ended to a reader, and whose caller is gone."""

    async def read(self) -> bytes | None:
        return None

    async def confirm(self) -> None:
        await asyncio.Event().wait()


async def test_a_broken_stream_waits_for_its_cancellation() -> None:
    requests = Requests(ConfirmReservationResponse, BrokenStream(), NoTurns().part, whole=True)  # type: ignore[arg-type]
    waiting = asyncio.ensure_future(anext(requests))
    done, _ = await asyncio.wait([waiting], timeout=0.01)
    assert not done
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


class LargeSaid(Said):
    """A call whose request waits for its turn."""

    def receive(self, on_message: Any) -> None:
        on_message(GetStockInfoRequest(organization_id="o", variant_id="v" * LARGE_BYTES).SerializeToString())


@pytest.mark.parametrize("is_gone", [True, False])
async def test_in_company_a_large_answer_is_made_later_and_for_a_caller_that_is_there(is_gone: bool) -> None:
    company, reply, made = Company(), Reply[Fact](), list[Fact]()
    for organization in ("one", "other"):
        company.note(organization)

    def response(fact: Fact) -> GetStockInfoResponse:
        made.append(fact)
        return GetStockInfoResponse()

    frame, call = Frame(calls_max=10, company=company, pace=Pace(24, 48, 0.0)), LargeSaid()
    frame.add_service(INVENTORY, Answering(lambda: Deferred(reply, response)))
    frame.serve(PATH, call)  # type: ignore[arg-type]
    async with asyncio.timeout(10):
        while not frame.turns.statistics().begun_bytes:  # noqa: ASYNC110 - it does not tell
            await asyncio.sleep(0)
    reply.set(None)  # type: ignore[arg-type]
    assert (call.words, made, frame.turns.statistics().begun_bytes) == ([], [], 0)
    if is_gone:
        call.over("gone")
    async with asyncio.timeout(10):
        while not call.words:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0)
    await asyncio.sleep(0.001)
    assert [*call.words, *made] == (["gone"] if is_gone else [b"", None])
    assert frame.statistics().calls_under_way == 0
