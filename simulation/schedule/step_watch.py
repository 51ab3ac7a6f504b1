"""Sees a step that holds up everybody else in a world, by the CPU time of the thread.

It is the only thing in a world that is measured and not decided: it changes nothing that happens, and its limit is a
hundred times what a step takes. On a busy machine a step that is interrupted is not long, since CPU time stands still
then.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import trio.abc

STEP_S = 0.05


class StepWatch(trio.abc.Instrument):
    """Both an instrument of trio and, by `on_asyncio`, one of the virtual loop.

    Args:
        report: told the name of what was long and its CPU time in seconds.
        step_s: how long a step may be.
    """

    def __init__(self, report: Callable[[str, float], None], step_s: float = STEP_S) -> None:
        self._report = report
        self._step_s = step_s
        self._began_s = 0.0

    def __repr__(self) -> str:
        return f"<StepWatch step_s={self._step_s}>"

    def before_task_step(self, task: Any) -> None:
        self._began_s = time.thread_time()

    def after_task_step(self, task: Any) -> None:
        self._end(str(task.name))

    def _end(self, name: str) -> None:
        took_s = time.thread_time() - self._began_s
        if took_s > self._step_s:
            self._report(name, took_s)

    @contextmanager
    def on_asyncio(self, name_of: Callable[[Any], str]) -> Iterator[None]:
        """Within this block, watch the callbacks of asyncio's loops that are written in Python."""
        import asyncio

        run = asyncio.Handle._run  # by its private name: all callbacks go through it

        def watched(handle: Any) -> None:
            self._began_s = time.thread_time()
            run(handle)
            self._end(name_of(handle))

        with mock.patch.object(asyncio.Handle, "_run", watched):
            yield
