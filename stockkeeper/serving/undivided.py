"""Whether cells may begin with nothing: a database that has a stock already has to be divided first."""

import anyio

from stockkeeper.cell_layout import CellLayout
from stockkeeper.config import ConfigurationError
from storage.sql.database_url import parse_url, show_url
from storage.sql.file_state import look_at_file
from storage.sql.move import MoveRefused
from storage.sql.move_sides import opened_side, path_of
from storage.sql.schema_version import is_empty
from storage.store import OwnershipLost, StorageError


def check_nothing_is_there(layout: CellLayout) -> None:
    """Raises `ConfigurationError` where one of the cells' databases is there, or the one whose place they take."""
    if _is_there(layout.whole):
        raise ConfigurationError(
            f"{show_url(layout.whole)} has a stock of its own: divide it first with `stockkeeper cells split`."
        )
    for url in layout.database_urls:
        if _is_there(url):
            raise ConfigurationError(f"{show_url(url)} is there, and its map {layout.map_file} is not.")


def _is_there(database_url: str) -> bool:
    url = parse_url(database_url)
    if url.get_backend_name() == "sqlite":
        return look_at_file(path_of(url)).kind != "none"
    try:
        return anyio.run(_has_tables, database_url)
    except OwnershipLost:
        return True  # a server runs on it
    except (MoveRefused, StorageError) as error:
        raise ConfigurationError(f"{str(error)[:1].upper()}{str(error)[1:]}.") from None


async def _has_tables(database_url: str) -> bool:
    async with opened_side(database_url, is_source=False) as side:
        return not await side.run(is_empty)
