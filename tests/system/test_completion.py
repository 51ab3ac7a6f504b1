"""Shell completion, and colours where they are not wanted."""

import asyncio
import os
import pty
import re
import shutil
import sys
from pathlib import Path

import pytest

from stockkeeper.command_line.cli import COMMANDS
from tests.system.servers import ROOT, line, run_cli, running_server
from tests.system.test_output import read_all

pytestmark = pytest.mark.anyio

COLOUR = re.compile(r"\x1b\[[0-9;]*3[0-9][0-9;]*m")


async def completed(script: Path, *words: str) -> list[str]:
    """What bash offers for the last of these words."""
    line = (
        f'source {script}; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _stockkeeper; printf "%s\\n" "${{COMPREPLY[@]}}"'
    )
    process = await asyncio.create_subprocess_exec("bash", "-c", line, "bash", *words, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    return [text.strip() for text in out.decode().splitlines()]


async def test_bash_completes_commands_options_and_choices(tmp_path: Path) -> None:
    status, script, err = await run_cli("completion", "bash")
    assert (status, err) == (0, "")
    file = tmp_path / "stockkeeper"
    file.write_text(script)
    assert sorted(await completed(file, "stockkeeper", "")) == sorted(COMMANDS)
    assert sorted(await completed(file, "stockkeeper", "exp")) == ["explain", "export"]
    assert await completed(file, "stockkeeper", "export", "shop", "--ware") == ["--warehouse"]
    assert await completed(file, "stockkeeper", "stock", "shop", "--status", "low") == ["low_stock"]


@pytest.mark.parametrize("shell", ["zsh", "fish"])
async def test_other_shells_have_a_script_that_they_can_read(tmp_path: Path, shell: str) -> None:
    status, script, _ = await run_cli("completion", shell)
    assert (status, all(name in script for name in COMMANDS)) == (0, True)
    if shutil.which(shell):
        file = tmp_path / "script"
        file.write_text(script)
        process = await asyncio.create_subprocess_exec(shell, "-n", str(file))
        assert await process.wait() == 0


async def test_an_unknown_shell_is_one_sentence() -> None:
    status, out, err = await run_cli("completion", "tcsh")
    assert (status, out, len(err.splitlines())) == (2, "", 1)


async def raw_on_a_terminal(*arguments: str, program: tuple[str, ...] = ("-m", "stockkeeper"), **env: str) -> str:
    """What the program writes to a terminal, with its colours."""
    ours, theirs = pty.openpty()
    usual = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "FORCE_COLOR")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, *program, *arguments),
        stdout=theirs,
        stderr=theirs,
        cwd=ROOT,
        env={**usual, "TERM": "xterm", "COLUMNS": "100", **env},
    )
    os.close(theirs)
    shown = await asyncio.to_thread(read_all, ours)
    await process.wait()
    return shown


async def test_nothing_has_a_colour_where_no_color_is_set(tmp_path: Path) -> None:
    async with running_server(tmp_path / "stock.db") as server, server.client() as client:
        await client.stock.import_stock([line("mug", 5)])
        target = ("--target", f"localhost:{server.port}")
        for command in (("--help",), ("stock", "--help"), ("stock", "org_1", *target), ("stock", "nothing", *target)):
            shown = await raw_on_a_terminal(*command, NO_COLOR="1")
            assert shown
            assert not COLOUR.search(shown), command
    assert COLOUR.search(await raw_on_a_terminal("--help"))  # otherwise the test cannot fail


async def test_the_log_has_no_colour_either() -> None:
    logs_once = "import structlog as s, stockkeeper.logs as logs; logs.configure_logging()"
    logs_once += "; s.get_logger('stockkeeper').info('seen')"
    plain = await raw_on_a_terminal(program=("-c", logs_once), NO_COLOR="1")
    assert ("seen" in plain, COLOUR.search(plain)) == (True, None)
    assert COLOUR.search(await raw_on_a_terminal(program=("-c", logs_once)))
