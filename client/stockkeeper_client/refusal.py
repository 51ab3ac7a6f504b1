"""What all refusals of the service have in common: an AioRpcError whose values have types.

A refusal is made of the error that gRPC raised, and reads what it says from the error's own details. So it can be
pickled, copied and raised again like that error, and nothing is read that is not asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, overload

import grpc.aio

from stockkeeper_client.errors import ErrorDetails, PreconditionViolation, error_details


class InventoryRefusal(grpc.aio.AioRpcError):
    """The service says no, and why. Each reason is a class of its own."""

    reason: ClassVar[str] = ""

    @classmethod
    def of(cls, error: grpc.RpcError) -> InventoryRefusal:
        """The same error in other words."""
        told: Any = error
        return cls(
            told.code(),
            grpc.aio.Metadata(*(told.initial_metadata() or ())),
            grpc.aio.Metadata(*(told.trailing_metadata() or ())),
            told.details(),
            told.debug_error_string() if hasattr(told, "debug_error_string") else None,
        )

    @cached_property
    def error_details(self) -> ErrorDetails:
        """All that it says."""
        return error_details(self)

    @property
    def retry_delay_s(self) -> float | None:
        """In how many seconds the service expects that the same request can succeed."""
        return self.error_details.retry_delay_s

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.code().name}: {self.details()}>"

    def __str__(self) -> str:
        return f"{self.details()} [{self.code().name}, {self.error_details.reason}]"


class Text:
    """A value that the service says with its reason; empty if it does not."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, refusal: None, owner: type) -> Text: ...
    @overload
    def __get__(self, refusal: InventoryRefusal, owner: type) -> str: ...
    def __get__(self, refusal: InventoryRefusal | None, owner: type) -> Text | str:
        return self if refusal is None else refusal.error_details.metadata.get(self._name, "")


class Number:
    """As `Text`, a whole number; 0 if the service does not say it."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, refusal: None, owner: type) -> Number: ...
    @overload
    def __get__(self, refusal: InventoryRefusal, owner: type) -> int: ...
    def __get__(self, refusal: InventoryRefusal | None, owner: type) -> Number | int:
        if refusal is None:
            return self
        text = refusal.error_details.metadata.get(self._name, "")
        return int(text) if re.fullmatch("-?[0-9]{1,18}", text) else 0


@dataclass(frozen=True, slots=True)
class RefusedRow:
    """A line of a request that cannot be had. Without a warehouse in it, the request named none."""

    variant_id: str
    warehouse_id: str
    description: str


@dataclass(frozen=True, slots=True)
class ShortLine(RefusedRow):
    """A line of which there is too little."""

    requested: int
    available: int


_SHORT = re.compile(r"requested (?P<requested>\d+), available (?P<available>\d+)")
_SHORT_ROW = re.compile(r"has (?P<available>\d+) available .* and (?P<requested>\d+) were asked for")


def lines_of(violations: Sequence[PreconditionViolation], reason: str) -> tuple[RefusedRow, ...]:
    """Those that are refused for this reason."""
    return tuple(RefusedRow(*_row(one.subject), one.description) for one in violations if one.type == reason)


def short_lines_of(violations: Sequence[PreconditionViolation]) -> tuple[ShortLine, ...]:
    """Those of which there is too little."""
    return tuple(_short_lines(violations))


def _short_lines(violations: Sequence[PreconditionViolation]) -> Iterator[ShortLine]:
    for one in violations:
        if one.type == "INSUFFICIENT_STOCK":
            told = _SHORT.match(one.description) or _SHORT_ROW.match(one.description)
            requested, available = (0, 0) if told is None else (int(told["requested"]), int(told["available"]))
            yield ShortLine(*_row(one.subject), one.description, requested, available)


def _row(subject: str) -> tuple[str, str]:
    """The variant and the warehouse of `mug@madrid`."""
    variant_id, _, warehouse_id = subject.rpartition("@")
    return (variant_id, warehouse_id) if variant_id else (subject, "")
