"""Turns the lines of a basket into rows: which warehouse serves what.

A line that names its warehouse gets that one. For the others the organization's policy decides. By default they prefer
one warehouse that can serve them all (one parcel); where there is none, each gets the warehouse that has the most.
Among equals the smaller id wins. The other policies are in `actors/sourcing_policies.py`. A line is never split.

Lines on the same goods are judged together. Several lines of one variant that no warehouse can serve alone are
packed (`actors/packing.py`); a basket of that kind beyond the bound of the search counts as not fitting.

Everything here works on one look at the stock, so a basket that does not fit did not fit at one instant. A long search
lets others have their turn, and by its end the stock may have moved: it says so, in `Search.has_waited`.
"""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import NamedTuple

from actors.commands import Line
from actors.packing import Free as Free
from actors.packing import Search as Search
from actors.packing import Wish, of_each
from actors.packing import one_warehouse_for_all as _one_warehouse_for_all
from actors.packing import pack as _pack
from actors.sourcing import USUAL, Sourcing
from actors.sourcing_policies import by_priority, in_fewest_parcels
from actors.turn import Turn


class Placement(NamedTuple):
    """Where a line is served.

    Args:
        warehouse_id: the row that serves it; if it does not fit, the warehouse asked for or else the one with the most.
        found: whether there is such stock at all.
        fits: whether the line is served, together with all lines on the same goods.
        available: pieces free there, before this basket.
    """

    warehouse_id: str
    found: bool
    fits: bool
    available: int


def place(lines: Sequence[Line], free: Free, sourcing: Sourcing = USUAL) -> list[Placement]:
    """`placing`, without others' turns: for those who have no others."""
    turn = placing(lines, free, Search(), sourcing)
    try:
        while True:
            next(turn)
    except StopIteration as end:
        placements: list[Placement] = end.value
        return placements


def placing(lines: Sequence[Line], free: Free, search: Search, sourcing: Sourcing = USUAL) -> Turn[list[Placement]]:
    """Place every line of a basket; the basket can be served if every placement fits."""
    named: dict[tuple[str, str], int] = {}
    open_lines: dict[str, list[int]] = {}
    for index, line in enumerate(lines):
        if line.warehouse_id:
            row = (line.variant_id, line.warehouse_id)
            named[row] = named.get(row, 0) + line.quantity
        else:
            open_lines.setdefault(line.variant_id, []).append(index)
    chosen = (yield from _choose(lines, open_lines, named, free, search, sourcing)) if open_lines else {}
    fullest: dict[str, str] = {}  # looked for once a variant, however many of its lines fall short
    placements = []
    for index, line in enumerate(lines):
        rows = free.get(line.variant_id, {})
        if line.warehouse_id:
            available = rows.get(line.warehouse_id)
            fits = available is not None and named[line.variant_id, line.warehouse_id] <= available
            placements.append(Placement(line.warehouse_id, available is not None, fits, available or 0))
        else:
            warehouse_id = chosen.get(index)
            fits = warehouse_id is not None
            if warehouse_id is None and line.variant_id not in fullest:
                if search.is_due(len(rows)):
                    yield from search.others_first()
                fullest[line.variant_id] = _fullest(rows)
            shown = warehouse_id or fullest[line.variant_id]
            placements.append(Placement(shown, bool(rows), fits, rows.get(shown, 0)))
    return placements


def _choose(
    lines: Sequence[Line],
    open_lines: Mapping[str, list[int]],
    named: Mapping[tuple[str, str], int],
    free: Free,
    search: Search,
    sourcing: Sourcing,
) -> Turn[dict[int, str]]:
    """A warehouse for each line that names none; lines of a variant that cannot be served are left out."""
    left: Free = {variant_id: free.get(variant_id, {}) for variant_id in open_lines}
    if named:
        left = yield from _less(left, named, search)
    if sourcing.policy == "priority":
        return (yield from by_priority(_wishes(lines, open_lines), left, sourcing.priorities, search))
    single = yield from _one_warehouse_for_all(_wanted(lines, open_lines), left, search)
    chosen: dict[int, str] = {}
    if single is not None:
        chosen = dict.fromkeys(chain.from_iterable(open_lines.values()), single)
    else:
        for variant_id, of_variant in _wishes(lines, open_lines).items():
            chosen.update((yield from _pack(of_variant, left[variant_id], search)))
    if sourcing.policy == "fewest_parcels" and len(chosen) == sum(map(len, open_lines.values())):
        sent = frozenset(warehouse_id for _, warehouse_id in named)
        return (yield from in_fewest_parcels(_wishes(lines, open_lines), left, chosen, sent, search))
    return chosen


def _less(left: Free, named: Mapping[tuple[str, str], int], search: Search) -> Turn[Free]:
    """What lines that name their warehouse leave to the others."""

    def less(variant_id: str, rows: Mapping[str, int]) -> dict[str, int]:
        return {one: pieces - named.get((variant_id, one), 0) for one, pieces in rows.items()}

    return (yield from of_each(left, less, search))


def _wanted(lines: Sequence[Line], open_lines: Mapping[str, list[int]]) -> dict[str, int]:
    return {
        variant_id: lines[indexes[0]].quantity if len(indexes) == 1 else sum([lines[i].quantity for i in indexes])
        for variant_id, indexes in open_lines.items()
    }


def _wishes(lines: Sequence[Line], open_lines: Mapping[str, list[int]]) -> dict[str, list[Wish]]:
    return {variant_id: [(lines[i].quantity, i) for i in indexes] for variant_id, indexes in open_lines.items()}


def _fullest(rows: Mapping[str, int]) -> str:
    """The warehouse with the most; empty if there is none."""
    most = max(rows.values(), default=0)
    return min((warehouse_id for warehouse_id, pieces in rows.items() if pieces == most), default="")
