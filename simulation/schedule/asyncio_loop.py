"""The same worlds on asyncio: an event loop in virtual time, in which the seed chooses the next callback.

It schedules roughly as trio does: `shuffle` runs what is ready in a random order, the other modes run one random
callback at a time. What anyio keeps in sets is hashed by creation, since addresses differ from run to run.
"""

import asyncio
import math
import selectors
from array import array
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from hashlib import blake2b
from itertools import count
from random import Random
from typing import Any
from unittest import mock

from anyio._backends import _asyncio as backend

from simulation.schedule.trio_schedule import Mode, ScheduleStatistics


class _NumberedTask(asyncio.Task):  # type: ignore[type-arg]
    def __init__(self, coro: Coroutine[Any, Any, Any], *, number: int, loop: Any, **named: Any) -> None:
        self.number = number
        super().__init__(coro, loop=loop, **named)

    def __hash__(self) -> int:
        return self.number


class _NoSelector(selectors.SelectSelector):
    """Waits for nothing: it lets time jump instead."""

    def __init__(self, jump: Callable[[float], None]) -> None:
        super().__init__()
        self._jump = jump

    def __repr__(self) -> str:
        return "<_NoSelector>"

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise AssertionError("every task waits, and nothing will ever happen again")
        self._jump(timeout)
        return []


class LoopSchedule:
    """Decides the order of steps on asyncio, as `Schedule` does on trio."""

    def __init__(self, seed: str, mode: Mode) -> None:
        self.mode = mode
        self.random = Random(seed)
        self.steps = 0
        self.trace = array("I")
        self.clock_s = 0.0
        self._alarms: list[tuple[int, Callable[[], None]]] = []
        self._is_stalled: Callable[[str], bool] | None = None
        self._held: list[Any] = []
        self._released: list[Any] = []

    def __repr__(self) -> str:
        return f"<LoopSchedule {self.mode} steps={self.steps} held={len(self._held)} now_s={self.clock_s}>"

    def statistics(self) -> ScheduleStatistics:
        return ScheduleStatistics(self.steps, len(self._held), len(self._alarms))

    def now_s(self) -> float:
        return self.clock_s

    def at_step(self, step: int, do: Callable[[], None]) -> None:
        self._alarms.append((step, do))
        self._alarms.sort(key=lambda alarm: alarm[0])

    def stall(self, is_stalled: Callable[[str], bool]) -> None:
        self._is_stalled = is_stalled

    def resume(self) -> None:
        self._is_stalled = None
        self._released += self._held
        self._held = []

    def released(self) -> list[Any]:
        """Take the callbacks that were held back and may run now."""
        released, self._released = self._released, []
        return released

    def hold_back(self, ready: list[Any]) -> list[Any]:
        """Return the callbacks that may run; the rest stays until `resume`."""
        is_stalled = self._is_stalled
        if is_stalled is None:
            return ready
        free = [handle for handle in ready if not is_stalled(self.name_of(handle))]
        if len(free) < len(ready):
            self._held += [handle for handle in ready if is_stalled(self.name_of(handle))]
        return free

    def name_of(self, handle: Any) -> str:
        """The name of the task that the callback belongs to; empty if it belongs to none."""
        task = getattr(handle._callback, "__self__", None)
        return task.get_name() if isinstance(task, _NumberedTask) else ""

    def digest(self) -> bytes:
        return blake2b(self.trace.tobytes(), digest_size=16).digest()

    def sound_alarms(self) -> None:
        """Call what is due at this step. What the calls schedule is ready afterwards."""
        while self._alarms and self._alarms[0][0] <= self.steps:
            self._alarms.pop(0)[1]()

    def choose(self, ready: list[Any]) -> int:
        """Put the callbacks that run next first, and return how many run."""
        if self.mode == "shuffle":
            self.random.shuffle(ready)
            chosen = len(ready) if not self._alarms else min(len(ready), self._alarms[0][0] - self.steps)
        else:
            place = int(self.random.random() * len(ready))
            ready[0], ready[place] = ready[place], ready[0]
            chosen = 1
        for handle in ready[:chosen]:
            owner = getattr(handle._callback, "__self__", None)
            self.trace.append(getattr(owner, "number", 0))
        self.steps += chosen
        return chosen


class _VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self, schedule: LoopSchedule) -> None:
        self._schedule = schedule
        super().__init__(_NoSelector(self._jump))
        numbers = count(1)
        self._ready: deque[Any] = deque(self._ready)
        self.set_task_factory(lambda loop, coro, **named: _NumberedTask(coro, number=next(numbers), loop=loop, **named))

    def __repr__(self) -> str:
        return f"<_VirtualLoop of {self._schedule!r}>"

    def _jump(self, by_s: float) -> None:
        self._schedule.clock_s += by_s

    def time(self) -> float:
        return self._schedule.clock_s

    def _run_once(self) -> None:
        self._schedule.sound_alarms()
        ready: deque[Any] = self._ready
        ready.extend(self._schedule.released())
        if not ready:
            self._jump_to_next_timer()
        handles = self._schedule.hold_back([handle for handle in ready if not handle._cancelled])
        if not handles:
            ready.clear()
            return
        if all(getattr(handle._callback, "__name__", "") == "_deliver_cancellation" for handle in handles):
            # anyio asks again and again whether a shielded task is done; what that task waits for may be time.
            waiting = [timer._when for timer in self._scheduled if not timer._cancelled]  # type: ignore[attr-defined]
            if waiting:
                self._schedule.clock_s = max(self.time(), math.nextafter(min(waiting), math.inf))
        chosen = self._schedule.choose(handles)
        ready.clear()
        ready.extend(handles[:chosen])
        rest = handles[chosen:]
        super()._run_once()  # type: ignore[misc]
        self._ready.extendleft(reversed(rest))

    def _jump_to_next_timer(self) -> None:
        timers: list[Any] = self._scheduled  # type: ignore[attr-defined]
        waiting = sorted((timer for timer in timers if not timer._cancelled), key=lambda timer: timer._when)
        if not waiting:
            raise AssertionError("every task waits, and nothing will ever happen again")
        self._schedule.clock_s = max(self.time(), math.nextafter(waiting[0]._when, math.inf))
        super()._run_once()  # type: ignore[misc]


@contextmanager
def _scopes_in_order() -> Iterator[None]:
    numbers = count(1)
    scopes = backend.CancelScope
    made: dict[int, int] = {}
    right = scopes.__init__

    def init(self: Any, *args: Any, **named: Any) -> None:
        made[id(self)] = next(numbers)
        right(self, *args, **named)

    with (
        mock.patch.object(scopes, "__init__", init),
        mock.patch.object(scopes, "__hash__", lambda self: made[id(self)], create=True),
    ):
        yield


def run_on_asyncio(main: Callable[[], Coroutine[Any, Any, None]], schedule: LoopSchedule) -> None:
    """Run `main` to its end in virtual time."""
    loop = _VirtualLoop(schedule)
    with _scopes_in_order():
        try:
            loop.run_until_complete(main())
        finally:
            loop.close()
