"""Loaded before any test, and with it the settings of the package `tests`.

Every test has a time limit. A coroutine that exceeds it is cancelled, so that the report shows where it waits; any
other test is interrupted by pytest-timeout, and so is a coroutine that cannot be cancelled, which ends the process
(an exception out of a signal handler would break trio's loop).

And in no test may our code hold the event loop for longer than `tests.turn_limit` allows; `pytest.mark.long_turns` says
why one may.

Where several processes run the tests, each begins with its share of those that `pytest.mark.long` names, so that no
process is left with one of them when the others have ended.
"""

import functools
import gc
import inspect
from collections.abc import Awaitable, Callable, Generator
from itertools import islice
from typing import Any

import anyio
import pytest
import sniffio
import trio.lowlevel

from tests.late_events import ignore_late_events
from tests.turn_limit import TurnLimit, watched_turns

TIME_LIMIT_S = 240  # before `timeout` in pyproject.toml


@pytest.fixture(scope="session", autouse=True)
def no_events_of_earlier_tests() -> Generator[None, None, None]:
    with ignore_late_events():
        yield


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Keep the garbage collector from what is imported, for it stays: here, and in each of its later walks."""
    gc.disable()
    try:
        return (yield)
    finally:
        if hasattr(session.config, "workerinput"):
            import hypothesis  # noqa: F401 - it looks for referrers of trio's random numbers, among what is not frozen

            gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Choose how a test is interrupted, and which ones come first."""
    for item in items:
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj):
            item.add_marker(pytest.mark.timeout(method="thread"))
    if worker := getattr(config, "workerinput", None):
        items[:] = dealt(items, worker["workercount"])


def dealt(items: list[pytest.Item], processes: int) -> list[pytest.Item]:
    """The tests in an order of which each process gets an equal part, with its share of the long ones at its head."""
    long = [item for item in items if item.get_closest_marker("long")]
    rest = iter([item for item in items if not item.get_closest_marker("long")])
    order: list[pytest.Item] = []
    for process in range(processes):
        size = (len(items) - len(order)) // (processes - process)
        mine = long[process::processes]
        order += [*mine, *islice(rest, max(0, size - len(mine)))]
    return [*order, *rest]


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    """Cancel a coroutine that exceeds the limit."""
    if inspect.iscoroutinefunction(pyfuncitem.obj):
        pyfuncitem.obj = limited(pyfuncitem.obj, TIME_LIMIT_S)
        if pyfuncitem.get_closest_marker("long_turns") is None:
            pyfuncitem.obj = in_short_turns(pyfuncitem.obj)
    return (yield)


def in_short_turns(test: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    """The test, failed if the event loop was held."""

    @functools.wraps(test)
    async def run(*args: Any, **named: Any) -> None:
        limit = TurnLimit()
        is_trio = sniffio.current_async_library() == "trio"
        if is_trio:
            trio.lowlevel.add_instrument(limit)  # type: ignore[arg-type]  # it has what is needed of one
        with watched_turns(limit):
            await test(*args, **named)
        if is_trio:
            trio.lowlevel.remove_instrument(limit)  # type: ignore[arg-type]
        assert limit.long == [], "the event loop was held"

    return run


def limited(test: Callable[..., Awaitable[None]], limit_s: float) -> Callable[..., Awaitable[None]]:
    """The test with a time limit, in seconds.

    Raises:
        TimeoutError: from the call that it waits in.
    """

    @functools.wraps(test)
    async def run(*args: Any, **named: Any) -> None:
        with anyio.fail_after(limit_s):
            await test(*args, **named)

    return run
