"""The simulation's parts say what state they are in, and count what they did."""

from simulation.audit.replay import Replay
from simulation.disks.watched_disk import WatchedDisk
from simulation.faults import Options, calm, options_of
from simulation.runner import run_seed, run_virtually
from simulation.schedule.trio_schedule import Schedule
from simulation.world.inspection import small_scale
from simulation.world.simulated_run import SimulatedRun

SEED = 3


def a_run(options: Options) -> SimulatedRun:
    """One that has come to its end."""
    schedule = Schedule(f"{SEED}/schedule/", options.mode)
    worlds: list[SimulatedRun] = []

    async def main() -> None:
        worlds.append(SimulatedRun(str(SEED), options, schedule, WatchedDisk()))
        await worlds[0].run()

    with small_scale():
        run_virtually(main, schedule)
    return worlds[0]


def test_what_a_world_counts_agrees_with_what_happened_in_it() -> None:
    world = a_run(calm(options_of(SEED, keep_s=0)))
    counts, sent = world.history.statistics(), world.network.statistics()
    assert counts.operations == len(world.history.operations) > 0
    assert (counts.open, sent.under_way) == (0, 0)
    assert counts.answered <= counts.operations <= sent.attempts
    assert 0 < sent.commands <= sent.attempts
    assert world.statistics().servers == 2  # one is killed in the end, to look after a restart
    assert world.chaos_steps < world.schedule.statistics().steps
    assert (world.schedule.statistics().held, world.statistics().violations) == (0, 0)
    assert repr(world) == f"<SimulatedRun {SEED} calm servers=2 violations=0>"


def test_a_replay_counts_what_the_journal_made() -> None:
    result = run_seed(SEED)
    replay = Replay(result.journal, 0, result.moves)
    counts = replay.statistics()
    assert counts.transactions == result.transactions == len(result.journal)
    assert counts.rows == len({change.after.key for one in result.journal for change in one.changes})
    assert repr(replay) == f"<Replay last_lsn={result.transactions} rows={counts.rows} violations=0>"


def test_a_store_counts_its_faults_and_the_batches_that_reached_the_disk() -> None:
    world = a_run(options_of(SEED, store_error=0.5, keep_s=0))
    counts = [server.store.statistics() for server in world.servers]
    faults = [note for note in world.history.notes if note.what.endswith(" fails")]
    assert sum(one.faults for one in counts) >= len(faults) > 0
    assert all(one.faults <= one.operations for one in counts)
    assert 0 < sum(one.batches for one in counts) <= world.disk.last_lsn
