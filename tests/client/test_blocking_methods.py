"""The client whose calls block is the one whose calls are awaited, but for the waiting."""

import inspect
import re
from typing import Any

import pytest
from stockkeeper_client import InventoryClient, StockClient, sync

PAIRS = [(InventoryClient, sync.InventoryClient), (StockClient, sync.StockClient)]
# Each type of the one, with that of the other.
TYPES = {
    r"collections\.abc\.Async(Iter|Gener)": r"collections.abc.\1",
    r"^(collections\.abc\.Iterable\[.*\]) \| \1$": r"\1",
    r"grpc\.aio\._base_channel\.": "grpc.",
    r"blocking_connection\.BlockingConnection": "connection.Connection",
    r"stockkeeper_client\.sync\.": "stockkeeper_client.",
    r"ServiceBlockingStub": "ServiceStub",
}


def public(kind: type) -> dict[str, Any]:
    """What a user calls or reads. A context manager has other names for the one that does not await."""
    names = {name for name in dir(kind) if not name.startswith("_")} | {"__init__", "__repr__"}
    return {name: inspect.getattr_static(kind, name) for name in names}


def signature(member: Any) -> list[tuple[str, Any, Any, str]]:
    told = inspect.signature(member.fget if isinstance(member, property) else member)  # type: ignore[arg-type]
    parameters = [(it.name, it.kind, it.default, plain(it.annotation)) for it in told.parameters.values()]
    return [*parameters, ("return", None, None, plain(told.return_annotation))]


def plain(annotation: Any) -> str:
    text = inspect.formatannotation(annotation)
    for pattern, replacement in TYPES.items():
        text = re.sub(pattern, replacement, text)
    return text


@pytest.mark.parametrize(("awaited", "blocking"), PAIRS)
def test_it_has_the_same_methods_with_the_same_parameters_and_results(awaited: type, blocking: type) -> None:
    wanted, found = public(awaited), public(blocking)
    assert found.keys() == wanted.keys()
    for name in wanted:
        assert signature(found[name]) == signature(wanted[name]), name


@pytest.mark.parametrize(("awaited", "blocking"), PAIRS)
def test_nothing_of_it_is_awaited(awaited: type, blocking: type) -> None:
    for member in public(blocking).values():
        assert not inspect.iscoroutinefunction(member)
        assert not inspect.isasyncgenfunction(member)
        assert "await" not in (inspect.getdoc(member) or "")
        assert "async" not in (inspect.getdoc(member) or "")
