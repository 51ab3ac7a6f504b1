"""What the documents say within their sentences, and the programs that go on: each command and option is there."""

import re
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_args

import pytest
from stockkeeper_client import InventoryClient

from stockkeeper.command_line.cli import COMMANDS, app
from stockkeeper.command_line.events_command import Action
from stockkeeper.serving import consuming, relaying, route, serve, serve_cells
from tests.system.servers import ROOT
from tests.system.test_documents import DOCUMENTS, blocks, commands
from tests.system.test_options import VARIABLES

pytestmark = pytest.mark.anyio

GO_ON = ("serve", "route", "relay", "consume")
OF_ALL = {"help", "version"}
PROGRAMS = ((serve, "serve"), (route, "route"), (relaying, "run_relay"), (consuming, "run_consumer"))


def named() -> Iterator[tuple[str, list[str]]]:
    """The commands that stand within sentences, by their document."""
    for document in (*DOCUMENTS, ROOT / "client" / "README.md", ROOT / "SECURITY.md"):
        prose = re.sub(r"^```.*?^```", "", document.read_text(), flags=re.MULTILINE | re.DOTALL)
        for span in re.findall(r"`([^`]+)`", prose):
            words = span.replace("…", "").split()
            if words and words[0].endswith("stockkeeper"):
                words = words[1:]
            elif len(words) < 2 or words[0] not in COMMANDS:
                continue
            if words and re.match(r"[a-z-]", words[0]):
                yield document.name, words


def test_commands_within_sentences_and_their_options_are_there() -> None:
    every = list(named())
    assert len(every) > 60
    for document, words in every:
        if words[0].startswith("--"):
            assert words[0][2:] in OF_ALL, (document, words)
            continue
        assert words[0] in COMMANDS, (document, words)
        options = {name for it in app[words[0]].assemble_argument_collection() for name in it.names}
        for word in words[1:]:
            if word.startswith("--"):
                assert word in options or word[2:] in OF_ALL, (document, words)
        if words[0] == "events" and len(words) > 1:
            assert words[1] in get_args(Action), (document, words)


@pytest.fixture
def place() -> Iterator[Path]:
    """With a name short enough for the sockets of cells, which a test's own directory has not."""
    with TemporaryDirectory(prefix="stockkeeper-") as name:
        yield Path(name)


def test_each_program_that_goes_on_takes_its_options_as_the_documents_give_them(
    monkeypatch: pytest.MonkeyPatch, place: Path
) -> None:
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    told: list[Any] = []
    for module, name in PROGRAMS:
        monkeypatch.setattr(module, name, told.append)
    every = [words[1:] for words in commands() if words[0] == "stockkeeper" and words[1] in GO_ON]
    assert {words[0] for words in every} == {*GO_ON}
    assert len(every) > 12
    monkeypatch.setattr(serve_cells, "serve_cells", told.append)
    monkeypatch.chdir(place)
    [cells, *_] = blocks(ROOT / "docs" / "cells.md", "toml")
    (place / "cells.toml").write_text(cells)
    for words in every:
        app(words, exit_on_error=False, print_error=False, result_action="return_value")
    assert len(told) == len(every)


async def test_the_client_of_two_servers_asks_both_addresses_that_the_manual_names() -> None:
    [text] = [block for block in blocks(ROOT / "docs" / "operations.md", "python") if "InventoryClient" in block]
    client = eval(text, {"InventoryClient": InventoryClient})  # the line as it stands
    try:
        assert "ipv4:10.0.0.1:50053,10.0.0.2:50053" in repr(client)
    finally:
        await client.close()
