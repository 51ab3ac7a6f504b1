"""Planted bugs: one for every way in which the design could have gone wrong, to prove that the simulation notices.

None of them lives in the service. Each one patches the real code while a run lasts, and names the guarantees whose
check has to find it. `docs/planted-bugs.md` says how many seeds that takes;
`python -m simulation.planted.bugs` writes it.
"""

import sys
from pathlib import Path

from msgspec import Struct

from simulation.planted import (
    bugs_of_baskets,
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
)  # importing them fills BUGS


class Catch(Struct, frozen=True):
    """How a bug was found: `seeds` were needed, `caught` of `tried` fail with it."""

    bug: Bug
    seeds: int  # 0: not found
    found: str
    caught: int
    tried: int


def hunt(bug: Bug, seeds: range, *, at_least: int = 1) -> Catch:
    """Run seeds until the bug is caught by a guarantee that it breaks.

    Args:
        at_least: how many seeds to run in any case, to tell how often it is caught.
    """
    first, found, caught, tried = 0, "", 0, 0
    for seed in seeds:
        with bug.planted():
            result = run_seed(seed, disk=bug.disk, relayed=bug.relayed, consumed=bug.consumed)
        tried += 1
        hits = [violation for violation in result.violations if violation.guarantee in bug.breaks]
        if hits:
            caught += 1
            if not first:
                first, found = tried, str(hits[0])
        if first and tried >= at_least:
            break
    return Catch(bug, first, found, caught, tried)


def table(catches: list[Catch]) -> str:
    """The table of `docs/planted-bugs.md`."""
    lines = ["| bug | what is wrong | seeds needed | caught | by |", "|---|---|---|---|---|"]
    for catch in catches:
        by = catch.found.split(":")[0] or "–"
        needed = str(catch.seeds) if catch.seeds else f"not in {catch.tried}"
        what = catch.bug.what if catch.bug.disk == "memory" else f"{catch.bug.what} (`--disk {catch.bug.disk}`)"
        what += " (worlds with relays)" if catch.bug.relayed else ""
        what += " (worlds with a consumer)" if catch.bug.consumed else ""
        lines.append(f"| {catch.bug.name} | {what} | {needed} | {catch.caught} of {catch.tried} | {by} |")
    return "\n".join(lines)


def main(path: str = "docs/planted-bugs.md") -> int:
    """Write the table; exit status 1 if a bug was not caught."""
    catches = []
    for one in BUGS.values():
        catch = hunt(one, range(SEEDS_MAX), at_least=20)
        line = f"{one.name}: {catch.seeds or 'NOT FOUND'}, {catch.caught} of {catch.tried}: {catch.found[:80]}"
        print(line, flush=True)  # noqa: T201
        catches.append(catch)
    Path(path).write_text(PAGE.format(table=table(catches), count=len(catches), seeds=SEEDS_MAX))
    return 0 if all(catch.seeds for catch in catches) else 1


PAGE = """# Planted bugs

A check that cannot fail is a defect. So every way in which the design could have gone wrong is planted into the
real code while the simulation runs (the modules `bugs_of_…` in `simulation/planted/`; the service has none of it), and
has to be caught within {seeds} seeds by a guarantee that it breaks. *Seeds needed* counts from seed 0; *caught* says
how many of the seeds that were run find it. Where a disk is named, the bug shows on that one only.

{table}

{count} bugs. `python -m simulation.planted.bugs` measures this again and rewrites the page.
"""

if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
