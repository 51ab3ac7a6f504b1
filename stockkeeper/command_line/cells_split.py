"""`stockkeeper cells split`: what one database has becomes that of several cells on this machine."""

import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack

import anyio
import msgspec

from actors.cell_records import CellRecord
from cells.cell_map import CellMap
from stockkeeper.bootstrap import build_store
from stockkeeper.cell_layout import CellLayout, known_map, layout_of, write_map
from stockkeeper.command_line.exit_status import EXIT_FAILURE, EXIT_OWNERSHIP
from stockkeeper.command_line.given_database import FAILURES, cause_of
from stockkeeper.command_line.output import say
from stockkeeper.command_line.progress import working
from stockkeeper.config import ConfigurationError
from storage.sql.database_url import show_url
from storage.sql.move import MoveRefused, MoveSide
from storage.sql.move_sides import opened_side
from storage.sql.split import Divided, Division, divide, finish
from storage.store import OwnershipLost, StorageError


def split(database_url: str, map_file: str, into: int, *, json: bool) -> int:
    """Divide a database that no server has.

    Raises:
        ConfigurationError: it is not said into how many cells, or they are there already.
    """
    if into < 1:
        raise ConfigurationError("Say into how many cells: --into 4.")
    build_store(database_url)  # says what is wrong with it
    layout = layout_of(database_url, map_file, into)
    there = known_map(layout)
    try:
        with working("Dividing and checking"):
            divided = anyio.run(_divided, layout, there)
    except OwnershipLost as error:
        return _fail(str(error), EXIT_OWNERSHIP)
    except (MoveRefused, StorageError, *FAILURES) as error:
        return _fail(cause_of(error))
    _say(layout, divided, json=json)
    return 0


async def _divided(layout: CellLayout, there: CellMap | None) -> Divided | None:
    """What was divided now; None: all but the last step had been done."""
    async with AsyncExitStack() as stack:
        source = await stack.enter_async_context(opened_side(layout.whole, is_source=True))
        targets: dict[str, MoveSide] = {}
        for name, url in zip(layout.cells, layout.database_urls, strict=True):
            targets[name] = await stack.enter_async_context(opened_side(url, is_source=False))
        divided = None
        if there is None:
            there = layout.map
            divided = await divide(source, targets, Division(_records(there), lambda one: layout.map.cell_of(one).name))
            write_map(layout.map_file, there)
        if not await finish(source, targets, there.digest):
            raise MoveRefused(f"{source.name} is divided already, as {layout.map_file} says")
        return divided


def _records(there: CellMap) -> Mapping[str, CellRecord]:
    return {name: CellRecord(name, there.version, there.digest) for name in there.cells}


def _say(layout: CellLayout, divided: Divided | None, *, json: bool) -> None:
    databases = dict(zip(layout.cells, map(show_url, layout.database_urls), strict=True))
    for name, count in (divided.organizations if divided is not None else {}).items():
        assert divided is not None
        row = {"cell": name, "database": databases[name], "organizations": count, "audit": divided.audits[name]}
        if json:
            say(msgspec.json.encode(row).decode())
        else:
            say(f"{name}\t{count} organizations\t{divided.audits[name].summary}\t{databases[name]}")
    if not json:
        kept = f"{show_url(layout.whole)} keeps what it has, and serves no more"
        say(f"The map is {layout.map_file}. {kept}: start `stockkeeper serve --cells {len(layout.cells)}`.")


def _fail(cause: str, status: int = EXIT_FAILURE) -> int:
    sys.stderr.write(f"Nothing was divided: {cause}.\n")
    return status
