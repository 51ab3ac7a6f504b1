"""Which warehouse serves which line: the contract's sentence written a second time, since the auditor must not believe
the planner.

"One warehouse that can serve all lines that name none, if there is one; else each line the one with the most; among
equals the smaller id; a line is not split." Where several can serve all, the most decides as well. Lines of one
variant that no warehouse can serve together are placed by size, and where the most leads nowhere, the next is tried.

An organization may say otherwise: "the one with the highest priority that has enough" or "as few warehouses for the
whole basket as possible".
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

from actors.commands import Line
from actors.planner import place
from actors.sourcing import Sourcing
from simulation.audit.sites import NO_SITES, Sites

Free = Mapping[str, Mapping[str, int]]
"""Pieces by variant and warehouse."""

LINES_TRIED_MAX = 6  # of one variant; with more, trying every choice takes too long, and the planner is believed


class Choice(NamedTuple):
    """Where a line is served or, if it does not fit, was asked for or would have the most."""

    warehouse_id: str
    found: bool
    fits: bool
    available: int


def choose(lines: Sequence[Line], free: Free, sites: Sites = NO_SITES) -> list[Choice]:
    """What the contract says of each line of a basket in this state."""
    left = {line.variant_id: dict(free.get(line.variant_id, {})) for line in lines}
    open_lines: dict[str, list[int]] = {}
    for number, line in enumerate(lines):
        if not line.warehouse_id:
            open_lines.setdefault(line.variant_id, []).append(number)
        elif line.warehouse_id in left[line.variant_id]:
            left[line.variant_id][line.warehouse_id] -= line.quantity
    if any(len(numbers) > LINES_TRIED_MAX for numbers in open_lines.values()):
        believed = Sourcing(frozenset(), sites.policy, sites.priorities)
        return [Choice(*placement) for placement in place(lines, free, believed)]
    served = _served(lines, open_lines, left, sites)
    choices = []
    for number, line in enumerate(lines):
        rows = free.get(line.variant_id, {})
        if line.warehouse_id:
            found = line.warehouse_id in rows
            fits = found and left[line.variant_id][line.warehouse_id] >= 0
            choices.append(Choice(line.warehouse_id, found, fits, rows.get(line.warehouse_id, 0)))
        else:
            warehouse_id = served.get(number) or next(iter(_most_first(rows)), "")
            choices.append(Choice(warehouse_id, bool(rows), number in served, rows.get(warehouse_id, 0)))
    return choices


def _served(
    lines: Sequence[Line], open_lines: Mapping[str, list[int]], left: Mapping[str, dict[str, int]], sites: Sites
) -> dict[int, str]:
    """A warehouse for each open line that can be served."""
    if sites.policy == "priority":
        return _ranked(lines, open_lines, left, sites.priorities)
    usual = _by_one(lines, open_lines, left) or _each(lines, open_lines, left)
    if sites.policy == "fewest_parcels" and len(usual) == sum(map(len, open_lines.values())):
        return _fewest(lines, open_lines, left, usual)
    return usual


def _ranked(
    lines: Sequence[Line], open_lines: Mapping[str, list[int]], left: Free, priorities: Mapping[str, int]
) -> dict[int, str]:
    served = _each(lines, open_lines, left, priorities)
    tops = {priorities.get(warehouse_id, 0) for warehouse_id in served.values()}
    if len(served) < sum(map(len, open_lines.values())) or len(tops) != 1:
        return served
    equal = {
        variant: {one: pieces for one, pieces in rows.items() if priorities.get(one, 0) in tops}
        for variant, rows in left.items()
    }
    return _by_one(lines, open_lines, equal) or served


def _fewest(
    lines: Sequence[Line], open_lines: Mapping[str, list[int]], left: Free, usual: dict[int, str]
) -> dict[int, str]:
    """By trying every set of warehouses, those with the most before others."""
    named = {line.warehouse_id for line in lines if line.warehouse_id}
    pieces: dict[str, int] = {}
    for variant in open_lines:
        for warehouse_id, there in left[variant].items():
            pieces[warehouse_id] = pieces.get(warehouse_id, 0) + max(there, 0)
    others = [warehouse_id for warehouse_id in _most_first(pieces) if warehouse_id not in named]
    for more in range(len({*usual.values()} - named)):
        for chosen in combinations(others, more):
            able = {v: {w: n for w, n in left[v].items() if w in named or w in chosen} for v in open_lines}
            served = _each(lines, open_lines, able)
            if len(served) == len(usual):
                return served
    return usual


def _most_first(rows: Mapping[str, int], priorities: Mapping[str, int] | None = None) -> list[str]:
    first = priorities or {}
    return sorted(rows, key=lambda warehouse_id: (-first.get(warehouse_id, 0), -rows[warehouse_id], warehouse_id))


def _by_one(lines: Sequence[Line], open_lines: Mapping[str, list[int]], left: Free) -> dict[int, str]:
    """One warehouse for all open lines; empty if there is none."""
    wanted = {variant: sum(lines[n].quantity for n in numbers) for variant, numbers in open_lines.items()}
    able: dict[str, int] = {}
    for warehouse_id in {w: None for variant in wanted for w in left[variant]}:
        pieces = [left[variant].get(warehouse_id, -1) for variant in wanted]
        if all(there >= asked for there, asked in zip(pieces, wanted.values(), strict=True)):
            able[warehouse_id] = sum(pieces)
    if not able:
        return {}
    return {number: _most_first(able)[0] for numbers in open_lines.values() for number in numbers}


def _each(
    lines: Sequence[Line],
    open_lines: Mapping[str, list[int]],
    left: Free,
    priorities: Mapping[str, int] | None = None,
) -> dict[int, str]:
    """A warehouse for each open line, of every variant whose lines can all be served."""
    served: dict[int, str] = {}
    for variant, numbers in open_lines.items():
        largest_first = sorted(numbers, key=lambda number: (-lines[number].quantity, number))
        placed = _spread([lines[number].quantity for number in largest_first], left[variant], priorities)
        served.update(zip(largest_first, placed, strict=False))
    return served


def _spread(quantities: Sequence[int], rows: Mapping[str, int], priorities: Mapping[str, int] | None) -> list[str]:
    """A warehouse for each quantity, in this order; empty if there is no way."""
    for warehouse_id in _most_first(rows, priorities):
        rest = rows[warehouse_id] - quantities[0]
        if rest < 0:
            continue
        if len(quantities) == 1:
            return [warehouse_id]
        if others := _spread(quantities[1:], {**rows, warehouse_id: rest}, priorities):
            return [warehouse_id, *others]
    return []
