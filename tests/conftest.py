"""Loaded before any test, and with it the settings of the package `tests`.

Every test has a time limit. A coroutine that exceeds it is cancelled, so that the report shows where it waits; any
other test is interrupted by pytest-timeout, and so is a coroutine that cannot be cancelled, which ends the process
(an exception out of a signal handler would break trio's loop).

And in no test may our code hold the event loop for longer than `tests.turn_limit` allows; `pytest.mark.long_turns` says
why one may.
"""

import functools
import inspect
from collections.abc import Awaitable, Callable, Generator
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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Choose how a test is interrupted."""
    for item in items:
        if isinstance(item, pytest.Function) and inspect.iscoroutinefunction(item.obj):
            item.add_marker(pytest.mark.timeout(method="thread"))


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
