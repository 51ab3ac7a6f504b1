"""Warehouses that are not active: what the planner sees of them, which is nothing, and what is said of them.

Almost always there are none, and then all of this costs one look at an empty set. A reservation that races with a
deactivation is decided before it, and keeps its goods, or after it, and takes none there: see `actors/sourcing.py`.
"""

from collections.abc import Collection, Iterable, Sequence

from actors.commands import Line
from actors.outcomes import Refused
from actors.packing import of_each
from actors.planner import Free, Placement, Search
from actors.sourcing import Closed
from actors.turn import Turn
from actors.warehouse_outcomes import ClosedRow, WarehouseInactive


def refuse_closed(lines: Iterable[Line], closed: Closed) -> None:
    """See that no line names a warehouse that is not active.

    Raises:
        Refused: some do; all of those are named.
    """
    named = dict.fromkeys(
        ClosedRow(line.variant_id, line.warehouse_id) for line in lines if line.warehouse_id in closed
    )
    if named:
        raise Refused(WarehouseInactive(tuple(named)))


def free_elsewhere(free: Free, closed: Closed, search: Search) -> Turn[Free]:
    """What is free in the warehouses that are active."""
    if not closed:
        return free
    return (yield from of_each(free, lambda _, rows: {one: rows[one] for one in rows if one not in closed}, search))


def known_elsewhere(lines: Sequence[Line], placements: Sequence[Placement], known: Collection[str]) -> list[Placement]:
    """The placements, where goods that only closed warehouses have are found and short, not unknown.

    Args:
        known: the variants that have a row anywhere.
    """
    return [
        placement._replace(found=True) if not line.warehouse_id and line.variant_id in known else placement
        for line, placement in zip(lines, placements, strict=True)
    ]
