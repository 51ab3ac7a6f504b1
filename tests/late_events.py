"""Events of grpc.aio that come when the test that they belong to is over.

grpc.aio has one queue of events for the whole process. The loop that runs takes each from it and hands it to the loop
that its call was made on. That one is closed if it was an earlier test's: on a busy machine a call may end late. The
error is raised in a callback, and anyio raises it again in whatever test or fixture runs, which never saw the call.
"""

from typing import Any
from unittest import mock

from anyio._backends._asyncio import TestRunner

ignored: list[str] = []


def ignore_late_events() -> Any:
    """Patches anyio's runner of tests: such an error is no test's."""
    handle = TestRunner._exception_handler

    def handler(self: TestRunner, loop: Any, context: dict[str, Any]) -> None:
        if is_late(context):
            ignored.append(context["message"])
        else:
            handle(self, loop, context)

    return mock.patch.object(TestRunner, "_exception_handler", handler)


def is_late(context: dict[str, Any]) -> bool:
    """Whether gRPC met a closed loop, by what asyncio says of an error in a callback."""
    error = context.get("exception")
    is_closed = isinstance(error, RuntimeError) and str(error) == "Event loop is closed"
    return is_closed and "PollerCompletionQueue._handle_events" in context["message"]
