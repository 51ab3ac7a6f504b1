"""Has a server be a cell: it joins the map when it starts, and each newer one when the file changes."""

import anyio
import structlog

from actors.cell_records import CellRecord
from actors.queries import JoinCell
from actors.unavailable import Unavailable
from cells.cell_map import CellMap, CellMapError
from cells.map_file import MapFile
from rpc.authorization.file_look import look_at
from rpc.inventory_port import Inventory
from stockkeeper.config import CellsConfig, ConfigurationError
from storage.store import StorageError

log = structlog.get_logger("stockkeeper")

LOOK_EVERY_S = 1.0


class CellRefused(Exception):
    """The database cannot be this cell. Its text is one sentence for the operator."""


class CellMembership:
    """The cell that a server is.

    Args:
        name: of the cell.
        file: the map.
        inventory: the core.
    """

    def __init__(self, name: str, file: MapFile, inventory: Inventory) -> None:
        self._name = name
        self._file = file
        self._inventory = inventory
        self._joined = 0

    def __repr__(self) -> str:
        return f"<CellMembership {self._name} joined={self._joined} of {self._file!r}>"

    async def join(self) -> None:
        """Join the newest map.

        Raises:
            CellRefused: the database says that it is something else.
            Unavailable: not now.
        """
        there = self._file.current
        check_has_cell(there, self._name)
        wanted = CellRecord(self._name, there.version, there.digest)
        known = (await self._inventory.answer(JoinCell("", *_values(wanted))).wait()).cell
        assert known is not None
        if known.name != self._name:
            raise CellRefused(f"The database is the cell {known.name}, and cannot be the cell {self._name}.")
        if known.version > there.version:
            has_joined = f"The cell {known.name} has joined version {known.version} of the map"
            raise CellRefused(f"{has_joined}, and the file has {there.version}.")
        if known != wanted:
            another = f"The cell {known.name} has joined another map of version {known.version}"
            raise CellRefused(f"{another}: the file needs a new version.")
        self._joined = there.version

    async def begin(self, *, stands_by: bool) -> None:
        """Join the map before anything is served; a server that stands by does so when it serves.

        Raises:
            CellRefused: as `join` does.
            StorageError: the database failed meanwhile.
        """
        try:
            await self.join()
        except Unavailable as error:
            if not stands_by:
                raise StorageError(error.message) from None

    async def follow(self, end: anyio.Event) -> None:
        """Join each newer map, until the end."""
        is_behind = not self._joined
        while not end.is_set():
            with anyio.move_on_after(LOOK_EVERY_S):
                await end.wait()
            is_behind |= self._file.look()
            if is_behind:
                is_behind = await self._is_still_behind()

    async def _is_still_behind(self) -> bool:
        try:
            await self.join()
        except Unavailable:
            return True  # with the database back it is tried again
        except CellRefused as refused:
            log.error("cells_map_not_joined", reason=str(refused))
        else:
            log.info("cells_map_joined", cell=self._name, version=self._joined)
        return False


def open_map(config: CellsConfig) -> MapFile:
    """The map, which has the cell.

    Raises:
        ConfigurationError: it does not, or cannot be used.
    """
    try:
        file = MapFile(config.map_file, look_at)
        check_has_cell(file.current, config.name)
    except (CellMapError, CellRefused) as error:
        raise ConfigurationError(str(error)) from None
    return file


def check_has_cell(there: CellMap, name: str) -> None:
    """Raises `CellRefused` where the map has no cell of that name."""
    if name not in there.cells:
        names = ", ".join(sorted(there.cells))
        raise CellRefused(f"The map has no cell {name}; it has {names}.")


def _values(cell: CellRecord) -> tuple[str, int, str]:
    return cell.name, cell.version, cell.digest
