"""Turns the lines of a basket into rows: which warehouse serves what.

A line that names its warehouse gets that one. The others prefer one warehouse that can serve them all (one
parcel); where there is none, each gets the warehouse that has the most. Among equals the smaller id wins. A
line is never split.

Lines on the same goods are judged together. Several lines of one variant that no warehouse can serve alone are
a packing problem: the largest line is placed first, where the most is left, and the search backs up where that
leads nowhere; it is bounded, since packing is NP-hard, and a basket of that kind beyond the bound counts as not
fitting.

Everything here is synchronous and works on one look at the stock, so a basket that does not fit did not fit at
one instant.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from actors.commands import Line

PACKING_STEPS_MAX = 20_000

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


def place(lines: Sequence[Line], free: Free) -> list[Placement]:
    """Place every line of a basket; the basket can be served if every placement fits."""
    named: dict[tuple[str, str], int] = {}
    open_lines: dict[str, list[int]] = {}
    for index, line in enumerate(lines):
        if line.warehouse_id:
            row = (line.variant_id, line.warehouse_id)
            named[row] = named.get(row, 0) + line.quantity
        else:
            open_lines.setdefault(line.variant_id, []).append(index)
    chosen = _choose(lines, open_lines, named, free) if open_lines else {}
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
            shown = warehouse_id or _fullest(rows)
            placements.append(Placement(shown, bool(rows), fits, rows.get(shown, 0)))
    return placements


def _choose(
    lines: Sequence[Line], open_lines: Mapping[str, list[int]], named: Mapping[tuple[str, str], int], free: Free
) -> dict[int, str]:
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
    steps_left = PACKING_STEPS_MAX  # for all of the basket: it is one turn of the event loop
    for variant_id, indexes in open_lines.items():
        packed, steps_left = _pack([(lines[i].quantity, i) for i in indexes], left[variant_id], steps_left)
        chosen.update(packed)
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


def _pack(wishes: list[tuple[int, int]], left: Mapping[str, int], steps_max: int) -> tuple[dict[int, str], int]:
    """Place (quantity, line) wishes of one variant into its warehouses, all or none. Says how many steps are left."""
    wishes = sorted(wishes, key=lambda wish: (-wish[0], wish[1]))
    space = dict(left)
    if sum(quantity for quantity, _ in wishes) > sum(max(0, pieces) for pieces in space.values()):
        return {}, steps_max
    placed: list[str] = []
    untried: list[list[str]] = []
    # One step a wish is not counted: a basket that packs straight away never meets the bound.
    for step in range(steps_max + len(wishes) + 1):
        if len(placed) == len(wishes):
            packed = {line: warehouse_id for (_, line), warehouse_id in zip(wishes, placed, strict=True)}
            return packed, steps_max - max(0, step - len(wishes))
        quantity = wishes[len(placed)][0]
        if len(untried) == len(placed):
            # Of warehouses with equally much left, one stands for all.
            roomy = {space[w]: w for w in sorted(space, reverse=True) if space[w] >= quantity}
            untried.append([roomy[pieces] for pieces in sorted(roomy, reverse=True)])
        if untried[-1]:
            warehouse_id = untried[-1].pop(0)
            space[warehouse_id] -= quantity
            placed.append(warehouse_id)
        else:
            untried.pop()
            if not placed:
                return {}, steps_max - max(0, step - len(wishes))
            space[placed[-1]] += wishes[len(placed) - 1][0]
            placed.pop()
    return {}, 0


def _fullest(rows: Mapping[str, int]) -> str:
    """The warehouse with the most; empty if there is none."""
    return min(rows, key=lambda w: (-rows[w], w), default="")
