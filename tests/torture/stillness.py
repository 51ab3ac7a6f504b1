"""Time in which a machine stood still, or gave a process nothing: it is no part of what is measured."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

TICK_S = 0.1
STILL_S = 2.0  # a tick that takes longer is one in which nothing ran


class Stillness:
    """Knows how long this process was not stopped."""

    def __init__(self) -> None:
        self._began_s = self._looked_s = time.monotonic()
        self._still_s = 0.0

    def __repr__(self) -> str:
        return f"<Stillness {self._still_s:.1f} s>"

    def statistics(self) -> float:
        """Seconds of it."""
        return self._still_s

    @property
    def awake_s(self) -> float:
        """Seconds since the start, without it."""
        self._look()
        return self._looked_s - self._began_s - self._still_s

    @property
    def note(self) -> str:
        """What is to be said of it; empty: nothing."""
        return f"; not counted: {self._still_s:.0f} s in which the machine stood still" if self._still_s else ""

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Look while the block runs."""
        looking = asyncio.create_task(self._keep_looking())
        try:
            yield
        finally:
            looking.cancel()

    async def _keep_looking(self) -> None:
        while True:
            self._look()
            await asyncio.sleep(TICK_S)

    def _look(self) -> None:
        now_s = time.monotonic()
        if now_s - self._looked_s > STILL_S:
            self._still_s += now_s - self._looked_s
        self._looked_s = now_s
