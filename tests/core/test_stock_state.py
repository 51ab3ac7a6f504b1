"""A stock row, with no event loop."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.actor import InlineDispatcher
from actors.bounds import INT32_MAX
from actors.records import Delta, StockRecord
from actors.row_changes import Count, Prepare
from actors.stock_actor import StockActor
from actors.stock_state import StockState, Verdict
from actors.unavailable import Unavailable


def row(available: int = 10, reserved: int = 0) -> StockState:
    return StockState(StockRecord("org", "a", "w", "id", available, reserved, version=1))


def test_a_hold_keeps_what_it_holds_from_others() -> None:
    state = row(10)
    assert state.prepare(1, Delta(-7, 7)) is Verdict.GRANTED
    assert state.prepare(2, Delta(-3, 3)) is Verdict.GRANTED
    assert state.held == 10
    assert state.prepare(3, Delta(-1, 1)) is Verdict.MUST_WAIT
    state.abort(1)
    assert state.prepare(3, Delta(-1, 1)) is Verdict.GRANTED


def test_what_does_not_fit_without_rivals_is_refused_and_not_made_to_wait() -> None:
    state = row(10)
    assert state.prepare(1, Delta(-7, 7)) is Verdict.GRANTED
    assert state.prepare(2, Delta(-11, 11)) is Verdict.DOES_NOT_FIT


def test_an_undecided_increase_cannot_be_taken() -> None:
    state = row(0, reserved=5)
    assert state.prepare(1, Delta(5, -5)) is Verdict.GRANTED
    assert state.prepare(2, Delta(-5, 5)) is Verdict.DOES_NOT_FIT
    state.commit(1)
    assert state.prepare(2, Delta(-5, 5)) is Verdict.GRANTED


def test_commit_moves_the_row_and_publish_what_readers_see() -> None:
    state = row(10)
    state.prepare(1, Delta(-4, 4))
    change = state.commit(1)
    assert (change.before.available, change.after.available, change.after.version) == (10, 6, 2)
    assert state.durable.available == 10
    assert not state.is_quiet
    state.publish(change.after)
    assert state.durable.available == 6
    assert state.is_quiet


def test_a_count_is_granted_alone_and_makes_others_wait() -> None:
    state = row(10, reserved=2)
    state.prepare(1, Delta(-1, 1))
    count = Count(total=20, damaged=1, in_transit=3, min_stock=2, max_stock=30)
    assert state.prepare(2, count) is Verdict.MUST_WAIT
    state.commit(1)
    assert state.prepare(2, count) is Verdict.GRANTED
    assert state.prepare(3, Delta(-1, 1)) is Verdict.MUST_WAIT
    after = state.commit(2).after
    assert (after.total, after.available, after.reserved, after.damaged, after.in_transit) == (20, 13, 3, 1, 3)
    assert (after.min_stock, after.max_stock) == (2, 30)


def test_what_a_count_leaves_open_stays_as_it_is() -> None:
    state = row(10, reserved=2)
    state.prepare(1, Count(total=100, damaged=20, in_transit=30, min_stock=10, max_stock=40))
    state.commit(1)
    state.prepare(2, Count(total=90, damaged=None, in_transit=None, min_stock=None, max_stock=None))
    after = state.commit(2).after
    assert (after.total, after.available, after.reserved, after.damaged, after.in_transit) == (90, 38, 2, 20, 30)
    assert (after.min_stock, after.max_stock) == (10, 40)
    state.prepare(3, Count(total=None, damaged=5, in_transit=None, min_stock=0, max_stock=None))
    after = state.commit(3).after
    assert (after.total, after.available, after.reserved, after.damaged, after.in_transit) == (90, 53, 2, 5, 30)
    assert (after.min_stock, after.max_stock) == (0, 40)


def test_a_minimum_above_the_maximum_that_stays_does_not_fit() -> None:
    state = row(10)
    state.prepare(1, Count(10, 0, 0, 2, 5))
    state.commit(1)
    assert state.prepare(2, Count(10, 0, 0, 6, None)) is Verdict.DOES_NOT_FIT
    assert state.prepare(2, Count(10, 0, 0, 6, 0)) is Verdict.GRANTED


def test_a_count_below_what_is_reserved_does_not_fit() -> None:
    assert row(10, reserved=5).prepare(1, Count(4, 0, 0, 0, 0)) is Verdict.DOES_NOT_FIT


def test_a_total_never_exceeds_int32() -> None:
    state = row(INT32_MAX - 5)
    assert state.prepare(1, Delta(available=3)) is Verdict.GRANTED
    assert state.prepare(2, Delta(available=3)) is Verdict.MUST_WAIT
    assert state.prepare(3, Delta(available=6)) is Verdict.TOO_LARGE


@settings(deadline=None)  # a busy machine is no failure
@given(st.data())
def test_whatever_is_granted_can_commit_in_any_order(data: st.DataObject) -> None:
    state = row(data.draw(st.integers(0, 20)), data.draw(st.integers(0, 20)))
    undecided: list[int] = []
    for transaction in range(data.draw(st.integers(1, 15))):
        quantity = data.draw(st.integers(1, 8))
        change = data.draw(
            st.sampled_from(
                [Delta(-quantity, quantity), Delta(quantity, -quantity), Delta(0, -quantity), Delta(quantity)]
            )
        )
        if state.prepare(transaction, change) is Verdict.GRANTED:
            undecided.append(transaction)
        is_decided: bool = data.draw(st.booleans()) if undecided else False
        if is_decided:
            decided = undecided.pop(data.draw(st.integers(0, len(undecided) - 1)))
            if data.draw(st.booleans()):
                state.commit(decided)  # checks that no quantity is negative
            else:
                state.abort(decided)
    for decided in data.draw(st.permutations(undecided)):
        state.commit(decided)
    assert state.holds == {}


def test_a_record_that_breaks_an_invariant_is_not_loaded() -> None:
    with pytest.raises(AssertionError):
        StockState(StockRecord("org", "a", "w", "id", -1, version=1))


def test_sums_over_the_holds_are_what_the_holds_add_up_to() -> None:
    state = row(10, reserved=10)
    deltas = {1: Delta(-3, 3), 2: Delta(2, -2), 3: Delta(0, -4), 4: Delta(available=5), 5: Delta(-1, 0, 1)}
    for transaction, delta in deltas.items():
        assert state.prepare(transaction, delta) is Verdict.GRANTED
    assert state.held == 4
    assert state.prepare(6, Delta(-7)) is Verdict.MUST_WAIT
    assert state.prepare(6, Delta(0, -5)) is Verdict.MUST_WAIT
    assert state.prepare(6, Delta(-6, -4)) is Verdict.GRANTED
    for transaction in (*deltas, 6):
        state.abort(transaction)
    assert state.held == 0
    assert state.prepare(7, Delta(-10, -10)) is Verdict.GRANTED


def test_a_prepare_is_turned_away_where_too_many_wait() -> None:
    dispatcher = InlineDispatcher(lambda task: pytest.fail("no turn of a row suspends"))
    actor = StockActor(row(10), dispatcher, lambda actor, error: pytest.fail(repr(error)), mailbox_messages_max=2)
    held, first, second, third = (actor.ask(Prepare(number, Delta(-8, 8))) for number in range(4))
    assert held.result() is Verdict.GRANTED
    with pytest.raises(Unavailable):
        third.result()
    actor.abort(0)
    assert first.result() is Verdict.GRANTED
    assert not second.is_done
