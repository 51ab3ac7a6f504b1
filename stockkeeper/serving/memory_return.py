"""Gives memory that was let go back to the operating system.

After a crowd or an attack the C library keeps what was freed, in pieces between what is in use. glibc gives whole pages
back when it is told to (`malloc_trim`), which takes some milliseconds for 100 MB and runs in a thread. So it is told
some seconds after the process has grown, and not before it has grown again.

Young garbage is freed before. grpc.aio leaves each call in a cycle, with its metadata; after a flood of headers that
were 30 MB, which no later call would have freed for as long as only a few came.
"""

import asyncio
import ctypes
import gc
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

LOOK_EVERY_S = 5.0
LOOKS_SKIPPED_MAX = 127  # after times that gave nothing back, one after another: ten minutes
GROWN = 1.1  # times what was there after the last time
GROWN_BYTES = 16 * 1024 * 1024  # and by this much

STATM = Path("/proc/self/statm")
PAGE_BYTES = 4_096


def resident_bytes() -> int:
    """What the process holds in memory; 0 where there is no /proc."""
    try:
        return int(STATM.read_text().split()[1]) * PAGE_BYTES
    except OSError:
        return 0


def trim() -> None:
    """Have the C library give back what it can. Where it is not glibc, nothing is done."""
    if sys.platform == "linux":
        give_back = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if give_back is not None:
            give_back(0)


class MemoryStatistics(NamedTuple):
    """What the process held after the last time, or less, and how often the library was told."""

    base_bytes: int
    times: int


class MemoryReturn:
    """Looks every few seconds, for as long as the running loop runs.

    Args:
        resident: what the process holds now, in bytes.
        give_back: does the work, in a thread.
        let_go: how often what a crowd left was let go: then it is tried at once.
        look_every_s: in seconds.
    """

    def __init__(
        self,
        resident: Callable[[], int] = resident_bytes,
        give_back: Callable[[], None] = trim,
        let_go: Callable[[], int] = lambda: 0,
        look_every_s: float = LOOK_EVERY_S,
    ) -> None:
        self._resident = resident
        self._give_back = give_back
        self._let_go = let_go
        self._let_go_seen = let_go()
        self._look_every_s = look_every_s
        self._base_bytes = resident()
        self._low_bytes = self._base_bytes  # the least that there was after a time
        self._times = 0
        self._skip = self._skipped = 0
        self._working: asyncio.Task[None] | None = None
        self._look_later()

    def __repr__(self) -> str:
        return f"<MemoryReturn base_bytes={self._base_bytes} working={self._working is not None}>"

    def statistics(self) -> MemoryStatistics:
        return MemoryStatistics(self._base_bytes, self._times)

    def _look_later(self) -> None:
        asyncio.get_running_loop().call_later(self._look_every_s, self._look)

    def _look(self) -> None:
        now_bytes = self._resident()
        self._base_bytes = min(self._base_bytes, now_bytes)
        self._low_bytes = min(self._low_bytes, now_bytes)
        let_go = self._let_go()
        if _has_grown(now_bytes, self._base_bytes) or let_go != self._let_go_seen:
            self._skip = 0
        self._let_go_seen = let_go
        if _has_grown(now_bytes, self._low_bytes) and self._skipped >= self._skip:
            self._skipped = 0
            self._working = asyncio.create_task(self._work(now_bytes))
        else:
            self._skipped += 1
            self._look_later()

    async def _work(self, before_bytes: int) -> None:
        gc.collect(0)  # here and not in the thread: what is freed may belong to the loop
        await asyncio.to_thread(self._give_back)
        self._times += 1
        self._base_bytes = self._resident()
        # What is in use now may be let go later, or be needed from now on: so it is tried again, less and less often.
        gave_back = _has_grown(before_bytes, self._base_bytes)
        self._skip = 0 if gave_back else min(2 * self._skip + 1, LOOKS_SKIPPED_MAX)
        self._working = None
        self._look_later()


def _has_grown(now_bytes: int, before_bytes: int) -> bool:
    return now_bytes > max(before_bytes * GROWN, before_bytes + GROWN_BYTES)
