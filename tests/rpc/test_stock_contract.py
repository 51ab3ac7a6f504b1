"""StockService is what `proto/contract/stock.md` says, to the name: its methods, their fields, and its refusals."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from stockkeeper_client.v1 import stock_pb2

from rpc.messages import problems
from rpc.messages.descriptors import find_service

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "proto" / "contract" / "stock.md").read_text(encoding="utf-8")
SERVICE = find_service("inventory.v1.StockService")
CHANGES = (
    *("UpsertWarehouse", "SetSourcingPolicy", "AnnounceStock", "ReceiveStock", "DeductStock", "AdjustStock"),
    *("SetStockLevels", "ShipTransfer", "ReceiveTransfer", "CancelTransfer", "Reserve", "ExtendReservation"),
    *("AmendReservation", "FulfillReservation", "ReacquireReservation"),
)
LISTS = ["ListWarehouses", "ListTransfers", "ListReservations", "ListStock", "ListMovements"]
# What stands in a cell beside the fields' names.
PROSE = {"as", "taken", "in", "optional", "oneof", "stream", "of", "by", "item", "fulfilled", "quantities", "from"}


# Of the page, and not of the service yet. What is built leaves this list, or its test fails.
MISSING_METHODS: set[str] = set()
MISSING_FIELDS: dict[str, set[str]] = {}


# Of one cell for two methods: what the second only answers.
ANSWERED = {"GetSourcingPolicy": {"policy"}}


class Row(NamedTuple):
    method: str
    request: set[str]
    response: set[str]


def rows() -> Iterator[Row]:
    for line in PAGE.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.startswith("| ") or cells[0] == "method":
            continue
        methods = re.split(r" · | / ", cells[0])
        requests = _shared(cells[1], len(methods))
        responses = _shared(cells[2], len(methods))
        for method, request, response in zip(methods, requests, responses, strict=True):
            yield Row(method, _names(request) - ANSWERED.get(method, set()), _names(response))


def _shared(cell: str, methods: int) -> list[str]:
    parts = cell.split(" · ")
    return parts if len(parts) == methods else [cell] * methods


def _names(cell: str) -> set[str]:
    plain = re.sub(r"\([^)]*\)|→.*|`|as built, quantities and levels|lines as taken", " ", cell)
    return set(re.findall(r"\b[a-z]+(?:_[a-z]+)*\b", plain)) - PROSE


def _fields(message: Any, seen: tuple[str, ...] = ()) -> set[str]:
    """The names of all fields and choices of a message, and of the messages in it."""
    names = {field.name for field in message.fields} | {choice.name for choice in message.oneofs}
    for field in message.fields:
        if field.message_type is not None and field.message_type.full_name not in seen:
            names |= _fields(field.message_type, (*seen, message.full_name))
    return names


ROWS = list(rows())


def test_the_page_is_read_whole() -> None:
    assert len(ROWS) == len({row.method for row in ROWS}) == 28
    assert sum(len(row.request) + len(row.response) for row in ROWS) > 150


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
    wanted = {"organization_id"} if row.method != "ImportStock" else set()
    wanted |= {"request_id", "reason", "reference"} if row.method in CHANGES else set()
    wanted |= {"page_size", "page_token"} if row.method in LISTS else set()
    assert wanted - {field.name for field in method.input_type.fields} == set()
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
    file: Any = stock_pb2.DESCRIPTOR
    assert file.enum_types_by_name
    for enum in file.enum_types_by_name.values():
        assert enum.values_by_number[0].name.endswith("_UNSPECIFIED"), enum.name
