"""`make torture`: every scenario in full, with a progress bar, a table at the end, and the table in docs/torture.md."""

import argparse
import asyncio
import math
import os
import platform
import re
import shutil
import sqlite3
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from actors.exceptions import leaves
from tests.postgres import embedded_postgres
from tests.system.servers import ROOT
from tests.torture.plan import PLAN, Entry
from tests.torture.scenario import Finding, database

DOCUMENT = ROOT / "docs" / "torture.md"
LOOK_S = 0.2
PAGE = """# Torture

What was done to the real server, on real databases and over a real socket, and what was found. `make torture` does all
of it again and writes this page; `make test` does a few rounds of each. The scenarios are in `tests/torture/`.

In an attack a server that has already taken 2,000 orders is measured with all processes that it starts, and its memory
is back when it is within a fifth of what it was. Where the attack is a flood of work that other organizations do as
well (hot rows, large baskets, imports), the bystander's p99 is measured on the same server for 12 s before, and during
the flood it may be twice that or 10 ms more, whichever is more.

The machines:

{machines}

| done | on | rounds | checked | found | measured | took |
|---|---|---|---|---|---|---|
{rows}
"""


def main() -> int:
    """Run the scenarios. Exits with 0 if they found nothing, else with 1."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("--share", type=float, default=1.0, help="of the rounds, for a shorter run; rounded up")
    parser.add_argument("--only", default="", help="scenarios in whose name this regular expression is found")
    arguments = parser.parse_args()
    console = Console()
    machine = _machine()
    findings = []
    with _progress(console) as progress:
        for entry in PLAN:
            if re.search(arguments.only, str(entry)):
                rounds = math.ceil(entry.rounds * arguments.share)
                findings.append((entry, rounds, asyncio.run(_run(entry, rounds, progress))))
                _write_page(machine, {entry: finding for entry, _, finding in findings})
    _print_table(console, findings)
    return 1 if any(finding.problems for _, _, finding in findings) else 0


async def _run(entry: Entry, rounds: int, progress: Progress) -> Finding:
    finding = Finding()
    task = progress.add_task(str(entry), total=rounds)
    start_s = time.monotonic()
    directory = Path(tempfile.mkdtemp(prefix="torture-"))
    running = asyncio.create_task(_attempt(entry, rounds, finding, directory))
    while not running.done():
        progress.update(task, completed=finding.rounds)
        await asyncio.wait([running], timeout=LOOK_S)
    await running
    if finding.problems:
        progress.console.print(f"{entry}: databases and logs stay in {directory}")
    else:
        shutil.rmtree(directory)
    progress.update(task, completed=finding.rounds)
    finding.seconds = time.monotonic() - start_s
    return finding


async def _attempt(entry: Entry, rounds: int, finding: Finding, directory: Path) -> None:
    try:
        with database(entry.kind, directory) as made:
            await entry.scenario(made, rounds, finding)
    except pytest.skip.Exception as skipped:
        finding.notes.append(f"skipped: {skipped}")
    except Exception as error:  # noqa: BLE001 - it is what was found, and the others are still to be done
        traceback.print_exception(error)
        told = "; ".join(f"{type(one).__name__}: {one}" for one in leaves(error))
        finding.problems.append(f"after {finding.rounds} rounds: {told}")


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console)


def _print_table(console: Console, findings: list[tuple[Entry, int, Finding]]) -> None:
    table = Table("scenario", "rounds", "found", "measured", "took")
    for entry, rounds, finding in findings:
        table.add_row(
            str(entry), _rounds(rounds, finding), _found(finding), "; ".join(finding.notes), f"{finding.seconds:.0f} s"
        )
    console.print(table)


def _write_page(machine: str, findings: Mapping[Entry, Finding]) -> None:
    """Keep the rows of scenarios that did not run now; each says on which machine it did."""
    old = DOCUMENT.read_text(encoding="utf-8").splitlines() if DOCUMENT.exists() else []
    machines = [found[1] for line in old if (found := re.fullmatch(r"\d+\. (.*)", line))]
    if machine not in machines:
        machines.append(machine)
    rows = []
    for entry in PLAN:
        head = f"| {entry.done} | {entry.kind} |"
        if (finding := findings.get(entry)) is not None:
            took = f"{finding.seconds:.0f} s, {datetime.now(UTC):%Y-%m-%d}, machine {machines.index(machine) + 1}"
            cells = (_rounds(entry.rounds, finding), entry.checked, _found(finding), "; ".join(finding.notes), took)
            rows.append(f"{head} {' | '.join(cells)} |")
        else:
            kept = [line for line in old if line.startswith(head)]
            rows += kept or [f"{head} not done | {entry.checked} | – | | |"]
    numbered = "\n".join(f"{number}. {one}" for number, one in enumerate(machines, 1))
    DOCUMENT.write_text(PAGE.format(machines=numbered, rows="\n".join(rows)), encoding="utf-8")


def _rounds(rounds: int, finding: Finding) -> str:
    return str(finding.rounds) if finding.rounds >= rounds else f"{finding.rounds} of {rounds}"


def _found(finding: Finding) -> str:
    if not finding.problems:
        return "nothing" if finding.rounds else "–"
    return "; ".join(" ".join(problem.split()) for problem in finding.problems[:3]).replace("|", "/")


def _machine() -> str:
    info = Path("/proc/cpuinfo")
    names = [line.split(":")[1].strip() for line in info.read_text().splitlines() if "model name" in line]
    with embedded_postgres() as postgres:
        version = postgres.psql("SHOW server_version").split()[2]
    return (
        f"{os.cpu_count()} cores of {names[0] if names else platform.machine()}, {platform.system()}"
        f" {platform.release()}, Python {platform.python_version()}, SQLite {sqlite3.sqlite_version},"
        f" PostgreSQL {version}."
    )


if __name__ == "__main__":
    sys.exit(main())
