"""Worlds take turns in all the ways in which production may, and with messages behind them."""

from collections import Counter
from typing import Any

import pytest

from actors.stock import StockActor
from simulation.runner import run_seed
from simulation.server import SeededDispatcher
from supervisor.order import OrderActor

SEEDS = 40


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """What happened since it was last cleared."""
    seen: Counter[str] = Counter()
    posted: list[object] = []
    had_a_task: dict[int, bool] = {}
    dispatch, drain, prepare = SeededDispatcher.dispatch, OrderActor.drain, StockActor.prepare_at_once

    def note_dispatch(self: SeededDispatcher, actor: Any) -> None:
        posted.append(actor)
        try:
            dispatch(self, actor)
        finally:
            posted.pop()

    async def note_drain(self: OrderActor) -> None:
        if posted and posted[-1] is self:
            seen["on a stack"] += 1
            seen["on a stack after a task"] += had_a_task.get(id(self), False)
            had_a_task[id(self)] = False
        else:
            seen["a task with others behind"] += len(self._mailbox) >= 2
            had_a_task[id(self)] = True
        await drain(self)

    def note_prepare(self: StockActor, transaction_id: int, change: Any) -> Any:
        has_rivals = bool(self.state.holds)
        verdict = prepare(self, transaction_id, change)
        seen["at once beside rivals"] += verdict is not None and has_rivals
        return verdict

    monkeypatch.setattr(SeededDispatcher, "dispatch", note_dispatch)
    monkeypatch.setattr(OrderActor, "drain", note_drain)
    monkeypatch.setattr(StockActor, "prepare_at_once", note_prepare)
    return seen


def test_turns_come_on_stacks_and_in_tasks_and_with_others_behind_them(seen: Counter[str]) -> None:
    worlds: Counter[str] = Counter()
    for seed in range(SEEDS):
        seen.clear()
        run_seed(seed)
        worlds.update(what for what, times in seen.items() if times)
        worlds["no order on a stack"] += not seen["on a stack"]
    assert worlds["on a stack"] > SEEDS * 0.6
    assert worlds["a task with others behind"] > SEEDS * 0.6
    assert worlds["on a stack after a task"] > SEEDS * 0.5
    assert worlds["at once beside rivals"] > SEEDS * 0.15
    assert worlds["no order on a stack"] > 0
