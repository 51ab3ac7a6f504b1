"""`stockkeeper simulate`: run seeds, report what came of them, and make failures small."""

import logging
import secrets
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec.structs import replace
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from simulation import report
from simulation.faults import CELLS_FROM, Backend, DiskKind, Options, options_of
from simulation.planted.bugs import BUGS
from simulation.runner import Result, run_seed
from simulation.schedule.trio_schedule import HooksBroken, check_hooks
from simulation.shrink import Shrinker

REGRESSIONS = Path(__file__).parent / "seeds.txt"
FAILURES_TOLD = 5
SHRINK_RUNS_MAX = 400


class Plan(msgspec.Struct, frozen=True):
    """How seeds are run: what the command line says."""

    backend: Backend = "trio"
    disk: DiskKind = "memory"
    clients: int | None = None
    operations: int | None = None
    options: str = ""  # JSON, fields of Options
    salt: str = ""
    bug: str = ""

    def options_of(self, seed: int) -> Options:
        options = options_of(seed, clients=self.clients, operations=self.operations)
        changed: dict[str, Any] = msgspec.json.decode(self.options) if self.options else {}
        return msgspec.convert({**msgspec.to_builtins(options), **changed}, Options)

    def run(self, seed: int, options: Options | None = None, salt: str | None = None) -> Result:
        """Run one seed."""
        with ExitStack() as stack:
            if self.bug:
                stack.enter_context(BUGS[self.bug].planted())
            return run_seed(
                seed,
                options or self.options_of(seed),
                backend=self.backend,
                disk=self.disk,
                salt=self.salt if salt is None else salt,
            )


class Told(msgspec.Struct, frozen=True):
    """What a worker process reports of a seed."""

    seed: int
    steps: int
    failure: str


def simulate(
    *,
    seed: int | None = None,
    seeds: str = "",
    fresh: int = 0,
    regressions: bool = False,
    every_step: bool = False,
    shrink: bool = False,
    jobs: int = 1,
    backend: Literal["trio", "asyncio"] = "trio",
    disk: Literal["memory", "sqlite", "power-cut"] = "memory",
    clients: int | None = None,
    operations: int | None = None,
    options: str = "",
    salt: str = "",
    bug: str = "",
    console: Console | None = None,
) -> int:
    """Run the service in a simulated world, and check every answer.

    Args:
        seed: run this one and print its trace hash.
        seeds: run a range such as `0..5000`; its end is not part of it.
        fresh: how many seeds to run from a random place, which is printed.
        regressions: run every seed that ever failed.
        every_step: crash at every step of a small version of the seed; or, of one with cells, interrupt a move there.
        shrink: make a failure small before it is printed.
        jobs: processes for a range.
        backend: what the core runs on.
        disk: what it writes to.
        clients, operations: override the seed's choice.
        options: override anything else, as JSON.
        salt: gives the same worlds other schedules.
        bug: plants a bug by its name.
        console: where to write.

    Returns:
        0: every guarantee held; 1: one was broken; 2: the arguments make no sense.
    """
    console = console or Console(highlight=False, soft_wrap=True)
    _be_quiet()
    plan = Plan(backend, disk, clients, operations, options, salt, bug)
    try:
        check_hooks()
        chosen = _chosen(seed, seeds, fresh, regressions, console)
        first = plan.options_of(chosen[0] if chosen else 0)
        if first.cells and disk != "memory":
            raise ValueError("worlds with cells have disks in memory: leave --disk out")
        if bug and bug not in BUGS:
            raise ValueError(f"there is no bug named {bug!r}; there are {', '.join(BUGS)}")
    except (HooksBroken, ValueError, msgspec.MsgspecError) as error:
        console.print(str(error), markup=False)
        return 1 if isinstance(error, HooksBroken) else 2
    if seed is not None and every_step:
        return _every_step(plan, seed, console)
    if seed is not None:
        return _one(plan, seed, console, shrink=shrink)
    return _many(plan, chosen, jobs, console, shrink=shrink)


def _be_quiet() -> None:
    logging.getLogger().addHandler(logging.NullHandler())  # what the core warns of is part of a world


def read_regressions() -> list[int]:
    """The seeds that ever failed."""
    lines = REGRESSIONS.read_text().splitlines()
    return [int(line.split("#")[0]) for line in lines if line.split("#")[0].strip()]


def _chosen(seed: int | None, seeds: str, fresh: int, regressions: bool, console: Console) -> Sequence[int]:
    if sum((seed is not None, bool(seeds), bool(fresh), regressions)) != 1:
        raise ValueError("give one of --seed, --seeds, --fresh and --regressions")
    if seed is not None:
        return [seed]
    if regressions:
        return read_regressions()
    if fresh:
        begin = secrets.randbelow(CELLS_FROM - fresh)
        console.print(f"fresh seeds {begin}..{begin + fresh}; every eighth, {CELLS_FROM} higher, has cells")
        return [seed if seed % 8 else CELLS_FROM + seed for seed in range(begin, begin + fresh)]
    begin_text, dots, end_text = seeds.partition("..")
    if not dots or not all(text.isascii() and text.isdecimal() for text in (begin_text, end_text)):
        raise ValueError(f"a range of seeds looks like 0..5000, not {seeds!r}")
    if int(begin_text) >= int(end_text):
        raise ValueError(f"the range of seeds {seeds} is empty: its end is not part of it")
    return range(int(begin_text), int(end_text))


def _one(plan: Plan, seed: int, console: Console, *, shrink: bool) -> int:
    result = plan.run(seed)
    salt = plan.salt
    if result.failed and shrink:
        result, salt = _shrunk(plan, seed, result, console)
    if result.failed:
        console.print(
            report.failure(result, salt=salt, bug=plan.bug, backend=plan.backend, disk=plan.disk), markup=False
        )
    console.print(report.summary(result), markup=False)
    return 1 if result.failed else 0


def _shrunk(plan: Plan, seed: int, failing: Result, console: Console) -> tuple[Result, str]:
    def progress(result: Result) -> None:
        console.print(
            f"still fails with {result.operations} operations of {result.options.clients} clients", markup=False
        )

    shrinker = Shrinker(
        lambda options, salt: plan.run(seed, options, salt), failing.violations[0].guarantee, SHRINK_RUNS_MAX, progress
    )
    shrunk = shrinker.shrink(failing)
    console.print(f"shrunk from {failing.operations} to {shrunk.result.operations} operations in {shrunk.runs} runs")
    return shrunk.result, shrunk.salt


def _every_step(plan: Plan, seed: int, console: Console) -> int:
    small = replace(
        plan.options_of(seed), clients=plan.clients or 2, operations=plan.operations or 4, crash_steps=(), think_s=0.0
    )
    if small.cells:
        return _every_message(plan, seed, small, console)
    steps = plan.run(seed, small).chaos_steps
    failed = 0
    with _progress(console) as progress:
        for step in progress.track(range(1, steps + 1), description=f"crash at each of {steps} steps"):
            result = plan.run(seed, replace(small, crash_steps=(step,)))
            if result.failed:
                failed += 1
                if failed <= FAILURES_TOLD:
                    progress.console.print(report.failure(result, bug=plan.bug, backend=plan.backend), markup=False)
    console.print(f"seed {seed}: killed at each of {steps} steps, {failed} failed")
    return 1 if failed else 0


def _every_message(plan: Plan, seed: int, small: Options, console: Console) -> int:
    """Of a program that moves an organization: until one is not killed, since it has sent fewer."""
    failed, messages, was_killed = 0, 0, True
    while was_killed:
        messages += 1
        result = plan.run(seed, replace(small, moves_killed=(messages,)))
        was_killed = any(note.what.endswith(f"is killed after {messages} messages") for note in result.history.notes)
        if result.failed:
            failed += 1
            if failed <= FAILURES_TOLD:
                console.print(report.failure(result, bug=plan.bug, backend=plan.backend), markup=False)
    console.print(f"seed {seed}: a move was interrupted after each of {messages - 1} messages, {failed} failed")
    return 1 if failed else 0


def _seeds(count: int) -> str:
    return f"{count} seed{'' if count == 1 else 's'}"


def _many(plan: Plan, seeds: Sequence[int], jobs: int, console: Console, *, shrink: bool) -> int:
    failed, steps = [], 0
    with _progress(console) as progress:
        task = progress.add_task(_seeds(len(seeds)), total=len(seeds))
        for told in _run_all(plan, seeds, jobs):
            steps += told.steps
            progress.advance(task)
            if told.failure:
                failed.append(told.seed)
                if len(failed) <= FAILURES_TOLD:
                    progress.console.print(told.failure, markup=False)
    if failed and shrink:
        _one(plan, failed[0], console, shrink=True)
    console.print(f"{_seeds(len(seeds))}, {steps:,} steps, {len(failed)} failed{': ' if failed else ''}{failed or ''}")
    return 1 if failed else 0


def _run_all(plan: Plan, seeds: Sequence[int], jobs: int) -> Iterator[Told]:
    if jobs <= 1:
        for seed in seeds:
            yield _tell(plan, seed)
        return
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn"), initializer=_be_quiet) as pool:
        yield from pool.map(_tell, [plan] * len(seeds), seeds, chunksize=10)


def _tell(plan: Plan, seed: int) -> Told:
    result = plan.run(seed)
    text = ""
    if result.failed:
        text = report.failure(result, salt=plan.salt, bug=plan.bug, backend=plan.backend, disk=plan.disk)
    return Told(seed, result.steps, text)


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True)
