"""The end of a call that comes after its test does no harm to the next."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import anyio
import grpc
import grpc.aio
import pytest
from anyio._backends import _asyncio as backend

from tests.late_events import ignored, is_late

PATIENCE_S = 20.0


class SlowService(grpc.GenericRpcHandler):
    """Answers `/slow` when it may, and all else at once."""

    def __init__(self) -> None:
        self.came = Event()
        self.may_answer = Event()

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        is_slow = handler_call_details.method == "/slow"
        return grpc.unary_unary_rpc_method_handler(self._answer_late if is_slow else self._answer)

    def _answer(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        return request

    def _answer_late(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        self.came.set()
        self.may_answer.wait(PATIENCE_S)
        return request


@pytest.fixture
def service() -> SlowService:
    return SlowService()


@pytest.fixture
def target(service: SlowService) -> Iterator[str]:
    with ThreadPoolExecutor(4) as threads:
        server = grpc.server(threads, handlers=[service])
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        yield f"127.0.0.1:{port}"
        service.may_answer.set()
        server.stop(None).wait(PATIENCE_S)


async def _begin_a_call(target: str, service: SlowService) -> tuple[object, object]:
    channel = grpc.aio.insecure_channel(target)
    slow: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/slow")
    call = slow(b"")
    await asyncio.to_thread(service.came.wait, PATIENCE_S)
    return channel, call


async def _meet_its_end(target: str, service: SlowService, seen: int) -> None:
    async with grpc.aio.insecure_channel(target) as channel:
        fast: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary("/fast")
        await fast(b"")  # from here on this loop takes gRPC's events
        service.may_answer.set()
        with anyio.fail_after(PATIENCE_S):
            while len(ignored) == seen:  # noqa: ASYNC110 - a callback of the loop's tells it
                await asyncio.sleep(0.01)


def test_a_call_that_ends_after_its_test_is_no_error_of_the_next(target: str, service: SlowService) -> None:
    """This is how a test once ended with an error that did not come back: the call was another test's."""
    seen = len(ignored)
    earlier = asyncio.new_event_loop()
    kept = earlier.run_until_complete(_begin_a_call(target, service))  # or it would be cancelled
    earlier.close()
    with backend.TestRunner() as runner:
        runner.run_test(_meet_its_end, {"target": target, "service": service, "seen": seen})
    assert all("PollerCompletionQueue._handle_events" in message for message in ignored[seen:])
    del kept


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (RuntimeError("Event loop is closed"), "Exception in callback something_of_ours()"),
        (RuntimeError("other"), "Exception in callback PollerCompletionQueue._handle_events()"),
        (ValueError("Event loop is closed"), "Exception in callback PollerCompletionQueue._handle_events()"),
    ],
)
def test_no_other_error_is_ignored(error: Exception, message: str) -> None:
    assert not is_late({"exception": error, "message": message})
