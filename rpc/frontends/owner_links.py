"""A router's links to the owners of all cells of the map."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from actors.unavailable import cell_away
from cells.cell_map import CellMap
from rpc.frontends.link_tls import LinkTls
from rpc.frontends.owner_link import OwnerLink


class OwnerLinksStatistics(NamedTuple):
    """Cells, and those whose owner serves."""

    cells: int
    serving: int


class OwnerLinks:
    """Has a link to each cell.

    Args:
        requests_max: how many requests may wait for each owner.
        on_serving: told when one may have begun or ended to serve.
        tls: of links over a port; None: nothing is encrypted.
    """

    def __init__(self, requests_max: int, on_serving: Callable[[], None], tls: LinkTls | None = None) -> None:
        self._requests_max = requests_max
        self._on_serving = on_serving
        self._tls = tls
        self._links: dict[str, OwnerLink] = {}
        self._running: dict[str, tuple[str, asyncio.Task[None]]] = {}  # the address, and what keeps the link

    def __repr__(self) -> str:
        return f"<OwnerLinks {list(self._links.values())}>"

    def statistics(self) -> OwnerLinksStatistics:
        return OwnerLinksStatistics(len(self._links), sum(link.serving for link in self._links.values()))

    def by_cell(self) -> Sequence[tuple[str, bool, int]]:
        """Of each cell whether its owner serves, and how many requests wait for it."""
        return [(name, link.serving, link.statistics().under_way) for name, link in self._links.items()]

    def owner_of(self, name: str) -> OwnerLink:
        """The link to a cell. Raises `Unavailable`: there is no such cell now."""
        link = self._links.get(name)
        if link is None:
            raise cell_away()
        return link

    def owners(self) -> Collection[OwnerLink]:
        return self._links.values()

    def follow(self, there: CellMap) -> None:
        """Have links to the cells of this map, and no others."""
        for name, (address, _) in list(self._running.items()):
            cell = there.cells.get(name)
            if cell is None or cell.address != address:
                self._drop(name)
        for name, cell in there.cells.items():
            if name not in self._running:
                link = OwnerLink(name, cell.address, self._requests_max, self._on_serving, self._tls)
                self._links[name] = link
                self._running[name] = cell.address, asyncio.create_task(link.run())

    def close(self) -> None:
        """Let all owners go."""
        for name in list(self._running):
            self._drop(name)

    def _drop(self, name: str) -> None:
        self._running.pop(name)[1].cancel()
        del self._links[name]
