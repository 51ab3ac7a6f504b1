"""SQLite on a full disk, or in a file that is locked, read-only, corrupt or of a newer version."""

import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.system.servers import ServerProcess
from tests.torture.load import Load
from tests.torture.postgres_away import log_problems, refusal_problems
from tests.torture.scenario import HASTY, Database, Finding, acknowledged, is_serving, take_stock, under_load, until

DISK_BYTES, BALLAST_BYTES = 64_000_000, 62_500_000
MET_IT = "UNAVAILABLE STORAGE_DOWN"


async def disk_fills_up(database: Database, rounds: int, finding: Finding) -> None:
    """Fill the file system under load, and make room again."""
    with small_disk(database.directory / "small") as mounted:
        small = replace(database, directory=mounted)
        load = Load()
        server = await database.serve(url=small.url)
        async with server.client() as client:
            await load.prepare(client)
        ballast = mounted / "ballast"
        backs_s = []
        while finding.rounds < rounds:
            async with under_load(load, server, goes_on=True):
                used = sum(file.stat().st_size for file in mounted.iterdir())
                ballast.write_bytes(bytes(BALLAST_BYTES - used))
                finding.problems += await away(server, load, "the full disk")
                ballast.unlink()
                backs_s.append(await back(server))
                await acknowledged(load, 50)
            finding.problems += await take_stock(small, server, load)
            finding.rounds += 1
        await server.terminate()
    finding.problems += log_problems(server)
    finding.notes.append(tell(load, backs_s))


async def file_is_locked(database: Database, rounds: int, finding: Finding) -> None:
    """Let another program hold the file under BEGIN EXCLUSIVE for longer than SQLite waits, under load."""
    load = Load()
    server = await database.serve(HASTY)
    async with server.client() as client:
        await load.prepare(client)
    backs_s = []
    while finding.rounds < rounds:
        async with under_load(load, server, goes_on=True):
            await acknowledged(load, 50)
            with closing(sqlite3.connect(database.file, isolation_level=None, timeout=30)) as other:
                other.execute("BEGIN EXCLUSIVE")
                finding.problems += await away(server, load, "the lock")
                other.execute("ROLLBACK")
            backs_s.append(await back(server))
            await acknowledged(load, 50)
        finding.problems += await take_stock(database, server, load)
        finding.rounds += 1
    await server.terminate()
    finding.problems += log_problems(server)
    finding.notes.append(tell(load, backs_s))


async def away(server: ServerProcess, load: Load, what: str) -> list[str]:
    """Wait until calls and health have met the failure. Returns what is wrong with their answers."""
    load.statuses.clear()
    await until(lambda: load.statuses[MET_IT] > 0, f"a call that meets {what}")
    async with server.client() as client:
        await until(lambda: is_serving(client, False), "health says NOT_SERVING")
        problems = await refusal_problems(server)
        start_s = time.monotonic()
        looks = []
        while time.monotonic() - start_s < 1.5:
            looks.append(await is_serving(client))
    return problems + ([f"health said SERVING {sum(looks)} times in {len(looks)} looks"] if any(looks) else [])


async def back(server: ServerProcess) -> float:
    """Wait until the server serves again. Returns how long that took, in seconds."""
    async with server.client() as client:
        return await until(lambda: is_serving(client), "health says SERVING again")


def tell(load: Load, backs_s: list[float]) -> str:
    return (
        f"{load.acknowledged:,} answers acknowledged, {load.settled} asked again; "
        f"serving again within {max(backs_s):.1f} s"
    )


@contextmanager
def small_disk(directory: Path) -> Iterator[Path]:
    """A file system of its own that can really be full. Only root can make one; without root the test is skipped."""
    if os.geteuid() != 0 or sys.platform != "linux":
        pytest.skip("a file system to fill up can be mounted by root on Linux only")
    directory.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(directory)]
    if subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("this root may not mount a file system")
    try:
        yield directory
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)
