"""One integer fixes everything."""

import os
import subprocess
import sys

import pytest
import trio

from simulation.runner import run_seed
from simulation.schedule.trio_schedule import HooksBroken, Schedule, check_hooks, decided_by

SEED = 8


def test_the_canary_passes_with_this_trio() -> None:
    check_hooks()


def test_the_canary_fails_when_trio_does_not_ask_the_schedule(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(trio._core._run, "_ALLOW_DETERMINISTIC_SCHEDULING")
    with pytest.raises(HooksBroken, match="_ALLOW_DETERMINISTIC_SCHEDULING"):
        check_hooks()


def test_the_patches_of_trio_are_undone() -> None:
    before = trio._core._run._r, trio._core._run._ALLOW_DETERMINISTIC_SCHEDULING
    with pytest.raises(ZeroDivisionError), decided_by(Schedule("x")):
        raise ZeroDivisionError
    assert (trio._core._run._r, trio._core._run._ALLOW_DETERMINISTIC_SCHEDULING) == before


@pytest.mark.long
def test_a_seed_gives_the_same_trace_a_hundred_times() -> None:
    assert len({run_seed(SEED).trace_hash for _ in range(100)}) == 1


def test_different_seeds_and_salts_differ() -> None:
    hashes = [run_seed(seed).trace_hash for seed in range(10)] + [run_seed(SEED, salt="other").trace_hash]
    assert len(set(hashes)) == 11


def test_asyncio_is_as_deterministic() -> None:
    assert len({run_seed(SEED, backend="asyncio").trace_hash for _ in range(5)}) == 1


def test_five_processes_with_other_hash_seeds_agree() -> None:
    program = (
        "from simulation.runner import run_seed; "
        f"print(*[run_seed({SEED}, backend=b).trace_hash for b in ('trio', 'asyncio')])"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": str(hash_seed)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for hash_seed in (0, 1, 2, 3, 4)
    }
    assert outputs == {f"{run_seed(SEED).trace_hash} {run_seed(SEED, backend='asyncio').trace_hash}\n"}
