"""Keeps an owner or a router of `serve --cells` running: see `stockkeeper.serving.cell_main`."""

import asyncio
import sys
from contextlib import suppress
from typing import NamedTuple

import msgspec
import structlog

from stockkeeper.serving.cell_main import CellOrders

RESTART_PAUSE_MIN_S, RESTART_PAUSE_MAX_S = 0.05, 5.0
HEALTHY_AFTER_S = 5.0  # one that has lived this long starts with the shortest pause again
ENDING_S = 5.0  # beyond its grace; then one that was asked to end is killed

log = structlog.get_logger("stockkeeper")


class ProgramEnded(Exception):
    """It ended before it served. Why, it has said itself; `status` is its exit status."""

    def __init__(self, name: str, status: int) -> None:
        super().__init__(f"{name} ended with status {status} before it served")
        self.status = status


class CellProgramStatistics(NamedTuple):
    """Whether it runs, and how often it was started again."""

    running: bool
    restarts: int


class CellProgram:
    """One program, started anew if it ends.

    Args:
        name: for the log.
        orders: what it is told.
        grace_s: how long it may take to end, in seconds.
    """

    def __init__(self, name: str, orders: CellOrders, grace_s: float) -> None:
        self._name = name
        self._orders = orders
        self._grace_s = grace_s
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._restarts = 0
        self._is_stopping = False

    def __repr__(self) -> str:
        return f"<CellProgram {self._name} {self.statistics()}>"

    def statistics(self) -> CellProgramStatistics:
        return CellProgramStatistics(self._process is not None, self._restarts)

    async def start(self) -> None:
        """Return when it serves. Raises `ProgramEnded`: it does not."""
        process = await self._begin()
        assert process.stdout is not None
        said = await process.stdout.readline()
        if not said:
            raise ProgramEnded(self._name, await process.wait())
        self._keeper = asyncio.create_task(self._keep(process))

    async def stop(self) -> None:
        """Have it end. One that does not is killed."""
        self._is_stopping = True
        process, keeper = self._process, self._keeper
        if keeper is not None and process is None:
            keeper.cancel()  # it waits for the next try
        if process is not None:
            await self._end(process)
        if keeper is not None:
            with suppress(asyncio.CancelledError):
                await keeper

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), self._grace_s + ENDING_S)
        except TimeoutError:
            with suppress(ProcessLookupError):  # it has just ended
                process.kill()
            await process.wait()

    async def _begin(self) -> asyncio.subprocess.Process:
        # -P: modules come from where this program is installed, and not from the working directory.
        command = (sys.executable, "-P", "-m", "stockkeeper.serving.cell_main")
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C in a terminal reaches the first process alone
        )
        assert process.stdin is not None
        process.stdin.write(msgspec.json.encode(self._orders) + b"\n")
        self._process = process
        return process

    async def _keep(self, process: asyncio.subprocess.Process) -> None:
        pause_s, loop = RESTART_PAUSE_MIN_S, asyncio.get_running_loop()
        while True:
            began_s = loop.time()
            end = f"ended with status {await self._lived(process)}"
            self._process = None
            if self._is_stopping:
                return
            if loop.time() - began_s >= HEALTHY_AFTER_S:
                pause_s = RESTART_PAUSE_MIN_S
            log.warning("cell_program_ended", program=self._name, end=end, restart_in_s=pause_s)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, RESTART_PAUSE_MAX_S)
            self._restarts += 1
            process = await self._begin()

    async def _lived(self, process: asyncio.subprocess.Process) -> int:
        assert process.stdout is not None
        while await process.stdout.read(1024):
            pass
        return await process.wait()
