"""What an entry of the journal may do to rows if it belongs to no order, whatever was asked."""

from collections.abc import Sequence

from msgspec.structs import asdict

from actors.records import Delta, RowChange, StockRecord
from actors.row_changes import Levels


def is_legal(kind: str, deltas: Sequence[Delta]) -> bool:
    """Whether an entry of this kind may change rows so, whatever was asked."""
    return bool(deltas) and all(_is_legal(kind, delta) for delta in deltas)


def _is_legal(kind: str, delta: Delta) -> bool:
    available, damaged, in_transit = delta.available, delta.damaged, delta.in_transit
    if delta.reserved:
        return False
    match kind:
        case "receive":
            return available >= 0 <= damaged and available + damaged > 0 and -available - damaged <= in_transit <= 0
        case "announce":
            return (available, damaged) == (0, 0) < (in_transit,)
        case "adjust":
            return in_transit == 0
        case "levels":
            return delta == Delta()
        case _:
            return (damaged, in_transit) == (0, 0) and available < 0


def why_no_successor(before: StockRecord, last: StockRecord | None, levels: Levels) -> str:
    """Why a change cannot begin with `before`, where `last` is what the place had; empty if it can.

    Where a row was deleted, the next one begins with what the deletion left, or, when memory has forgotten that, anew.
    """
    is_new = before == StockRecord(*before.key, before.stock_id, **asdict(levels))
    if last is None:
        return "" if is_new else f"{before.key} begins with {before}"
    if before == last or (last.is_deleted and is_new):
        return ""
    return f"{before} does not follow {last}"


def why_no_deletion(changes: Sequence[RowChange], levels: Levels) -> str:
    """Why these are not the changes of a deletion; empty if they are."""
    if len(changes) != 1:
        return f"a deletion changes {len(changes)} rows"
    before, after = changes[0].before, changes[0].after
    gone = StockRecord(*before.key, after.stock_id, **asdict(levels), version=before.version + 1, is_deleted=True)
    is_right = before.exists and before.total == 0 and after == gone and after.stock_id != before.stock_id
    return "" if is_right else f"{before} is deleted and becomes {after}"


def levels_of(record: StockRecord) -> Levels:
    return Levels(record.min_stock, record.max_stock, record.reorder_point)
