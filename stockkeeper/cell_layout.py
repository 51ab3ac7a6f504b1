"""Where the cells of one machine are: their map, their databases and their sockets, as `serve --cells` has them.

Files lie beside the one database that they take the place of: stockkeeper.0.db, stockkeeper.1.db and so on, with
the map in stockkeeper.cells.toml, and sockets beside the map. On Postgres each cell has a schema. How many there are is
what the map says: a cell that is added moves nothing by itself.
"""

import os
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path

from msgspec import Struct

from cells.cell_map import SOCKET_PATH_BYTES_MAX, Cell, CellMap, CellMapError
from cells.map_file import read_map
from cells.map_writing import text_of
from stockkeeper.config import ConfigurationError
from stockkeeper.whole_file import whole_file
from storage.sql.database_url import complete_url, parse_url

SCHEMA = "stockkeeper"
OPTIONS_OF_A_SCHEMA = '-csearch_path="'


class CellLayout(Struct, frozen=True):
    """What the cells of one machine are.

    Args:
        map_file: their map.
        cells: their names.
        database_urls: of each, in that order.
        whole: the database that would be there without cells, as a URL.
    """

    map_file: Path
    cells: Sequence[str]
    database_urls: Sequence[str]
    whole: str

    def __repr__(self) -> str:
        return f"<CellLayout {self.map_file} cells={len(self.cells)}>"  # a URL may have a password

    @property
    def map(self) -> CellMap:
        """The first one. Raises `ConfigurationError`: a socket's path is too long."""
        return CellMap(1, {name: Cell(name, f"unix:{self._socket_of(name)}") for name in self.cells}, {})

    def _socket_of(self, name: str) -> Path:
        """Beside the map, or where the user's sockets are if a path from there would be too long."""
        beside = self.map_file.with_name(f"{self.map_file.stem}.{name}.sock")
        users = os.environ.get("XDG_RUNTIME_DIR")
        if users is None or len(os.fsencode(beside)) <= SOCKET_PATH_BYTES_MAX:
            return beside
        this_map = blake2b(os.fsencode(self.map_file), digest_size=8).hexdigest()
        return Path(users) / f"stockkeeper-{this_map}.{name}.sock"


def layout_of(database_url: str, map_file: str, count: int) -> CellLayout:
    """Where a number of cells is.

    Args:
        database_url: of the one database that they take the place of.
        map_file: empty: beside that.

    Raises:
        ConfigurationError: it cannot be said where the map is.
    """
    url = parse_url(database_url)
    names = [f"cell-{number}" for number in range(count)]
    if url.get_backend_name() == "sqlite":
        path = Path(str(url.database)).resolve()
        place = Path(map_file).resolve() if map_file else path.with_suffix(".cells.toml")
        paths = [path.with_name(f"{path.stem}.{number}{path.suffix}") for number in range(count)]
        urls = [url.set(database=str(one)).render_as_string(hide_password=False) for one in paths]
        return CellLayout(place, names, urls, database_url)
    if not map_file:
        raise ConfigurationError("Cells of one Postgres need a file for their map: --cells-map.")
    return CellLayout(Path(map_file).resolve(), names, _schemas(database_url, count), database_url)


def _schemas(database_url: str, count: int) -> Sequence[str]:
    url = parse_url(database_url)
    options = str(url.query.get("options", ""))
    of_its_own = options.startswith(OPTIONS_OF_A_SCHEMA) and options.endswith('"')
    base = options[len(OPTIONS_OF_A_SCHEMA) : -1] if of_its_own else SCHEMA
    if options and not of_its_own:
        raise ConfigurationError(
            "Cells of one Postgres take their schemas from --database-schema, and not from options."
        )
    plain = url.difference_update_query(["options"]).render_as_string(hide_password=False)
    return [complete_url(plain, "", f"{base}_{number}") for number in range(count)]


def known_map(layout: CellLayout) -> CellMap | None:
    """The map that is there, if it is one of these cells; None: there is none yet.

    Raises:
        ConfigurationError: it is of other cells, or cannot be used.
    """
    if not layout.map_file.exists():
        return None
    try:
        there = read_map(str(layout.map_file))
    except CellMapError as error:
        raise ConfigurationError(str(error)) from None
    if len(there.cells) != len(layout.cells):
        raise ConfigurationError(
            f"The map {layout.map_file} has {len(there.cells)} cells, and not {len(layout.cells)}: how many there are"
            " is decided once, when `stockkeeper cells split` divides a database or `serve --cells` begins with none."
        )
    if set(there.cells) != set(layout.cells):
        raise ConfigurationError(f"The map {layout.map_file} has other cells than {', '.join(layout.cells)}.")
    return there


def write_map(path: Path, there: CellMap) -> None:
    """Raises `ConfigurationError`: it cannot be written."""
    try:
        with whole_file(path) as file:
            file.write(text_of(there))
    except OSError as error:
        raise ConfigurationError(f"The map {path} cannot be written: {error.strerror}.") from None
    try:
        read_map(str(path))
    except CellMapError as error:
        path.unlink()
        raise ConfigurationError(str(error)) from None
