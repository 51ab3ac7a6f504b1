"""A consumer does what others say in simulated worlds, once, whatever is killed or lost; and the auditor can fail."""

import json
from typing import Any

import pytest

from simulation.audit.done_once import heard_of
from simulation.faults import Backend
from simulation.planted.bugs import BUGS, SEEDS_MAX, hunt
from simulation.runner import run_seed
from tests.events.test_fact_events import validator

QUICK = [
    name
    for name, bug in BUGS.items()
    if bug.consumed and name not in ("orders_events_mixed", "another_reservation_cancelled")
]


@pytest.mark.parametrize(("backend", "seeds"), [("trio", [*range(8), 128]), ("asyncio", range(8, 10))])
def test_each_event_is_done_once_or_answered_or_buried(
    backend: Backend, seeds: range, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[bytes] = []

    def heard(buried: Any, found: list[bytes], operations: Any) -> Any:
        answers.extend(found)
        return heard_of(buried, found, operations)

    monkeypatch.setattr("simulation.runner.heard_of", heard)
    for seed in seeds:
        assert run_seed(seed, backend=backend, consumed=True).violations == ()
    assert answers
    for message in map(json.loads, answers):
        validator(message["type"]).validate(message)


def test_a_world_with_a_consumer_is_the_same_each_time() -> None:
    first, again = [run_seed(3, consumed=True).trace_hash for _ in range(2)]
    assert first == again


@pytest.mark.parametrize("name", QUICK)
def test_a_planted_bug_of_consumers_is_caught(name: str) -> None:
    assert hunt(BUGS[name], range(SEEDS_MAX)).seeds, name
