"""The end of a call that comes after its test does no harm to the next."""

import asyncio

import grpc.aio
import pytest
from anyio._backends import _asyncio as backend

from tests.late_events import ignored, is_late

NOWHERE = "127.0.0.1:1"


def test_a_call_that_ends_after_its_test_is_no_error_of_the_next() -> None:
    left: list[object] = []

    async def leave_a_call() -> None:
        channel = grpc.aio.insecure_channel(NOWHERE)
        left.append(channel)
        left.append(channel.unary_unary("/a/b")(b"", timeout=0.2, wait_for_ready=True))  # type: ignore[arg-type]
        await asyncio.sleep(0.05)  # until the call has begun

    async def the_next() -> None:
        seen = len(ignored)
        async with grpc.aio.insecure_channel(NOWHERE), asyncio.timeout(20):
            while len(ignored) == seen:  # noqa: ASYNC110 - gRPC tells its own loop alone
                await asyncio.sleep(0.01)

    for test in (leave_a_call, the_next):
        with backend.TestRunner() as runner:
            runner.run_test(test, {})


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
