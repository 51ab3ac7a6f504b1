"""What is measured: each suite starts what it compares, lets them take turns, and audits their databases.

Figures that stand side by side come from one suite, one run, and alternating rounds.
"""

import sqlite3
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench import slow_sync
from bench.generator import drive
from bench.measure import Contestant, Pace, reserving, take_turns
from bench.mixes import checking, mixed
from bench.orders import DAY, HOT, SPREAD, SPREAD_ROWS, Workload, day_variants, spread, variant
from bench.processes import resident_mib
from bench.streams import is_served
from bench.systems import OURS, POOLS, RIVALS, SYSTEMS, Running, Setting

CALLERS, CALLERS_MANY = 64, 128
COMMITS = 200
PAUSE_S = 0.001  # between two commits, as between two calls of a caller: some disks are slower without
LINES_MANY = 100
ROWS_FEW = 1_000
LONG_RUN_STEPS = 10
PART = 20_000

Result = dict[str, dict[str, float]]


@dataclass
class Bench:
    """What all suites share.

    Args:
        pace: how long and how often.
        directory: where the databases are; the disk that is measured.
        rivals: which of them take part.
        pools: the number of connections found best for a rival.
    """

    pace: Pace
    directory: Path
    rivals: Sequence[str] = tuple(RIVALS)
    pools: dict[str, int] = field(default_factory=dict)
    _directories: int = 0

    def start(
        self,
        stack: ExitStack,
        name: str,
        variants: Sequence[str],
        environment: Mapping[str, str] | None = None,
    ) -> Running:
        """A system by its name, until the stack is left; leaving it stops and audits the system."""
        self._directories += 1
        directory = self.directory / f"{name}-{self._directories}"
        directory.mkdir()
        setting = Setting(directory, variants, environment or {}, self.pools.get(name, 0))
        return stack.enter_context(SYSTEMS[name](setting))

    @contextmanager
    def running(
        self, names: Sequence[str], variants: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> Iterator[dict[str, Running]]:
        """Systems by their names, all of them running."""
        with ExitStack() as stack:
            yield {name: self.start(stack, name, variants, environment) for name in names}


def rows(count: int) -> list[str]:
    return [variant(row) for row in range(count)]


def pools(bench: Bench) -> Result:
    """Find how many connections serve a rival best; the other suites use that number."""
    result: Result = {}
    for name in bench.rivals:
        for size in POOLS[name]:
            bench.pools[name] = size
            with bench.running([name], rows(SPREAD_ROWS)) as running:
                contestants = [reserving(running[name], workload, callers=CALLERS) for workload in (HOT, SPREAD)]
                for contestant in contestants:
                    contestant.round(bench.pace.warm_up_s, counted=False)
                    contestant.round(bench.pace.round_s)
            rates = [contestant.medians()["calls_per_s"] for contestant in contestants]
            result.setdefault(name, {})[str(size)] = round(statistics.geometric_mean(rates), 1)
        bench.pools[name] = int(max(result[name], key=lambda size: result[name][size]))
    return result


def reserve(bench: Bench) -> Result:
    """Orders on four rows, on 10,000 rows and of a real day; every system."""
    names = [*OURS, "noop_bare", *bench.rivals]
    with bench.running(names, rows(SPREAD_ROWS) + day_variants()) as systems:
        contestants = {
            f"{name} {workload.name}": reserving(running, workload, callers=CALLERS)
            for workload in (HOT, SPREAD, DAY)
            for name, running in systems.items()
        }
        result = take_turns(contestants, bench.pace)
    for name, running in systems.items():
        for workload in (HOT, SPREAD, DAY):
            figures = result[f"{name} {workload.name}"]
            figures["peak_memory_mib"] = round(running.peak_memory_mib, 1)
            figures["memory_mib"] = round(running.memory_mib, 1)
    return result


def reserve_many_callers(bench: Bench) -> Result:
    """The same with 128 callers, without rivals."""
    with bench.running(list(OURS), rows(SPREAD_ROWS)) as systems:
        contestants = {
            f"{name} {workload.name}": reserving(running, workload, callers=CALLERS_MANY)
            for workload in (HOT, SPREAD)
            for name, running in systems.items()
        }
        return take_turns(contestants, bench.pace)


def one_caller(bench: Bench) -> Result:
    """A durable reservation of one caller alone, beside one commit of SQLite on the same disk."""
    names = [*OURS, *bench.rivals]
    with bench.running(names, rows(SPREAD_ROWS)) as systems:
        contestants = {name: reserving(running, SPREAD, callers=1, connections=1) for name, running in systems.items()}
        commits: list[float] = []
        for contestant in contestants.values():
            contestant.round(bench.pace.warm_up_s, counted=False)
        for _ in range(bench.pace.rounds):
            for contestant in contestants.values():
                contestant.round(bench.pace.round_s / 2)
            commits.append(commit_ms(bench.directory))
        result = {name: contestant.medians() for name, contestant in contestants.items()}
    result["one commit of SQLite"] = {"p50_ms": round(statistics.median(commits), 4)}
    return result


def commit_ms(directory: Path) -> float:
    """The median of durable commits of one row to a SQLite file, after its WAL has grown to the size that it keeps."""
    connection = sqlite3.connect(directory / "commit.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE IF NOT EXISTS one (number INTEGER, filler BLOB)")
    # A file that grows takes longer to sync: let the WAL grow first, and be used from its beginning again.
    connection.execute("INSERT INTO one VALUES (0, zeroblob(8000000))")
    connection.execute("PRAGMA wal_checkpoint(RESTART)")
    took: list[float] = []
    for number in range(COMMITS):
        time.sleep(PAUSE_S)
        begin = time.perf_counter()
        connection.execute("INSERT INTO one VALUES (?, '')", (number,))
        took.append(time.perf_counter() - begin)
    connection.close()
    return statistics.median(took) * 1_000


def checks(bench: Bench) -> Result:
    """Availability alone, and a day's mix: 70 % checks, 20 % reservations, 7 % confirmations, 3 % releases."""
    with bench.running(list(OURS), rows(SPREAD_ROWS)) as systems:
        contestants: dict[str, Contestant] = {}
        for name, running in systems.items():
            contestants[f"{name} checks"] = checking(running, SPREAD_ROWS, callers=CALLERS)
            contestants[f"{name} mix"] = mixed(running, SPREAD, callers=CALLERS)
        return take_turns(contestants, bench.pace)


def lines(bench: Bench) -> Result:
    """Orders of one line and of a hundred."""
    workloads = {"1 line": spread(SPREAD_ROWS, 1), "100 lines": spread(SPREAD_ROWS, LINES_MANY)}
    with bench.running(["sqlite", "postgres"], rows(SPREAD_ROWS)) as systems:
        contestants = {
            f"{name} {label}": reserving(running, workload, callers=CALLERS)
            for name, running in systems.items()
            for label, workload in workloads.items()
        }
        return take_turns(contestants, bench.pace)


def many_rows(bench: Bench) -> Result:
    """Orders over a million rows and over a thousand, each file with a server of its own."""
    counts = {f"{ROWS_FEW} rows": ROWS_FEW, "many rows": bench.pace.many_rows}
    with ExitStack() as stack:
        contestants = {
            label: reserving(bench.start(stack, "sqlite", rows(count)), spread(count), callers=CALLERS)
            for label, count in counts.items()
        }
        result = take_turns(contestants, bench.pace)
    for label, count in counts.items():
        result[label]["rows"] = count
    return result


def slow_disk(bench: Bench) -> Result:
    """Four hot rows on a disk whose sync takes 2 ms more."""
    environment = slow_sync.environment(bench.directory)
    with (
        bench.running([*OURS, *bench.rivals], rows(SPREAD_ROWS), environment) as systems,
        bench.running(["sqlite"], rows(SPREAD_ROWS)) as usual,
    ):
        alone = {
            name: reserving(running, SPREAD, callers=1, connections=1)
            for name, running in systems.items()
            if name != "noop"
        }
        for name, contestant in alone.items():  # or the shim does not work
            contestant.round(bench.pace.warm_up_s)
            assert contestant.medians()["p50_ms"] > slow_sync.ADDED_MS, name
        contestants = {name: reserving(running, HOT, callers=CALLERS) for name, running in systems.items()}
        contestants["sqlite, usual sync"] = reserving(usual["sqlite"], HOT, callers=CALLERS)
        result = take_turns(contestants, bench.pace)
    for name, contestant in alone.items():
        result[name]["one_caller_p50_ms"] = contestant.medians()["p50_ms"]
    return result


def streams(bench: Bench) -> Result:
    """Orders over the bidirectional stream beside unary calls; nothing where the server has no stream."""
    with bench.running(list(OURS), rows(SPREAD_ROWS)) as systems:
        if not is_served(systems["sqlite"].server.port):
            return {}
        contestants = {
            f"{name}, {way}": reserving(running, SPREAD, callers=CALLERS, streamed=way == "streamed")
            for name, running in systems.items()
            for way in ("unary", "streamed")
        }
        return take_turns(contestants, bench.pace)


def long_run(bench: Bench) -> Result:
    """Memory after the first tenth of a long run and at its end; the last orders must not be slower than the first."""
    result: Result = {"sqlite": {}}
    with bench.running(["sqlite"], rows(SPREAD_ROWS)) as systems:
        running = systems["sqlite"]
        rates: list[float] = []
        memory: list[float] = []
        for _ in range(LONG_RUN_STEPS):
            memory_mib, rate = _step(running, SPREAD, bench.pace.long_run // LONG_RUN_STEPS)
            memory.append(memory_mib)
            rates.append(rate)
    figures = result["sqlite"]
    figures["reservations"] = running.next_number
    for step, (memory_mib, rate) in enumerate(zip(memory, rates, strict=True), 1):
        figures[f"memory_mib_after_{step}0_percent"] = round(memory_mib, 1)
        figures[f"calls_per_s_until_{step}0_percent"] = round(rate, 1)
    figures["memory_growth"] = round(memory[-1] / memory[0] - 1, 4)
    return result


def _step(running: Running, workload: Workload, reservations: int) -> tuple[float, float]:
    """Make the given number of reservations, in parts that are prepared one at a time.

    Returns:
        The memory in MiB, and calls a second.
    """
    made, elapsed_s = 0, 0.0
    while made < reservations:
        calls = workload.calls(running.numbers(min(PART, reservations - made)))
        outcome = drive(running.server.port, calls, callers=CALLERS)
        assert set(outcome.statuses) == {0}, outcome.statuses
        running.accepted.append((workload, outcome.accepted))
        made += outcome.calls
        elapsed_s += outcome.elapsed_s
    return resident_mib(running.server.pid), made / elapsed_s


Suite = Callable[[Bench], Result]
SUITES: Mapping[str, Suite] = {
    "pools": pools,
    "reserve": reserve,
    "reserve, 128 callers": reserve_many_callers,
    "one caller": one_caller,
    "checks": checks,
    "lines": lines,
    "many rows": many_rows,
    "slow disk": slow_disk,
    "streams": streams,
    "long run": long_run,
}
