"""Keeps a relay or a consumer running beside the server: see `stockkeeper.serving.beside_main`."""

import asyncio
import sys
from contextlib import suppress

import anyio
import msgspec
import structlog

from stockkeeper.logs import configured_format, configured_level
from stockkeeper.serving.beside_main import Orders
from stockkeeper.serving.consuming import ConsumeConfig
from stockkeeper.serving.relaying import RelayConfig

RESTART_PAUSE_MIN_S, RESTART_PAUSE_MAX_S = 0.1, 5.0
ENDING_S = 3.0  # then a program that was asked to end is killed

log = structlog.get_logger("stockkeeper")


class BesideProcess:
    """One program, started anew if it ends."""

    def __init__(self, config: RelayConfig | ConsumeConfig) -> None:
        self._config = config
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<BesideProcess {type(self._config).__name__} running={self._process is not None}>"

    def start(self) -> None:
        """Return at once: whether the broker is there is the program's affair."""
        self._keeper = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        """Have it give its cursor up, and end."""
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.cancel()
            with suppress(asyncio.CancelledError):
                await keeper

    async def _keep(self) -> None:
        pause_s = RESTART_PAUSE_MIN_S
        while True:
            status = await self._run()
            log.warning(
                "program_beside_ended", program=type(self._config).__name__, status=status, restart_in_s=pause_s
            )
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, RESTART_PAUSE_MAX_S)

    async def _run(self) -> int:
        # -P: modules come from where this program is installed, and not from the working directory.
        command = (sys.executable, "-P", "-m", "stockkeeper.serving.beside_main")
        process = self._process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C in a terminal reaches the server alone
        )
        assert process.stdin is not None
        process.stdin.write(msgspec.json.encode(Orders(self._config, configured_level(), configured_format())) + b"\n")
        try:
            return await process.wait()
        finally:
            self._process = None
            await _end(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        assert process.stdin is not None
        process.stdin.close()
        with anyio.move_on_after(ENDING_S, shield=True):
            await process.wait()
    if process.returncode is None:
        process.kill()
        await process.wait()
