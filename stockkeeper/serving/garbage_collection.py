"""The garbage collector of a process that serves.

A call makes a few hundred objects, next to none of them in cycles; what is left of it, in orders and rows, is kept for
minutes. Python's collector walks all that is left again and again to find that it is still there: with its own
thresholds 4 % of the CPU time under load, with higher ones still pauses of 30 ms every second and a tenth of the
calls. Here each object is walked once, soon after it was made, and then left alone; what in the end is part of a
cycle all the same is found by a walk through everything, every ten minutes.
"""

import asyncio
import gc
from collections.abc import Mapping
from typing import Any

YOUNG_OBJECTS_MAX = 10_000  # walking them takes 2 ms
NEVER = 1_000_000_000
FULL_WALK_S = 600.0  # a million objects take about 0.3 s, in which nobody is served


def collect_seldom() -> None:
    """Have the collector walk through an object once. Call it before the event loop, when all modules are imported."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS_MAX, NEVER, NEVER)
    gc.callbacks.append(_leave_alone)


def walk_through_all_at_times() -> None:
    """Have everything walked through every `FULL_WALK_S` seconds, for as long as the running loop runs."""

    def walk() -> None:
        gc.unfreeze()
        gc.collect()
        gc.freeze()
        loop.call_later(FULL_WALK_S, walk)

    loop = asyncio.get_running_loop()
    loop.call_later(FULL_WALK_S, walk)


def _leave_alone(phase: str, info: Mapping[str, Any]) -> None:
    if phase == "stop" and info["generation"] == 0:
        gc.freeze()
