"""`stockkeeper cells`: the map of the cells."""

import json as json_format
from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

from cells.cell_map import Cell, CellMap, CellMapError
from cells.map_file import read_map
from stockkeeper.command_line.database_options import DEFAULT_DATABASE, Database
from stockkeeper.command_line.link_options import LINK_IN_THE_CLEAR, LinkTls
from stockkeeper.command_line.output import Column, say
from stockkeeper.command_line.parameters import Json, whole
from stockkeeper.command_line.plain_table import show_table
from stockkeeper.config import ConfigurationError

Action = Literal["where", "split", "move"]


def cells(
    action: Action,
    map_: str = "",
    /,
    *organizations: str,
    to: str = "",
    into: Annotated[int, whole(0, 64)] = 0,
    database: Database = DEFAULT_DATABASE,
    links: LinkTls = LINK_IN_THE_CLEAR,
    json: Json = False,
) -> int:
    """Look at the map of the cells, divide a database among cells, or move an organization.

    where names the cell that each organization belongs to, or all cells.
    split divides what one database has among the cells of one machine, for `serve --cells`. No server may run on it.
    move has one organization go to another cell, with all that it has, while the cells serve. What it did not finish is
    finished, or undone, by moving it again.

    Parameters
    ----------
    action
        where, split or move.
    map_
        The file with the map; split makes it, on SQLite beside the database if none is named.
    organizations
        Ids of organizations.
    to
        The cell that the organization is moved to.
    into
        Into how many cells.
    """
    if action == "split":
        from stockkeeper.command_line.cells_split import split

        return split(database.url, map_, into, json=json)
    if not map_:
        raise ConfigurationError(f"Say which map: stockkeeper cells {action} cells.toml.")
    try:
        found = read_map(map_)
    except CellMapError as error:
        raise ConfigurationError(str(error)) from None
    if action == "move":
        from stockkeeper.command_line.cells_move import move

        if len(organizations) != 1:
            raise ConfigurationError("Say which organization: stockkeeper cells move cells.toml shop --to north.")
        return move(found, organizations[0], to, links.files, json=json)
    return _where(found, organizations, json=json)


def _where(found: CellMap, organizations: Sequence[str], *, json: bool) -> int:
    rows = list(_placed(found, organizations) if organizations else _every_cell(found))
    if json:
        for row in rows:
            say(json_format.dumps(row, ensure_ascii=False))
        return 0
    headings = {"organization": "Organization", "cell": "Cell", "address": "Address"}
    show_table([Column(headings[key]) for key in rows[0]], [tuple(row.values()) for row in rows])
    return 0


def _placed(found: CellMap, organizations: Sequence[str]) -> Iterator[dict[str, str]]:
    for organization_id in organizations:
        yield {"organization": organization_id, **_shown(found.cell_of(organization_id))}


def _every_cell(found: CellMap) -> Iterator[dict[str, str]]:
    return (_shown(cell) for cell in found.cells.values())


def _shown(cell: Cell) -> dict[str, str]:
    return {"cell": cell.name, "address": cell.address}
