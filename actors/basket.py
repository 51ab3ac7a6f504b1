"""From an order's lines to changes of rows, and from rows that moved to a reservation's items.

A plan counts first on what no rival holds, and then on what is free if all rivals abort; it refuses only what fits
neither (G5). To refuse by the first alone would turn callers away for the sake of a rival that then aborts; to plan by
the second alone would have baskets wait that fit elsewhere at once.
"""

from collections.abc import Callable, Mapping, Sequence, Sized

from actors.closed_warehouses import free_elsewhere, known_elsewhere, refuse_closed
from actors.commands import Adjustment, Line
from actors.elsewhere import Elsewhere
from actors.look import Read, look
from actors.outcomes import InsufficientStock, MissingStock, Refused, Shortage, StockNotFound
from actors.packing import of_each
from actors.planner import Free, Placement, Search, placing
from actors.records import Delta, ReservationItem, ReservationRecord, StockKey
from actors.row_changes import Change
from actors.sourcing import Closed, Sourcing
from actors.stock_actor import StockActor
from actors.turn import OTHERS_FIRST, Turn
from actors.variant_stock import VariantStock
from actors.warehouse_commands import LevelsLine

LINES_A_TURN = 500  # to check and read them takes 1 ms, and to plan them another

FreedAt = Callable[[StockKey, int], int | None]
"""When expiries will have given at least this many pieces back to a row, in service milliseconds."""


def before_a_look(lines: Sized) -> Turn[None]:
    """Let others have their turn before a look at the stock that takes one of its own."""
    if len(lines) > LINES_A_TURN:
        yield OTHERS_FIRST


def plan(lines: Sequence[Line], variants: Mapping[str, VariantStock], sourcing: Sourcing) -> Turn[list[StockActor]]:
    """The row that serves each line. The variants must be pinned.

    Counts on what no rival holds. Where that is not enough but would be if rivals abort, it plans on that: the rows
    will make the transaction wait for the rivals' decisions.

    Args:
        sourcing: which warehouses are closed, and what decides among the others.

    Raises:
        Refused: the basket does not fit, not even if every rival aborts (G5), or names a warehouse that is closed.
    """
    yield from before_a_look(lines)
    if sourcing.closed:
        refuse_closed(lines, sourcing.closed)
    rows = _rows_as_named(lines, variants)
    if rows is not None:
        return rows
    search = Search()
    free, placements = yield from _placed(lines, variants, VariantStock.free, sourcing, search)
    if not all(placement.fits for placement in placements):
        # After a wait, whether rivals held anything at the time of the look is not known any more.
        if search.has_waited or any(variant.is_undecided for variant in variants.values()):
            free, placements = yield from _placed(
                lines, variants, VariantStock.free_if_rivals_abort, sourcing, Search()
            )
        if not all(placement.fits for placement in placements):
            raise Refused((yield from refusal_of(lines, placements, free)))
    return [
        variants[line.variant_id].rows[placement.warehouse_id]
        for line, placement in zip(lines, placements, strict=True)
    ]


def plan_first(
    wishes: Sequence[Sequence[Line]],
    variants: Mapping[str, VariantStock],
    own: Mapping[tuple[str, str], int],
    sourcing: Sourcing,
) -> Turn[list[StockActor]]:
    """The row that serves each line, by the first of several wishes that fits; otherwise as `plan`.

    Args:
        wishes: the same basket several times, the dearest first. What fits of any of them fits of the last.
        own: pieces by variant and warehouse that count as free, in closed warehouses too.

    Raises:
        Refused: the last does not fit either, or takes more than its own from a warehouse that is closed.
    """
    yield from before_a_look(wishes[-1])
    closed = sourcing.closed
    _refuse_more_of_closed(wishes[-1], own, closed)
    search = Search()
    seen = (yield from look(variants, VariantStock.free, search)).free
    free = yield from with_own(seen, own, closed, search)
    lines, placements = yield from first_that_fits(wishes, free, search, sourcing)
    if not all(placement.fits for placement in placements):
        if search.has_waited or any(variant.is_undecided for variant in variants.values()):
            search = Search()
            seen = (yield from look(variants, VariantStock.free_if_rivals_abort, search)).free
            free = yield from with_own(seen, own, closed, search)
            lines, placements = yield from first_that_fits(wishes, free, search, sourcing)
        if not all(placement.fits for placement in placements):
            known = {variant_id for variant_id, rows in seen.items() if rows}
            raise Refused((yield from refusal_of(lines, known_elsewhere(lines, placements, known), free)))
    return [
        variants[line.variant_id].rows[placement.warehouse_id]
        for line, placement in zip(lines, placements, strict=True)
    ]


def _refuse_more_of_closed(lines: Sequence[Line], own: Mapping[tuple[str, str], int], closed: Closed) -> None:
    if not closed:
        return
    asked: dict[tuple[str, str], int] = {}
    for line in lines:
        row = (line.variant_id, line.warehouse_id)
        asked[row] = asked.get(row, 0) + line.quantity
    refuse_closed([line for line in lines if _is_more(line, asked, own)], closed)


def _is_more(line: Line, asked: Mapping[tuple[str, str], int], own: Mapping[tuple[str, str], int]) -> bool:
    row = (line.variant_id, line.warehouse_id)
    return asked[row] > own.get(row, 0)


def with_own(
    free: Free, own: Mapping[tuple[str, str], int], closed: Closed, search: Search
) -> Turn[dict[str, dict[str, int]]]:
    """What is free for the basket. In a closed warehouse that is its own, and nothing else."""

    def of(variant_id: str, rows: Mapping[str, int]) -> dict[str, int]:
        return {
            warehouse_id: (0 if warehouse_id in closed else pieces) + own.get((variant_id, warehouse_id), 0)
            for warehouse_id, pieces in rows.items()
            if warehouse_id not in closed or own.get((variant_id, warehouse_id), 0)
        }

    return (yield from of_each(free, of, search))


def first_that_fits(
    wishes: Sequence[Sequence[Line]], free: Free, search: Search, sourcing: Sourcing
) -> Turn[tuple[Sequence[Line], list[Placement]]]:
    """The first wish that fits, or else the last, and where its lines are placed."""
    for lines in wishes[:-1]:
        placements = yield from placing(lines, free, search, sourcing)
        if all(placement.fits for placement in placements):
            return lines, placements
    return wishes[-1], (yield from placing(wishes[-1], free, search, sourcing))


def _placed(
    lines: Sequence[Line], variants: Mapping[str, VariantStock], read: Read, sourcing: Sourcing, search: Search
) -> Turn[tuple[Free, list[Placement]]]:
    """Where the lines are placed, and among what."""
    free: Free = (yield from look(variants, read, search)).free
    if not sourcing.closed:
        return free, (yield from placing(lines, free, search, sourcing))
    among = yield from free_elsewhere(free, sourcing.closed, search)
    placements = yield from placing(lines, among, search, sourcing)
    return among, known_elsewhere(lines, placements, {key for key, rows in free.items() if rows})


def _rows_as_named(lines: Sequence[Line], variants: Mapping[str, VariantStock]) -> list[StockActor] | None:
    """What `place` would choose if every line names its warehouse, no two the same row, and all fit; else None.

    Most baskets are such, and need none of the planner's tables.
    """
    rows: dict[StockActor, None] = {}
    for line in lines:
        row = variants[line.variant_id].rows.get(line.warehouse_id)
        if row is None or row in rows or not row.state.record.exists:
            return None
        if row.state.record.available - row.state.held < line.quantity:
            return None
        rows[row] = None
    return list(rows)


def with_hint(refusal: InsufficientStock, organization_id: str, now_ms: int, freed_at_ms: FreedAt) -> InsufficientStock:
    """The same refusal, saying when holds that would free enough for every short line expire, if that is foreseen."""
    latest = 0
    for shortage in refusal.shortages:
        key = StockKey(organization_id, shortage.variant_id, shortage.warehouse_id)
        at_ms = freed_at_ms(key, shortage.requested - shortage.available) if shortage.warehouse_id else None
        if at_ms is None:
            return refusal
        latest = max(latest, at_ms)
    return InsufficientStock(refusal.shortages, max(1, latest - now_ms))


def reserving(lines: Sequence[Line], rows: Sequence[StockActor]) -> list[tuple[StockActor, Change]]:
    """What the order takes from each row, lines on one row summed."""
    wanted: dict[StockActor, int] = {}
    for line, row in zip(lines, rows, strict=True):
        wanted[row] = wanted.get(row, 0) + line.quantity
    return [(row, Delta(-quantity, quantity)) for row, quantity in wanted.items()]


def items_of(lines: Sequence[Line], rows: Sequence[StockActor]) -> tuple[ReservationItem, ...]:
    """The reservation's items, judged by the rows as they stand just before the commit."""
    left: dict[StockActor, int] = {}
    items = []
    for line, row in zip(lines, rows, strict=True):
        record = row.state.record
        before = left.get(row, record.available)
        left[row] = after = before - line.quantity
        items.append(
            ReservationItem(
                line.variant_id,
                record.warehouse_id,
                line.warehouse_id,
                record.stock_id,
                line.quantity,
                before,
                after,
            )
        )
    return tuple(items)


def moving(
    before: ReservationRecord, after: ReservationRecord, variants: Mapping[str, VariantStock]
) -> list[tuple[StockActor, Change]]:
    """What a reservation's transition changes in the rows: what it does not hold any more is available again, but for
    what was shipped, which is gone.
    """
    held: dict[tuple[str, str], int] = {}
    shipped: dict[tuple[str, str], int] = {}
    for reservation, sign in ((before, -1), (after, 1)):
        for item in reservation.items:
            row = (item.variant_id, item.warehouse_id)
            pieces = item.unshipped if reservation.holds_stock else 0
            held[row] = held.get(row, 0) + sign * pieces
            shipped[row] = shipped.get(row, 0) + sign * item.fulfilled
    # A row that nothing is held of any more may be gone: what was shipped from it stays as it is.
    return [
        (variants[variant_id].rows[warehouse_id], Delta(-pieces - shipped[variant_id, warehouse_id], pieces))
        for (variant_id, warehouse_id), pieces in held.items()
        if pieces
    ]


def refusal_of(
    lines: Sequence[Line], placements: Sequence[Placement], free: Free
) -> Turn[StockNotFound | InsufficientStock]:
    """All that is wrong with the basket, and where else its goods are."""
    elsewhere = Elsewhere(free)
    wrong = [line.variant_id for line, placement in zip(lines, placements, strict=True) if not placement.fits]
    yield from elsewhere.look(wrong, Search())
    shortages = _shortages(lines, placements, elsewhere)
    missing = dict.fromkeys(
        (line.variant_id, line.warehouse_id)
        for line, placement in zip(lines, placements, strict=True)
        if not placement.found
    )
    if not missing:
        return InsufficientStock(shortages)
    first, *others = [MissingStock(*row, elsewhere.alternatives_to(*row)) for row in missing]
    return StockNotFound(first.variant_id, first.warehouse_id, first.alternatives, tuple(others), shortages)


def missing_row(variants: Mapping[str, VariantStock], variant_id: str, warehouse_id: str) -> StockNotFound:
    """The refusal of a row that does not exist, and where else its variant is."""
    free = {variant_id: variants[variant_id].free_if_rivals_abort()}
    return StockNotFound(variant_id, warehouse_id, Elsewhere(free).alternatives_to(variant_id, warehouse_id))


def existing_rows(
    named: Sequence[Adjustment | LevelsLine], variants: Mapping[str, VariantStock]
) -> Turn[list[StockActor]]:
    """The row that each of these names. The variants must be pinned.

    Raises:
        Refused: some do not exist; all of those are named.
    """
    search = Search()
    missing: list[tuple[str, str]] = []
    while not missing:  # what was missing before others had their turn may be there after it
        rows = [variants[one.variant_id].rows.get(one.warehouse_id) for one in named]
        found = [row for row in rows if row is not None and row.state.record.exists]
        if len(found) == len(named):
            return found
        free = (yield from look(variants, VariantStock.free_if_rivals_abort, search)).free
        missing = [(one.variant_id, one.warehouse_id) for one in named if one.warehouse_id not in free[one.variant_id]]
    elsewhere = Elsewhere(free)
    yield from elsewhere.look(variants, search)
    first, *others = [MissingStock(*row, elsewhere.alternatives_to(*row)) for row in missing]
    raise Refused(StockNotFound(first.variant_id, first.warehouse_id, first.alternatives, tuple(others)))


def _shortages(lines: Sequence[Line], placements: Sequence[Placement], elsewhere: Elsewhere) -> tuple[Shortage, ...]:
    # All that the basket asks of a row was judged together and is named together.
    asked: dict[tuple[str, str], int] = {}
    for line, placement in zip(lines, placements, strict=True):
        row = (line.variant_id, placement.warehouse_id)
        asked[row] = asked.get(row, 0) + line.quantity
    short = {
        (line.variant_id, placement.warehouse_id): placement.available
        for line, placement in zip(lines, placements, strict=True)
        if placement.found and not placement.fits
    }
    return tuple(
        [Shortage(*row, asked[row], available, elsewhere.alternatives_to(*row)) for row, available in short.items()]
    )
