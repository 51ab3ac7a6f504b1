"""A planted bug lies. One whose own code fails is no catch, and is told from the others."""

from typing import Any

import pytest

import actors.packing
import simulation.runner
from actors.stock_state import StockState
from simulation.faults import Options
from simulation.planted.bugs import BUGS, hunt
from simulation.planted.patch_fit import misfits
from simulation.planted.patch_watch import PatchWatch
from simulation.planted.planting import Bug, Patches
from simulation.runner import run_seed
from supervisor.transactions.journal import Journal
from tests.simulation.test_guarantees import QUICK

SMALL = Options(
    clients=2,
    operations=2,
    think_s=5.0,
    variants=3,
    pieces=3,
    sites=0.5,
    history=0.5,
    sourcing=0.5,
    meets=0.3,
    losses=0.3,
    staged_from=2,
    keep_s=30,
    heartbeat_s=5.0,
    idle_timeout_s=0.5,
    crash_steps=(300,),
    variants_in_memory=2,
    orders_in_memory=2,
    store_error=0.02,
)


def test_every_planted_bug_fits_what_it_replaces() -> None:
    assert [(bug.name, misfit) for bug in BUGS.values() for misfit in misfits(bug)] == []


def test_no_planted_bug_fails_in_its_own_code_in_a_small_world() -> None:
    """Those that other tests hunt in real ones, or that need SQLite, a broker or cells, are left to the whole hunt."""
    broken = {}
    for bug in BUGS.values():
        if bug.name not in QUICK and bug.disk == "memory" and not (bug.relayed or bug.consumed or bug.cells):
            with bug.planted() as watch:
                run_seed(1, SMALL)
            broken[bug.name] = watch.broken
    assert len(broken) > 100
    assert {name: why for name, why in broken.items() if why} == {}


def looked_up(*_: object) -> object:
    known: dict[str, object] = {}
    return known["no such key"]


def fails_for_a_key() -> Patches:
    return [(StockState, "publish", lambda self, record: looked_up())]


def fails_in_what_it_calls() -> Patches:
    right: Any = StockState.publish
    return [(StockState, "publish", lambda self, record: right(self, None))]


async def _gather(self: Journal) -> None:
    raise AssertionError("what it counts on is not so")


def fails_while_it_is_awaited() -> Patches:
    return [(Journal, "_gather", _gather)]


def ends_the_world() -> Patches:
    return [(simulation.runner, "audit", None)]


def is_called_otherwise() -> Patches:
    return [(actors.packing, "pack", lambda wishes, left: {})]


def is_not_awaited() -> Patches:
    return [(Journal, "_gather", lambda self: None)]


def replaces_what_is_gone() -> Patches:
    return [(Journal, "_no_such_method", lambda self: None)]


def is_never_reached() -> Patches:
    return [(Options, "__str__", lambda self: "")]


@pytest.mark.parametrize(
    ("patches", "why"),
    [
        (fails_for_a_key, "publish: KeyError('no such key') at test_broken_patches.py:"),
        (fails_in_what_it_calls, "AttributeError"),
        (fails_while_it_is_awaited, "what it counts on is not so"),
        (ends_the_world, "seed 0 does not end"),
        (is_called_otherwise, "is replaced by what takes (wishes, left)"),
        (is_not_awaited, "only one is awaited"),
        (replaces_what_is_gone, "Journal._no_such_method is not there any more"),
        (is_never_reached, "no run of 1 comes by"),
    ],
)
def test_a_broken_patch_is_told_from_a_catch(patches: Any, why: str) -> None:
    catch = hunt(Bug(patches.__name__, ("G2", "no bug is met"), "it is broken", patches), range(1))
    assert why in catch.broken
    assert "BROKEN PATCH" in str(catch)


def test_a_failure_that_the_bug_is_about_breaks_no_patch() -> None:
    watch = PatchWatch((KeyError,))
    with pytest.raises(KeyError):
        watch.watched("look", looked_up)()
    assert (watch.broken, watch.statistics(), watch.is_reached) == ([], {"look": 1}, True)
