"""An import is checked line by line, and every bad line is named."""

from typing import Any

import pytest
from msgspec import UNSET
from msgspec.structs import astuple
from stockkeeper_client.v1.stock_pb2 import ImportLine, ImportStockRequest

from actors.bounds import IMPORT_LINES_MAX, INT32_MAX, LINE_ERRORS_MAX
from actors.commands import CountedLine, Import
from actors.outcomes import ImportRejected, Refused
from rpc.messages import import_lines
from rpc.messages.import_lines import LINES_A_TURN, ImportLines
from rpc.messages.rules import Invalid


def line(number: int = 0, **values: Any) -> ImportLine:
    row = {"organization_id": "org_123", "variant_id": "var_789", "warehouse_id": f"wh_{number}", "total_quantity": 10}
    return ImportLine(**{**row, "line_number": number, **values})


def command(*requests: ImportStockRequest) -> Import:
    lines = ImportLines()
    for request in requests:
        list(lines.add(request))
    list(lines.add(ImportStockRequest(lines_total=sum(len(request.lines) for request in requests))))
    lines.check()
    return Import(lines.taken(), lines.request_id)


def rejection(*lines: ImportLine) -> ImportRejected:
    with pytest.raises(Refused) as raised:
        command(ImportStockRequest(request_id="req_1", lines=lines))
    assert isinstance(raised.value.refusal, ImportRejected)
    return raised.value.refusal


def errors(*lines: ImportLine) -> list[tuple[int, str]]:
    return [(error.line_number, error.reason) for error in rejection(*lines).errors]


def test_the_messages_of_a_stream_become_one_command() -> None:
    first = ImportStockRequest(request_id="req_1", lines=[line(2, warehouse_name="Main", max_stock=50, min_stock=5)])
    second = ImportStockRequest(lines=[line(3, damaged_quantity=1, in_transit_quantity=9)])
    assert command(first, second, ImportStockRequest(request_id="req_1")) == Import(
        (
            CountedLine("org_123", "var_789", "wh_2", "Main", 10, None, None, 5, 50, 2),
            CountedLine("org_123", "var_789", "wh_3", "", 10, 1, 9, None, None, 3),
        ),
        "req_1",
    )


def test_a_line_without_a_number_is_named_by_its_place_in_the_stream() -> None:
    lines = [line(7), line(0, warehouse_id="a"), line(-1, warehouse_id="b")]
    made = command(ImportStockRequest(request_id="req_1", lines=lines[:2]), ImportStockRequest(lines=lines[2:]))
    assert [each.line_number for each in made.lines] == [7, 2, 3]


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"organization_id": ""}, "organization_id must have"),
        ({"variant_id": "v\n"}, "variant_id must have"),
        ({"warehouse_id": "w" * 129}, "warehouse_id must have"),
        ({"variant_id": "mug "}, "variant_id must have 1 to 128 characters, none of them invisible, and no blank"),
        ({"organization_id": "shop\u200b"}, "organization_id must have"),
        ({"warehouse_name": "n" * 513}, "warehouse_name must have"),
        ({"total_quantity": -1}, "total_quantity must be 0 to 2147483647"),
        ({"damaged_quantity": -1}, "damaged_quantity must be"),
        ({"in_transit_quantity": -(2**31)}, "in_transit_quantity must be"),
        ({"damaged_quantity": 6, "in_transit_quantity": 5}, "damaged_quantity and in_transit_quantity must not exceed"),
        ({"damaged_quantity": INT32_MAX, "in_transit_quantity": INT32_MAX}, "damaged_quantity and in_transit_quantity"),
        ({"min_stock": -1}, "min_stock must be"),
        ({"max_stock": -1}, "max_stock must be"),
        ({"min_stock": 6, "max_stock": 5}, "min_stock must not exceed max_stock"),
    ],
)
def test_a_bad_line_is_named_with_its_reason(values: dict[str, Any], reason: str) -> None:
    [(number, told)] = errors(line(1), line(5, **values), line(6))
    assert number == 5
    assert told.startswith(reason)
    assert ";" not in told


def test_a_figure_that_is_not_given_is_not_0() -> None:
    bare: dict[str, Any] = {"organization_id": "org_123", "variant_id": "v", "warehouse_id": "w", "damaged_quantity": 6}
    given = ImportLine(**bare, total_quantity=6, in_transit_quantity=0, min_stock=0, max_stock=0, reorder_point=0)
    made = command(ImportStockRequest(request_id="req_1", lines=[ImportLine(**{**bare, "variant_id": "x"}), given]))
    assert [line[4:-2] for line in map(astuple, made.lines)] == [(None, 6, None, None, None), (6, 6, 0, 0, 0)]
    assert [line.reorder_point for line in made.lines] == [UNSET, 0]
    assert errors(line(1, reorder_point=-1)) == [(1, "reorder_point must be 0 to 2147483647")]


def test_a_minimum_without_a_maximum_is_good() -> None:
    assert command(ImportStockRequest(request_id="req_1", lines=[line(1, min_stock=6)]))


def test_all_reasons_of_all_bad_lines_are_named() -> None:
    bad = errors(line(1, variant_id="", total_quantity=-1), line(2), line(3, max_stock=-1))
    assert [number for number, _ in bad] == [1, 3]
    assert bad[0][1].split("; ")[1] == "total_quantity must be 0 to 2147483647"


def test_the_second_line_of_a_row_is_bad() -> None:
    assert errors(line(3), line(4, warehouse_id="wh_3")) == [(4, "is the same row as line 3")]


def test_at_most_1000_bad_lines_are_named_but_all_are_counted() -> None:
    refusal = rejection(*[line(number, total_quantity=-1) for number in range(1, LINE_ERRORS_MAX + 3)])
    assert len(refusal.errors) == LINE_ERRORS_MAX
    assert refusal.errors_total == LINE_ERRORS_MAX + 2


@pytest.mark.parametrize(
    "requests",
    [
        [],
        [ImportStockRequest(lines=[line(1)])],
        [ImportStockRequest(request_id="r\n")],
        [ImportStockRequest(request_id="req_1"), ImportStockRequest(request_id="req_2")],
    ],
)
def test_the_request_id_is_given_once_and_kept(requests: list[ImportStockRequest]) -> None:
    with pytest.raises(Invalid) as raised:
        command(*requests)
    assert [violation.field for violation in raised.value.violations] == ["request_id"]


def test_an_import_has_a_most(monkeypatch: pytest.MonkeyPatch) -> None:
    assert IMPORT_LINES_MAX == 1_000_000
    monkeypatch.setattr(import_lines, "IMPORT_LINES_MAX", 10)
    lines = ImportLines()
    request = ImportStockRequest(request_id="req_1", lines=[ImportLine()] * 5)
    list(lines.add(request))
    list(lines.add(request))
    with pytest.raises(Invalid, match="at most 10 lines"):
        next(lines.add(ImportStockRequest(lines=[line(1)])))


def test_a_large_message_is_taken_in_turns() -> None:
    request = ImportStockRequest(request_id="req_1", lines=[line(number) for number in range(LINES_A_TURN * 3)])
    assert len(list(ImportLines().add(request))) == 3


def test_a_stream_that_lost_its_end_or_a_part_is_refused() -> None:
    whole = [
        ImportStockRequest(request_id="req_1", lines=[line(1)]),
        ImportStockRequest(lines=[line(2), line(3, total_quantity=-1)]),
        ImportStockRequest(lines_total=3),
    ]
    for partial in (whole[:2], whole[:1], [whole[0], whole[2]]):
        lines = ImportLines()
        for request in partial:
            list(lines.add(request))
        with pytest.raises(Invalid) as raised:
            lines.check()
        assert raised.value.reason == "IMPORT_INCOMPLETE"
    lines = ImportLines()
    list(lines.add(ImportStockRequest(request_id="req_1", lines_total=0)))
    lines.check()
    assert lines.taken() == ()
    with pytest.raises(Invalid, match="last message alone"):
        list(lines.add(ImportStockRequest(lines=[line(1)])))
