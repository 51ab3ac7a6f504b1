"""Planted bugs: one for every way in which the design could have gone wrong, to prove that the simulation notices.

None of them lives in the service. Each one patches the real code while a run lasts, and names the guarantees whose
check has to find it. `docs/planted-bugs.md` says how many seeds that takes;
`python -m simulation.planted.bugs` writes it.
"""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from msgspec import Struct

from simulation.faults import CELLS_FROM
from simulation.planted import (
    bugs_of_baskets,
    bugs_of_cells,
    bugs_of_consumers,
    bugs_of_events,
    bugs_of_goods,
    bugs_of_history,
    bugs_of_imports,
    bugs_of_levels,
    bugs_of_losses,
    bugs_of_memory,
    bugs_of_reservations,
    bugs_of_rules,
    bugs_of_sourcing,
    bugs_of_storage,
    bugs_of_transfers,
    bugs_of_values,
    bugs_of_warehouses,
)
from simulation.planted.patch_fit import misfits
from simulation.planted.patch_watch import PatchWatch
from simulation.planted.planting import BUGS as BUGS
from simulation.planted.planting import Bug
from simulation.runner import run_seed

SEEDS_MAX = 300

_CATALOGUES = (
    bugs_of_storage,
    bugs_of_rules,
    bugs_of_values,
    bugs_of_memory,
    bugs_of_goods,
    bugs_of_history,
    bugs_of_reservations,
    bugs_of_warehouses,
    bugs_of_levels,
    bugs_of_losses,
    bugs_of_transfers,
    bugs_of_sourcing,
    bugs_of_baskets,
    bugs_of_events,
    bugs_of_consumers,
    bugs_of_imports,
    bugs_of_cells,
)  # importing them fills BUGS


class Catch(Struct, frozen=True):
    """How a bug was found: `seeds` were needed, `caught` of `tried` fail with it. `broken` says why it is no catch: its
    patch fails, or no run came by.
    """

    bug: str
    seeds: int  # 0: not found
    found: str
    caught: int
    tried: int
    broken: str = ""

    def __str__(self) -> str:
        if self.broken:
            return f"{self.bug}: BROKEN PATCH, {self.broken}"
        return f"{self.bug}: {self.seeds or 'NOT FOUND'}, {self.caught} of {self.tried}: {self.found[:80]}"


def hunt(bug: Bug, seeds: Sequence[int], *, at_least: int = 1) -> Catch:
    """Run seeds until the bug is caught by a guarantee that it breaks, or shows that its patch is broken.

    Args:
        at_least: how many seeds to run in any case, to tell how often it is caught.
    """
    first, found, caught, tried, watch = 0, "", 0, 0, PatchWatch(bug.raises)
    for misfit in misfits(bug):
        return Catch(bug.name, 0, "", 0, 0, misfit)
    for seed in seeds:
        try:
            with bug.planted(watch):
                which = CELLS_FROM + seed if bug.cells else seed
                result = run_seed(which, disk=bug.disk, relayed=bug.relayed, consumed=bug.consumed)
        except Exception as error:  # noqa: BLE001 - a world never fails: what is planted lies, and does not crash
            watch.broken.append(f"seed {seed} does not end: {error.__cause__ or error!r}")
        if watch.broken:
            return Catch(bug.name, first, found, caught, tried, watch.broken[0])
        tried += 1
        hits = [violation for violation in result.violations if violation.guarantee in bug.breaks]
        if hits:
            caught += 1
            if not first:
                first, found = tried, str(hits[0])
        if first and tried >= at_least:
            break
    broken = "" if watch.is_reached else f"no run of {tried} comes by"
    return Catch(bug.name, first, found, caught, tried, broken)


def row(catch: Catch) -> str:
    """A row of the table of `docs/planted-bugs.md`."""
    bug = BUGS[catch.bug]
    by = "**its patch is broken**" if catch.broken else catch.found.split(":")[0] or "–"
    needed = str(catch.seeds) if catch.seeds else f"not in {catch.tried}"
    what = bug.what if bug.disk == "memory" else f"{bug.what} (`--disk {bug.disk}`)"
    what += " (worlds with relays)" if bug.relayed else ""
    what += " (worlds with a consumer)" if bug.consumed else ""
    what += " (worlds with cells)" if bug.cells else ""
    return f"| {catch.bug} | {what} | {needed} | {catch.caught} of {catch.tried} | {by} |"


def _measured(name: str) -> Catch:
    return hunt(BUGS[name], range(SEEDS_MAX), at_least=20)


def _first_catch(name: str) -> Catch:
    return hunt(BUGS[name], range(SEEDS_MAX))


def _hunts(names: Sequence[str], jobs: int, *, is_quick: bool) -> Iterator[Catch]:
    with ProcessPoolExecutor(jobs, get_context("spawn")) as workers:
        yield from workers.map(_first_catch if is_quick else _measured, names)


def _rows_in(path: Path) -> dict[str, str]:
    """The rows that the page has of bugs that there are."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    rows = {line.split("|")[1].strip(): line for line in lines if line.startswith("| ")}
    return {name: line for name, line in rows.items() if name in BUGS}


def main(arguments: Sequence[str]) -> int:
    """Hunt, and write the page. Exit status 1 if a bug was not caught, or a patch is broken."""
    parser = argparse.ArgumentParser(description="Hunt planted bugs, and write the page that lists them.")
    parser.add_argument("bugs", nargs="*", help="these only, and their rows of the page; all of them otherwise")
    parser.add_argument("--first", action="store_true", help="end with the first catch of each, and write nothing")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes; as many as there are cores")
    parser.add_argument("--page", type=Path, default=Path("docs/planted-bugs.md"))
    wanted = parser.parse_args(arguments)
    catches = []
    for catch in _hunts(wanted.bugs or list(BUGS), wanted.jobs, is_quick=wanted.first):
        print(catch, flush=True)  # noqa: T201
        catches.append(catch)
    if not wanted.first:
        known = _rows_in(wanted.page) | {catch.bug: row(catch) for catch in catches}
        rows = "\n".join(known[name] for name in BUGS if name in known)
        wanted.page.write_text(PAGE.format(rows=rows, count=len(BUGS), seeds=SEEDS_MAX), encoding="utf-8")
    return 0 if all(catch.seeds and not catch.broken for catch in catches) else 1


PAGE = """# Planted bugs

A check that cannot fail is a defect. So every way in which the design could have gone wrong is planted into the
real code while the simulation runs (the modules `bugs_of_…` in `simulation/planted/`; the service has none of it), and
has to be caught within {seeds} seeds by a guarantee that it breaks. *Seeds needed* counts from seed 0, in worlds with
cells from 1,000,000,000; *caught* says how many of the seeds that were run find it. Where a disk is named, the bug
shows on that one only.

| bug | what is wrong | seeds needed | caught | by |
|---|---|---|---|---|
{rows}

{count} bugs. `python -m simulation.planted.bugs` measures this again and rewrites the page; with names of bugs it does
so for their rows alone. It tells from the others a bug whose own code fails, which fits its place no more or which no
run reaches: that is a broken patch, and no catch.
"""

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
