"""The end of a call that comes after its test does no harm to the next."""

import asyncio

import pytest
from anyio._backends import _asyncio as backend

from tests.late_events import ignored, is_late

LATE = {
    "exception": RuntimeError("Event loop is closed"),
    "message": "Exception in callback PollerCompletionQueue._handle_events()()",
}


async def meets_an_event_of_an_earlier_test() -> None:
    asyncio.get_running_loop().call_exception_handler(LATE)
    await asyncio.sleep(0)


def test_a_call_that_ends_after_its_test_is_no_error_of_the_next() -> None:
    seen = len(ignored)
    with backend.TestRunner() as runner:
        runner.run_test(meets_an_event_of_an_earlier_test, {})
    assert ignored[seen:] == [LATE["message"]]


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
