"""What a refusal says beyond its code and text: the google.rpc details that the service packs into its status.

    except grpc.RpcError as error:
        details = error_details(error)
        if details.reason == "INSUFFICIENT_STOCK":
            for violation in details.precondition_violations: ...

Import errors are the one detail that is the service's own, and not google.rpc's.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import grpc.aio
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import DecodeError, Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, PreconditionFailure, RetryInfo

from stockkeeper_client.v1 import protobuf, stock_pb2
from stockkeeper_client.v1.status_pb2 import Status

_Detail = TypeVar("_Detail", bound=Message | protobuf.Message)
DETAILS_KEY = "grpc-status-details-bin"


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """A field of the request that is not as it must be, such as `items[2].quantity`."""

    field: str
    description: str


@dataclass(frozen=True, slots=True)
class PreconditionViolation:
    """What the request asked for and cannot have now. `subject` is the thing it is about."""

    type: str
    subject: str
    description: str


@dataclass(frozen=True, slots=True)
class LineError:
    """A line that an import was refused for. `line_number` is the caller's own, or the place in the stream."""

    line_number: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorDetails:
    """Everything is empty, or None, that the service did not say."""

    reason: str = ""
    """The cause, in capitals and stable: the thing to branch on."""
    domain: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """Values that belong to `reason`, such as the id of the reservation that exists already."""
    field_violations: tuple[FieldViolation, ...] = ()
    precondition_violations: tuple[PreconditionViolation, ...] = ()
    retry_delay_s: float | None = None
    """In how many seconds the service expects that the same request can succeed."""
    line_errors: tuple[LineError, ...] = ()
    line_errors_total: int = 0
    """How many lines of an import are bad: `line_errors` has only the first 1,000."""


def error_details(error: grpc.RpcError) -> ErrorDetails:
    """The details in `error`, be it this service's or another's. Never raises: what cannot be read is left empty.

    >>> error = grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata())
    >>> error_details(error).reason
    ''
    """
    packed = _packed_details(error)
    info = _unpack(packed, ErrorInfo)
    request = _unpack(packed, BadRequest)
    precondition = _unpack(packed, PreconditionFailure)
    retry = _unpack(packed, RetryInfo)
    lines = _unpack(packed, stock_pb2.ImportErrors)
    return ErrorDetails(
        reason=info.reason,
        domain=info.domain,
        metadata=dict(info.metadata),
        field_violations=tuple(FieldViolation(it.field, it.description) for it in request.field_violations),
        precondition_violations=tuple(
            PreconditionViolation(it.type, it.subject, it.description) for it in precondition.violations
        ),
        retry_delay_s=_seconds(retry.retry_delay) if retry.HasField("retry_delay") else None,
        line_errors=tuple(LineError(it.line_number, it.reason) for it in lines.errors),
        line_errors_total=lines.errors_total,
    )


def _packed_details(error: grpc.RpcError) -> Sequence[protobuf.Any]:
    told: Callable[[], Iterable[tuple[str, str | bytes]] | None] = getattr(error, "trailing_metadata", tuple)
    for key, value in told() or ():
        if key == DETAILS_KEY and isinstance(value, bytes):
            try:
                return Status.FromString(value).details
            except DecodeError:
                return ()
    return ()


def _unpack(packed: Sequence[protobuf.Any], kind: type[_Detail]) -> _Detail:
    """The first detail of that kind, or an empty one."""
    detail = kind()
    for candidate in packed:
        try:
            if candidate.Unpack(detail):
                return detail
        except DecodeError:
            return kind()
    return detail


def _seconds(duration: Duration) -> float:
    # Not `ToTimedelta`, which raises for a duration that a timedelta cannot hold.
    return duration.seconds + duration.nanos / 1e9
