"""What the service must answer in a given state, written a second time for the auditor."""

import re
from collections.abc import Sequence
from operator import attrgetter

from msgspec.structs import replace

from actors.commands import (
    Amend,
    Command,
    Confirm,
    CountedLine,
    DropStaged,
    Extend,
    Fulfill,
    Import,
    ImportStaged,
    Line,
    OfReservation,
    Reacquire,
    StageLines,
)
from actors.outcomes import (
    MoreThanReserved,
    Refusal,
    ReservationAmended,
    ReservationConfirmed,
    ReservationExpired,
    ReservationExtended,
    ReservationFulfilled,
    ReservationNotConfirmed,
    ReservationNotFound,
    ReservationOfOtherOrder,
    ReservationReacquired,
    ReservationReleased,
    ReservationWasConfirmed,
    ReservationWasFulfilled,
    ReservationWasReleased,
    ShippedAlready,
)
from actors.queries import ListReservations
from actors.records import ReservationRecord, StockRecord
from actors.row_changes import Levels
from actors.views import Availability, BasketCheck, ReservationPage
from actors.warehouse_outcomes import ClosedRow, WarehouseInactive
from simulation.audit.amendments import unasked
from simulation.audit.choice import Choice, choose
from simulation.audit.refused_baskets import refusal_by
from simulation.audit.shipments import too_much
from simulation.audit.sites import Sites
from simulation.audit.timeline import Timeline

STATES_OF_A_REPEAT = ("active", "confirmed", "fulfilled")
STATES_AFTER: dict[type, tuple[str, ...]] = {
    ReservationConfirmed: ("confirmed", "fulfilled"),  # a late retry, when it was shipped already
    ReservationReleased: ("released", "expired"),
    ReservationFulfilled: ("confirmed", "fulfilled"),
    ReservationExtended: ("active",),
    ReservationAmended: ("active", "confirmed", "fulfilled"),
    ReservationReacquired: ("active", "confirmed"),
}


def refusal_of(lines: Sequence[Line], everything: dict[str, dict[str, int]], sites: Sites) -> Refusal | None:
    """The refusal of a basket in this state; None if it fits."""
    named_shut = [ClosedRow(line.variant_id, line.warehouse_id) for line in lines if line.warehouse_id in sites.shut]
    if named_shut:
        return WarehouseInactive(tuple(dict.fromkeys(named_shut)))
    return refusal_by(lines, open_of(everything, sites), chosen(lines, everything, sites))


def open_of(everything: dict[str, dict[str, int]], sites: Sites) -> dict[str, dict[str, int]]:
    """What is free where goods may be taken."""
    return {v: {w: pieces for w, pieces in rows.items() if w not in sites.shut} for v, rows in everything.items()}


def chosen(lines: Sequence[Line], everything: dict[str, dict[str, int]], sites: Sites) -> list[Choice]:
    """The choice for each line. Goods that are only where none may be taken are there, and too few."""
    choices = choose(lines, open_of(everything, sites), sites)
    return [
        choice
        if choice.found or line.warehouse_id or not everything.get(line.variant_id)
        else choice._replace(found=True)
        for line, choice in zip(lines, choices, strict=True)
    ]


def check_of(lines: Sequence[Line], everything: dict[str, dict[str, int]], sites: Sites) -> BasketCheck:
    """The answer to a dry run in this state."""
    found = []
    for line, choice in zip(lines, chosen(lines, everything, sites), strict=True):
        there = everything.get(line.variant_id, {})
        if line.warehouse_id in sites.shut and line.warehouse_id in there:
            wish = (line.variant_id, line.warehouse_id, line.quantity)
            found.append(Availability(*wish, there[line.warehouse_id], True, False, True))
        else:
            where = choice.warehouse_id if choice.found else ""
            told = (choice.available, choice.found, choice.fits)
            found.append(Availability(line.variant_id, where, line.quantity, *told))
    return BasketCheck(all(line.fits for line in found), tuple(found))


def is_refused(request: OfReservation, answer: object, record: ReservationRecord | None, answered_ms: int) -> bool:
    """Whether this answer refuses a reservation that stands so."""
    match answer:
        case ReservationNotFound():
            return record is None
        case ReservationOfOtherOrder():
            return record is not None and isinstance(request, Confirm) and record.order_id != request.order_id
        case ReservationExpired() if not isinstance(request, Reacquire):
            return record is not None and (
                record.state == "expired" or (record.state == "active" and record.expires_at_ms <= answered_ms)
            )
        case ReservationWasReleased():
            return record is not None and record.state == "released"
        case ReservationWasFulfilled():
            is_over = record is not None and record.state == "fulfilled"
            is_repeated = isinstance(request, Confirm) or (isinstance(request, Fulfill) and not request.lines)
            return is_over and not is_repeated
        case ReservationNotConfirmed():
            return record is not None and record.state == "active" and isinstance(request, Fulfill)
        case ReservationWasConfirmed():
            return record is not None and record.state == "confirmed" and isinstance(request, Extend)
        case ShippedAlready(rows=rows):
            is_open = record is not None and record.state in ("active", "confirmed")
            return is_open and isinstance(request, Amend) and bool(rows) and rows == unasked(request, record)
        case MoreThanReserved(rows=rows):
            is_open = record is not None and record.state == "confirmed"
            return is_open and isinstance(request, Fulfill) and bool(rows) and rows == too_much(request, record)
        case _:
            return False


def why_bad(rows: Timeline[StockRecord] | None, lsn: int, line: CountedLine, levels: Levels) -> list[int]:
    """The figures for which a counted line is refused, in the order in which the reason names them; empty if it is not.

    What is on the shelf must cover what is reserved, and the least must not exceed the most, if there is a most.
    """
    record = rows.at(lsn) if rows is not None else None
    reserved = record.reserved if record is not None else 0
    total, damaged, in_transit, least, most = _figures_after(line, record, levels)
    if total - damaged - in_transit < reserved:
        return [total, damaged, in_transit, reserved]
    return [least, most] if least > most > 0 else []


def numbers_in(sentence: str) -> list[int]:
    """All numbers that a sentence names."""
    return [int(digits) for digits in re.findall(r"[0-9]+", sentence)]


def is_counted(rows: Timeline[StockRecord], lsn: int, line: CountedLine, levels: Levels) -> bool:
    """Whether the row shows what was counted at this LSN, and what was not counted as it was before."""
    record = rows.at(lsn)
    before = rows.at(lsn - 1)
    is_to_be = line.reorder_point
    if not isinstance(is_to_be, int):
        is_to_be = before.reorder_point if before is not None else levels.reorder_point
    shows = record is not None and list(_figures(record)) == _figures_after(line, before, levels)
    return shows and record is not None and record.reorder_point == is_to_be


_figures = attrgetter("total", "damaged", "in_transit", "min_stock", "max_stock")


def _figures_after(line: CountedLine, before: StockRecord | None, levels: Levels) -> list[int]:
    kept = _figures(before) if before is not None else (0, 0, 0, levels.min_stock, levels.max_stock)
    return [was if said is None else said for said, was in zip(_figures(line), kept, strict=True)]


def lines_asked(lines: Sequence[Line]) -> list[tuple[str, str, int]]:
    """What a request asks for, sorted."""
    return sorted((line.variant_id, line.warehouse_id, line.quantity) for line in lines)


def owned_id(request: Command) -> tuple[frozenset[str], str]:
    """A request's id and the organizations that it belongs to."""
    if isinstance(request, Import):
        return frozenset(line.organization_id for line in request.lines), request.request_id
    assert not isinstance(request, ImportStaged | StageLines | DropStaged), request
    return frozenset([request.organization_id]), getattr(request, "request_id", "")


def page_of(reservations: Sequence[ReservationRecord], query: ListReservations) -> ReservationPage:
    """The page that begins with the first of these."""
    count = min(query.limit, len(reservations))
    while count > 1 and sum(len(one.items) for one in reservations[:count]) > query.lines_max:
        count -= 1
    has_more = count < len(reservations)
    return ReservationPage(tuple(reservations[:count]), reservations[count - 1].reservation_id if has_more else "")


def sifted_page(everyone: Sequence[ReservationRecord], query: ListReservations) -> ReservationPage:
    """The page of what is found by looking at some of these, newest first.

    Args:
        everyone: all that the organization or the order has, of the state that is asked for.
    """
    looked = everyone[: query.looked_max]
    while len(looked) > 1 and sum(len(one.items) for one in looked) > query.looked_lines_max:
        looked = looked[:-1]
    found = [one for one in looked if _is_wanted(one, query)]
    page = page_of(found, query)
    if page.next_before or len(looked) == len(everyone) < query.looked_max:
        return page
    return replace(page, next_before=looked[-1].reservation_id)


def _is_wanted(one: ReservationRecord, query: ListReservations) -> bool:
    if query.state not in (None, one.state) or one.created_at_ms < query.created_after_ms:
        return False
    if query.created_before_ms and one.created_at_ms >= query.created_before_ms:
        return False
    rows = [(item.variant_id, item.warehouse_id) for item in one.items]
    return any(query.variant_id in ("", row[0]) and query.warehouse_id in ("", row[1]) for row in rows)
