"""Options of a server that is one of several cells."""

from dataclasses import dataclass
from typing import Annotated

from cyclopts import Parameter

from stockkeeper.command_line.parameters import whole
from stockkeeper.config import DEFAULT_DATABASE_URL, CellsConfig, ConfigurationError, TreeConfig


@dataclass(frozen=True, kw_only=True)
class CellOptions:
    """Which cell the server is."""

    cells_map: Annotated[
        str,
        Parameter(
            help="A file with the map of the cells, of which this server is one; it is read again when it changes.",
            env_var="STOCKKEEPER_CELLS_MAP",
        ),
    ] = ""
    cell: Annotated[str, Parameter(help="The name of the cell that this server is.", env_var="STOCKKEEPER_CELL")] = ""
    cells: Annotated[
        int,
        whole(0, 64),
        Parameter(
            help="How many cells this machine has, each a process with a database of its own, behind routers that share"
            " the port (as many as --frontends says, and one without it); 0: it is one server.",
            env_var="STOCKKEEPER_CELLS",
        ),
    ] = 0

    @property
    def tree(self) -> TreeConfig | None:
        """The cells of this machine; None: it is one server.

        Raises:
            ConfigurationError: it is to be one of them as well.
        """
        if self.cells and self.cell:
            raise ConfigurationError("--cells is for all cells of this machine, and --cell for a server that is one.")
        return TreeConfig(self.cells, self.cells_map) if self.cells else None

    @property
    def config(self) -> CellsConfig | None:
        """The cell; None: it is none.

        Raises:
            ConfigurationError: half of it is missing.
        """
        if self.tree is not None:
            return None
        if bool(self.cells_map) != bool(self.cell):
            raise ConfigurationError("A cell needs both the map and its name: --cells-map and --cell.")
        return CellsConfig(self.cells_map, self.cell) if self.cell else None

    def database_url(self, given: str) -> str:
        """Where the stock is kept: as the map says of this cell, or as given.

        Raises:
            ConfigurationError: the map cannot be used, or both say something.
        """
        config = self.config
        if config is None:
            return given
        from cells.cell_map import CellMapError
        from cells.map_file import read_map

        try:
            cell = read_map(config.map_file).cells.get(config.name)
        except CellMapError as error:
            raise ConfigurationError(str(error)) from None
        if cell is None or not cell.database:
            return given
        if given not in (DEFAULT_DATABASE_URL, cell.database):
            raise ConfigurationError(f"The map gives the cell {cell.name} a database, and --database-url another.")
        return cell.database


Cells = Annotated[CellOptions, Parameter(name="*")]
NO_CELL = CellOptions()
