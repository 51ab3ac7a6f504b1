"""Relays pass everything on in simulated worlds, whatever the server and the broker do; and the auditor can fail."""

import pytest

from simulation.faults import Backend
from simulation.planted.bugs import BUGS, SEEDS_MAX, hunt
from simulation.runner import run_seed

QUICK = (
    "cursor_moved_before_the_confirm",
    "event_id_made_anew",
    "lost_stretch_taken_for_sent",
    "two_relays_publish",
    "rest_of_an_import_forgotten",
)


@pytest.mark.parametrize(("backend", "seeds"), [("trio", range(8)), ("asyncio", range(8, 10))])
def test_everything_is_passed_on_in_order_by_one_relay(backend: Backend, seeds: range) -> None:
    for seed in seeds:
        assert run_seed(seed, backend=backend, relayed=True).violations == ()


def test_a_world_with_relays_is_the_same_each_time() -> None:
    first, again = [run_seed(3, relayed=True).trace_hash for _ in range(2)]
    assert first == again


@pytest.mark.parametrize("name", QUICK)
def test_a_planted_bug_of_relays_is_caught(name: str) -> None:
    assert hunt(BUGS[name], range(SEEDS_MAX)).seeds, name
