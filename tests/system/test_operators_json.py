"""What an operator's commands print with `--json`, and what they show on a terminal while they work."""

import gc
import io
import json
import os
import pty
import sys
from pathlib import Path
from typing import Any

import pytest

from stockkeeper import __main__
from stockkeeper.command_line import backup_command, check_command, move_command, progress
from stockkeeper.command_line.cli import COMMANDS, app
from tests.system.servers import ORGANIZATION, line, run_cli, running_server

# They go on until they are stopped, or what they print is a script, a screen, or lines for a person.
NO_JSON = {"serve", "route", "relay", "consume", "top", "simulate", "completion"}


def test_every_other_command_has_it() -> None:
    assert {name for name in COMMANDS if "--json" not in _options(name)} == NO_JSON


def _options(name: str) -> set[str]:
    command = app[name]
    parts = [command] if command.default_command is not None else [command[part] for part in command]
    return {option for part in parts for argument in part.assemble_argument_collection() for option in argument.names}


@pytest.mark.anyio
async def test_what_is_printed_is_one_object_a_line(tmp_path: Path) -> None:
    async def printed(*arguments: str, status: int = 0) -> list[dict[str, Any]]:
        ended, out, err = await run_cli(*arguments, "--json")
        assert ended == status, err
        return [json.loads(one) for one in out.splitlines()]

    database = f"sqlite+aiosqlite:///{tmp_path}/stock.db"
    async with running_server(tmp_path / "stock.db") as server, server.client() as client:
        await client.stock.import_stock([line("a", 10)])
        assert await printed("health", "--target", f"localhost:{server.port}") == [{"status": "SERVING"}]
        [found] = await printed("check", "--database-url", database)
        assert (found["stock_rows"], found["disagreements"]) == (1, [])
        [copied] = await printed("backup", str(tmp_path / "copy.db"), "--database-url", database)
        assert (copied["last_lsn"], copied["audit"]["stock_rows"]) == (1, 1)
    moved = await printed("move", "--from", database, "--to", f"sqlite+aiosqlite:///{tmp_path}/other.db")
    assert {"table": "stock", "rows": 1} in [{name: one.get(name) for name in ("table", "rows")} for one in moved]
    assert moved[-1]["audit"]["disagreements"] == []
    allowed = ("--organization", ORGANIZATION, "--scope", "read")
    [key] = await printed("keys", str(tmp_path / "keys.toml"), "till", *allowed)
    assert key.keys() == {"name", "key"}


def test_an_interrupt_while_the_program_loads_is_a_status_and_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(__main__, "_run", interrupted)
    monkeypatch.setattr(__main__, "hide_password", lambda: None)
    monkeypatch.setattr(gc, "set_threshold", lambda _: None)
    with pytest.raises(SystemExit) as ended:
        __main__.main()
    assert ended.value.code == 130


def test_what_takes_longer_than_a_moment_is_shown_on_a_terminal_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert {one.working for one in (check_command, backup_command, move_command)} == {progress.working}
    monkeypatch.setattr(progress, "SHOWN_AFTER_S", 0.0)
    monkeypatch.setenv("TERM", "xterm")
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        with progress.working("Checking"):
            shown = ""
            while "Checking" not in shown:
                shown += os.read(ours, 4_096).decode()
    os.close(ours)
    pipe = io.StringIO()
    monkeypatch.setattr(sys, "stderr", pipe)
    with progress.working("Checking"):
        pass
    assert pipe.getvalue() == ""
