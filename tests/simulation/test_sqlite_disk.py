"""Real SQLite in the simulated world."""

import pytest
from msgspec.structs import replace

from simulation.disks.power_cut_database import PowerCutDatabase
from simulation.faults import DiskKind, options_of
from simulation.runner import run_seed


@pytest.mark.long
@pytest.mark.parametrize("disk", ["sqlite", "power-cut"])
def test_real_sqlite_agrees_with_the_model_on_everything(disk: DiskKind) -> None:
    for seed in range(8):
        assert run_seed(seed, disk=disk).violations == ()


def test_the_disk_does_not_change_the_run() -> None:
    assert run_seed(8, disk="sqlite").trace_hash == run_seed(8).trace_hash


def test_a_power_cut_in_housekeeping_leaves_a_whole_state() -> None:
    small = replace(
        options_of(9), clients=3, operations=6, think_s=20.0, rounds_s=0.0, keep_s=30, heartbeat_s=1.0, slow_store_s=1.0
    )
    small = replace(small, slow_store=1.0, stall="", second_owners=0, store_error=0.0)
    steps = run_seed(9, replace(small, crash_steps=())).chaos_steps
    cut, moves = 0, 0
    for step in range(steps // 2, steps, 7):
        result = run_seed(9, replace(small, crash_steps=(step,)), disk="power-cut")
        assert result.violations == ()
        cut += "the power is cut in the middle of housekeeping" in [note.what for note in result.history.notes]
        moves += len(result.moves)
        if cut and moves:
            return
    raise AssertionError((cut, moves))


@pytest.mark.long
def test_a_torn_log_becomes_a_whole_state() -> None:
    small = replace(options_of(9), clients=2, operations=3, think_s=0.0, crash_steps=(), slow_store=0.5, staged_from=0)
    steps = run_seed(9, small, disk="power-cut").chaos_steps
    cuts = 0
    for step in range(2, steps + 1, 6):  # the eighth: a successor is killed while it waits for a lease to end
        result = run_seed(9, replace(small, crash_steps=(step,)), disk="power-cut")
        assert result.violations == ()
        cuts += any(note.what == "the power is cut in the middle of a commit" for note in result.history.notes)
    assert cuts


def test_a_missing_sync_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PowerCutDatabase, "synchronous", "NORMAL")
    assert any(run_seed(seed, disk="power-cut").violations for seed in range(8))
