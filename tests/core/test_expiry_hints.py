"""When stock may come back: what is large is noted later, and never too late or in the wrong order."""

import pytest

from actors.records import ReservationItem, ReservationRecord, StockKey
from supervisor.background import expiry_hints
from supervisor.background.expiry_hints import ASIDE_MAX, AT_ONCE_MAX, ExpiryHints

KEY = StockKey("o", "v0", "w")


def reservation(name: str, lines: int, expires_at_ms: int = 1_000) -> ReservationRecord:
    items = tuple(ReservationItem(f"v{number}", "w", "", "s", 1, 5, 4) for number in range(lines))
    return ReservationRecord(name, "o", name, "active", 0, expires_at_ms, items)


@pytest.mark.parametrize(("lines", "is_behind"), [(AT_ONCE_MAX, False), (AT_ONCE_MAX + 1, True)])
def test_only_what_is_large_is_put_aside(lines: int, is_behind: bool) -> None:
    hints = ExpiryHints()
    hints.add(reservation("r", lines))
    assert (hints.is_behind, len(hints)) == (is_behind, 0 if is_behind else lines)
    hints.catch_up()
    assert (hints.is_behind, len(hints)) == (False, lines)


def test_a_hint_knows_what_was_put_aside() -> None:
    hints = ExpiryHints()
    hints.add(reservation("r", AT_ONCE_MAX + 1))
    assert hints.freed_at_ms(KEY, 1) == 1_000
    hints.discard(reservation("r", AT_ONCE_MAX + 1))
    assert hints.is_behind
    assert hints.freed_at_ms(KEY, 1) is None


def test_what_is_noted_and_forgotten_before_it_is_caught_up_with_leaves_nothing() -> None:
    hints = ExpiryHints()
    large, longer = reservation("r", AT_ONCE_MAX + 1), reservation("r", AT_ONCE_MAX + 1, 2_000)
    for change in (hints.add, hints.discard):
        change(large)
    hints.add(longer)
    hints.add(reservation("small", 1, 3_000))
    hints.discard(longer)
    hints.catch_up()
    assert len(hints) == 1
    assert hints.freed_at_ms(KEY, 1) == 3_000


def test_what_is_put_aside_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expiry_hints, "AT_ONCE_MAX", 1)
    hints = ExpiryHints()
    for number in range(ASIDE_MAX + 1):
        assert len(hints) == 0
        hints.add(reservation(f"r{number}", 2))
    assert (len(hints), hints.is_behind) == (2 * (ASIDE_MAX + 1), False)


def test_one_caller_undertakes_to_catch_up_each_time() -> None:
    hints = ExpiryHints()
    assert not hints.undertake()
    for number in range(2):
        hints.add(reservation(f"r{number}", AT_ONCE_MAX + 1))
        assert [hints.undertake() for _ in range(3)] == [True, False, False]
        hints.catch_up()
        assert not hints.undertake()
