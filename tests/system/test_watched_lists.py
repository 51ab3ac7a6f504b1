"""Lists with `--watch`: shown again when something has changed, and ended by Ctrl-C."""

import asyncio
import os
import pty
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.ports import free_port
from tests.system.servers import ROOT, run_cli, running_server

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def watching(*arguments: str, stdout: int = asyncio.subprocess.PIPE) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "stockkeeper", *arguments),
        stdout=stdout,
        stderr=asyncio.subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "120", "TERM": "xterm"},
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def lines(process: asyncio.subprocess.Process, number: int) -> list[str]:
    assert process.stdout is not None
    return [(await asyncio.wait_for(process.stdout.readline(), 20)).decode().rstrip("\n") for _ in range(number)]


async def test_in_a_pipe_a_list_comes_again_when_it_is_another_one(tmp_path: Path) -> None:
    async with running_server(tmp_path / "stock.db") as server:
        target = ("--target", f"localhost:{server.port}")
        await run_cli("receive", "shop", "mug:5@w1", *target)
        async with (
            watching("stock", "shop", "mug", "--watch", *target) as stock,
            watching("reservations", "shop", "--watch", "--json", *target) as orders,
        ):
            heading, row = await lines(stock, 2)
            assert heading.startswith("variant\twarehouse\t")
            assert row.startswith("mug\tw1\tw1\t5\t5\t")
            await run_cli("receive", "shop", "pot:1@w1", *target)  # it is in no list that is watched
            await run_cli("reserve", "shop", "order-1", "mug:2", *target)
            assert (await lines(stock, 2))[1].startswith("mug\tw1\tw1\t5\t3\t")
            assert '"order_id":"order-1"' in (await lines(orders, 1))[0]
            for process in (stock, orders):
                process.send_signal(signal.SIGINT)
                rest, errors = await process.communicate()
                assert (process.returncode, rest) == (130, b"")
                assert b"Traceback" not in errors


async def test_a_terminal_is_drawn_anew_also_by_the_server_that_comes_next(tmp_path: Path) -> None:
    async with running_server(tmp_path / "stock.db", port=free_port()) as server:
        target = ("--target", f"localhost:{server.port}")
        await run_cli("receive", "shop", "mug:5@w1", *target)
        ours, theirs = pty.openpty()
        async with watching("stock", "shop", "--watch", *target, stdout=theirs) as process:
            os.close(theirs)
            seen = b""
            for pieces in (5, 6):
                while f" {pieces} ".encode() not in seen:
                    seen += await asyncio.to_thread(os.read, ours, 4096)
                await run_cli("receive", "shop", "mug:1@w1", *target)
            assert seen.count(b"\x1b[H\x1b[2J") >= 2
            await server.terminate()
            assert process.stderr is not None
            said = await asyncio.wait_for(process.stderr.readline(), 20)
            assert said.decode() == "The server does not answer; the list is shown again when it does.\n"
            async with running_server(tmp_path / "stock.db", port=server.port):
                await run_cli("receive", "shop", "mug:2@w1", *target)
                while b" 9 " not in seen:
                    seen += await asyncio.to_thread(os.read, ours, 4096)
                process.send_signal(signal.SIGINT)
                _, errors = await asyncio.wait_for(process.communicate(), 20)
            os.close(ours)
        assert (process.returncode, errors) == (130, b"")


async def test_a_list_of_no_server_is_not_watched() -> None:
    status, _, err = await run_cli("stock", "shop", "--watch", "--target", "localhost:1")
    assert (status, err) == (1, "No server answers at localhost:1. Start one with: stockkeeper serve\n")


async def test_what_does_not_change_is_not_watched() -> None:
    status, _, err = await run_cli(
        "stock", "shop", "mug", "--warehouse", "w", "--at", "2026-01-31T12:00:00Z", "--watch"
    )
    assert (status, err) == (2, "What a row had at a time does not change: --at and --watch do not go together.\n")
    status, _, err = await run_cli("levels", "shop", "mug@w", "--watch")
    assert (status, err) == (2, "--watch shows the levels of all rows: name none, or --warehouse.\n")
