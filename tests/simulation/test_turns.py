"""Worlds take turns in all the ways in which production may, and with messages behind them, and break no guarantee."""

from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest

from actors.order_actor import OrderActor
from actors.reply import Reply
from actors.stock_actor import StockActor
from actors.stock_state import Verdict
from simulation.runner import run_seed
from supervisor.transactions.coordinator import Coordinator

SEEDS = 100  # of 40 a single world more or less would decide


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """What happened since it was last cleared."""
    seen: Counter[str] = Counter()
    had_a_task: dict[int, bool] = {}
    begin, drain, prepare = OrderActor._begin, OrderActor.drain, StockActor.prepare

    def note_begin(self: OrderActor, envelope: Any) -> Any:
        is_inline = id(self) not in draining
        stopped = begin(self, envelope)
        seen["on a stack"] += is_inline and stopped is None
        seen["on a stack after a task"] += is_inline and stopped is None and had_a_task.get(id(self), False)
        seen["begun on a stack, and ended in a task"] += is_inline and stopped is not None
        had_a_task[id(self)] = stopped is not None
        return stopped

    async def note_drain(self: OrderActor) -> None:
        seen["a task with others behind"] += (self._stopped is not None) + len(self._mailbox or ()) >= 2
        had_a_task[id(self)] = True
        draining.add(id(self))
        try:
            await drain(self)
        finally:
            draining.discard(id(self))

    def note_prepare(self: StockActor, transaction_id: int, change: Any) -> Any:
        has_rivals = bool(self.state.holds)
        verdict = prepare(self, transaction_id, change)
        seen["judged beside rivals, without the mail"] += isinstance(verdict, Verdict) and has_rivals
        return verdict

    draining: set[int] = set()
    monkeypatch.setattr(OrderActor, "_begin", note_begin)
    monkeypatch.setattr(OrderActor, "drain", note_drain)
    monkeypatch.setattr(StockActor, "prepare", note_prepare)
    return seen


@pytest.mark.long
def test_turns_are_taken_on_stacks_and_in_tasks_with_messages_behind_them(seen: Counter[str]) -> None:
    worlds: Counter[str] = Counter()
    for seed in range(SEEDS):
        seen.clear()
        assert run_seed(seed).violations == ()
        worlds.update(what for what, times in seen.items() if times)
        worlds["no order on a stack"] += not seen["on a stack"]
    assert worlds["on a stack"] > SEEDS * 0.6
    assert worlds["a task with others behind"] > SEEDS * 0.5
    assert worlds["on a stack after a task"] > SEEDS * 0.5
    assert worlds["begun on a stack, and ended in a task"] > SEEDS * 0.5
    assert worlds["judged beside rivals, without the mail"] > SEEDS * 0.1
    assert worlds["no order on a stack"] > 0


def test_a_turn_that_waits_for_rivals_can_be_closed_where_there_is_no_event_loop_any_more() -> None:
    ticks = iter((1.0,))
    core: Any = SimpleNamespace(_monotonic_s=lambda: next(ticks), _waiting=0)
    turn = Coordinator._decision_of_rivals(core, Reply(), 1)
    next(turn)
    turn.close()
    assert core._waiting == 0
