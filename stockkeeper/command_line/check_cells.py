"""`stockkeeper check --cells-map`: an audit of all cells, one after another, and of who holds which organization.

The cells are looked at one after another while they may serve, so an organization that moves meanwhile can be seen in
both. What seems to be in two is looked at once more.
"""

import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence

import anyio
import msgspec
from msgspec import Struct
from sqlalchemy import Connection, select

from cells.cell_map import CellMap, CellMapError
from cells.map_file import read_map
from stockkeeper.cell_layout import layout_of
from stockkeeper.command_line.exit_status import EXIT_FAILURE
from stockkeeper.command_line.given_database import FAILURES, cause_of, require_database
from stockkeeper.command_line.output import say
from stockkeeper.command_line.progress import working
from stockkeeper.config import ConfigurationError
from storage.sql.audit import Audit, audit
from storage.sql.cell_tables import load_organizations
from storage.sql.schema import ownership
from storage.sql.snapshot import read_snapshot


class _CheckedCell(Struct, frozen=True, kw_only=True):
    """What was found in one cell.

    Args:
        cell: its name.
        audit: of its database; None: it could not be read.
        organizations: how many it holds.
        problem: what is wrong beside that, as a sentence without its end.
    """

    cell: str
    audit: Audit | None = None
    organizations: int = 0
    problem: str = ""

    @property
    def is_clean(self) -> bool:
        return self.audit is not None and not self.audit.disagreements and not self.problem

    @property
    def line(self) -> str:
        if self.audit is None or self.problem:
            return f"{self.cell}: {self.problem}."
        seen = f"{self.organizations} organizations, {self.audit.summary}"
        if failed := len(self.audit.disagreements):
            return f"{self.cell}: {failed} checks failed on {seen}."
        return f"{self.cell}: all agrees: {seen}."


def check_cells(map_file: str, database_url: str, *, json: bool) -> int:
    """Say of each cell in a line what is found. Returns 1 where something is wrong.

    Raises:
        ConfigurationError: the map cannot be used, or it is not known where a cell keeps its stock.
    """
    try:
        there = read_map(map_file)
    except CellMapError as error:
        raise ConfigurationError(str(error)) from None
    databases = _databases(there, map_file, database_url)
    is_clean, holders = True, defaultdict[str, list[str]](list)
    for name, url in databases.items():
        found, held = _looked(name, url)
        is_clean &= found.is_clean
        _say(found, json=json)
        for one in held:
            holders[one].append(name)
    try:
        twice = _still_twice({one: cells for one, cells in holders.items() if len(cells) > 1}, databases)
    except FAILURES as error:
        sys.stderr.write(f"Which cell holds what cannot be looked at again: {cause_of(error)}.\n")
        return EXIT_FAILURE
    for one, cells in twice.items():
        told = {"organization": one, "cells": cells}
        say(msgspec.json.encode(told).decode() if json else f"{one} is held by {' and by '.join(cells)}.")
    return 0 if is_clean and not twice else EXIT_FAILURE


def _databases(there: CellMap, map_file: str, database_url: str) -> Mapping[str, str]:
    """By cell."""
    unknown = [cell.name for cell in there.cells.values() if not cell.database]
    if not unknown:
        return {cell.name: cell.database for cell in there.cells.values()}
    layout = layout_of(database_url, map_file, len(there.cells))
    if set(layout.cells) == set(there.cells):
        by_name = dict(zip(layout.cells, layout.database_urls, strict=True))
        return {cell.name: cell.database or by_name[cell.name] for cell in there.cells.values()}
    raise ConfigurationError(f"The map does not say where the cell {unknown[0]} keeps its stock: give it a database.")


def _looked(name: str, url: str) -> tuple[_CheckedCell, Sequence[str]]:
    """What is found in a cell, and the organizations that it holds."""
    try:
        require_database(url)
        with working(f"Checking {name}"):
            found, is_cell, held = anyio.run(read_snapshot, url, _look)
    except ConfigurationError as error:
        return _CheckedCell(cell=name, problem=f"it cannot be checked: {error}".rstrip(".")), ()
    except FAILURES as error:
        return _CheckedCell(cell=name, problem=f"it cannot be checked: {cause_of(error)}"), ()
    problem = "" if is_cell in ("", name) else f"its database is the cell {is_cell}"
    return _CheckedCell(cell=name, audit=found, organizations=len(held), problem=problem), held


def _look(connection: Connection) -> tuple[Audit, str, Sequence[str]]:
    is_cell = connection.execute(select(ownership.c.cell)).scalar() or ""
    return audit(connection), is_cell, _held(connection)


def _held(connection: Connection) -> Sequence[str]:
    """One that is frozen is held: it has not left."""
    return [one.organization_id for one in load_organizations(connection) if one.state != "gone"]


def _still_twice(seeming: Mapping[str, list[str]], databases: Mapping[str, str]) -> Mapping[str, list[str]]:
    if not seeming:
        return {}
    names = sorted({name for cells in seeming.values() for name in cells})
    held = {name: set(anyio.run(read_snapshot, databases[name], _held)) for name in names}
    again = {one: [name for name in cells if one in held[name]] for one, cells in seeming.items()}
    return {one: cells for one, cells in again.items() if len(cells) > 1}


def _say(found: _CheckedCell, *, json: bool) -> None:
    if json:
        say(msgspec.json.encode(found).decode())
        return
    say(found.line)
    for one in found.audit.disagreements if found.audit is not None else ():
        sys.stderr.write(f"{found.cell}: {one.check}: {one.sentence}\n")
