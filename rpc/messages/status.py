"""google.rpc.Status, and how much of it a caller can take.

The details of a status travel in the trailers. Clients limit those: grpc-java refuses more than 8 KiB, C-core
begins to refuse at random between 8 and 16 KiB, and then the caller sees not our status but one about its size.
So lists of violations are cut to what fits, and ErrorInfo says how many there are in all (`violations_total`).
A client that has raised its own limit (`grpc.max_metadata_size`) says so with each call in the metadata, as
`error-details-bytes-max`, and gets that much.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import grpc
import msgspec
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, PreconditionFailure, RetryInfo
from google.rpc.status_pb2 import Status
from stockkeeper_client.v1.stock_pb2 import ImportErrors, ImportLineError

from actors.outcomes import (
    AdjustmentCause,
    MissingStock,
    RefusedAdjustment,
    RefusedLine,
    RefusedShipment,
    Shortage,
    TooLargeRow,
    UnaskedShipment,
)
from actors.shortfall import Uncovered
from actors.transfer_outcomes import Excess
from actors.warehouse_outcomes import ClosedRow, DisagreeingLevels
from rpc.messages.descriptors import Message
from rpc.messages.rules import Violation

DOMAIN = "inventory.v1"
STATUS_KEY = "grpc-status-details-bin"
DETAILS_KEY = "error-details-bytes-max"
DETAILS_BYTES_DEFAULT = 7_680  # of 8 KiB: the rest is for the other trailers, 32 bytes each by HTTP/2's way of counting
DETAILS_BYTES_MAX = 256 * 1024

_PACKING_BYTES = 256  # at most, for the type names of three packed details
_LIST_ENTRY_BYTES = 6  # at most, for the tag and length of one entry

RowProblem = (
    Shortage
    | MissingStock
    | TooLargeRow
    | RefusedAdjustment
    | RefusedShipment
    | UnaskedShipment
    | ClosedRow
    | DisagreeingLevels
    | Uncovered
)
"""What can be wrong with a row."""

REASON_OF_CAUSE: dict[AdjustmentCause, str] = {
    "stale": "COUNT_IS_STALE",
    "below_reserved": "BELOW_RESERVED",
    "insufficient": "INSUFFICIENT_STOCK",
    "too_large": "QUANTITY_TOO_LARGE",
}


class Problem(msgspec.Struct, frozen=True):
    """What went wrong, as the caller is told it.

    Args:
        reason: one word in capitals, stable, for machines to branch on.
        message: one sentence for people.
        metadata: values that belong to the reason.
        retry_after_ms: when the same request may succeed, in milliseconds; 0 if that is not foreseen.
        listed: fields, short lines or import lines, every one of them; it is cut when the status is made.
    """

    code: grpc.StatusCode
    reason: str
    message: str
    metadata: Mapping[str, str] = msgspec.field(default_factory=dict)
    retry_after_ms: int = 0
    listed: Sequence[Violation] | Sequence[RowProblem] | Sequence[Excess] | Sequence[RefusedLine] = ()
    listed_total: int = 0  # 0: as many as there are in `listed`


@dataclass(frozen=True)
class CallStatus(grpc.Status):
    """What a call is aborted with. grpcio-status has one too, which the test kit would then have to bring along."""

    code: grpc.StatusCode
    details: str
    trailing_metadata: tuple[tuple[str, str | bytes], ...]


def to_status(problem: Problem, details_bytes_max: int = DETAILS_BYTES_DEFAULT) -> grpc.Status:
    """The status to abort a call with. Its message and details take at most `details_bytes_max` bytes as trailers."""
    message = to_message(problem, details_bytes_max)
    trailers: tuple[tuple[str, str | bytes], ...] = ((STATUS_KEY, message.SerializeToString()),)
    if problem.code is grpc.StatusCode.UNAVAILABLE and problem.retry_after_ms > 0:
        # RetryInfo is for people's code; gRPC's own retries heed only this (gRFC A6).
        trailers = (*trailers, ("grpc-retry-pushback-ms", str(problem.retry_after_ms)))
    return CallStatus(problem.code, message.message, trailers)


def to_message(problem: Problem, details_bytes_max: int = DETAILS_BYTES_DEFAULT) -> Status:
    """The same as a message, to be sent inside of an answer."""
    metadata = {key: value for key, value in problem.metadata.items() if value}
    if problem.listed:
        metadata["violations_total"] = str(problem.listed_total or len(problem.listed))
    details: list[Any] = [
        ErrorInfo(reason=problem.reason, domain=DOMAIN, metadata=metadata),
    ]
    if problem.retry_after_ms > 0:
        seconds, milliseconds = divmod(problem.retry_after_ms, 1_000)
        delay = Duration(seconds=seconds, nanos=milliseconds * 1_000_000)
        details.append(RetryInfo(retry_delay=delay))
    if problem.listed:
        message_bytes = len(problem.message.encode())
        # Three quarters: binary trailers are sent in base64. The message is sent twice, once inside of the details.
        room = (details_bytes_max - _percent_encoded_bytes(problem.message)) * 3 // 4
        room -= message_bytes + sum(detail.ByteSize() for detail in details) + _PACKING_BYTES
        details.append(_list_message(problem, room))
    status = Status(code=problem.code.value[0], message=problem.message)
    for detail in details:
        status.details.add().Pack(detail)
    return status


def details_bytes_max(metadata: Iterable[tuple[str, str | bytes]]) -> int:
    """How many bytes of details the caller can take, by its metadata."""
    for key, value in metadata:
        if key == DETAILS_KEY and isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 10:
            return min(max(int(value), DETAILS_BYTES_DEFAULT), DETAILS_BYTES_MAX)
    return DETAILS_BYTES_DEFAULT


def _list_message(problem: Problem, room: int) -> Message:
    """The list as BadRequest, PreconditionFailure or ImportErrors, in at most `room` bytes."""
    entries = list(_fitting(map(_entry, problem.listed), room))
    match problem.listed[0]:
        case Violation():
            return BadRequest(field_violations=entries)
        case (
            Shortage()
            | MissingStock()
            | TooLargeRow()
            | RefusedAdjustment()
            | RefusedShipment()
            | UnaskedShipment()
            | ClosedRow()
            | DisagreeingLevels()
            | Uncovered()
            | Excess()
        ):
            return PreconditionFailure(violations=entries)
        case RefusedLine():
            return ImportErrors(errors=entries, errors_total=problem.listed_total)


def _fitting(entries: Iterable[Message], room: int) -> Iterator[Any]:
    """The entries, in order, up to the first that the room, in bytes, is too small for."""
    for entry in entries:
        room -= entry.ByteSize() + _LIST_ENTRY_BYTES
        if room < 0:
            return
        yield entry


def _entry(listed: Violation | RowProblem | Excess | RefusedLine) -> Message:
    match listed:
        case Violation(field=field, description=description):
            return BadRequest.FieldViolation(field=field, description=description)
        case Shortage():
            what = f"requested {listed.requested}, available {listed.available}"
            return _precondition("INSUFFICIENT_STOCK", listed, what)
        case MissingStock():
            return _precondition("STOCK_NOT_FOUND", listed, "no such stock")
        case RefusedAdjustment(cause=cause):
            return _precondition(REASON_OF_CAUSE[cause], listed, why_not_adjusted(listed))
        case RefusedShipment(requested=requested, reserved=reserved):
            return _precondition("MORE_THAN_RESERVED", listed, f"requested {requested}, reserved {reserved}")
        case UnaskedShipment(shipped=shipped, requested=requested):
            return _precondition("RESERVATION_PARTLY_FULFILLED", listed, f"shipped {shipped}, requested {requested}")
        case TooLargeRow(total=total):
            return _precondition("QUANTITY_TOO_LARGE", listed, f"the total would be {total}")
        case ClosedRow():
            return _precondition("WAREHOUSE_INACTIVE", listed, "the warehouse is not active")
        case DisagreeingLevels(min_stock=least, max_stock=most):
            return _precondition("LEVELS_DISAGREE", listed, f"min_stock {least} would exceed max_stock {most}")
        case Uncovered():
            state = "confirmed" if listed.is_confirmed else "active"
            what = f"{listed.pieces} {listed.variant_id}@{listed.warehouse_id} of order {listed.order_id}, {state}"
            return PreconditionFailure.Violation(
                type="RESERVATION_UNCOVERED", subject=listed.reservation_id, description=what
            )
        case Excess():
            what = f"{listed.open} of {listed.sent} are on their way, and {listed.reported} were reported"
            return PreconditionFailure.Violation(type="MORE_THAN_SENT", subject=listed.variant_id, description=what)
        case RefusedLine():
            return ImportLineError(line_number=listed.line_number, reason=listed.reason)


def _precondition(kind: str, row: RowProblem, what: str) -> Message:
    """What is wrong with a row, and which warehouses have the variant."""
    subject = f"{row.variant_id}@{row.warehouse_id}" if row.warehouse_id else row.variant_id
    alternatives = row.alternatives if isinstance(row, Shortage | MissingStock) else ()
    others = ", ".join(f"{other.warehouse_id} has {other.available}" for other in alternatives)
    description = f"{what}; {others}" if others else what
    return PreconditionFailure.Violation(type=kind, subject=subject, description=description)


def _percent_encoded_bytes(message: str) -> int:
    """At most how long `grpc-message` becomes, which has everything but printable ASCII as %XX."""
    if message.isascii() and message.isprintable():
        return len(message) + 2 * message.count("%")
    return 3 * len(message.encode())


def why_not_adjusted(row: RefusedAdjustment) -> str:
    """What stands in the way, with the figures as they are."""
    record = row.record
    bound = record.reserved + record.damaged + record.in_transit
    match row.cause:
        case "stale":
            return f"has {record.total} in all, and the count expects another total"
        case "below_reserved":
            return f"has {bound} reserved, damaged or in transit, and {row.pieces} were counted"
        case "insufficient":
            return f"has {record.available} available and {record.damaged} damaged, and {row.pieces} were asked for"
        case "too_large":
            return f"has {record.total} in all, and cannot have {row.pieces} more"
