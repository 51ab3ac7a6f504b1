"""Two states of the program side by side: `python -m bench.compare REVISION [REVISION …]`.

Each is a revision of this repository, or a package in another version (`grpcio==1.83.0`) under the present program.
They take turns in short rounds, since a machine's pace changes from one minute to the next; the medians are shown, and
the lowest and the highest round. `--systems noop` compares what is below the program.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from subprocess import DEVNULL, PIPE

from bench.machine import describe
from bench.measure import Contestant, reserving
from bench.mixes import checking
from bench.orders import HOT, SPREAD, SPREAD_ROWS
from bench.processes import ROOT
from bench.suites import rows
from bench.systems import SYSTEMS, Setting

WORKLOADS = {workload.name: workload for workload in (HOT, SPREAD)}
ROUND_S, WARM_UP_S = 1.0, 1.0
STARTS = 7


@contextmanager
def environment(state: str, directory: Path) -> Iterator[Mapping[str, str]]:
    """The environment in which a program runs in this state."""
    place = directory / state.replace("/", "_")
    if "==" in state:
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(place), state]
        subprocess.run(command, check=True)
        yield {"PYTHONPATH": str(place)}
        return
    subprocess.run(["git", "worktree", "add", "--quiet", "--detach", str(place), state], check=True, cwd=ROOT)
    try:
        # Without the second, the working directory would come first, and with it the present program.
        yield {"PYTHONPATH": f"{place}:{place / 'client'}", "PYTHONSAFEPATH": "1"}
    finally:
        subprocess.run(["git", "worktree", "remove", "--force", str(place)], check=True, cwd=ROOT)


def _start_s(variables: Mapping[str, str], directory: Path) -> float:
    """How long the program takes to listen on an empty file, in seconds."""
    command = [sys.executable, "-m", "stockkeeper", "serve", "--port", "0", "--database-url"]
    # A program that is started again finds its modules compiled, as the warm-up left them.
    environment = {**os.environ, **variables, "PYTHONDONTWRITEBYTECODE": ""}
    with tempfile.TemporaryDirectory(dir=directory) as place:
        command.append(f"sqlite+aiosqlite:///{place}/stock.db")
        begin_s = time.perf_counter()
        with subprocess.Popen(command, stdout=PIPE, stderr=DEVNULL, env=environment) as process:
            assert process.stdout is not None
            process.stdout.readline()
            listens_s = time.perf_counter() - begin_s
            process.terminate()
    return listens_s


def main() -> None:
    parser = ArgumentParser(prog="python -m bench.compare", description=__doc__)
    parser.add_argument("states", nargs="+", help="revisions, or packages as NAME==VERSION")
    parser.add_argument("--systems", nargs="+", choices=list(SYSTEMS), default=["sqlite"])
    parser.add_argument("--workloads", nargs="+", choices=list(WORKLOADS), default=list(WORKLOADS))
    parser.add_argument("--callers", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=12, help="of one second each")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
        contestants: dict[str, Contestant] = {}
        environments: dict[str, Mapping[str, str]] = {}
        for state in options.states:
            variables = environments[state] = stack.enter_context(environment(state, Path(directory)))
            for system in options.systems:
                place = Path(directory) / f"{system}-{len(contestants)}"
                place.mkdir()
                running = stack.enter_context(SYSTEMS[system](Setting(place, rows(SPREAD_ROWS), variables)))
                for name in options.workloads:
                    contestants[f"{state} {system} {name}"] = reserving(
                        running, WORKLOADS[name], callers=options.callers, connections=min(8, options.callers)
                    )
                contestants[f"{state} {system} checks"] = checking(running, SPREAD_ROWS, callers=options.callers)
        for contestant in contestants.values():
            contestant.round(WARM_UP_S, counted=False)
        for _ in range(options.rounds):
            for contestant in contestants.values():
                contestant.round(ROUND_S)
        for name, contestant in contestants.items():
            rates = [one["calls_per_s"] for one in contestant.rounds]
            cpu = statistics.median(one["cpu_s_per_1000"] for one in contestant.rounds)
            latency = statistics.median(one["p50_ms"] for one in contestant.rounds)
            print(  # noqa: T201
                f"{name}: {statistics.median(rates):,.0f} calls/s ({min(rates):,.0f} to {max(rates):,.0f}),"
                f" {cpu:.3f} s CPU for 1,000, p50 {latency:.2f} ms"
            )
        for variables in environments.values():
            _start_s(variables, Path(directory))  # compiles the modules
        starts: dict[str, list[float]] = {state: [] for state in environments}
        for _ in range(STARTS):
            for state, variables in environments.items():
                starts[state].append(_start_s(variables, Path(directory)))
        for state, seconds in starts.items():
            print(f"{state}: listens after {statistics.median(seconds):.3f} s ({min(seconds):.3f} at best)")  # noqa: T201
        machine = describe()
        print(f"{machine['cpu']}, {machine['cores']} cores, Python {machine['python']}, grpcio {machine['grpcio']}")  # noqa: T201


if __name__ == "__main__":
    main()
