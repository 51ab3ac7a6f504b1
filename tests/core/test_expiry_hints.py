"""When stock may come back: what is large is noted later, and never too late or in the wrong order."""

import anyio
import pytest
from anyio.lowlevel import checkpoint

from actors.records import ReservationItem, ReservationRecord, StockKey
from supervisor.background import expiry_hints
from supervisor.background.expiry_hints import ASIDE_MAX, AT_ONCE_MAX, ExpiryHints

pytestmark = pytest.mark.anyio

KEY = StockKey("o", "v0", "w")


def reservation(name: str, lines: int, expires_at_ms: int = 1_000) -> ReservationRecord:
    items = tuple(ReservationItem(f"v{number}", "w", "", "s", 1, 5, 4) for number in range(lines))
    return ReservationRecord(name, "o", name, "active", 0, expires_at_ms, items)


def aside(hints: ExpiryHints) -> int:
    return hints.statistics().aside


@pytest.mark.parametrize(("lines", "put_aside"), [(AT_ONCE_MAX, 0), (AT_ONCE_MAX + 1, 1)])
def test_only_what_is_large_is_put_aside(lines: int, put_aside: int) -> None:
    hints = ExpiryHints()
    hints.add(reservation("r", lines))
    assert (aside(hints), len(hints)) == (put_aside, 0 if put_aside else lines)


def test_a_hint_knows_what_was_put_aside() -> None:
    hints = ExpiryHints()
    hints.add(reservation("r", AT_ONCE_MAX + 1))
    assert hints.freed_at_ms(KEY, 1) == 1_000
    hints.discard(reservation("r", AT_ONCE_MAX + 1))
    assert aside(hints) == 1
    assert hints.freed_at_ms(KEY, 1) is None


def test_what_is_noted_and_forgotten_before_that_leaves_nothing() -> None:
    hints = ExpiryHints()
    large, longer = reservation("r", AT_ONCE_MAX + 1), reservation("r", AT_ONCE_MAX + 1, 2_000)
    for change in (hints.add, hints.discard):
        change(large)
    hints.add(longer)
    hints.add(reservation("small", 1, 3_000))
    hints.discard(longer)
    assert hints.freed_at_ms(KEY, 1) == 3_000
    assert len(hints) == 1


def test_a_large_one_that_becomes_small_is_forgotten_before_it_is_noted_again() -> None:
    """It was never noted, as one that the database had before the start: its claims are those of the small one."""
    hints = ExpiryHints()
    hints.discard(reservation("r", AT_ONCE_MAX + 1))
    hints.add(reservation("r", 1))
    hints.add(reservation("other", 1, 2_000))
    assert len(hints) == 1  # what has nothing to do with it is noted at once
    assert hints.freed_at_ms(KEY, 1) == 1_000
    assert len(hints) == 2


def test_what_is_put_aside_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expiry_hints, "AT_ONCE_MAX", 1)
    hints = ExpiryHints()
    for number in range(ASIDE_MAX + 3):
        hints.add(reservation(f"r{number}", 2))
    assert (len(hints), aside(hints)) == (2 * 3, ASIDE_MAX)


def test_what_an_order_has_itself_is_no_hint_for_it_and_stays_one_for_others() -> None:
    hints = ExpiryHints()
    own = reservation("own", AT_ONCE_MAX + 1)
    hints.add(own)
    hints.add(reservation("other", 1, 2_000))
    without = hints.without(own)
    assert [without(KEY, pieces) for pieces in (1, 2)] == [2_000, None]
    assert without(StockKey("o", "v7", "w"), 1) is None
    assert without(StockKey("o", "unknown", "w"), 1) is None
    assert [hints.freed_at_ms(KEY, pieces) for pieces in (1, 2)] == [1_000, 2_000]
    assert hints.without(None)(KEY, 1) == 1_000
    hints.discard(own)
    assert without(KEY, 1) == 2_000
    assert len(hints) == 1


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_what_was_put_aside_is_noted_when_its_caller_has_the_answer(anyio_backend: str) -> None:
    hints, waits, answered = ExpiryHints(), 0, anyio.Event()

    async def wait_durable() -> None:
        nonlocal waits
        waits += 1
        await answered.wait()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(hints.keep_up, wait_durable)
        for round_ in range(2):
            for number in range(3):
                hints.add(reservation(f"r{round_}-{number}", AT_ONCE_MAX + 1))
            for _ in range(10):
                await checkpoint()
            assert (waits, aside(hints)) == (round_ + 1, 3)
            answered.set()
            seen = set()
            with anyio.fail_after(10):
                while aside(hints):
                    seen.add(aside(hints))
                    await checkpoint()
            assert seen & {1, 2}  # others have their turn between one and the next
            answered = anyio.Event()
        assert len(hints) == 6 * (AT_ONCE_MAX + 1)
        tasks.cancel_scope.cancel()
