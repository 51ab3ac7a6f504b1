"""Files that a server cannot use, at its start and while it runs."""

import asyncio
import os
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.system.servers import ROOT, START_TIMEOUT_S, line
from tests.torture.scenario import Database, Finding

Spoiled = Callable[[Path], AbstractContextManager[Sequence[str]]]  # gives what must stand before the command

PAGE_BYTES = 4_096
# Root may write read-only files; this takes that right away.
WITHOUT_ROOTS_RIGHTS = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")


async def bad_files_are_refused(database: Database, rounds: int, finding: Finding) -> None:
    """Check that a start ends with one sentence that names the cause, exit status 1, and no traceback."""
    server = await database.serve()
    async with server.client() as client:
        await client.stock.import_stock([line(f"v{number}", 5) for number in range(500)])
    await server.terminate()
    good = database.directory / "good"
    shutil.copy(database.file, good)
    while finding.rounds < rounds:
        for problems in await asyncio.gather(*(_refused(database, good, *one) for one in SPOILED.items())):
            finding.problems += problems
        finding.rounds += 1
    finding.notes.append(", ".join(spoiled.__name__.replace("_", " ") for spoiled in SPOILED))


async def _refused(database: Database, good: Path, spoiled: Spoiled, sentence: str) -> list[str]:
    with TemporaryDirectory(dir=database.directory) as directory:
        one = replace(database, directory=Path(directory))
        shutil.copy(good, one.file)
        with spoiled(one.file) as prefix:
            status, out, err = await _start(one, prefix)
    if status == 1 and not out and len(err.strip().splitlines()) == 1 and sentence in err:
        return []
    return [f"{spoiled.__name__}: status {status}, output {out!r}, error {err!r}"]


async def _start(database: Database, prefix: Sequence[str]) -> tuple[int | None, str, str]:
    """Start a server that should not start, and stop it after its first line if it does.

    Returns:
        Its status, stdout and stderr.
    """
    process = await asyncio.create_subprocess_exec(
        *(*prefix, sys.executable, "-m", "stockkeeper", "serve", "--port", "0", "--database-url", database.url),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    database.processes.append(process)
    assert process.stdout is not None
    said = await asyncio.wait_for(process.stdout.readline(), START_TIMEOUT_S)
    if said:
        process.terminate()
    out, err = await asyncio.wait_for(process.communicate(), START_TIMEOUT_S)
    return process.returncode, (said + out).decode(), err.decode()


@contextmanager
def a_text_file(file: Path) -> Iterator[Sequence[str]]:
    file.write_text("variant,quantity\n" * 999)
    yield ()


@contextmanager
def damaged_pages(file: Path) -> Iterator[Sequence[str]]:
    contents = bytearray(file.read_bytes())
    contents[PAGE_BYTES:] = b"\xaa" * (len(contents) - PAGE_BYTES)
    file.write_bytes(contents)
    yield ()


@contextmanager
def cut_short(file: Path) -> Iterator[Sequence[str]]:
    os.truncate(file, 3 * PAGE_BYTES)
    yield ()


@contextmanager
def from_the_future(file: Path) -> Iterator[Sequence[str]]:
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("UPDATE stockkeeper_schema_version SET version_num = '9999'")
    yield ()


@contextmanager
def locked(file: Path) -> Iterator[Sequence[str]]:
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield ()


@contextmanager
def read_only(file: Path) -> Iterator[Sequence[str]]:
    file.chmod(0o444)
    yield WITHOUT_ROOTS_RIGHTS if os.geteuid() == 0 else ()


@contextmanager
def a_directory(file: Path) -> Iterator[Sequence[str]]:
    file.unlink()
    file.mkdir()
    yield ()


SPOILED: dict[Spoiled, str] = {
    a_text_file: "file is not a database",
    damaged_pages: "malformed",
    cut_short: "malformed",
    from_the_future: "a newer version of stockkeeper",
    locked: "database is locked",
    read_only: "readonly database",
    a_directory: "is a directory",
}
