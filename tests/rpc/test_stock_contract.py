"""StockService is what `proto/contract/stock.md` says, to the name: its methods, their fields, and its refusals."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from google.protobuf.descriptor import FieldDescriptor
from stockkeeper_client.v1 import stock_pb2

from rpc.messages import problems
from rpc.messages.descriptors import find_service

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "proto" / "contract" / "stock.md").read_text(encoding="utf-8")
STRING = FieldDescriptor.TYPE_STRING
SERVICE = find_service("inventory.v1.StockService")
QUESTIONS = {"GetSourcingPolicy", "GetTransfer", "GetReservation", "ExplainReservation", "GetStockAt", "WatchChanges"}
# Of what every change has, and every message: the page takes imports "as built". A stream of lines names the
# organization in each of them, and has a request id alone.
AS_BUILT = {"ImportStock": {"organization_id", "reason", "reference"}}
LISTS = ["ListWarehouses", "ListTransfers", "ListReservations", "ListStock", "ListMovements"]
# What stands in a cell beside the fields' names.
PROSE = {"as", "taken", "in", "optional", "oneof", "stream", "of", "by", "item", "fulfilled", "quantities"}


# Of the page, and not of the service yet. What is built leaves this list, or its test fails.
MISSING_METHODS: set[str] = set()
MISSING_FIELDS: dict[str, set[str]] = {}


# Of one cell for two methods: what the second only answers.
ANSWERED = {"GetSourcingPolicy": {"policy"}}


class Row(NamedTuple):
    method: str
    request: set[str]
    response: set[str]
    choices: set[str]  # words of enums: to be asked with or answered
    kinds: set[str]  # names of messages


def rows() -> Iterator[Row]:
    for line in PAGE.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.startswith("| ") or cells[0] == "method":
            continue
        methods = re.split(r" · | / ", cells[0])
        requests = _shared(cells[1], len(methods))
        responses = _shared(cells[2], len(methods))
        for method, request, response in zip(methods, requests, responses, strict=True):
            fields = _names(request) - ANSWERED.get(method, set()), _names(response)
            told = f"{request} {response}"
            choices = set(re.findall(r"\b[A-Z]{2,}(?:_[A-Z]+)*\b", told))
            yield Row(method, *fields, choices, set(re.findall(r"\b(?:[A-Z][a-z]+){2,}\b", told)))


def _shared(cell: str, methods: int) -> list[str]:
    parts = cell.split(" · ")
    return parts if len(parts) == methods else [cell] * methods


def _names(cell: str) -> set[str]:
    plain = re.sub(r"\([^)]*\)|→.*|`|as built, quantities and levels", " ", cell)
    return set(re.findall(r"\b[a-z]+(?:_[a-z]+)*\b", plain)) - PROSE


def _inside(*messages: Any) -> dict[str, Any]:
    """These messages and all that are in them, by name."""
    found: dict[str, Any] = {}
    todo = list(messages)
    while todo:
        message = todo.pop()
        if message.full_name not in found:
            found[message.full_name] = message
            todo += [field.message_type for field in message.fields if field.message_type is not None]
    return found


def _fields(message: Any) -> set[str]:
    """The names of all fields and choices of a message, and of the messages in it."""
    return {one.name for part in _inside(message).values() for one in (*part.fields, *part.oneofs)}


def _choices(*messages: Any) -> set[str]:
    """The words of all enums in these messages, without what the enum's name puts before them."""
    enums = [f.enum_type for one in _inside(*messages).values() for f in one.fields if f.enum_type is not None]
    return {_word(enum, value.name) for enum in enums for value in enum.values}


def _word(enum: Any, name: str) -> str:
    before = re.sub(r"(?<!^)(?=[A-Z])", "_", enum.name).upper()
    assert name.startswith(f"{before}_"), name
    return name.removeprefix(f"{before}_")


def _enums(holder: Any) -> Iterator[Any]:
    """Those of a file or a message, and of the messages in it."""
    yield from holder.enum_types_by_name.values()
    messages = getattr(holder, "message_types_by_name", None) or getattr(holder, "nested_types_by_name", {})
    for message in messages.values():
        yield from _enums(message)


ROWS = list(rows())
CHANGES = tuple(row.method for row in ROWS if row.method not in {*LISTS, *QUESTIONS, *AS_BUILT, "ExportStock"})


def test_the_page_is_read_whole() -> None:
    assert len(ROWS) == len({row.method for row in ROWS}) == 28
    assert sum(len(row.request) + len(row.response) for row in ROWS) > 150
    assert len(CHANGES) == 15
    assert len(set().union(*(row.choices for row in ROWS))) == 15
    assert set().union(*(row.kinds for row in ROWS)) == {"StockInfo", "ImportLine"}
    assert "response, beyond `message`" in PAGE


@pytest.mark.parametrize("row", ROWS, ids=[row.method for row in ROWS])
def test_a_method_has_the_fields_of_the_page(row: Row) -> None:
    assert (row.method in SERVICE.methods_by_name) == (row.method not in MISSING_METHODS)
    if row.method in MISSING_METHODS:
        return
    method = SERVICE.methods_by_name[row.method]
    missing = MISSING_FIELDS.get(row.method, set())
    assert row.request - _fields(method.input_type) == missing & row.request
    answered = _fields(method.output_type)
    assert {name for name in row.response if not {name, f"{name}s"} & answered} == missing & row.response
    assert row.choices - _choices(method.input_type, method.output_type) == set()
    assert row.kinds - {part.name for part in _inside(method.output_type).values()} == set()
    wanted = {"organization_id"}
    wanted |= {"request_id", "reason", "reference"} if row.method in {*CHANGES, *AS_BUILT} else set()
    wanted |= {"page_size", "page_token"} if row.method in LISTS else set()
    has_not = wanted - {field.name for field in method.input_type.fields}
    assert has_not == AS_BUILT.get(row.method, set())
    assert method.server_streaming or method.output_type.fields_by_name["message"].type == STRING
    if row.method in LISTS:
        assert "next_page_token" in method.output_type.fields_by_name


def test_every_refusal_of_the_page_is_one_of_the_service() -> None:
    (line,) = [line for line in PAGE.splitlines() if line.startswith("Refusals: ")]
    refusals = set(re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", line)) - {"RESERVATION_"}
    assert len(refusals) > 10
    source = Path(problems.__file__).parent
    spoken = set(re.findall(r'"([A-Z]+(?:_[A-Z]+)+)"', "".join(p.read_text() for p in source.glob("*.py"))))
    assert refusals - spoken == set()


def test_every_choice_has_a_default() -> None:
    enums = list(_enums(stock_pb2.DESCRIPTOR))
    assert {enum.full_name for enum in enums} >= {
        "inventory.v1.SourcingPolicy",
        "inventory.v1.WatchChangesRequest.From",
        "inventory.v1.Notice.Kind",
    }
    for enum in enums:
        assert _word(enum, enum.values_by_number[0].name) == "UNSPECIFIED", enum.full_name


def test_a_rows_quantities_are_the_four_that_make_its_total() -> None:
    assert set(stock_pb2.Quantities.DESCRIPTOR.fields_by_name) == {"available", "reserved", "damaged", "in_transit"}
