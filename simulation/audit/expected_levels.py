"""Levels of rows, judged by the journal's entry or by the state that refuses them."""

from collections.abc import Callable

from msgspec.structs import replace

from actors.outcomes import MissingStock, StockNotFound
from actors.queries import FindStock
from actors.records import StockKey, StockRecord
from actors.views import StockPage, StockView
from actors.warehouse_commands import LevelsLine, SetLevels
from actors.warehouse_outcomes import DisagreeingLevels, LevelsDisagree, LevelsSet
from simulation.audit.explain_goods import at_its_place
from simulation.audit.history import Operation
from simulation.audit.refused_baskets import elsewhere
from simulation.audit.replay import Replay
from simulation.audit.wrong import Wrong


def levels_set_at(replay: Replay, request: SetLevels, answer: LevelsSet, high: int, low: int) -> int:
    """The position of an answer that levels were set, which is its entry's.

    Raises:
        Wrong: the entry or the answer says something else than what was asked.
    """
    written, shown = [], []
    for line in request.lines:
        key = StockKey(request.organization_id, line.variant_id, line.warehouse_id)
        before = replay.row_at(key, high - 1)
        if before is None or not before.exists:
            raise Wrong("G4", f"got {answer!r}, but there was no row {key}", high)
        after = levelled(line, before)
        if after != before:
            after = replace(after, version=before.version + 1)
            written.append((before, after))
        shown.append(StockView(after, replay.warehouses.name_at(key, high)))
    transaction = replay.transactions[high - 1]
    found = [(change.before, change.after) for change in transaction.changes]
    if sorted(found, key=repr) != sorted(written, key=repr) or answer.rows != tuple(shown):
        raise Wrong("G4", f"got {answer!r} by {transaction!r}, where {shown!r} is right", high)
    return at_its_place(high, low)


def levelled(line: LevelsLine, record: StockRecord) -> StockRecord:
    """The row with what the line says."""
    said = {"min_stock": line.min_stock, "max_stock": line.max_stock, "reorder_point": line.reorder_point}
    return replace(record, **{name: level for name, level in said.items() if level is not None})


def refusal_of_levels(
    request: SetLevels, at: Callable[[tuple[str, str]], StockRecord | None], free: dict[str, dict[str, int]]
) -> StockNotFound | LevelsDisagree | None:
    """Why levels are not set in this state; None if they are."""
    missing, wrong = [], []
    for line in request.lines:
        row = (line.variant_id, line.warehouse_id)
        record = at(row)
        if record is None or not record.exists:
            missing.append(MissingStock(*row, elsewhere(free, *row)))
        else:
            after = levelled(line, record)
            if after.min_stock > after.max_stock > 0:
                wrong.append(DisagreeingLevels(*row, after.min_stock, after.max_stock))
    if missing:
        first, *others = missing
        return StockNotFound(first.variant_id, first.warehouse_id, first.alternatives, tuple(others))
    return LevelsDisagree(tuple(wrong)) if wrong else None


def is_found_page(replay: Replay, query: FindStock, answer: object, operation: Operation, lsn: int) -> bool:
    """Whether a search for rows by their figures finds these in this state."""
    assert isinstance(answer, StockPage)
    looked_at = []
    for key in replay.rows_of_organization.get(query.organization_id, []):
        is_named = query.variant_id in ("", key.variant_id) and query.warehouse_id in ("", key.warehouse_id)
        is_next = query.after is None or key > query.after
        record = replay.row_at(key, lsn)
        if is_named and is_next and key.variant_id[: len(query.variant_prefix)] == query.variant_prefix:
            looked_at += [record] if record is not None and record.exists else []
    wanted = [one for one in looked_at[: query.looks_max] if _is_wanted(one, query)]
    page, more = wanted[: query.limit], None
    if len(wanted) > query.limit or (len(page) == query.limit and len(looked_at) >= query.looks_max):
        more = page[-1].key
    elif len(looked_at) >= query.looks_max:
        more = looked_at[query.looks_max - 1].key
    shown = [view.record for view in answer.stock]
    names = [
        view.warehouse_name in replay.warehouses.names_between(view.record.key, lsn, operation.high_lsn)
        for view in answer.stock
    ]
    return shown == page and answer.next_key == more and all(names)


def _is_wanted(record: StockRecord, query: FindStock) -> bool:
    few = record.available <= record.min_stock
    status = "out_of_stock" if not record.available else "low_stock" if few else "in_stock"
    alert = "critical" if few else "warning" if record.available <= record.reorder_point else None
    return query.status in (None, status) and query.alert_level in (None, alert)
