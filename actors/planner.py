"""Turns the lines of a basket into rows: which warehouse serves what.

A line that names its warehouse gets that one. The others prefer one warehouse that can serve them all (one
parcel); where there is none, each gets the warehouse that has the most. Among equals the smaller id wins. A
line is never split.

Lines on the same goods are judged together. Several lines of one variant that no warehouse can serve alone are
a packing problem: the largest line is placed first, where the most is left, and the search backs up where that
leads nowhere; it is bounded, since packing is NP-hard, and a basket of that kind beyond the bound counts as not
fitting.

Everything here works on one look at the stock, so a basket that does not fit did not fit at one instant. A long search
lets others have their turn, and by its end the stock may have moved: it says so, in `Search.has_waited`.
"""

from bisect import bisect_left, insort
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from actors.commands import Line
from actors.turn import OTHERS_FIRST, Turn

PACKING_STEPS_MAX = 20_000
PACKING_STEPS_A_TURN = 250  # about 1.5 ms, and several callers' searches share a turn of the event loop
WAREHOUSES_A_TURN = 5_000  # about 6 ms

Free = Mapping[str, Mapping[str, int]]
"""Pieces free by variant id and warehouse id. A row that does not exist is not in it."""


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


class Search:
    """What a basket's packing may still take, and whether it let others have their turn."""

    __slots__ = ("has_waited", "steps_left")

    def __init__(self) -> None:
        self.steps_left = PACKING_STEPS_MAX
        self.has_waited = False

    def __repr__(self) -> str:
        return f"<Search steps_left={self.steps_left} has_waited={self.has_waited}>"

    def others_first(self) -> Turn[None]:
        self.has_waited = True
        yield OTHERS_FIRST


def place(lines: Sequence[Line], free: Free) -> list[Placement]:
    """`placing`, without others' turns: for those who have no others."""
    turn = placing(lines, free, Search())
    try:
        while True:
            next(turn)
    except StopIteration as end:
        placements: list[Placement] = end.value
        return placements


def placing(lines: Sequence[Line], free: Free, search: Search) -> Turn[list[Placement]]:
    """Place every line of a basket; the basket can be served if every placement fits."""
    named: dict[tuple[str, str], int] = {}
    open_lines: dict[str, list[int]] = {}
    for index, line in enumerate(lines):
        if line.warehouse_id:
            row = (line.variant_id, line.warehouse_id)
            named[row] = named.get(row, 0) + line.quantity
        else:
            open_lines.setdefault(line.variant_id, []).append(index)
    chosen = (yield from _choose(lines, open_lines, named, free, search)) if open_lines else {}
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
) -> Turn[dict[int, str]]:
    """A warehouse for each line that names none; lines of a variant that cannot be served are left out."""
    left = {
        variant_id: {
            warehouse_id: available - named.get((variant_id, warehouse_id), 0)
            for warehouse_id, available in free.get(variant_id, {}).items()
        }
        for variant_id in open_lines
    }
    wanted = {variant_id: sum(lines[i].quantity for i in indexes) for variant_id, indexes in open_lines.items()}
    single = _one_warehouse_for_all(wanted, left)
    if single is not None:
        return {index: single for indexes in open_lines.values() for index in indexes}
    chosen: dict[int, str] = {}
    for variant_id, indexes in open_lines.items():
        chosen.update((yield from _pack([(lines[i].quantity, i) for i in indexes], left[variant_id], search)))
    return chosen


def _one_warehouse_for_all(wanted: Mapping[str, int], left: Free) -> str | None:
    """The warehouse that can serve everything wanted and has the most of it."""
    variants = list(wanted)
    best, best_left = None, -1
    for warehouse_id in sorted(left[variants[0]]):
        if all(left[v].get(warehouse_id, -1) >= wanted[v] for v in variants):
            pieces = sum(left[v][warehouse_id] for v in variants)
            if pieces > best_left:
                best, best_left = warehouse_id, pieces
    return best


def _pack(wishes: list[tuple[int, int]], left: Mapping[str, int], search: Search) -> Turn[dict[int, str]]:
    """Place (quantity, line) wishes of one variant into its warehouses, all or none."""
    wishes = sorted(wishes, key=lambda wish: (-wish[0], wish[1]))
    if sum(quantity for quantity, _ in wishes) > sum(max(0, pieces) for pieces in left.values()):
        return {}
    if len(left) > WAREHOUSES_A_TURN:
        yield from search.others_first()
    space = Space(left)
    placed: list[tuple[str, int]] = []  # the warehouse of each wish so far, and what it had before
    below: int | None = None  # warehouses with as much or more were tried for the next wish
    steps = -len(wishes)  # one step a wish is not counted: a basket that packs straight away never meets the bound
    while len(placed) < len(wishes):
        if steps > search.steps_left:
            search.steps_left = 0
            return {}
        if steps % PACKING_STEPS_A_TURN == 0:
            yield from search.others_first()
        steps += 1
        quantity = wishes[len(placed)][0]
        pieces = space.most(below)
        if pieces is not None and pieces >= quantity:
            placed.append((space.take(pieces, quantity), pieces))
            below = None
        elif not placed:
            break
        else:
            warehouse_id, below = placed.pop()
            space.put_back(warehouse_id, below, wishes[len(placed)][0])
    search.steps_left -= max(0, steps)
    if not placed:
        return {}
    return {line: warehouse_id for (_, line), (warehouse_id, _) in zip(wishes, placed, strict=True)}


class Space:
    """What the warehouses of one variant have left, by how much that is.

    Of warehouses with equally much left, the one with the smallest id stands for all. A step costs the same beside
    ten thousand warehouses as beside ten.

    Args:
        left: pieces by warehouse.
    """

    def __init__(self, left: Mapping[str, int]) -> None:
        self._ids: dict[int, list[str]] = {}
        for warehouse_id in sorted(left):
            self._ids.setdefault(left[warehouse_id], []).append(warehouse_id)
        self._pieces = sorted(self._ids)

    def __repr__(self) -> str:
        return f"<Space {self._ids}>"

    def most(self, below: int | None) -> int | None:
        """The most that a warehouse has left, of those that have less than `below` (None: of all)."""
        place = len(self._pieces) if below is None else bisect_left(self._pieces, below)
        return self._pieces[place - 1] if place else None

    def take(self, pieces: int, quantity: int) -> str:
        """Take this much from the warehouse that stands for all that have these pieces. Returns its id."""
        warehouse_id = self._ids[pieces][0]
        self._move(warehouse_id, pieces, pieces - quantity)
        return warehouse_id

    def put_back(self, warehouse_id: str, pieces: int, quantity: int) -> None:
        """Undo a `take`: the warehouse has this many pieces again."""
        self._move(warehouse_id, pieces - quantity, pieces)

    def _move(self, warehouse_id: str, before: int, after: int) -> None:
        ids = self._ids[before]
        del ids[bisect_left(ids, warehouse_id)]
        if not ids:
            del self._ids[before]
            del self._pieces[bisect_left(self._pieces, before)]
        if after not in self._ids:
            self._ids[after] = []
            insort(self._pieces, after)
        insort(self._ids[after], warehouse_id)


def _fullest(rows: Mapping[str, int]) -> str:
    """The warehouse with the most; empty if there is none."""
    return min(rows, key=lambda w: (-rows[w], w), default="")
