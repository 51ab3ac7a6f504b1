"""The maps of a world with cells: each program has the newest that has come to it, which may be an old one."""

from collections.abc import Callable
from random import Random
from typing import NamedTuple

from cells.cell_map import Cell, CellMap

NAMES = ("north", "south")


class _Published(NamedTuple):
    at_s: float
    map: CellMap


class MapNews:
    """Maps, from version 1 on.

    Args:
        seed: names the streams of decisions.
        now_s: virtual time.
        old_map_s: how long a map takes to come to a program, at most.
        is_calm: whether the newest is there at once.
    """

    def __init__(self, seed: str, now_s: Callable[[], float], old_map_s: float, is_calm: Callable[[], bool]) -> None:
        self._seed = seed
        self._now_s = now_s
        self._old_map_s = old_map_s
        self._is_calm = is_calm
        cells = {name: Cell(name, f"unix:/{name}") for name in NAMES}
        self._published = [_Published(now_s(), CellMap(1, cells, {}))]

    def __repr__(self) -> str:
        return f"<MapNews {self.newest}>"

    def statistics(self) -> int:
        """Maps that there were."""
        return len(self._published)

    @property
    def newest(self) -> CellMap:
        return self._published[-1].map

    def publish(self, organizations: dict[str, str]) -> None:
        """The next map, with these organizations by name."""
        known = self.newest
        self._published.append(_Published(self._now_s(), CellMap(known.version + 1, known.cells, organizations)))

    def seen_by(self, reader: str) -> CellMap:
        """The newest that has come to a program."""
        if self._is_calm():
            return self.newest
        return next(one.map for one in reversed(self._published) if self._has_come(one, reader))

    def _has_come(self, one: _Published, reader: str) -> bool:
        random = Random(f"{self._seed}/map/{reader}/{one.map.version}")
        delay_s = self._old_map_s * random.choice((0.0, random.random()))
        return one.map.version == 1 or one.at_s + delay_s <= self._now_s()
