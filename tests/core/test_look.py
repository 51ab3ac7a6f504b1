"""A look at very many rows lets others have their turn, and is of one instant all the same."""

import pytest

import actors.packing
from actors.actor import InlineDispatcher
from actors.basket import existing_rows
from actors.commands import Adjustment, Line
from actors.look import AGAIN_MAX, Look, look
from actors.packing import ROWS_A_TURN, Search
from actors.queries import CheckBasket
from actors.records import Delta, StockRecord, VariantKey
from actors.stock_actor import StockActor
from actors.stock_state import StockState, Verdict
from actors.turn import OTHERS_FIRST
from actors.variant_stock import VariantStock
from actors.views import BasketCheck
from actors.warehouse_commands import SetSourcing, UpsertWarehouse
from tests.core.conftest import ORGANIZATION, World, bring

FEW, MANY = 3, ROWS_A_TURN // 2 + 1


def variant(variant_id: str, rows: int) -> VariantStock:
    made = VariantStock(VariantKey("org", variant_id))
    for number in range(rows):
        record = StockRecord("org", variant_id, f"w{number}", "s", 5, version=1)
        state = StockState(record, made.moves)
        made.rows[f"w{number}"] = StockActor(state, InlineDispatcher(lambda *_: None), lambda *_: None, 10)
    return made


def sell(variant: VariantStock, warehouse_id: str) -> None:
    row = variant.rows[warehouse_id]
    assert row.state.prepare(1, Delta(-1)) is Verdict.GRANTED
    row.commit(1)


def taken(variants: dict[str, VariantStock], *moved: str) -> tuple[Look, int]:
    """A look, and how often others had their turn: each time they sell something of these variants."""
    search, waits = Search(), 0
    turn = look(variants, VariantStock.free_if_rivals_abort, search)
    try:
        while True:
            assert next(turn) is OTHERS_FIRST
            waits += 1
            for variant_id in moved:
                sell(variants[variant_id], f"w{waits % FEW}")
    except StopIteration as end:
        assert search.has_waited == (waits > 0)
        seen: Look = end.value
        return seen, waits


def assert_is_so(seen: Look, variants: dict[str, VariantStock]) -> None:
    assert seen.free == {key: one.free_if_rivals_abort() for key, one in variants.items()}
    assert seen.moves == {key: one.moves.count for key, one in variants.items()}


def test_few_rows_are_seen_in_one_step() -> None:
    variants = {"a": variant("a", FEW), "b": variant("b", FEW)}
    seen, waits = taken(variants)
    assert waits == 0
    assert_is_so(seen, variants)


def test_what_moved_meanwhile_is_seen_as_it_is_at_the_end() -> None:
    variants = {"few": variant("few", FEW), **{f"v{number}": variant(f"v{number}", MANY) for number in range(4)}}
    seen, waits = taken(variants, "few")
    assert waits == 2
    assert seen.moves == {"few": 2, "v0": 0, "v1": 0, "v2": 0, "v3": 0}
    assert_is_so(seen, variants)


def test_what_moves_faster_than_it_can_be_seen_in_steps_is_seen_in_one() -> None:
    variants = {f"v{number}": variant(f"v{number}", MANY) for number in range(4)}
    seen, waits = taken({key: with_more(one) for key, one in variants.items()}, *variants)
    assert waits < 4 * (AGAIN_MAX + 1)
    assert_is_so(seen, variants)


def with_more(variant: VariantStock) -> VariantStock:
    """Enough of what is sold each time."""
    for number in range(FEW):
        row = variant.rows[f"w{number}"]
        row.state.prepare(2, Delta(1_000))
        row.commit(2)
    return variant


def test_a_row_that_becomes_durable_has_moved_for_its_readers() -> None:
    one = variant("a", 1)
    sell(one, "w0")
    before = one.moves.count
    one.rows["w0"].state.publish(one.rows["w0"].state.record)
    assert one.moves.count == before + 1
    one.rows["w0"].state.publish(one.rows["w0"].state.record)
    assert one.moves.count == before + 1
    assert one.free_durably() == {"w0": 4}


@pytest.mark.anyio
async def test_a_check_goes_by_the_warehouses_and_the_policy_of_the_moment_of_its_look(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actors.packing, "ROWS_A_TURN", 1)
    async with world.core() as core:
        await bring(core, {("a", "w1"): 5, ("a", "w2"): 3})
        assert core._core is not None
        turn = core._core._queries._check(CheckBasket(ORGANIZATION, (Line("a", "", 2),)))
        assert next(turn) is OTHERS_FIRST
        await core.ask(UpsertWarehouse(ORGANIZATION, "w2", "", "", 5, True, "u1"))
        await core.ask(SetSourcing(ORGANIZATION, "priority", "s1"))
        try:
            while True:
                next(turn)
        except StopIteration as end:
            check: BasketCheck = end.value
        assert check.lines[0].warehouse_id == "w2"


def test_a_row_that_is_made_during_the_search_for_other_places_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actors.packing, "ROWS_A_TURN", 1)
    one = variant("a", 2)
    named = [Adjustment("a", "w0", "delta", 1), Adjustment("a", "made", "delta", 1)]
    turn = existing_rows(named, {"a": one})
    assert next(turn) is OTHERS_FIRST
    record = StockRecord("org", "a", "made", "s", 5, version=1)
    one.rows["made"] = StockActor(StockState(record, one.moves), InlineDispatcher(lambda *_: None), lambda *_: None, 10)
    one.moves.count += 1
    with pytest.raises(StopIteration) as end:
        [next(turn) for _ in range(9)]
    assert end.value.value == [one.rows["w0"], one.rows["made"]]
