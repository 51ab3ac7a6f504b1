"""What holds the event loop is seen and named: in tests, in worlds and in production."""

import asyncio
import logging
import sys
import time
from collections.abc import Callable, Coroutine
from typing import Any

import anyio
import pytest
from anyio.lowlevel import checkpoint

import actors.actor
from actors.turn import OTHERS_FIRST, Turn
from rpc import frame
from rpc.frame import Frame
from simulation.runner import run_virtually
from simulation.schedule.asyncio_loop import LoopSchedule
from simulation.schedule.step_watch import StepWatch
from simulation.schedule.trio_schedule import Schedule
from stockkeeper.turn_watch import TurnWatch, place_of
from tests.conftest import in_short_turns
from tests.turn_limit import TurnLimit, name_of, watched_turns

pytestmark = [pytest.mark.anyio, pytest.mark.long_turns("they are what is tested")]


def burn(cpu_s: float) -> None:
    """Take CPU time, however busy the machine is."""
    ends_s = time.thread_time() + cpu_s
    while time.thread_time() < ends_s:
        pass


class OfOurs:
    """Code that looks as if it were the product's."""

    def __init__(self, cpu_s: float) -> None:
        scope: dict[str, Any] = {"burn": burn, "checkpoint": checkpoint, "cpu_s": cpu_s}
        source = "async def work():\n await checkpoint()\n burn(cpu_s)\n await checkpoint()\ndef call():\n burn(cpu_s)"
        exec(compile(source, frame.__file__, "exec"), scope)  # for its file's name
        self.work: Callable[[], Coroutine[Any, Any, None]] = scope["work"]
        self.call: Callable[[], None] = scope["call"]


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
@pytest.mark.parametrize(("cpu_s", "is_long"), [(0.08, True), (0.005, False)])
async def test_a_task_of_ours_that_holds_the_loop_fails_the_test(
    anyio_backend: str, cpu_s: float, is_long: bool
) -> None:
    async def test() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(OfOurs(cpu_s).work)

    if not is_long:
        await in_short_turns(test)()
        return
    with pytest.raises(AssertionError, match="the event loop was held"):
        await in_short_turns(test)()


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_a_turn_on_the_stack_of_the_test_counts_and_the_test_itself_does_not(anyio_backend: str) -> None:
    def turn() -> Turn[None]:
        burn(0.08)
        yield OTHERS_FIRST

    limit = TurnLimit()
    with watched_turns(limit):
        burn(0.08)
        await checkpoint()
        assert limit.long == []
        long_turn: Any = vars(actors.actor)["first_need"]
        long_turn(turn())
    [told] = limit.long
    assert "turn" in told


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_callbacks_are_named_when_they_are_ours(anyio_backend: str) -> None:
    loop = asyncio.get_running_loop()
    assert "Frame.statistics" in name_of(loop.call_soon(Frame(1).statistics))
    assert name_of(loop.call_soon(burn, 0.0)) == ""


@pytest.mark.parametrize("schedule", [Schedule("long"), LoopSchedule("long", "shuffle")], ids=["trio", "asyncio"])
def test_a_step_of_a_world_that_holds_the_others_is_told(schedule: Any) -> None:
    told: list[tuple[str, float]] = []

    async def main() -> None:
        await checkpoint()
        burn(0.03)
        await checkpoint()

    run_virtually(main, schedule, StepWatch(lambda name, took_s: told.append((name, took_s)), step_s=0.02))
    [(_, took_s)] = told
    assert took_s >= 0.03


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_in_production_it_is_counted_and_logged_seldom(
    anyio_backend: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    watch = TurnWatch(turn_s=0.02, look_every_s=0.002)
    try:
        async with asyncio.timeout(30):
            while watch.statistics().long < 3:
                burn(0.08)
                await asyncio.sleep(0.005)
    finally:
        watch.stop()
    assert watch.statistics().longest_s >= 0.02
    [record] = [record for record in caplog.records if record.message == "event_loop_held"]
    assert vars(record)["cpu_ms"] >= 20


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_an_idle_loop_is_not_asked(anyio_backend: str) -> None:
    watch = TurnWatch(look_every_s=3_600.0)
    asked = [_is_asked(watch)]
    await asyncio.sleep(0)
    assert watch._asked_at_s is None
    watch._seen_s = time.clock_gettime(watch._clock) + 10  # as if it had spent nothing since then
    asked.append(_is_asked(watch))
    assert asked == [True, False]
    watch.stop()


def _is_asked(watch: TurnWatch) -> bool:
    watch._look()
    return watch._asked_at_s is not None


def test_a_place_is_named_by_the_method_that_is_served() -> None:
    scope: dict[str, Any] = {"__name__": "rpc.frame", "place": lambda: place_of(sys._getframe(1))}
    exec("def respond(path):\n return place()", scope)
    place = scope["respond"]("/inventory.v1.InventoryService/ReserveStock")
    assert place.method == "/inventory.v1.InventoryService/ReserveStock"
    assert place.functions[0].startswith("rpc.frame.respond:")
    assert place_of(None) == ("", ())
