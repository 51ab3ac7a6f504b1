"""`simulate`, as a person uses it."""

import io
from typing import Any

import pytest
from rich.console import Console

from simulation.command import simulate


def run(**arguments: Any) -> tuple[int, str]:
    out = io.StringIO()
    status = simulate(**arguments, console=Console(file=out, width=200, soft_wrap=True))
    return status, out.getvalue()


def test_a_single_seed_ends_with_its_trace_hash() -> None:
    status, text = run(seed=7)
    assert status == 0
    assert len(text.split()[-1]) == 16
    int(text.split()[-1], 16)


def test_a_range_is_run() -> None:
    assert run(seeds="0..5")[1].startswith("5 seeds") or "5 seeds" in run(seeds="0..5")[1]


def test_a_failure_names_the_seed_the_guarantee_and_the_command_that_repeats_it() -> None:
    status, text = run(seed=0, bug="acknowledge_before_durable")
    assert status == 1
    assert "seed 0 FAILED: G3 (what was acknowledged survives)" in text
    assert "stockkeeper simulate --seed 0 --bug acknowledge_before_durable" in text


def test_shrinking_leaves_a_handful_of_operations() -> None:
    status, text = run(seed=0, bug="acknowledge_before_durable", shrink=True)
    assert status == 1
    assert "shrunk from" in text


@pytest.mark.parametrize(
    "arguments",
    [{}, {"seeds": "five"}, {"seed": 1, "seeds": "0..2"}, {"seed": 1, "bug": "none"}, {"seed": 1, "options": "{"}],
)
def test_arguments_that_make_no_sense_are_refused(arguments: dict[str, Any]) -> None:
    assert run(**arguments)[0] == 2
