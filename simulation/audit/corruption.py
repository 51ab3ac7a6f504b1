"""Histories that are wrong on purpose, to see that the auditor and the search both notice."""

from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

from msgspec.structs import replace

from actors.commands import Adjust, Announce, Confirm, Deduct, Receive, Release, Reserve
from actors.outcomes import InsufficientStock, ReservationNotFound
from actors.queries import CheckBasket, GetStock
from simulation.audit.expected_goods import GoodsFact
from simulation.audit.history import Operation


def corrupted(history: Sequence[Operation], random: Random) -> list[Operation]:
    """The same history with one answer falsified, or with one read moved behind every change of what it shows."""
    candidates = list(_corruptions(history))
    if not candidates:
        return list(history)
    number, changed = random.choice(candidates)
    return [changed if operation.number == number else operation for operation in history]


def _corruptions(history: Sequence[Operation]) -> Iterator[tuple[int, Operation]]:
    last = max(operation.end for operation in history)
    high_lsn = max(operation.high_lsn for operation in history)
    for operation in history:
        answer: Any = operation.answer
        match operation.request:
            case CheckBasket():
                line = answer.lines[0]
                wrong = replace(line, available=line.available + 1)
                yield operation.number, replace(operation, answer=replace(answer, lines=(wrong, *answer.lines[1:])))
                yield (
                    operation.number,
                    replace(operation, answer=replace(answer, all_available=not answer.all_available)),
                )
            case GetStock() if answer.stock:
                first, *others = answer.stock
                record = replace(first.record, available=first.record.available + 1)
                stock = (replace(first, record=record), *others)
                yield operation.number, replace(operation, answer=replace(answer, stock=stock))
                late = replace(operation, begin=last + 1, end=last + 2, high_lsn=high_lsn)
                yield operation.number, late
            case Reserve() if isinstance(answer, InsufficientStock):
                short = replace(answer.shortages[0], available=answer.shortages[0].available + 1)
                yield operation.number, replace(operation, answer=replace(answer, shortages=(short,)))
            case Confirm() | Release() if not isinstance(answer, ReservationNotFound):
                yield operation.number, replace(operation, answer=ReservationNotFound(operation.request.reservation_id))
            case Receive() | Announce() | Deduct() | Adjust() if isinstance(answer, GoodsFact):
                record = replace(answer.rows[0].record, available=answer.rows[0].record.available + 1)
                rows = (replace(answer.rows[0], record=record), *answer.rows[1:])
                yield operation.number, replace(operation, answer=replace(answer, rows=rows))
