"""How long what runs by itself rests: after nothing, after work, after a failure."""

from collections.abc import Sequence
from functools import partial

import anyio
import pytest

import supervisor.background.expiry
from actors.commands import Expire
from actors.outcomes import ActorCrashed, ExpiryHandled, Fact
from actors.records import OrderKey
from actors.reply import Reply
from actors.unavailable import RETRY_RESTART_MS, RETRY_SOON_MS, moving, row_damaged
from storage.store import Due, MovedOut, StorageError
from supervisor.background.expiry import BATCH_ORDERS_MAX, RETRY_MS, Expiry
from supervisor.background.housekeeping import REST_MAX_S, REST_MIN_S, RETRY_S, Housekeeping
from supervisor.clock import ServiceClock
from tests.core.conftest import FakeTime

pytestmark = pytest.mark.anyio

IDLE_S = 600.0


@pytest.mark.parametrize(
    ("rows", "step_s", "rest_s"),
    [
        (0, 1.0, IDLE_S),
        (5, 0.0, REST_MIN_S),
        (5, 0.02, 0.18),
        (5, 60.0, REST_MAX_S),
    ],
)
async def test_housekeeping_leaves_nine_tenths_of_the_time_to_others(rows: int, step_s: float, rest_s: float) -> None:
    time = FakeTime()

    async def move_out(before_ms: int, rows_max: int) -> MovedOut:
        time.now_s += step_s
        return MovedOut(rows, 0, 0, 0)

    clock = ServiceClock(lambda: 0, time)
    housekeeping = Housekeeping(clock, move_out, lambda actor, error: None, 1, IDLE_S)
    assert await housekeeping._step() == pytest.approx(rest_s)


async def test_housekeeping_rests_after_a_failure() -> None:
    async def move_out(before_ms: int, rows_max: int) -> MovedOut:
        raise StorageError("busy")

    clock = ServiceClock(lambda: 0, FakeTime())
    assert await Housekeeping(clock, move_out, lambda actor, error: None, 1, IDLE_S)._step() == RETRY_S


@pytest.mark.parametrize(
    ("error", "rest_ms"),
    [
        (ActorCrashed(), RETRY_MS),
        (row_damaged("shop", "mug", "w1"), RETRY_RESTART_MS),
        (moving(), RETRY_SOON_MS),
    ],
)
async def test_an_order_that_met_a_bug_damage_or_a_move_is_asked_again_after_a_rest_and_not_before(
    error: Exception, rest_ms: int
) -> None:
    time, order = FakeTime(), OrderKey("shop", "order-1")
    asked_at_s: list[float] = []
    looks = 0

    async def due(now_ms: int, limit: int) -> Sequence[Due]:
        nonlocal looks
        looks += 1
        return [Due(order, 0)]

    async def next_expiry_ms() -> int | None:
        return 0

    def ask(key: OrderKey, command: Expire, reply: Reply[Fact]) -> None:
        asked_at_s.append(time.now_s)
        reply.fail(error)

    async def bring(keys: Sequence[OrderKey]) -> None:
        pass

    expiry = Expiry(ServiceClock(lambda: 0, time), due, next_expiry_ms, bring, ask, IDLE_S)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(expiry.run)
        with anyio.fail_after(30):
            for now_s in (0.0, (rest_ms - 1) / 1_000, rest_ms / 1_000):
                time.now_s, seen = now_s, looks
                while looks < seen + 3:  # noqa: ASYNC110 - it looks every tenth of a second
                    await anyio.sleep(0.01)
        tasks.cancel_scope.cancel()
    assert asked_at_s == [0.0, rest_ms / 1_000]


async def test_no_more_than_two_batches_of_expiries_are_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor.background.expiry, "PAUSE_S", 3_600.0)
    asked: dict[OrderKey, Reply[Fact]] = {}
    orders = [Due(OrderKey("shop", f"order-{number:05}"), 0) for number in range(3 * BATCH_ORDERS_MAX)]

    async def due(now_ms: int, limit: int) -> Sequence[Due]:
        return [one for one in orders if one.order not in asked or not asked[one.order].is_done][:limit]

    async def next_expiry_ms() -> int | None:
        return None

    async def bring(keys: Sequence[OrderKey]) -> None:
        assert not asked.keys() & set(keys)

    expiry = Expiry(ServiceClock(lambda: 0, FakeTime()), due, next_expiry_ms, bring, partial(_keep, asked), IDLE_S)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(expiry.run)
        for batches in (2, 3):
            await anyio.wait_all_tasks_blocked()
            assert len(asked) == batches * BATCH_ORDERS_MAX
            for reply in list(asked.values())[:BATCH_ORDERS_MAX]:
                if not reply.is_done:
                    reply.set(ExpiryHandled(1))
        tasks.cancel_scope.cancel()


def _keep(asked: dict[OrderKey, Reply[Fact]], key: OrderKey, command: Expire, reply: Reply[Fact]) -> None:
    asked[key] = reply
