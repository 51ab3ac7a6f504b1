"""The contract's choice of warehouses, written twice."""

from collections.abc import Sequence
from random import Random
from typing import get_args

import pytest

from actors.commands import Line
from actors.planner import place
from actors.sourcing import Sourcing, SourcingPolicy
from simulation.audit.choice import LINES_TRIED_MAX, Free, choose
from simulation.audit.sites import Sites


def chosen(lines: Sequence[Line], free: Free) -> list[str]:
    return [choice.warehouse_id if choice.fits else "" for choice in choose(lines, free)]


def test_one_warehouse_serves_all_where_one_can() -> None:
    lines = [Line("mug", "", 2), Line("pot", "", 1)]
    assert chosen(lines, {"mug": {"w1": 9, "w2": 2}, "pot": {"w2": 1, "w3": 9}}) == ["w2", "w2"]
    assert chosen(lines, {"mug": {"w1": 9, "w2": 1}, "pot": {"w2": 1, "w3": 9}}) == ["w1", "w3"]


def test_the_most_and_then_the_smaller_id_decides() -> None:
    assert chosen([Line("mug", "", 1)], {"mug": {"w2": 3, "w1": 3, "w0": 2}}) == ["w1"]
    assert chosen([Line("mug", "", 1), Line("mug", "w1", 1)], {"mug": {"w2": 3, "w1": 3}}) == ["w2", "w1"]


def test_a_line_is_not_split_but_lines_are_packed() -> None:
    assert chosen([Line("mug", "", 3)], {"mug": {"w1": 2, "w2": 2}}) == [""]
    three = [Line("mug", "", 2), Line("mug", "", 3), Line("mug", "", 2)]
    assert chosen(three, {"mug": {"w1": 4, "w2": 3}}) == ["w1", "w2", "w1"]


@pytest.mark.parametrize("policy", get_args(SourcingPolicy))
def test_the_planner_chooses_the_same_in_every_basket_that_is_tried(policy: SourcingPolicy) -> None:
    random = Random(0)
    for _ in range(5_000):
        warehouses = [f"w{number}" for number in range(random.randint(0, 4))]
        variants = ["a", "b", "c"][: random.randint(1, 3)]
        free = {v: {w: random.randint(0, 6) for w in warehouses if random.random() < 0.8} for v in variants}
        lines = [
            Line(random.choice((*variants, "unknown")), random.choice(("w0", "w9", "", "", "")), random.randint(0, 4))
            for _ in range(random.randint(1, LINES_TRIED_MAX + 1))
        ]
        priorities = {warehouse: random.choice((0, 1, 5)) for warehouse in warehouses if random.random() < 0.7}
        wanted = choose(lines, free, Sites(frozenset(), policy, priorities))
        assert list(map(tuple, wanted)) == list(
            map(tuple, place(lines, free, Sourcing(frozenset(), policy, priorities)))
        )
