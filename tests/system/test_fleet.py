"""`python -m bench.fleet`: the fleet on paper adds up."""

import math
from pathlib import Path

import pytest

from bench.fleet import (
    CORES,
    Fleet,
    after_failure,
    arguments,
    hashed,
    machine,
    machines_of,
    measured,
    measured_routed,
    moved_to,
    rates,
    relieved,
    report,
    year,
)

CELLS = [f"cell-{number}" for number in range(20)]
SIZES = rates(1_000, 20_000, 0.7)
FLEET = hashed(CELLS, SIZES, 1_400)


def test_sizes_add_up_and_fall_with_their_rank() -> None:
    assert math.isclose(sum(SIZES.values()), 20_000)
    assert list(SIZES.values()) == sorted(SIZES.values(), reverse=True)
    assert math.isclose(SIZES["org-1"] / SIZES["org-10"], 10**0.7)
    assert set(rates(4, 100, 0).values()) == {25}


def test_each_organization_is_in_one_cell_and_nothing_is_lost() -> None:
    assert FLEET.cell_of.keys() == SIZES.keys()
    assert math.isclose(sum(FLEET.loads.values()), 20_000)
    assert FLEET.loads.keys() == set(CELLS)


def test_naming_organizations_empties_full_cells_and_fills_none() -> None:
    assert max(FLEET.loads.values()) > FLEET.capacity, "there is nothing to relieve"
    found = relieved(FLEET)
    assert math.isclose(sum(found.loads.values()), 20_000)
    assert max(found.loads.values()) <= FLEET.capacity
    assert 0 < len(found.named) < 20
    assert all(found.cell_of[one] == FLEET.cell_of[one] for one in SIZES.keys() - found.named)
    assert all(found.cell_of[one] != FLEET.cell_of[one] for one in found.named)


def test_a_machine_has_as_many_owners_as_its_other_cores_can_feed() -> None:
    found = machine(8, 0.2, 0.1)
    assert (found.cells, found.routers) == (5, 3)
    assert math.isclose(found.reservations_s, 25_000)
    routers_are_dear = machine(8, 0.1, 0.3)
    assert (routers_are_dear.cells, routers_are_dear.routers) == (2, 6)
    assert math.isclose(machine(2, 0.2, 0.1).reservations_s, 5_000)


def test_an_organization_that_is_more_than_a_cell_is_said_and_not_placed() -> None:
    fleet = hashed(CELLS, SIZES, SIZES["org-2"])
    assert fleet.too_large == {"org-1"}
    assert "org-1" not in relieved(fleet).cell_of
    words = ["--rate", "20000", "--organizations", "1000", "--skew", "1", "--fill", "0.2"]
    assert any(line.startswith("larger than a cell: ") for line in report(arguments(words)))


def test_a_new_cell_takes_its_share_from_all_others_and_nothing_moves_between_those() -> None:
    fleet = relieved(FLEET)
    moved = moved_to(fleet, "cell-20")
    again = hashed([*CELLS, "cell-20"], SIZES, 1_400)
    here = {one for one, cell in again.cell_of.items() if cell == "cell-20"}
    assert set(moved) == here - fleet.named
    assert all(again.cell_of[one] == FLEET.cell_of[one] for one in SIZES.keys() - here)
    assert 25 < len(moved) < 75  # of 1,000, one in 21
    assert len({FLEET.cell_of[one] for one in moved}) > 10


def test_standbys_of_a_machine_are_spread_over_the_others() -> None:
    cells = [f"cell-{number}" for number in range(200)]
    machines = machines_of(cells, 10)
    assert sorted(cell for owned in machines.values() for cell in owned) == sorted(cells)
    for failed in machines:
        owners = after_failure(machines, failed)
        assert failed not in owners
        assert sum(owners.values()) == len(cells)
        assert max(owners.values()) < 16, "one machine has most of another's"


def test_a_year_is_the_same_for_the_same_seed_and_counts_what_failed() -> None:
    machines = machines_of(CELLS, 4)
    one = year(FLEET, machines, 30, 5, seed=1)
    assert one == year(FLEET, machines, 30, 5, seed=1) != year(FLEET, machines, 30, 5, seed=2)
    assert 5 * 6 < one.failures < 5 * 20
    assert one.down_at_most >= 4
    assert one.worst_s % 5 == 0
    assert math.isclose(one.late_share, one.failures * 5 / (len(machines) * 365 * 86_400), rel_tol=0.2)
    assert year(FLEET, machines, 1e9, 5, seed=1).failures == 0


def test_the_page_begins_with_what_was_measured() -> None:
    lines = list(report(arguments(["--rate", "50000", "--organizations", "2000"])))
    assert lines[0].startswith(f"measured: a cell does {measured().reservations_s:,.0f} ")
    assert [line.split(":")[0].split(" ")[0] for line in lines[1:5]] == ["planned", "busy", "by", "with"]
    assert lines[4].endswith("; cells with more than is planned: 0")


def test_the_page_has_the_figures_of_the_last_measurement() -> None:
    page = (Path(__file__).parents[2] / "docs" / "scale.md").read_text(encoding="utf-8")
    assert f"| {measured().reservations_s:,.0f};" in page
    for cores in CORES:
        found = machine(cores, *measured_routed())
        assert f"| {cores} | {found.cells} | {found.routers} | {found.reservations_s:,.0f} |" in page


@pytest.mark.parametrize("skew", [0.0, 0.5])
def test_a_cell_has_what_it_is_planned_for_at_most_where_no_organization_is_too_large(skew: float) -> None:
    fleet = relieved(hashed(CELLS, rates(1_000, 20_000, skew), 1_400))
    assert not fleet.too_large
    assert max(fleet.loads.values()) <= 1_400


def test_an_organization_stays_in_a_full_cell_where_no_other_has_room_for_it() -> None:
    sizes = {"large": 900.0, "middling": 800.0, "small": 300.0}
    places = {"large": "a", "middling": "a", "small": "b"}
    fleet = Fleet(1_000, ["a", "b"], sizes, places, frozenset(), frozenset())
    found = relieved(fleet)
    assert (found.named, found.loads) == (frozenset(), {"a": 1_700, "b": 300})
    roomy = relieved(Fleet(1_200, ["a", "b"], sizes, places, frozenset(), frozenset()))
    assert (roomy.named, roomy.loads) == (frozenset({"middling"}), {"a": 900, "b": 1_100})
