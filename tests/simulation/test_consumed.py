"""A consumer does what others say in simulated worlds, once, whatever is killed or lost; and the auditor can fail."""

import pytest

from simulation.faults import Backend
from simulation.planted.bugs import BUGS, SEEDS_MAX, hunt
from simulation.runner import run_seed

QUICK = [
    name
    for name, bug in BUGS.items()
    if bug.consumed and name not in ("orders_events_mixed", "another_reservation_cancelled")
]


@pytest.mark.parametrize(("backend", "seeds"), [("trio", [*range(8), 128]), ("asyncio", range(8, 10))])
def test_each_event_is_done_once_or_answered_or_buried(backend: Backend, seeds: range) -> None:
    for seed in seeds:
        assert run_seed(seed, backend=backend, consumed=True).violations == ()


def test_a_world_with_a_consumer_is_the_same_each_time() -> None:
    first, again = [run_seed(3, consumed=True).trace_hash for _ in range(2)]
    assert first == again


@pytest.mark.parametrize("name", QUICK)
def test_a_planted_bug_of_consumers_is_caught(name: str) -> None:
    assert hunt(BUGS[name], range(SEEDS_MAX)).seeds, name
