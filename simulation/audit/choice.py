"""Which warehouse serves which line: the contract's sentence written a second time, since the auditor must not believe
the planner.

"One warehouse that can serve all lines that name none, if there is one; else each line the one with the most; among
equals the smaller id; a line is not split." Where several can serve all, the most decides as well. Lines of one
variant that no warehouse can serve together are placed by size, and where the most leads nowhere, the next is tried.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from actors.commands import Line
from actors.planner import place

Free = Mapping[str, Mapping[str, int]]
"""Pieces by variant and warehouse."""

LINES_TRIED_MAX = 6  # of one variant; with more, trying every choice takes too long, and the planner is believed


class Choice(NamedTuple):
    """Where a line is served or, if it does not fit, was asked for or would have the most."""

    warehouse_id: str
    found: bool
    fits: bool
    available: int


def choose(lines: Sequence[Line], free: Free) -> list[Choice]:
    """What the contract says of each line of a basket in this state."""
    left = {line.variant_id: dict(free.get(line.variant_id, {})) for line in lines}
    open_lines: dict[str, list[int]] = {}
    for number, line in enumerate(lines):
        if not line.warehouse_id:
            open_lines.setdefault(line.variant_id, []).append(number)
        elif line.warehouse_id in left[line.variant_id]:
            left[line.variant_id][line.warehouse_id] -= line.quantity
    if any(len(numbers) > LINES_TRIED_MAX for numbers in open_lines.values()):
        return [Choice(*placement) for placement in place(lines, free)]
    served = _by_one(lines, open_lines, left) or _each(lines, open_lines, left)
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


def _most_first(rows: Mapping[str, int]) -> list[str]:
    return sorted(rows, key=lambda warehouse_id: (-rows[warehouse_id], warehouse_id))


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


def _each(lines: Sequence[Line], open_lines: Mapping[str, list[int]], left: Free) -> dict[int, str]:
    """A warehouse for each open line, of every variant whose lines can all be served."""
    served: dict[int, str] = {}
    for variant, numbers in open_lines.items():
        largest_first = sorted(numbers, key=lambda number: (-lines[number].quantity, number))
        placed = _spread([lines[number].quantity for number in largest_first], left[variant])
        served.update(zip(largest_first, placed, strict=False))
    return served


def _spread(quantities: Sequence[int], rows: Mapping[str, int]) -> list[str]:
    """A warehouse for each quantity, in this order; empty if there is no way."""
    for warehouse_id in _most_first(rows):
        rest = rows[warehouse_id] - quantities[0]
        if rest < 0:
            return []
        if len(quantities) == 1:
            return [warehouse_id]
        if others := _spread(quantities[1:], {**rows, warehouse_id: rest}):
            return [warehouse_id, *others]
    return []
