"""Which task runs next: the one place that knows trio's private names.

With `_ALLOW_DETERMINISTIC_SCHEDULING` set, trio sorts each tick's runnable tasks by creation and asks
`_r.shuffle` for an order; it then runs them from the end of the list. A `random.Random` in place of `_r`
therefore decides everything: it can run the whole batch in some order, or run one task and hand the rest back to
the run queue, or hold some back for a while. Cancellation does not reach a task that is in the run queue already, so
a task that is held back behaves as if the machine were busy elsewhere.

Turned down: an event loop of our own (the tests would not run on trio then); instruments (they can look, not decide).
"""

import math
import random
from array import array
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from heapq import heappop, heappush
from itertools import count
from typing import Any, Literal
from unittest import mock

import anyio
import trio
import trio.abc
from anyio._backends import _trio as backend
from msgspec import Struct

Mode = Literal["shuffle", "walk", "pct"]

PCT_CHANGES = 3
PCT_STEPS = 6_000  # about as long as a small scenario is


class VirtualClock(trio.abc.Clock):
    """A clock that stands still while anything can run, and then jumps to the next deadline.

    trio asks for the time to sleep only when nothing can run. `MockClock` does the same, with an idle tick before each
    jump and arithmetic for a clock that also runs by itself; a run without them takes a tenth less time.

    The clock wakes sleeping tasks as well: trio's own sleep is a cancel scope with a deadline, and takes four times as
    long.
    """

    def __init__(self) -> None:
        self._now_s = 0.0
        self._numbers = count()
        self._sleeping: list[tuple[float, int, trio.lowlevel.Task]] = []
        self._awake: set[int] = set()  # numbers of sleeps that were cancelled

    def __repr__(self) -> str:
        return f"<VirtualClock now_s={self._now_s} sleeping={len(self._sleeping) - len(self._awake)}>"

    def start_clock(self) -> None:
        pass

    def current_time(self) -> float:
        return self._now_s

    def deadline_to_sleep_time(self, deadline: float) -> float:
        sleeping = self._sleeping
        while sleeping and sleeping[0][1] in self._awake:
            self._awake.remove(heappop(sleeping)[1])
        if sleeping and sleeping[0][0] <= deadline:
            self._now_s = max(self._now_s, sleeping[0][0])
            while sleeping and sleeping[0][0] <= self._now_s:
                _, number, task = heappop(sleeping)
                if number in self._awake:
                    self._awake.remove(number)
                else:
                    trio.lowlevel.reschedule(task)
            return 0.0
        if deadline == math.inf:
            return math.inf  # trio wakes itself through a socket when it ends; else there is always a deadline
        self._now_s = max(self._now_s, deadline)
        return 0.0

    async def sleep(self, delay_s: float) -> None:
        """Sleep as `trio.sleep` does."""
        if delay_s <= 0:
            await trio.lowlevel.checkpoint()
            return
        number = next(self._numbers)

        def abort(_: object) -> trio.lowlevel.Abort:
            self._awake.add(number)
            return trio.lowlevel.Abort.SUCCEEDED

        heappush(self._sleeping, (self._now_s + delay_s, number, trio.lowlevel.current_task()))
        await trio.lowlevel.wait_task_rescheduled(abort)


async def _sleep(delay_s: float) -> None:
    clock = trio.lowlevel.current_clock()
    if isinstance(clock, VirtualClock):
        await clock.sleep(delay_s)
    else:
        await trio.sleep(delay_s)


class HooksBroken(AssertionError):
    """This trio does not let the simulation decide: its private names have changed their meaning."""


class ScheduleStatistics(Struct, frozen=True):
    """Counts of one run.

    Args:
        steps: how many were taken.
        held: tasks that could run and are held back.
        alarms: functions that still wait for their step.
    """

    steps: int
    held: int
    alarms: int


class Schedule(random.Random):
    """Decides the order of steps and remembers it.

    Args:
        seed: names the stream of decisions.
        mode: `shuffle` runs each tick's tasks in a random order; `walk` runs one random task a tick; `pct` runs the
            task with the highest priority, and moves it to the bottom at a few random steps (Burckhardt et al., 2010:
            "A randomized scheduler with probabilistic guarantees of finding bugs").
    """

    def __new__(cls, seed: str, mode: Mode = "shuffle") -> "Schedule":
        return super().__new__(cls)

    def __init__(self, seed: str, mode: Mode = "shuffle") -> None:
        super().__init__(seed)
        self.mode = mode
        self.steps = 0
        self.trace = array("I")
        self.clock = VirtualClock()
        self._first = -1  # the counter of the first task: trio counts on across runs
        self._priorities: dict[int, float] = {}
        self._changes = sorted(self.randrange(PCT_STEPS) for _ in range(PCT_CHANGES)) if mode == "pct" else []
        self._alarms: list[tuple[int, Callable[[], None]]] = []
        self._is_stalled: Callable[[str], bool] | None = None
        self._held: list[Any] = []

    def __repr__(self) -> str:
        return f"<Schedule {self.mode} steps={self.steps} held={len(self._held)} {self.clock!r}>"

    def statistics(self) -> ScheduleStatistics:
        return ScheduleStatistics(self.steps, len(self._held), len(self._alarms))

    def now_s(self) -> float:
        """Virtual time; it can be asked outside of tasks too."""
        return self.clock.current_time()

    def at_step(self, step: int, do: Callable[[], None]) -> None:
        """Call `do`, which must not suspend, between the tasks that become steps `step - 1` and `step`."""
        self._alarms.append((step, do))
        self._alarms.sort(key=lambda alarm: alarm[0])

    def stall(self, is_stalled: Callable[[str], bool]) -> None:
        """From now on, hold back the tasks with such a name."""
        self._is_stalled = is_stalled

    def resume(self) -> None:
        """Let all tasks run again."""
        self._is_stalled = None
        held, self._held = self._held, []
        trio._core._run.GLOBAL_RUN_CONTEXT.runner.runq.extend(held)

    def digest(self) -> bytes:
        """A hash of the schedule so far."""
        return blake2b(self.trace.tobytes(), digest_size=16).digest()

    def shuffle(self, x: Any) -> None:
        """Called by trio with its runnable tasks, in the order of their creation."""
        batch: list[Any] = x
        if not batch:
            return
        if self._first < 0:
            self._first = batch[0]._counter
        if self._is_stalled is not None:
            self._hold_back(batch)
        if len(batch) > 1:
            if self.mode == "shuffle":
                super().shuffle(batch)
            else:
                self._pick_one(batch)
        if self._alarms:
            self._sound_alarms(batch)
        self.steps += len(batch)
        first = self._first
        if len(batch) == 1:  # nearly always: time stands still only for what happens at the same instant
            self.trace.append(batch[0]._counter - first)
        else:
            self.trace.extend([task._counter - first for task in reversed(batch)])

    def _hold_back(self, batch: list[Any]) -> None:
        assert self._is_stalled is not None
        held = [task for task in batch if self._is_stalled(task.name)]
        if held:
            self._held.extend(held)
            batch[:] = [task for task in batch if not self._is_stalled(task.name)]

    def _pick_one(self, batch: list[Any]) -> None:
        if self.mode == "walk":
            task = batch.pop(int(self.random() * len(batch)))
        else:
            priorities = self._priorities
            for waiting in batch:
                if waiting._counter not in priorities:
                    priorities[waiting._counter] = self.random()
            task = max(batch, key=lambda t: (priorities[t._counter], t._counter))
            batch.remove(task)
            if self._changes and self.steps >= self._changes[0]:
                priorities[task._counter] = -float(self._changes.pop(0))  # below all others, the later the lower
        trio._core._run.GLOBAL_RUN_CONTEXT.runner.runq.extend(batch)
        batch[:] = [task]

    def _sound_alarms(self, batch: list[Any]) -> None:
        while self._alarms and self._alarms[0][0] <= self.steps + len(batch):
            step, do = self._alarms[0]
            first = max(0, step - self.steps)
            if 0 < first < len(batch):
                # Only what comes before the alarm runs in this tick; the rest waits for the next.
                later = batch[: len(batch) - first]
                batch[:] = batch[len(batch) - first :]
                trio._core._run.GLOBAL_RUN_CONTEXT.runner.runq.extend(later)
                return
            if first == len(batch):
                return
            self._alarms.pop(0)
            do()


@contextmanager
def decided_by(schedule: random.Random) -> Iterator[None]:
    """Within this block, `schedule` decides in every `trio.run`, and `anyio.sleep` sleeps by the `VirtualClock`."""
    run: Any = trio._core._run
    before = run._r, run._ALLOW_DETERMINISTIC_SCHEDULING
    run._r, run._ALLOW_DETERMINISTIC_SCHEDULING = schedule, True
    try:
        with mock.patch.object(backend.TrioBackend, "sleep", _sleep):
            yield
    finally:
        run._r, run._ALLOW_DETERMINISTIC_SCHEDULING = before


def run_on_trio(
    main: Callable[[], Coroutine[Any, Any, None]], schedule: Schedule, instruments: Sequence[trio.abc.Instrument]
) -> None:
    """Run `main` in virtual time, with `schedule` deciding and the instruments looking on.

    Not by `anyio.run`: before 4.14 it ignores a clock for trio, without a word. The world then ran on the real one, and
    a test waited in earnest for what takes hours.
    """
    with decided_by(schedule):
        trio.run(main, clock=schedule.clock, instruments=instruments)


@contextmanager
def plain_tasks() -> Iterator[None]:
    """Within this block, anyio's task groups on trio start tasks as trio does: without the handle, the event and the
    cancel scope that anyio gives to each and that nothing here uses.
    """

    def start_soon(self: Any, func: Any, *args: Any, name: object = None) -> None:
        self._nursery.start_soon(func, *args, name=name)

    with mock.patch.object(backend.TaskGroup, "start_soon", start_soon):
        yield


def check_hooks() -> None:
    """Check that this trio still lets the simulation decide.

    Raises:
        HooksBroken: it does not; the message says why.
    """
    missing = [name for name in ("_r", "_ALLOW_DETERMINISTIC_SCHEDULING") if not hasattr(trio._core._run, name)]
    if missing:
        raise HooksBroken(f"trio {trio.__version__} has no trio._core._run.{missing[0]} any more")
    try:
        orders = [_order_of(_Reversed(mode)) for mode in ("forwards", "backwards", "held")]
    except AttributeError as error:
        raise HooksBroken(f"trio {trio.__version__}: {error}") from error
    expected = [["a1", "b1", "c1", "a2", "b2", "c2"], ["c1", "b1", "a1", "c2", "b2", "a2"], ["b1", "b2", "c1", "c2"]]
    for order, wanted in zip(orders, expected, strict=True):
        seen = order if wanted[0] != "b1" else [step for step in order if step[0] != "a"]
        if seen != wanted or (wanted[0] == "b1" and order[-2:] != ["a1", "a2"]):
            raise HooksBroken(f"trio {trio.__version__} ran {order} where the simulation had decided {wanted}")


class _Reversed(random.Random):
    """The canary's schedules: as created, the other way round, or one task at a time with the first held back."""

    def __init__(self, mode: str) -> None:
        super().__init__(0)
        self._mode = mode

    def __repr__(self) -> str:
        return f"<_Reversed {self._mode}>"

    def __new__(cls, mode: str) -> "_Reversed":
        return super().__new__(cls)

    def shuffle(self, x: Any) -> None:
        batch: list[Any] = x
        if self._mode == "forwards":
            batch.reverse()
        elif self._mode == "held" and len(batch) > 1:
            one = next(task for task in batch if not task.name.endswith("a"))
            trio._core._run.GLOBAL_RUN_CONTEXT.runner.runq.extend(task for task in batch if task is not one)
            batch[:] = [one]


def _order_of(schedule: random.Random) -> list[str]:
    order: list[str] = []

    async def two_steps(name: str) -> None:
        for number in ("1", "2"):
            order.append(name + number)
            await trio.lowlevel.checkpoint()

    async def main() -> None:
        await trio.sleep(1.0)
        await anyio.sleep(1.0)
        if trio.current_time() != 2.0:
            raise HooksBroken(f"trio {trio.__version__} slept 2 s and then it was {trio.current_time()} s")
        async with trio.open_nursery() as nursery:
            for name in "abc":
                nursery.start_soon(two_steps, name, name=name)

    with decided_by(schedule):
        trio.run(main, clock=VirtualClock())
    return order
