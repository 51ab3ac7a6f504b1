"""The garbage collector of a process that serves.

A call makes a few hundred objects, and next to none of them are in cycles. Its order and its rows stay in memory for
minutes. Python's collector walks through all of them again and again to find that they are still there. With its own
thresholds that takes 4 % of the CPU time under load; with higher ones it still makes pauses of 30 ms every second.
Here each object is walked through once, soon after it was made, and then left alone. What has become part of a cycle
since then is found by a walk through everything, every ten minutes.
"""

import asyncio
import gc
from collections.abc import Mapping
from typing import Any

YOUNG_OBJECTS_MAX = 10_000  # walking them takes 2 ms
NEVER = 1_000_000_000
FULL_COLLECTION_S = 600.0  # a million objects take about 0.3 s, in which no call is served


def collect_seldom() -> None:
    """Have the collector walk through an object once. Call it before the event loop, when all modules are imported.

    To look for garbage among what the modules made would take 0.05 s of each start, and find 2,000 objects: the first
    full collection finds them.
    """
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS_MAX, NEVER, NEVER)
    gc.callbacks.append(_leave_alone)


def schedule_full_collections() -> None:
    """Walk through all objects every `FULL_COLLECTION_S` seconds, for as long as the running loop runs."""

    def collect() -> None:
        gc.unfreeze()
        gc.collect()
        gc.freeze()
        loop.call_later(FULL_COLLECTION_S, collect)

    loop = asyncio.get_running_loop()
    loop.call_later(FULL_COLLECTION_S, collect)


def _leave_alone(phase: str, info: Mapping[str, Any]) -> None:
    if phase == "stop" and info["generation"] == 0:
        gc.freeze()
