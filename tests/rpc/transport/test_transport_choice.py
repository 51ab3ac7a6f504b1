"""Which transport is taken, and what the log says of the choice."""

import ast
from pathlib import Path
from typing import Any

import grpc
import pytest

from rpc.transport.transport_choice import choose_transport
from rpc.transport.transport_name import TransportName

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("version", ["1.82.2", "1.82.3", "1.84.0", "1.85.3", "1.85.99"])
def test_the_core_is_taken_with_a_grpcio_that_was_tried(version: str, events: list[Any]) -> None:
    assert choose_transport(None, version) == "core"
    assert not events


@pytest.mark.parametrize("version", ["1.82.1", "1.81.2", "1.86.0", "1.86.0rc1", "1.86.0.dev0", "2.0.0", "1.100.0"])
def test_grpc_aio_is_taken_with_any_other_and_the_log_says_so(version: str, events: list[Any]) -> None:
    assert choose_transport(None, version) == "grpc-aio"
    [event] = events
    assert event["event"] == "transport_chosen"
    assert event["transport"] == "grpc-aio"
    assert version in event["reason"]


@pytest.mark.parametrize("wanted", ["core", "grpc-aio"])
@pytest.mark.parametrize("version", ["1.85.3", "1.99.0"])
def test_what_the_operator_wants_is_taken(wanted: TransportName, version: str, events: list[Any]) -> None:
    assert choose_transport(wanted, version) == wanted
    untried = wanted == "core" and version == "1.99.0"
    assert [event["event"] for event in events] == (["transport_untried"] if untried else [])


def test_the_installed_grpcio_was_tried() -> None:
    assert choose_transport(None, grpc.__version__) == "core"


def test_the_binding_is_imported_by_the_transport_on_the_core_alone() -> None:
    found = set()
    for room in ("actors", "cells", "storage", "supervisor", "rpc", "events", "stockkeeper", "simulation"):
        for file in (ROOT / room).rglob("*.py"):
            tree = ast.parse(file.read_text(encoding="utf-8"))
            imported = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom | ast.Import)]
            if any("grpc._" in ast.unparse(node) for node in imported):
                found.add(file.relative_to(ROOT).as_posix())
    of_core = {"core_call", "core_listener", "binding_metadata"}
    assert found == {f"rpc/transport/{name}.py" for name in of_core}
