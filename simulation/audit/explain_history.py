"""What is said of the past, judged by the journal: lines of the ledger, a row at a time, and what a watcher is told.

A watcher asks for what happened behind a place, and goes on where the last answer ended. So its history is that of the
journal if each answer has exactly what happened between its two places: nothing left out, nothing told twice, in order,
and nothing that was not durable when it was told.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, assert_never

from actors.changes import Change, ChangesPage, Movement, MovementPage, Point, StockAt
from actors.queries import GetStockAt, HistoryQuery, ListMovements, ReadChanges
from actors.records import RowChange, Transaction
from simulation.audit.replay import Replay

NAMES = ("available", "reserved", "damaged", "in_transit")


def history_of(
    replay: Replay, query: HistoryQuery, answer: object, high_lsn: int
) -> tuple[list[Sequence[int]], Callable[[int], bool]]:
    """The positions that may explain the answer, and whether one does."""
    return [range(replay.last_lsn + 1)], partial(is_history, replay, query, answer, high_lsn)


def is_history(replay: Replay, query: HistoryQuery, answer: object, high_lsn: int, lsn: int) -> bool:
    """Whether the answer is right where the history ended with `lsn`; `high_lsn` was durable when it was given."""
    match query:
        case ListMovements():
            return is_movement_page(replay, query, answer, lsn)
        case GetStockAt():
            return is_stock_at(replay, query, answer, lsn)
        case ReadChanges():
            return is_changes_page(replay, query, answer, lsn, high_lsn)
        case _ as never:
            assert_never(never)


def is_movement_page(replay: Replay, query: ListMovements, answer: object, lsn: int) -> bool:
    """Whether the page is so in this state."""
    lines = [line for one in replay.transactions[:lsn] for line in _lines(one, query)]
    if query.newest_first:
        lines.reverse()
    if query.after_place is not None:
        place = tuple(query.after_place)
        lines = [line for line in lines if (line[:2] < place if query.newest_first else line[:2] > place)]
    assert isinstance(answer, MovementPage)
    found = [_as_line(movement) for movement in answer.movements]
    if answer.next is not None:  # the next page begins there: everything before it must be on this one
        end = tuple(answer.next)
        lines = [line for line in lines if (line[:2] >= end if query.newest_first else line[:2] <= end)]
    return found == lines and len(found) <= query.limit


def _lines(one: Transaction, query: ListMovements) -> Iterator[tuple[Any, ...]]:
    it = one.reservation
    reservation, order = ("", "") if it is None else (it.reservation_id, it.order_id)
    for position, change in _in_places(one):
        row = change.after
        wanted = (
            row.organization_id == query.organization_id
            and (not query.variant_id or row.variant_id == query.variant_id)
            and (not query.warehouse_id or row.warehouse_id == query.warehouse_id)
            and (not query.reservation_id or reservation == query.reservation_id)
            and (not query.order_id or order == query.order_id)
            and (not query.reference or one.reference == query.reference)
            and (not query.kinds or one.kind in query.kinds)
            and one.at_ms >= query.after_ms
            and not 0 < query.before_ms <= one.at_ms
        )
        if wanted:
            where = (one.lsn, position, one.at_ms, one.kind, row.variant_id, row.warehouse_id)
            who = (one.origin.actor, one.origin.correlation_id) if one.origin is not None else ("", "")
            request_id = "" if one.request is None else one.request.request_id
            said = (one.reason, one.reference, reservation, order, who[0], who[1] or request_id)
            yield (*where, _figures(change), *said)


def _in_places(one: Transaction) -> Iterator[tuple[int, RowChange]]:
    """The changes by their positions: those of a large import are the places of its lines."""
    yield from zip(one.positions or range(len(one.changes)), one.changes, strict=True)


def _as_line(movement: Movement) -> tuple[Any, ...]:
    one = movement
    figures = tuple(getattr(pieces, name) for pieces in (one.before, one.after) for name in NAMES)
    where = (one.lsn, one.position, one.at_ms, one.kind, one.variant_id, one.warehouse_id)
    return (*where, figures, one.reason, one.reference, one.reservation_id, one.order_id, one.actor, one.correlation_id)


def _figures(change: RowChange) -> tuple[int, ...]:
    return tuple(getattr(record, name) for record in (change.before, change.after) for name in NAMES)


def is_stock_at(replay: Replay, query: GetStockAt, answer: object, lsn: int) -> bool:
    """Whether the row had these figures at that time, as far as this state knows."""
    key = (query.organization_id, query.variant_id, query.warehouse_id)
    last: tuple[Transaction, RowChange] | None = None
    for one in replay.transactions[:lsn]:
        if one.at_ms <= query.at_ms:
            last = next(((one, change) for change in one.changes if change.after.key == key), last)
    assert isinstance(answer, StockAt)
    if last is None:
        return answer == StockAt(None)
    figures = None if last[0].kind == "delete" else _figures(last[1])[4:]
    found = None if answer.pieces is None else tuple(getattr(answer.pieces, name) for name in NAMES)
    return (found, answer.lsn, answer.is_known) == (figures, last[0].lsn, True)


def is_changes_page(replay: Replay, query: ReadChanges, answer: object, lsn: int, high_lsn: int) -> bool:
    """Whether a watcher at this place is told this where the history ended here."""
    assert isinstance(answer, ChangesPage)
    if query.after is None:
        return not answer.changes and answer.upto == Point(lsn)
    if query.database_id and not query.rows_max:  # whether its place is one, and no more
        return not answer.changes and answer.upto == query.after and answer.is_known
    if not query.after <= answer.upto or answer.upto.lsn > high_lsn:
        return False
    told = [_as_told(change) for change in answer.changes]
    behind = [one for one in replay.transactions if query.after < (one.lsn, 2**31 - 1) and one.lsn <= answer.upto.lsn]
    happened = [it for one in behind if (it := _told(one, query, answer.upto)) is not None]
    left = any(_told(one, query, Point(lsn)) is not None for one in replay.transactions[answer.upto.lsn : lsn])
    return told == happened and (not left or query.after < answer.upto)


def _told(one: Transaction, query: ReadChanges, upto: Point) -> tuple[Any, ...] | None:
    """What the organization is to hear of it, between the two places."""
    assert query.after is not None
    organization = query.organization_id
    rows = [
        (place, change.after.variant_id, change.after.warehouse_id, _figures(change), _low(change))
        for place, change in _in_places(one)
        if change.after.organization_id == organization and query.after < (one.lsn, place) <= upto
    ]
    it = one.reservation
    is_mine = it is not None and it.organization_id == organization
    renamed = [named for named in one.warehouses if named.organization_id == organization]
    transfer = one.transfer if one.transfer and one.transfer.organization_id == organization else None
    policy = one.sourcing.policy if one.sourcing and one.sourcing.organization_id == organization else None
    if one.kind == "remember" or not (rows or is_mine or renamed or transfer or policy):
        return None
    told: list[Any] = [one.lsn, one.at_ms, one.kind, rows, one.reference, one.reason]
    if it is not None and is_mine:
        told += [it.reservation_id, it.order_id, it.state, it.expires_at_ms, _items(one)]
    return (*told, renamed, transfer, policy)


def _items(one: Transaction) -> list[tuple[str, str, int]]:
    assert one.reservation is not None
    gives_rest_back = one.kind == "fulfill" and any(i.fulfilled != i.quantity for i in one.reservation.items)
    is_told = one.reservation.state in ("active", "confirmed") or one.kind == "amend" or gives_rest_back
    if one.kind in ("confirm", "extend") or not is_told:
        return []
    items: dict[tuple[str, str], int] = {}
    for item in one.reservation.items:
        key = (item.variant_id, item.warehouse_id)
        items[key] = items.get(key, 0) + item.quantity
    return sorted((*key, quantity) for key, quantity in items.items())


def _low(change: RowChange) -> tuple[int, int] | None:
    before, after = change.before.available, change.after.available
    lines = (change.after.min_stock, change.after.reorder_point)
    return lines if any(line > 0 and after <= line < before for line in lines) else None


def _as_told(change: Change) -> tuple[Any, ...]:
    rows = [
        (
            row.position,
            row.variant_id,
            row.warehouse_id,
            tuple(getattr(pieces, name) for pieces in (row.before, row.after) for name in NAMES),
            row.low,
        )
        for row in change.rows
    ]
    told: list[Any] = [change.lsn, change.at_ms, change.kind, rows, change.reference, change.reason]
    it = change.reservation
    if it is not None:
        lines: dict[tuple[str, str], int] = {}
        for line in it.lines:
            lines[line.variant_id, line.warehouse_id] = (
                lines.get((line.variant_id, line.warehouse_id), 0) + line.quantity
            )
        items = sorted((*key, quantity) for key, quantity in lines.items())
        told += [it.reservation_id, it.order_id, it.state, it.expires_at_ms, items]
    return (*told, list(change.warehouses), change.transfer, change.sourcing)
