"""Every command in the documents is run, and what they print is what the documents say."""

import asyncio
import os
import re
import shlex
import signal
import sys
from pathlib import Path

import pytest

from tests.system.servers import ROOT, ServerProcess, run_cli, start_server

pytestmark = pytest.mark.anyio

DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
# tests/system/test_tutorial.py runs these in the order of the page, and what they say is what the page says.
IN_ORDER = {"tutorial-operator.md"}
# Run by their own tests below, by CI itself, or by the person that sets the machine up.
MAKE_TARGETS = {"run", "demo", "test", "setup", "check", "proto", "bench", "simulate", "torture", "docs", "screenshots"}
MAKE_TARGETS |= {"lint-deploy", "planted", "release-check", "lock", "sbom", "audit", "container"}


def blocks(document: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", document.read_text(), re.MULTILINE | re.DOTALL)


def commands() -> list[list[str]]:
    read = [document for document in DOCUMENTS if document.name not in IN_ORDER]
    lines = [line for document in read for block in blocks(document, "sh") for line in block.splitlines()]
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def blurred(text: str) -> str:
    """What differs from run to run, made the same."""
    text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<id>", text)
    return re.sub(r"\d{4}-\d\d-\d\dT[0-9:.]+Z", "<time>", text)


async def run(*command: str, **environment: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *("env", *(f"{name}={value}" for name, value in environment.items())),
        *command,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=ROOT,
    )
    out, _ = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode is not None
    return process.returncode, out.decode()


def test_the_tests_behind_the_guarantees_exist() -> None:
    tests = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    table = (ROOT / "README.md").read_text().split("## Guarantees")[1].split("\n## ")[0]
    named = re.findall(r"`(tests/[^`:]+)|(test_g\d+_[^`…]*)…`", table)
    assert len(named) > 20
    for path, test in named:
        assert (ROOT / path).exists(), path
        assert f"def {test}" in tests, test


async def sample_server(tmp_path: Path) -> ServerProcess:
    return await start_server(tmp_path / "stock.db", "--sample")


async def test_the_readme_is_true_call_by_call(tmp_path: Path) -> None:
    server = await sample_server(tmp_path)
    try:
        calls = [words[1:] for words in commands() if words[0] == ".venv/bin/stockkeeper"]
        assert [call[0] for call in calls] == ["stock", "reserve"]
        outputs = [await run_cli(*call, "--target", f"localhost:{server.port}") for call in calls]
        assert [status for status, _, _ in outputs] == [0, 0]
        shell_output, python_output = blocks(ROOT / "README.md", "text")
        assert blurred(outputs[1][1]) == blurred(shell_output)
        [program] = blocks(ROOT / "README.md", "python")
        status, out = await run(sys.executable, "-c", program.replace("50053", str(server.port)))
        assert (status, out) == (0, python_output)
        program = blocks(ROOT / "client" / "README.md", "python")[0]
        status, out = await run(sys.executable, "-c", program.replace("50053", str(server.port)))
        assert (status, out) == (0, "StatusCode.NOT_FOUND Stock not found for variant var_789 (and 1 more)\n")
    finally:
        await server.kill()


async def test_the_operators_commands_work(tmp_path: Path) -> None:
    server = await sample_server(tmp_path)
    (tmp_path / "stock.csv").write_text("organization_id,variant_id,warehouse_id,total_quantity\ndemo,cup,madrid,5\n")
    try:
        for words in commands():
            if (
                words[0] != "stockkeeper"
                or words[1] in ("serve", "route", "relay", "consume")
                or words[1:3] == ["events", "tail"]
            ):
                continue  # they go on until they are stopped
            if words[1] == "cells" and words[2] in ("split", "move"):
                continue  # tests/system/test_cells_tree.py divides a database, and moves an organization
            if words[1] == "cells":
                [text, *_] = blocks(ROOT / "docs" / "cells.md", "toml")
                (tmp_path / "cells.toml").write_text(text)
                assert (await run_cli("cells", words[2], str(tmp_path / words[3]), *words[4:]))[0] == 0
                continue
            if words[1] == "keys":
                assert (await run_cli("keys", str(tmp_path / words[2]), *words[3:]))[0] == 0
                continue
            if "--target" in words:
                continue  # it is of another machine
            if words[1:3] == ["events", "redrive"]:
                continue  # tests/events/test_consumer.py runs it, with a broker
            if words[1] in ("config", "doctor"):
                assert (await run_cli(*words[1:]))[0] == 0
                continue
            if words[1] == "move":
                continue  # tests/storage/test_move.py moves there and back
            if words[1] in ("check", "backup"):
                if words[-1].startswith("sqlite"):  # test_backup.py does it on Postgres
                    arguments = [str(tmp_path / word) if word.endswith(".db") else word for word in words[1:-1]]
                    status, out, err = await run_cli(*arguments, f"sqlite+aiosqlite:///{tmp_path}/stock.db")
                    assert status == 0, (words, out, err)
                continue
            arguments = [str(tmp_path / word) if word.endswith(".csv") else word for word in words[1:]]
            status, out, err = await run_cli(*arguments, "--target", f"localhost:{server.port}")
            assert status == 0, (words, out, err)
    finally:
        await server.kill()


def test_every_command_in_the_documents_is_known() -> None:
    for words in commands():
        if words[0] == "make":
            assert words[1] in MAKE_TARGETS, words
            assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE), words
        elif words[0] == "sqlite3" and words[1] == "-readonly":
            assert words[2] == "stockkeeper.db"
        elif words[0] in ("cp", "rm", "pg_dump", "pg_restore", "psql", "sqlite3"):
            pass  # test_backup.py and test_housekeeping.py take them from the manual and run them
        elif words[:2] == ["pip", "install"]:
            pass  # tests/packaging makes its environments so
        else:
            assert words[0].rpartition("/")[2] == "stockkeeper", words


async def test_links_lead_somewhere() -> None:
    """And tests that a document names are there."""
    for document in [*DOCUMENTS, ROOT / "client" / "README.md", ROOT / "SECURITY.md"]:
        for test in re.findall(r"`(tests/[^`:]+\.py)`", document.read_text()):
            assert (ROOT / test).exists(), (document.name, test)
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text()):
            assert (document.parent / target).exists(), (document.name, target)


async def test_make_run_serves_a_sample_and_says_what_to_try_and_the_advice_works(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *("env", f"DATABASE_URL=sqlite+aiosqlite:///{tmp_path}/run.db", "GRPC_PORT=0", "make", "run"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        cwd=ROOT,
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        lines: list[str] = []
        while len(lines) < 4:
            line = (await asyncio.wait_for(process.stdout.readline(), 300)).decode()
            assert line, lines
            if lines or " listens on " in line:
                lines.append(line.strip())
        assert lines[1] == "A sample stock was loaded. Try next:"
        for advice in lines[2:]:
            status, out = await run(*shlex.split(advice))
            assert status == 0, out
    finally:
        os.killpg(process.pid, signal.SIGTERM)  # the server is a child of make
        await process.wait()


async def test_make_demo_balances(tmp_path: Path) -> None:
    status, out = await run("make", "demo")
    assert status == 0, out
    assert "counted in the evening" in out
