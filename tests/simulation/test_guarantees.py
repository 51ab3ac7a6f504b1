"""The service keeps its guarantees in some worlds, and the simulation would notice if it did not."""

from random import Random

import pytest
from msgspec.structs import replace

from simulation.audit.auditor import audit
from simulation.audit.corruption import corrupted
from simulation.audit.linearizability import is_linearizable
from simulation.command import read_regressions
from simulation.faults import calm, options_of
from simulation.planted.bugs import BUGS, SEEDS_MAX, hunt
from simulation.runner import run_seed

# One or two for each part of the design; the whole list is measured by `python -m simulation.planted.bugs`.
QUICK = (
    "acknowledge_before_durable",
    "false_refusal",
    "lines_on_one_row_not_summed",
    "non_atomic_basket",
    "oversell",
    "blocked_by_own_hold",
    "raw_wall_clock",
    "request_carried_out_twice",
    "organizations_mixed_up",
    "no_fence_and_no_unique_lsn",
    "basket_split_needlessly",
    "passivated_while_in_use",
    "rows_not_pinned",
    "moved_out_early",
    "items_left_behind",
    "lines_of_a_sale_not_summed",
    "deleted_row_is_shown",
    "count_ignores_its_expectation",
    "name_forgotten_at_a_restart",
    "reference_for_a_reason",
    "movements_of_an_order_only",
    "hint_of_the_next_expiry",
    "token_skips_the_end_of_a_page",
    "expiries_not_told",
)


@pytest.mark.long
def test_no_guarantee_breaks_in_thirty_worlds_on_asyncio() -> None:
    """On trio, test_turns.py sees it in a hundred."""
    for seed in range(30):
        assert run_seed(seed, backend="asyncio").violations == ()


def test_every_seed_that_ever_failed_is_clean() -> None:
    for seed in read_regressions():
        assert run_seed(seed).violations == ()


@pytest.mark.long
def test_a_crash_at_any_step_breaks_nothing() -> None:
    staged = replace(options_of(9), clients=2, operations=3, think_s=0.0, crash_steps=())
    for small, apart in ((replace(staged, staged_from=0), 1), (staged, 10)):
        steps = run_seed(9, small).chaos_steps
        assert steps > 20
        for step in range(1, steps + 1, apart):
            assert run_seed(9, replace(small, crash_steps=(step,))).violations == ()


@pytest.mark.parametrize("name", QUICK)
def test_a_planted_bug_is_caught_by_a_guarantee_that_it_breaks(name: str) -> None:
    catch = hunt(BUGS[name], range(SEEDS_MAX))
    assert catch.seeds, name


def test_a_planted_bug_is_removed_completely() -> None:
    before = [(target, name, getattr(target, name)) for bug in BUGS.values() for target, name, _ in bug.patches()]
    for bug in BUGS.values():
        with bug.planted():
            pass
    assert all(getattr(target, name) is value for target, name, value in before)


@pytest.mark.long
def test_the_auditor_agrees_with_a_search_that_does_not_look_at_lsns() -> None:
    rejected = 0
    for seed in range(100):
        options = replace(
            calm(options_of(seed)),
            clients=3,
            operations=4,
            calls=10_000,
            mailbox=1_000,
            think_s=0.0,
            rounds_s=0.0,
            hurry=0.0,
            keep_s=0,
            default_levels=(0, 0, 0),
            aims_at_expiry=0.0,
            sourcing=0.0,
            losses=0.0,
        )
        result = run_seed(seed, options)
        assert result.violations == ()
        # Some wait until a reservation runs out, a minute later, and nothing does in the search's model.
        asked = [o for o in result.history.operations if o.client == "importer" or o.client.startswith("client")]
        history = [o for o in asked if o.asked_ms < asked[0].asked_ms + 60_000]
        journal = result.journal[: max(o.high_lsn for o in history)]
        assert audit(history, journal, 0) == []
        assert is_linearizable(history), seed
        wrong = corrupted(history, Random(seed))
        is_accepted = audit(wrong, journal, 0) == []
        if not is_linearizable(wrong):
            rejected += 1
            assert not is_accepted, f"seed {seed}: the auditor accepts what no order explains"
    assert rejected >= 75
