"""The pages of the site: nothing is forgotten, links lead to pages. `make docs` has zensical follow each of them."""

import subprocess
import sys
from pathlib import Path

import pytest
from stockkeeper_client.v1 import events_pb2, inventory_pb2, operations_pb2, stock_pb2, stream_pb2

from stockkeeper.command_line.cli import COMMANDS, app
from tests.packaging.environments import ROOT

CONTRACT = (inventory_pb2, stream_pb2, stock_pb2, events_pb2, operations_pb2)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "docs/site/stage.py", str(folder), "https://code.example/blob/main"]
    subprocess.run(command, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, check=True, timeout=120)
    return folder / "pages"


def test_the_reference_has_every_call_message_value_command_and_option(pages: Path) -> None:
    api = (pages / "reference/api.md").read_text()
    for module in CONTRACT:
        file = module.DESCRIPTOR
        calls = [call for service in file.services_by_name.values() for call in service.methods_by_name]
        fields = [field for message in file.message_types_by_name.values() for field in message.fields_by_name]
        for name in (*calls, *fields):
            assert f"| `{name}` |" in api, name
        for name in (*file.message_types_by_name, *file.enum_types_by_name):
            assert f"\n#### {name}\n" in api, name
    line = (pages / "reference/command-line.md").read_text()
    assert all(f"\n## stockkeeper {command}\n" in line for command in COMMANDS)
    serve = app["serve"].assemble_argument_collection()
    assert all(argument.name in line for argument in serve)


def test_every_document_is_a_page_and_leads_to_pages_or_to_the_code(pages: Path) -> None:
    for document in (ROOT / "docs").glob("*.md"):
        assert (pages / document.name).exists()
        assert f'"{document.name}"' in (pages.parent / "zensical.toml").read_text()
    home = (pages / "index.md").read_text()
    assert "](operations.md#tls)" in home
    assert "](https://code.example/blob/main/actors/stock_state.py)" in home
    assert "](../operations.md" not in home
