"""What a router has to tell of itself. Nothing of Prometheus: a router without metrics needs none."""

from typing import NamedTuple


class CellFigures(NamedTuple):
    """A cell of the map, as a router sees it: whether its owner serves, and how many requests wait for it."""

    name: str
    is_served: bool
    under_way: int


class RouterFigures(NamedTuple):
    """Since the start, but for what is under way.

    Args:
        map_version: that it goes by.
        cells: of that map.
        waiting: requests that are asked again now.
        asked_again: times that one was.
        wrong_cell: answers of a cell that it does not hold the organization.
        looks: at all cells, for an organization.
        claims: organizations that a cell was asked to take.
        reloads_failed: files of the map that could not be used.
    """

    map_version: int
    cells: tuple[CellFigures, ...]
    waiting: int
    asked_again: int
    wrong_cell: int
    looks: int
    claims: int
    reloads_failed: int
