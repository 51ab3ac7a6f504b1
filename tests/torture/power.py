"""Simulated power cuts under SQLite: see `simulation.power_cut`."""

import asyncio

from simulation.power_cut import cut_power
from tests.torture.scenario import Database, Finding

CUTS_A_ROUND = 50


async def power_is_cut(database: Database, rounds: int, finding: Finding) -> None:
    """Cut the power: with synchronous=FULL nothing acknowledged is lost; with NORMAL the same cuts lose something."""
    kept = lost_with_normal = 0
    for seed in range(1, rounds + 1):
        full = await asyncio.to_thread(cut_power, seed, CUTS_A_ROUND)
        normal = await asyncio.to_thread(cut_power, seed, CUTS_A_ROUND, "NORMAL")
        finding.problems += [str(violation) for violation in (*full.violations, *normal.violations)]
        if full.lost:
            finding.problems.append(f"seed {seed}: {full.lost} cuts lost acknowledged batches")
        kept += full.cuts
        lost_with_normal += normal.lost
        finding.rounds += 1
    if not lost_with_normal:
        finding.problems.append("no cut lost anything with synchronous=NORMAL, so a loss would not be seen")
    finding.notes.append(
        f"{kept:,} cuts with FULL lost nothing; as many with NORMAL lost batches in {lost_with_normal}"
    )
