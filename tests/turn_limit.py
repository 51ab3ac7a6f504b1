"""Fails a test in which our code holds the event loop: see `stockkeeper.turn_watch` for production.

Every callback of asyncio and every step of trio is measured by the CPU time of the thread, less what the garbage
collector takes there, which walks through all that other tests left. What a test itself does is its own affair; what
the core does on the test's stack is not, so turns are measured by themselves too.
"""

import asyncio
import functools
import gc
import inspect
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import actors.actor
import supervisor.incarnation
from actors.turn import first_need

TURN_S = 0.05
ROOT = Path(__file__).resolve().parents[1]
ROOMS = tuple(
    str(ROOT / room) + "/" for room in ("actors", "cells", "events", "rpc", "storage", "stockkeeper", "supervisor")
)


class TurnLimit:
    """What was longer than the limit, by name."""

    def __init__(self, turn_s: float = TURN_S) -> None:
        self.turn_s = turn_s
        self.long: list[str] = []
        self._collecting_since_s = 0.0
        self._collected_s = 0.0
        self._began_s = self.now_s()

    def __repr__(self) -> str:
        return f"<TurnLimit turn_s={self.turn_s} long={self.long}>"

    def now_s(self) -> float:
        """A clock that stands still while the thread does not run, and while garbage is collected."""
        return time.thread_time() - self._collected_s

    def measured(self, name: Callable[[Any], str], run: Callable[..., Any]) -> Callable[..., Any]:
        """`run`, noted under the name of its argument if it is long; no name, no note."""

        @functools.wraps(run)
        def measuring(one: Any) -> Any:
            began_s = self.now_s()
            try:
                return run(one)
            finally:
                took_s = self.now_s() - began_s
                if took_s > self.turn_s and (what := name(one)):
                    self.long.append(f"{what}: {took_s * 1_000:.0f} ms of CPU")

        return measuring

    def on_collection(self, phase: str, info: object) -> None:
        if phase == "start":
            self._collecting_since_s = time.thread_time()
        else:
            self._collected_s += time.thread_time() - self._collecting_since_s

    def before_task_step(self, task: Any) -> None:
        self._began_s = self.now_s()

    def after_task_step(self, task: Any) -> None:
        took_s = self.now_s() - self._began_s
        if took_s > self.turn_s and is_ours(task.coro):
            self.long.append(f"{task.name}: {took_s * 1_000:.0f} ms of CPU")


@contextmanager
def watched_turns(limit: TurnLimit) -> Iterator[TurnLimit]:
    """Within this block, callbacks of asyncio and turns of the core are measured."""
    turn = limit.measured(str, first_need)
    gc.callbacks.append(limit.on_collection)
    try:
        with (
            mock.patch.object(asyncio.Handle, "_run", limit.measured(name_of, asyncio.Handle._run)),
            mock.patch.object(actors.actor, "first_need", turn),
            mock.patch.object(supervisor.incarnation, "first_need", turn),
        ):
            yield limit
    finally:
        gc.callbacks.remove(limit.on_collection)


def name_of(handle: Any) -> str:
    """What a callback of asyncio does, if that is our code; else nothing."""
    callback = handle._callback
    while isinstance(callback, functools.partial):
        callback = callback.func
    task = getattr(callback, "__self__", None)
    if isinstance(task, asyncio.Task):
        coroutine = task.get_coro()
        return " < ".join(code.co_qualname for code in _codes(coroutine)[::-1]) if is_ours(coroutine) else ""
    return repr(callback) if _is_our_file(getattr(inspect.unwrap(callback), "__code__", None)) else ""


def is_ours(coroutine: Any) -> bool:
    """Whether the task's own function, or what it awaits just now, is our code, and its own is no test's."""
    files = [code.co_filename for code in _codes(coroutine)]
    return not any("/tests/" in file for file in files) and any(file.startswith(ROOMS) for file in files)


def _codes(coroutine: Any) -> list[Any]:
    """The functions of a task, the outermost first."""
    codes = []
    while coroutine is not None:
        codes.append(getattr(coroutine, "cr_code", None) or getattr(coroutine, "gi_code", None))
        coroutine = getattr(coroutine, "cr_await", None)
    return [code for code in codes if code is not None]


def _is_our_file(code: Any) -> bool:
    return code is not None and code.co_filename.startswith(ROOMS)
