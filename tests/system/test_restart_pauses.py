"""How soon a front-end that keeps ending is started again: in virtual time, and without processes."""

import asyncio
from itertools import pairwise

import pytest
import structlog

from simulation.runner import run_virtually
from simulation.schedule.asyncio_loop import LoopSchedule
from stockkeeper.serving.frontend_processes import (
    HEALTHY_AFTER_S,
    RESTART_PAUSE_MAX_S,
    RESTART_PAUSE_MIN_S,
    Frontends,
)
from tests.rpc.fake_inventory import FakeInventory


class ShortLived(Frontends):
    """Its front-ends live as long as the test says, in seconds; then it stops."""

    def __init__(self, lives_s: list[float]) -> None:
        super().__init__(FakeInventory(), processes=1, host="127.0.0.1", port=0, calls_max=1)
        self.lives_s = lives_s
        self.begun_s: list[float] = []

    async def _run_process(self, number: int) -> int:
        loop = asyncio.get_running_loop()
        self.begun_s.append(loop.time())
        if not self.lives_s:
            self._stopping.set()
            return 0
        await asyncio.sleep(self.lives_s.pop(0))
        return 1


def pauses_after(lives_s: list[float]) -> list[float]:
    """The pauses after front-ends that lived so long, as the clock shows them."""
    ends: list[float] = []

    async def main() -> None:
        frontends = ShortLived(list(lives_s))
        frontends._started.set_result(None)
        await frontends._keep(1)
        between = pairwise(frontends.begun_s)
        ends.extend(after - before - life for (before, after), life in zip(between, lives_s, strict=True))

    with structlog.testing.capture_logs():
        run_virtually(main, LoopSchedule("pauses", "shuffle"))
    return ends


def test_a_front_end_that_keeps_ending_is_started_ever_more_seldom_up_to_a_limit() -> None:
    pauses = pauses_after([0.0] * 10)
    doubled = [min(RESTART_PAUSE_MIN_S * 2**n, RESTART_PAUSE_MAX_S) for n in range(10)]
    assert doubled[-1] == RESTART_PAUSE_MAX_S
    assert pauses == pytest.approx(doubled, abs=0.01)


def test_a_front_end_that_lived_well_is_started_again_without_a_pause() -> None:
    lives = [0.0, 0.0, 0.0, HEALTHY_AFTER_S + 0.1, 0.0, HEALTHY_AFTER_S - 0.1]
    assert pauses_after(lives) == pytest.approx([0.05, 0.1, 0.2, 0.05, 0.1, 0.2], abs=0.01)
