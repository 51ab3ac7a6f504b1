"""Which warehouse serves what."""

from collections.abc import Mapping
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import actors.planner
from actors.basket import LINES_A_TURN, before_a_look, plan, plan_first
from actors.basket_commands import ReserveBasket, Wish
from actors.basket_plan import plan_basket
from actors.commands import Line
from actors.packing import ROWS_A_TURN, Search, Space
from actors.planner import place, placing
from actors.sourcing import USUAL
from actors.turn import OTHERS_FIRST, Turn


def warehouses(lines: list[Line], free: dict[str, dict[str, int]]) -> list[str] | None:
    placements = place(lines, free)
    return [p.warehouse_id for p in placements] if all(p.fits for p in placements) else None


def test_one_warehouse_that_can_serve_all_open_lines_is_preferred() -> None:
    free = {"a": {"w1": 9, "w2": 5}, "b": {"w1": 1, "w2": 4}}
    assert warehouses([Line("a", "", 3), Line("b", "", 2)], free) == ["w2", "w2"]


def test_else_each_line_gets_the_warehouse_with_the_most() -> None:
    free = {"a": {"w1": 9, "w2": 1}, "b": {"w1": 1, "w2": 4}}
    assert warehouses([Line("a", "", 3), Line("b", "", 2)], free) == ["w1", "w2"]


def test_among_equals_the_smaller_id_wins() -> None:
    assert warehouses([Line("a", "", 1)], {"a": {"w2": 5, "w1": 5}}) == ["w1"]
    assert place([Line("a", "", 9)], {"a": {"w2": 5, "w1": 5}})[0].warehouse_id == "w1"


def test_named_lines_come_first_and_lines_on_one_row_are_summed() -> None:
    assert warehouses([Line("a", "", 2), Line("a", "w1", 4)], {"a": {"w1": 5, "w2": 2}}) == ["w2", "w1"]
    assert warehouses([Line("a", "w1", 3), Line("a", "w1", 3)], {"a": {"w1": 5}}) is None


def test_lines_of_one_variant_are_packed_where_greed_would_fail() -> None:
    lines = [Line("a", "", 4), Line("a", "", 3), Line("a", "", 3)]
    assert warehouses(lines, {"a": {"w1": 6, "w2": 4}}) == ["w2", "w1", "w1"]


def test_what_does_not_exist_is_not_found_and_a_question_for_nothing_always_fits() -> None:
    placements = place([Line("a", "", 1), Line("b", "w1", 1), Line("c", "", 0)], {"b": {"w2": 3}, "c": {"w1": 0}})
    assert [(p.found, p.fits) for p in placements] == [(False, False), (False, False), (True, True)]


@settings(max_examples=200)
@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["", "", "w1", "w2"]), st.integers(1, 6)), max_size=5),
    st.dictionaries(st.sampled_from("ab"), st.dictionaries(st.sampled_from(["w1", "w2", "w3"]), st.integers(0, 9))),
)
def test_a_basket_is_placed_exactly_if_some_assignment_fits(
    wishes: list[tuple[str, str, int]], free: dict[str, dict[str, int]]
) -> None:
    lines = [Line(*wish) for wish in wishes]
    choices = [[line.warehouse_id] if line.warehouse_id else ["w1", "w2", "w3"] for line in lines]

    def fits(assignment: tuple[str, ...]) -> bool:
        left = {(variant, warehouse): n for variant, rows in free.items() for warehouse, n in rows.items()}
        for line, warehouse in zip(lines, assignment, strict=True):
            row = (line.variant_id, warehouse)
            if row not in left or left[row] < line.quantity:
                return False
            left[row] -= line.quantity
        return True

    found = warehouses(lines, free)
    assert (found is not None) == any(fits(assignment) for assignment in product(*choices))
    if found is not None:
        assert fits(tuple(found))


def test_a_basket_that_cannot_be_packed_costs_the_same_beside_many_warehouses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand lines, of which no warehouse can take two, and one warehouse too few."""
    looks: list[object] = []
    moves: list[object] = []
    fullest, move = actors.planner._fullest, Space._move

    def count_look(rows: Mapping[str, int]) -> str:
        looks.append(rows)
        return fullest(rows)

    def count_move(self: Space, warehouse_id: str, before: int, after: int) -> None:
        moves.append(warehouse_id)
        move(self, warehouse_id, before, after)

    monkeypatch.setattr(actors.planner, "_fullest", count_look)
    monkeypatch.setattr(Space, "_move", count_move)
    steps = {}
    for empty in (0, 10_000):
        free = {"a": {f"w{n}": 3 for n in range(999)} | {f"z{n}": 0 for n in range(empty)}}
        assert warehouses([Line("a", "", 2)] * 1_000, free) is None
        steps[empty] = (len(looks), len(moves))
        looks.clear()
        moves.clear()
    assert steps[0] == steps[10_000]
    assert steps[0][0] == 1


def test_a_basket_that_meets_very_many_rows_lets_others_have_their_turn_before_they_are_compared() -> None:
    for rows, waits in ((ROWS_A_TURN // 4, False), (ROWS_A_TURN, True)):
        search = Search()
        free = {"a": {f"w{number}": 1 for number in range(rows // 2)}}
        free["b"] = {f"w{number}": 1 for number in range(rows - rows // 2)}
        needs = list(placing([Line("a", "", 1), Line("b", "", 1)], free, search))
        assert (set(needs) == {OTHERS_FIRST}, search.has_waited) == (waits, waits)


def test_a_long_search_lets_others_have_their_turn_every_few_hundred_steps() -> None:
    free = {"a": {f"w{n}": 3 for n in range(999)}}
    search = Search()
    turns = list(placing([Line("a", "", 2)] * 1_000, free, search))
    assert len(turns) > 1
    assert search.has_waited
    assert set(turns) == {OTHERS_FIRST}


def test_a_short_search_has_no_turn_but_its_own() -> None:
    search = Search()
    assert list(placing([Line("a", "", 2)] * 99, {"a": {"w": 300}}, search)) == []
    assert not search.has_waited


@pytest.mark.parametrize("what", ["reserve", "amend", "basket"])
def test_a_long_plan_lets_others_have_their_turn_before_it_looks_at_the_stock(what: str) -> None:
    def planning(count: int) -> Turn[object]:
        lines = [Line(f"v{number}", "", 1) for number in range(count)]
        if what == "reserve":
            return plan(lines, {}, USUAL)
        if what == "amend":
            return plan_first([lines, lines], {}, {}, USUAL)
        wishes = tuple([Wish(line.variant_id, (), 1) for line in lines])
        return plan_basket(ReserveBasket("org", "order", wishes, 15, False, False, ""), {}, USUAL)

    assert next(planning(LINES_A_TURN + 1)) is OTHERS_FIRST
    assert list(before_a_look(range(LINES_A_TURN))) == []
