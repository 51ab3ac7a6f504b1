"""From a seed to a result."""

import gc
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from hashlib import blake2b
from random import Random
from time import process_time
from typing import Any

import anyio
import msgspec
from msgspec import Struct

from actors.records import Transaction
from actors.row_changes import Levels
from simulation.audit.auditor import audit
from simulation.audit.done_once import audit_consumer, heard_of
from simulation.audit.guarantee_violation import GuaranteeViolation
from simulation.audit.history import History
from simulation.audit.passed_on import Arrived, audit_events
from simulation.disks.faulty_store import FaultyStore
from simulation.disks.watched_disk import Move, WatchedDisk
from simulation.faults import LATE_S_MAX, Backend, DiskKind, Options, options_of
from simulation.schedule.asyncio_loop import LoopSchedule, run_on_asyncio
from simulation.schedule.step_watch import StepWatch
from simulation.schedule.trio_schedule import Schedule, plain_tasks, run_on_trio
from simulation.world.consumed_run import ConsumedRun, suited_to_consumers
from simulation.world.inspection import short_lists, small_scale
from simulation.world.relayed_run import RelayedRun, suited
from simulation.world.simulated_run import SimulatedRun


class Result(Struct, frozen=True):
    """What came of one seed.

    Args:
        trace_hash: of every step, every answer and the journal, in hex: two runs with the same one were the same run.
        violations: what was broken, the first first.
        virtual_s: how long it took in the world.
        real_s: how much processor time it took.
    """

    seed: str
    options: Options
    trace_hash: str
    steps: int
    chaos_steps: int
    operations: int
    transactions: int
    virtual_s: float
    real_s: float
    violations: tuple[GuaranteeViolation, ...]
    history: History
    journal: list[Transaction]
    moves: list[Move]

    @property
    def failed(self) -> bool:
        return bool(self.violations)


def run_seed(
    seed: int | str,
    options: Options | None = None,
    *,
    backend: Backend = "trio",
    disk: DiskKind = "memory",
    salt: str = "",
    relayed: bool = False,
    consumed: bool = False,
) -> Result:
    """Run one world from its beginning to its audit.

    Args:
        seed: fixes everything.
        options: None takes the seed's own.
        backend: what the core runs on.
        disk: what it writes to.
        salt: gives the same world another schedule.
        relayed, consumed: as the options of these names; one of them.

    Raises:
        BaseException: a bug of the simulation itself.
    """
    options = options or options_of(int(seed))
    if relayed or options.relayed:
        options = suited(options)
    elif consumed or options.consumed:
        options = suited_to_consumers(options)
    schedule = (Schedule if backend == "trio" else LoopSchedule)(f"{seed}/schedule/{salt}", options.mode)
    began_s = process_time()
    with no_collector(), small_scale(options.crowd_min), short_lists(), plain_tasks():
        world, ended_s = _run_to_its_end(
            _kind_of(options), str(seed), options, schedule, *_disk_of(seed, options, disk)
        )
        violations = (*world.violations, *_audited(world))
    return Result(
        str(seed),
        options,
        _trace_hash(world, schedule, ended_s),
        schedule.steps,
        world.chaos_steps,
        len(world.history.operations),
        world.disk.last_lsn,
        ended_s,
        process_time() - began_s,
        (*violations, *_checked_file(world.disk)),
        world.history,
        world.disk.transactions,
        world.disk.moves,
    )


def _kind_of(options: Options) -> type[SimulatedRun]:
    if options.cells:
        # Only now: the program that moves organizations knows SQL, which the test kit is installed without.
        from simulation.world.cells_run import CellsRun

        return CellsRun
    return RelayedRun if options.relayed else ConsumedRun if options.consumed else SimulatedRun


def _disk_of(seed: int | str, options: Options, disk: DiskKind) -> tuple[WatchedDisk, type[FaultyStore]]:
    if disk == "memory":
        return WatchedDisk(), FaultyStore
    # Only now, since the test kit, which keeps all in memory, is installed without the server's SQLAlchemy.
    from simulation.disks.sqlite_disk import SqliteDisk, SqliteFile
    from simulation.disks.sqlite_store import SqliteStore

    sectors = Random(f"{seed}/sectors/{options.crash_steps}")
    return SqliteDisk(SqliteFile(is_torn_by_cuts=disk == "power-cut", random=sectors)), SqliteStore


def _run_to_its_end(
    kind: type[SimulatedRun],
    seed: str,
    options: Options,
    schedule: Schedule | LoopSchedule,
    disk: WatchedDisk,
    store_kind: type[FaultyStore],
) -> tuple[SimulatedRun, float]:
    """Run a world. Returns it, and the virtual time at its end."""
    ended: list[tuple[SimulatedRun, float]] = []

    async def main() -> None:
        world = kind(seed, options, schedule, disk, store_kind)
        await world.run()
        ended.append((world, anyio.current_time()))

    held: list[GuaranteeViolation] = []

    def on_long_step(name: str, took_s: float) -> None:
        held.append(GuaranteeViolation("G10", f"a step of {name} takes {took_s * 1_000:.0f} ms of CPU"))

    # Real SQLite writes on the stack of a step, which in the server a thread does.
    run_virtually(main, schedule, StepWatch(on_long_step) if type(disk) is WatchedDisk else None)
    [(world, ended_s)] = ended
    world.violations += held
    return world, ended_s


def _audited(world: SimulatedRun) -> Sequence[GuaranteeViolation]:
    if world.options.cells:
        return world.audited()
    kept_ms = max(0, world.options.keep_s - LATE_S_MAX) * 1_000 if world.options.keep_s else None
    levels = Levels(*world.options.default_levels)
    history, disk = world.history.operations, world.disk
    found = audit(history, disk.transactions, world.quiet_since_ms, disk.moves, kept_ms, levels)
    if isinstance(world, RelayedRun) and not world.violations:
        arrived = [Arrived(one.message.body, one.process, one.fence) for one in world.queue.messages]
        found = [*found, *audit_events(disk.transactions, arrived, world.cursor_lsn)]
    if isinstance(world, ConsumedRun) and not world.violations:
        buried = [(one.body, one.reason) for one in world.post.buried]
        heard = heard_of(buried, [one.body for one in world.post.answers], history)
        found = [*found, *audit_consumer(disk.transactions, world.said, heard)]
    return found


def _checked_file(disk: WatchedDisk) -> Iterator[GuaranteeViolation]:
    if (said := disk.check()) != "ok":
        yield GuaranteeViolation("G3", f"SQLite finds its file broken: {said}")


def run_virtually(
    main: Callable[[], Coroutine[Any, Any, None]], schedule: Schedule | LoopSchedule, watch: StepWatch | None = None
) -> None:
    """Run `main` in virtual time, with `schedule` deciding and `watch` looking on."""
    if isinstance(schedule, LoopSchedule):
        with watch.on_asyncio(schedule.name_of) if watch is not None else nullcontext():
            run_on_asyncio(main, schedule)
        return
    run_on_trio(main, schedule, [] if watch is None else [watch])


@contextmanager
def no_collector() -> Iterator[None]:
    """Keep the garbage collector from running: when it runs finalizers depends on what ran before this run."""
    gc.collect(0)
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _trace_hash(world: SimulatedRun, schedule: Schedule | LoopSchedule, ended_s: float) -> str:
    digest = blake2b(schedule.digest(), digest_size=8)
    encode = msgspec.msgpack.encode
    for operation in world.history.operations:
        digest.update(b"%d %d %d %d" % (operation.begin, operation.end, operation.high_lsn, operation.attempts))
        digest.update(encode(operation.answer))
    digest.update(encode(world.disk.transactions))
    digest.update(encode(world.disk.moves))
    digest.update(repr(ended_s).encode())
    return digest.hexdigest()
