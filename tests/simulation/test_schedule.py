"""Stalls: a task that stands still while time goes on."""

from functools import partial
from typing import Any

import anyio
import pytest
import trio
from anyio._backends._trio import TrioBackend

from simulation.faults import STALLS
from simulation.runner import run_seed, run_virtually
from simulation.schedule.asyncio_loop import LoopSchedule
from simulation.schedule.trio_schedule import Mode, Schedule


@pytest.mark.parametrize("kind", [Schedule, LoopSchedule])
@pytest.mark.parametrize("mode", ["shuffle", "walk", "pct"])
def test_a_stalled_task_stands_still_while_time_and_others_go_on(
    kind: type[Schedule | LoopSchedule], mode: Mode
) -> None:
    schedule = kind("seed", mode)
    seen: list[tuple[str, float]] = []

    async def tick(name: str) -> None:
        for _ in range(4):
            await anyio.sleep(1)
            seen.append((name, schedule.now_s()))

    async def main() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(tick, "slow"), name="the slow one")
            tasks.start_soon(partial(tick, "quick"), name="the quick one")
            await anyio.sleep(1.5)
            schedule.stall(lambda name: "slow" in name)
            await anyio.sleep(5)
            schedule.resume()

    run_virtually(main, schedule)
    assert [at for name, at in seen if name == "quick"] == pytest.approx([1, 2, 3, 4])
    assert [at for name, at in seen if name == "slow"] == pytest.approx([1, 6.5, 7.5, 8.5])


def test_every_stall_meets_tasks_that_run(monkeypatch: pytest.MonkeyPatch) -> None:
    names: set[str] = set()
    shuffle = Schedule.shuffle

    def note(self: Schedule, batch: list[Any]) -> None:
        names.update(task.name for task in batch)
        shuffle(self, batch)

    monkeypatch.setattr(Schedule, "shuffle", note)
    for seed in range(5):
        run_seed(seed)
    assert not [stall for stall in STALLS if not any(stall in name for name in names)]


def test_a_world_has_virtual_time_though_anyio_ignores_a_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(cls: type[TrioBackend], func: Any, args: Any, kwargs: Any, options: Any) -> Any:
        return trio.run(func, *args)  # as before anyio 4.14

    monkeypatch.setattr(TrioBackend, "run", classmethod(run))
    schedule, seen = Schedule("clock"), []

    async def main() -> None:
        seen.append(trio.lowlevel.current_clock())

    run_virtually(main, schedule)
    assert seen == [schedule.clock]
