"""A router as a process: the real one, over simulated links, with the map that has come to it."""

from collections.abc import Collection, Mapping

import anyio
from anyio.abc import TaskGroup

from actors.unavailable import cell_away
from cells.asking_again import TimeLeft
from cells.owner_port import Owner
from cells.routed_inventory import RoutedInventory
from cells.whereabouts import Whereabouts
from simulation.world.cell_link import CellLink
from simulation.world.map_news import MapNews

WAIT_S = 3.0
DEADLINE_S = 8.0
WAITING_MAX = 1_000


class SimulatedRouter:
    """One router, which may be killed: it keeps nothing.

    Args:
        name: tells it from the others, and names the file of its map.
        news: brings maps.
        links: to the owners, by cell.
        tasks: where its requests wait.
    """

    def __init__(self, name: str, news: MapNews, links: Mapping[str, CellLink], tasks: TaskGroup) -> None:
        self.name = name
        self.is_dead = False
        self._links = links
        self._where = Whereabouts(news.seen_by(name), lambda: news.seen_by(name), self._owner_of)
        self.inventory = RoutedInventory(
            self._where, self._owner_of, self._owners, tasks.start_soon, WAIT_S, WAITING_MAX, self._asking
        )

    def __repr__(self) -> str:
        return f"<SimulatedRouter {self.name} dead={self.is_dead} {self.inventory!r}>"

    def _owner_of(self, cell: str) -> Owner:
        """Of a cell that is away only the link says so."""
        link = self._links[cell]
        if not link.serving:
            raise cell_away()
        return link

    def _owners(self) -> Collection[Owner]:
        return list(self._links.values())

    def _asking(self) -> TimeLeft:
        gives_up_at_s = anyio.current_time() + DEADLINE_S
        return lambda: gives_up_at_s - anyio.current_time()
