"""What a change of goods must do, and when it must be refused, written a second time for the auditor."""

from collections.abc import Callable, Sequence
from typing import assert_never

from actors.bounds import INT32_MAX
from actors.commands import Adjust, Adjustment, Announce, Deduct, Delete, GoodsCommand, Receive
from actors.outcomes import (
    AdjustmentCause,
    AdjustmentsRefused,
    InsufficientStock,
    MissingStock,
    MovedRow,
    QuantityTooLarge,
    RefusedAdjustment,
    StockAdjusted,
    StockAnnounced,
    StockDeducted,
    StockNotEmpty,
    StockNotFound,
    StockReceived,
    TooLargeRow,
)
from actors.records import Delta, StockKey, StockRecord, Transaction
from simulation.audit.expected import refusal_of
from simulation.audit.lost_goods import Holders, shortfall_of
from simulation.audit.refused_baskets import elsewhere
from simulation.audit.sites import Sites

Row = tuple[str, str]  # variant and warehouse
At = Callable[[Row], StockRecord | None]
"""The row in some state; None if there is none."""

GoodsFact = StockReceived | StockAnnounced | StockDeducted | StockAdjusted
KINDS = ("receive", "announce", "deduct")


def is_goods_refusal(
    request: GoodsCommand,
    answer: object,
    at: At,
    state: Callable[[Sequence[str]], tuple[dict[str, dict[str, int]], Sites]],
    holders: Holders,
) -> bool:
    """Whether the request is refused in this state as the answer says.

    Args:
        at, state: its rows, and what is available by variant and warehouse, with the warehouses that are not active.
        holders: who holds pieces of a row.
    """
    if isinstance(request, Adjust):
        free = state([line.variant_id for line in request.lines])[0]
        return answer is not None and answer == _not_adjusted(request, at, free, holders)
    if not isinstance(request, Deduct):
        return answer == _too_large(request, at)
    expected = refusal_of(request.lines, *state([line.variant_id for line in request.lines]))
    if isinstance(answer, InsufficientStock) and isinstance(expected, InsufficientStock):
        return answer.shortages == expected.shortages
    return answer == expected and expected is not None


def _not_adjusted(
    request: Adjust, at: At, there: dict[str, dict[str, int]], holders: Holders
) -> StockNotFound | AdjustmentsRefused | None:
    """The refusal of adjustments in this state; None if they are made."""
    missing, wrong = [], []
    for line in request.lines:
        row = (line.variant_id, line.warehouse_id)
        record = at(row)
        if record is None or not record.exists:
            missing.append(MissingStock(*row, elsewhere(there, *row)))
        elif why := _why_wrong(line, record):
            wrong.append(RefusedAdjustment(why, record, line.pieces))
    if missing:
        first, *others = missing
        return StockNotFound(first.variant_id, first.warehouse_id, first.alternatives, tuple(others))
    shortfall = shortfall_of(request, at, holders)
    short = {(one.variant_id, one.warehouse_id) for one in shortfall.told}
    if request.release_uncovered and len(wrong) == len(short) and shortfall.may_be_released:
        return None
    return AdjustmentsRefused(tuple(wrong), shortfall.told) if wrong else None


def _why_wrong(line: Adjustment, record: StockRecord) -> AdjustmentCause | None:
    if line.kind == "count":
        if line.expected_total is not None and line.expected_total != record.total:
            return "stale"
        if line.pieces < record.reserved + record.damaged + record.in_transit:
            return "below_reserved"
        return None
    source = {
        "mark_damaged": record.available,
        "repair": record.damaged,
        "write_off_damaged": record.damaged,
        "delta": record.available if line.pieces < 0 else None,
    }[line.kind]
    if source is not None:
        return "insufficient" if abs(line.pieces) > source else None
    return "too_large" if record.total + line.pieces > INT32_MAX else None


def _adjusted(line: Adjustment, record: StockRecord | None) -> Delta:
    moved = {
        "delta": (line.pieces, 0),
        "mark_damaged": (-line.pieces, line.pieces),
        "repair": (line.pieces, -line.pieces),
        "write_off_damaged": (0, -line.pieces),
        "count": (line.pieces - _total(record), 0),
    }
    available, damaged = moved[line.kind]
    return Delta(available, 0, damaged)


def _too_large(request: Receive | Announce, at: At) -> QuantityTooLarge | None:
    totals = {row: _total(at(row)) + delta.total for row, delta in deltas_of(request, at).items()}
    too_large = [TooLargeRow(*row, total) for row, total in totals.items() if total > max(INT32_MAX, _total(at(row)))]
    return QuantityTooLarge(tuple(too_large)) if too_large else None


def deltas_of(request: GoodsCommand, at: At, fact: object = None) -> dict[Row, Delta]:
    """What changes in each row, in the order in which the lines name them.

    Args:
        fact: the answer, which says from where goods were taken that left.
    """
    deltas: dict[Row, Delta] = {}
    match request:
        case Receive():
            for line in request.lines:
                announced = line.quantity + line.damaged if line.from_in_transit else 0
                delta = Delta(line.quantity, 0, line.damaged, -announced)
                _add(deltas, (line.variant_id, line.warehouse_id), delta)
            return {row: _as_far_as_it_goes(delta, at(row)) for row, delta in deltas.items()}
        case Announce():
            for piece in request.lines:
                _add(deltas, (piece.variant_id, piece.warehouse_id), Delta(in_transit=piece.quantity))
            return deltas
        case Adjust():
            for one in request.lines:
                row = (one.variant_id, one.warehouse_id)
                deltas[row] = _adjusted(one, at(row))
            return deltas
        case Deduct():
            assert isinstance(fact, StockDeducted)
            for piece in fact.lines:
                _add(deltas, (piece.variant_id, piece.warehouse_id), Delta(-piece.quantity))
            return deltas
        case _ as never:
            assert_never(never)


def _add(deltas: dict[Row, Delta], row: Row, delta: Delta) -> None:
    known = deltas.get(row, Delta())
    deltas[row] = Delta(
        known.available + delta.available, 0, known.damaged + delta.damaged, known.in_transit + delta.in_transit
    )


def _as_far_as_it_goes(delta: Delta, record: StockRecord | None) -> Delta:
    """Goods that had been announced are not in transit any more."""
    there = record.in_transit if record is not None else 0
    return Delta(delta.available, 0, delta.damaged, max(delta.in_transit, -there))


def _total(record: StockRecord | None) -> int:
    return record.total if record is not None else 0


def why_not_so(
    request: GoodsCommand,
    fact: GoodsFact,
    transaction: Transaction,
    name_at: Callable[[StockKey, int], str],
    *,
    begins: bool,
) -> str:
    """What is wrong with an entry of the journal and the answer that was given for it; empty if nothing is.

    Args:
        name_at: what a row's warehouse was called then.
        begins: whether the organization's first row is in this entry.
    """
    if transaction.kind != kind_of(request):
        return f"the journal has {transaction!r}"
    before = {(change.after.variant_id, change.after.warehouse_id): change.before for change in transaction.changes}
    if isinstance(fact, StockDeducted) and not _serves(request, fact):
        return "these are not the lines that it asked for"
    changed = {(c.after.variant_id, c.after.warehouse_id): c for c in transaction.changes}
    expected = deltas_of(request, before.get, fact)
    if {row: change.delta for row, change in changed.items()} != expected:
        return f"the journal has {transaction.changes!r} where {expected!r} is right"
    rows = tuple(
        MovedRow(changed[row].after, name_at(changed[row].after.key, transaction.lsn), not changed[row].before.exists)
        for row in expected
    )
    if fact.rows != rows:
        return f"the rows are {rows!r}"
    if isinstance(fact, StockReceived | StockAnnounced) and fact.organization_created != begins:
        return f"the organization {'begins' if begins else 'does not begin'} with it"
    return ""


def why_not_deleted(
    request: Delete, record: StockRecord | None, free: dict[str, dict[str, int]]
) -> StockNotFound | StockNotEmpty | None:
    """Why a row that stands so is not deleted; None if it is."""
    row = (request.variant_id, request.warehouse_id)
    if record is None or not record.exists:
        return StockNotFound(*row, elsewhere(free, *row))
    quantities = (record.available, record.reserved, record.damaged, record.in_transit)
    return StockNotEmpty(*row, *quantities) if any(quantities) else None


def _serves(request: GoodsCommand, fact: StockDeducted) -> bool:
    assert isinstance(request, Deduct)
    return len(fact.lines) == len(request.lines) and all(
        (taken.variant_id, taken.quantity) == (line.variant_id, line.quantity)
        and line.warehouse_id in ("", taken.warehouse_id)
        for taken, line in zip(fact.lines, request.lines, strict=True)
    )


def kind_of(request: GoodsCommand) -> str:
    return type(request).__name__.lower()


def cause_of_goods(request: GoodsCommand) -> object:
    """What the command may bring about, as far as that does not hang on the state: see `expected.cause_of`."""
    pieces: dict[Row | str, int] = {}
    if isinstance(request, Adjust):
        rows = tuple(sorted((line.variant_id, line.warehouse_id) for line in request.lines))
        return (kind_of(request), request.organization_id, request.request_id, rows)
    for line in request.lines:
        row = line.variant_id if isinstance(request, Deduct) else (line.variant_id, line.warehouse_id)
        pieces[row] = pieces.get(row, 0) + line.quantity + getattr(line, "damaged", 0)
    asked = tuple(sorted(pieces.items()))
    return (kind_of(request), request.organization_id, request.request_id, asked)


def cause_in_goods(transaction: Transaction) -> object:
    """The same of an entry of the journal."""
    kind, request = transaction.kind, transaction.request
    pieces: dict[Row | str, int] = {}
    for change in transaction.changes:
        row = change.after.variant_id if kind == "deduct" else (change.after.variant_id, change.after.warehouse_id)
        delta = change.delta
        moved = delta.in_transit if kind == "announce" else abs(delta.available) + delta.damaged
        pieces[row] = pieces.get(row, 0) + moved
    key = (request.scope, request.request_id) if request is not None else ("?", "?")
    if kind == "adjust":
        rows = tuple(sorted((change.after.variant_id, change.after.warehouse_id) for change in transaction.changes))
        return (kind, *key, rows)
    return (kind, *key, tuple(sorted(pieces.items())))
