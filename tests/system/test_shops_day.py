"""The shop's day in the README, command by command, and the ledger that it leaves."""

import re
import shlex
from pathlib import Path

import pytest

from tests.system.servers import ROOT, run_cli, start_server
from tests.system.test_documents import blocks, blurred

pytestmark = pytest.mark.anyio

README = ROOT / "README.md"
ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
SHOWN = ("kind", "warehouse", "available", "reserved", "damaged", "in_transit")


def steps() -> list[tuple[str, str]]:
    """Each command of the table and what it says."""
    section = README.read_text(encoding="utf-8").split("## A shop's day")[1].split("\n## ")[0]
    return re.findall(r"^\| [^|]+ \| `([^`…]+)` \| ([^|]+) \|$", section, re.MULTILINE)


async def test_the_day_goes_as_the_table_says_and_leaves_that_ledger(tmp_path: Path) -> None:
    day = steps()
    assert len(day) == 12
    server = await start_server(tmp_path / "stock.db")
    target = ("--target", f"localhost:{server.port}")
    reservation = ""
    try:
        for command, says in day:
            status, out, error = await run_cli(*shlex.split(command.replace("RESERVATION", reservation)), *target)
            assert (status, error) == (0, ""), command
            assert blurred(says) in [blurred(line) for line in out.splitlines()], command
            if command.startswith("reserve "):
                [reservation] = ID.findall(out)
        _, exported, _ = await run_cli("export", "shop", *target)
        (tmp_path / "evening.csv").write_text(exported, encoding="utf-8")
        status, out, _ = await run_cli("import", str(tmp_path / "evening.csv"), *target)
        assert (status, out) == (0, "3 lines: 0 rows created, 0 changed, 3 unchanged.\n")
        _, ledger, _ = await run_cli("movements", "shop", "mug", *target)
        heading, *lines = [line.split("\t") for line in ledger.splitlines()]
        columns = [heading.index(name) for name in SHOWN]
        [written] = blocks(README, "tsv")
        assert ["\t".join(line[column] for column in columns) for line in lines] == written.splitlines()
    finally:
        await server.kill()
