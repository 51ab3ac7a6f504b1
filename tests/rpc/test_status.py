"""A status says all it can in the bytes that its caller can take."""

import base64
import urllib.parse
from collections.abc import Callable
from typing import Any

import grpc
import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, PreconditionFailure, RetryInfo
from google.rpc.status_pb2 import Status
from hypothesis import given, settings
from hypothesis import strategies as st
from stockkeeper_client.v1.stock_pb2 import ImportErrors

from actors.bounds import INT32_MAX
from actors.outcomes import (
    Alternative,
    ImportRejected,
    InsufficientStock,
    MissingStock,
    QuantityTooLarge,
    Refusal,
    RefusedLine,
    Shortage,
    StockNotFound,
    TooLargeRow,
)
from rpc.messages.problems import describe_refusal
from rpc.messages.rules import Violation
from rpc.messages.status import (
    DETAILS_BYTES_DEFAULT,
    DETAILS_BYTES_MAX,
    DOMAIN,
    Problem,
    details_bytes_max,
    to_status,
)

EMOJI = "😀" * 128
ELSEWHERE = (Alternative(EMOJI, INT32_MAX),) * 5


def details_of(status: grpc.Status) -> bytes:
    assert status.trailing_metadata is not None
    [(_, details)] = status.trailing_metadata
    assert isinstance(details, bytes)
    return details


def unpacked(status: grpc.Status, kind: Callable[[], Any]) -> Any:
    detail = kind()
    rich = Status.FromString(details_of(status))
    assert rich.code == status.code.value[0]
    assert rich.message == status.details
    return detail if any(packed.Unpack(detail) for packed in rich.details) else None


def trailers_bytes(status: grpc.Status) -> int:
    return len(urllib.parse.quote(status.details)) + len(base64.b64encode(details_of(status)))


def problem(**values: Any) -> Problem:
    return Problem(grpc.StatusCode.FAILED_PRECONDITION, "A_REASON", "A message", **values)


def test_every_status_has_its_reason() -> None:
    info = unpacked(to_status(problem(metadata={"reservation_id": "res_1", "warehouse_id": ""})), ErrorInfo)
    assert (info.domain, info.reason, dict(info.metadata)) == (DOMAIN, "A_REASON", {"reservation_id": "res_1"})


def test_a_delay_is_told_only_if_there_is_one() -> None:
    assert unpacked(to_status(problem()), RetryInfo) is None
    delay = unpacked(to_status(problem(retry_after_ms=1_250)), RetryInfo).retry_delay
    assert (delay.seconds, delay.nanos) == (1, 250_000_000)


def test_violations_of_fields_become_a_bad_request() -> None:
    status = to_status(problem(listed=[Violation("items[3].quantity", "must be more")]))
    [violation] = unpacked(status, BadRequest).field_violations
    assert (violation.field, violation.description) == ("items[3].quantity", "must be more")
    assert unpacked(status, ErrorInfo).metadata["violations_total"] == "1"


def test_short_lines_become_violated_preconditions() -> None:
    shortages = (Shortage("var_789", "wh_101", 5, 2), Shortage("var_456", "", 3, 1))
    violations = unpacked(to_status(problem(listed=shortages)), PreconditionFailure).violations
    assert [(each.type, each.subject, each.description) for each in violations] == [
        ("INSUFFICIENT_STOCK", "var_789@wh_101", "requested 5, available 2"),
        ("INSUFFICIENT_STOCK", "var_456", "requested 3, available 1"),
    ]


def test_missing_stock_and_other_warehouses_are_told_in_violated_preconditions() -> None:
    elsewhere = (Alternative("madrid", 50), Alternative("lisbon", 3))
    missing, short = (MissingStock("jug", ""),), (Shortage("tea", "porto", 2, 1, elsewhere[:1]),)
    status = to_status(describe_refusal(StockNotFound("mug", "paris", elsewhere, missing, short)))
    assert status.details == "Stock not found for variant mug in warehouse paris (and 2 more)"
    violations = unpacked(status, PreconditionFailure).violations
    assert [(each.type, each.subject, each.description) for each in violations] == [
        ("STOCK_NOT_FOUND", "mug@paris", "no such stock; madrid has 50, lisbon has 3"),
        ("STOCK_NOT_FOUND", "jug", "no such stock"),
        ("INSUFFICIENT_STOCK", "tea@porto", "requested 2, available 1; madrid has 50"),
    ]
    assert unpacked(status, ErrorInfo).metadata["violations_total"] == "3"


def test_bad_lines_become_import_errors() -> None:
    status = to_status(describe_refusal(ImportRejected((RefusedLine(3, "no"), RefusedLine(4, "nor this")), 9)))
    errors = unpacked(status, ImportErrors)
    assert [(each.line_number, each.reason) for each in errors.errors] == [(3, "no"), (4, "nor this")]
    assert errors.errors_total == 9


@pytest.mark.parametrize(
    "refusal",
    [
        InsufficientStock((Shortage(EMOJI, EMOJI, INT32_MAX, INT32_MAX),) * 1_000, INT32_MAX),
        ImportRejected((RefusedLine(INT32_MAX, EMOJI),) * 1_000, INT32_MAX),
        QuantityTooLarge((TooLargeRow(EMOJI, EMOJI, 2 * INT32_MAX),) * 1_000),
        StockNotFound(EMOJI, EMOJI),
        StockNotFound(EMOJI, EMOJI, ELSEWHERE, (MissingStock(EMOJI, EMOJI, ELSEWHERE),) * 1_000),
        InsufficientStock((Shortage(EMOJI, EMOJI, INT32_MAX, INT32_MAX, ELSEWHERE),) * 1_000, INT32_MAX),
    ],
)
def test_the_longest_ids_leave_a_status_within_what_every_client_takes(refusal: Refusal) -> None:
    status = to_status(describe_refusal(refusal))
    assert trailers_bytes(status) <= DETAILS_BYTES_DEFAULT


def test_a_cut_list_begins_with_the_first_and_says_how_many_there_are() -> None:
    status = to_status(describe_refusal(InsufficientStock((Shortage(EMOJI, EMOJI, 5, 2),) * 1_000)))
    violations = unpacked(status, PreconditionFailure).violations
    assert 1 <= len(violations) < 1_000
    assert unpacked(status, ErrorInfo).metadata["violations_total"] == "1000"


def test_forty_short_lines_of_usual_ids_are_all_named() -> None:
    shortages = tuple(Shortage(f"var_{n:08}", "wh_101", 5, 2) for n in range(40))
    status = to_status(describe_refusal(InsufficientStock(shortages)))
    assert len(unpacked(status, PreconditionFailure).violations) == 40


def test_a_caller_that_takes_more_details_gets_more() -> None:
    errors = tuple(RefusedLine(n, "total_quantity must be 0 to 2147483647") for n in range(1_000))
    status = to_status(describe_refusal(ImportRejected(errors, 1_000)), 128 * 1024)
    assert len(unpacked(status, ImportErrors).errors) == 1_000
    assert trailers_bytes(status) <= 128 * 1024


@settings(deadline=None)
@given(st.lists(st.text(max_size=300), min_size=1, max_size=60), st.integers(DETAILS_BYTES_DEFAULT, 20_000))
def test_no_list_exceeds_its_bytes(texts: list[str], bytes_max: int) -> None:
    texts = [text.encode("utf-8", "ignore").decode() for text in texts]
    listed = [Violation(f"items[{n}].variant_id", text) for n, text in enumerate(texts)]
    assert trailers_bytes(to_status(problem(listed=listed), bytes_max)) <= bytes_max


@pytest.mark.parametrize(
    ("value", "bytes_max"),
    [
        ("65536", 65_536),
        ("1", DETAILS_BYTES_DEFAULT),
        ("999999999", DETAILS_BYTES_MAX),
        ("9999999999", DETAILS_BYTES_DEFAULT),
        ("-1", DETAILS_BYTES_DEFAULT),
        ("x", DETAILS_BYTES_DEFAULT),
        ("²", DETAILS_BYTES_DEFAULT),
        ("", DETAILS_BYTES_DEFAULT),
    ],
)
def test_callers_say_how_much_they_take(value: str, bytes_max: int) -> None:
    assert details_bytes_max((("user-agent", "x"), ("error-details-bytes-max", value))) == bytes_max


def test_callers_that_say_nothing_get_the_default() -> None:
    assert details_bytes_max(()) == DETAILS_BYTES_DEFAULT


@pytest.mark.parametrize(("code", "delay"), [(grpc.StatusCode.UNAVAILABLE, "250"), (grpc.StatusCode.ABORTED, None)])
def test_grpcs_own_retries_are_told_the_same_delay(code: grpc.StatusCode, delay: str | None) -> None:
    status = to_status(Problem(code, "A_REASON", "A message", retry_after_ms=250))
    assert status.trailing_metadata is not None
    assert dict(status.trailing_metadata).get("grpc-retry-pushback-ms") == delay
