"""Worlds take turns in all the ways in which production may, and with messages behind them."""

from collections import Counter
from typing import Any

import pytest

from actors.stock_actor import StockActor
from simulation.runner import run_seed
from supervisor.order_actor import OrderActor

SEEDS = 100  # of 40 a single world more or less would decide


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """What happened since it was last cleared."""
    seen: Counter[str] = Counter()
    had_a_task: dict[int, bool] = {}
    at_once, drain, prepare = OrderActor.receive_at_once, OrderActor.drain, StockActor.prepare_at_once

    def note_at_once(self: OrderActor, message: Any, reply: Any) -> bool:
        is_done = at_once(self, message, reply)
        seen["on a stack"] += is_done
        seen["on a stack after a task"] += is_done and had_a_task.get(id(self), False)
        seen["tried on a stack, and then in a task"] += not is_done
        had_a_task[id(self)] = not is_done
        return is_done

    async def note_drain(self: OrderActor) -> None:
        seen["a task with others behind"] += len(self._mailbox or ()) >= 2
        had_a_task[id(self)] = True
        await drain(self)

    def note_prepare(self: StockActor, transaction_id: int, change: Any) -> Any:
        has_rivals = bool(self.state.holds)
        verdict = prepare(self, transaction_id, change)
        seen["at once beside rivals"] += verdict is not None and has_rivals
        return verdict

    monkeypatch.setattr(OrderActor, "receive_at_once", note_at_once)
    monkeypatch.setattr(OrderActor, "drain", note_drain)
    monkeypatch.setattr(StockActor, "prepare_at_once", note_prepare)
    return seen


def test_turns_are_taken_on_stacks_and_in_tasks_with_messages_behind_them(seen: Counter[str]) -> None:
    worlds: Counter[str] = Counter()
    for seed in range(SEEDS):
        seen.clear()
        run_seed(seed)
        worlds.update(what for what, times in seen.items() if times)
        worlds["no order on a stack"] += not seen["on a stack"]
    assert worlds["on a stack"] > SEEDS * 0.6
    assert worlds["a task with others behind"] > SEEDS * 0.6
    assert worlds["on a stack after a task"] > SEEDS * 0.5
    assert worlds["tried on a stack, and then in a task"] > SEEDS * 0.5
    assert worlds["at once beside rivals"] > SEEDS * 0.1
    assert worlds["no order on a stack"] > 0
