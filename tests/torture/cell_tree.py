"""A tree of cells on one Postgres, its parts as they can be killed, and where organizations are moved in it."""

import asyncio
import sys
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field

import psutil
from sqlalchemy import Connection, select

from cells.map_file import read_map
from stockkeeper.cell_layout import layout_of
from storage.sql.audit import Audit, audit
from storage.sql.cell_tables import load_organizations
from storage.sql.schema import reservation
from storage.sql.snapshot import read_snapshot
from tests.system.servers import ROOT, ServerProcess
from tests.torture.scenario import Database, until

CELLS, ROUTERS = 3, 2
MOVES_MAX = 10  # tries, of which each finishes what the last one left


@dataclass
class CellTree:
    """Owners and routers of `serve --cells`, as one tree of processes."""

    server: ServerProcess
    map_file: str
    database_urls: list[str]
    cell_of: dict[str, str] = field(default_factory=dict)  # by organization; the map does not follow moves
    tries: int = 0  # of moves

    @classmethod
    async def start(cls, database: Database) -> "CellTree":
        map_file = str(database.directory / "stock.cells.toml")
        options = ("--cells", str(CELLS), "--frontends", str(ROUTERS), "--cells-map", map_file)
        urls = layout_of(database.url, map_file, CELLS).database_urls
        return cls(await database.serve(options=options), map_file, list(urls))

    @property
    def parts(self) -> list[psutil.Process]:
        return psutil.Process(self.server.process.pid).children()

    @property
    def routers(self) -> list[psutil.Process]:
        """They listen on the port, and owners on sockets with names alone."""
        return [one for one in self.parts if _listens(one)]

    @property
    def owners(self) -> list[psutil.Process]:
        """Known only when all parts run."""
        return sorted((one for one in self.parts if not _listens(one)), key=lambda one: one.pid)

    @property
    def is_whole(self) -> bool:
        return len(self.routers) == ROUTERS and len(self.parts) == CELLS + ROUTERS

    async def settle(self) -> None:
        """Wait until all parts run."""
        await until(lambda: self.is_whole, "all owners and routers run")

    async def begin_move(self, organization_id: str) -> asyncio.subprocess.Process:
        """Start the program that moves an organization to the next cell."""
        self.tries += 1
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "stockkeeper", "cells", "move", self.map_file),
            *(organization_id, "--to", self._next_cell(organization_id)),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            cwd=ROOT,
        )

    async def end_move(self, organization_id: str, moving: asyncio.subprocess.Process) -> None:
        """Wait for it, and run it again until it is done."""
        for _ in range(MOVES_MAX):
            _, said = await moving.communicate()
            if moving.returncode == 0:
                self.cell_of[organization_id] = self._next_cell(organization_id)
                return
            moving = await self.begin_move(organization_id)
        moving.kill()
        raise AssertionError(f"{organization_id} was not moved in {MOVES_MAX} tries: {said.decode().strip()}")

    def _next_cell(self, organization_id: str) -> str:
        there = read_map(self.map_file)
        now = self.cell_of.get(organization_id) or there.cell_of(organization_id).name
        names = sorted(there.cells)
        return names[(names.index(now) + 1) % len(names)]

    async def problems(self) -> list[str]:
        """What `stockkeeper check` finds wrong in any cell, and which organizations several cells have."""
        problems, cells_of = list[str](), defaultdict[str, list[str]](list)
        for number, url in enumerate(self.database_urls):
            found, organizations = await read_snapshot(url, _look)
            problems += [f"cell-{number}: {one}" for one in found.disagreements]
            for one in organizations:
                cells_of[one].append(f"cell-{number}")
        problems += [f"{one} is in {there}" for one, there in cells_of.items() if len(there) > 1]
        return problems


def _look(connection: Connection) -> tuple[Audit, list[str]]:
    """The audit, and the organizations of which this cell has reservations or which it holds."""
    found = set(connection.execute(select(reservation.c.organization_id).distinct()).scalars())
    found |= {one.organization_id for one in load_organizations(connection) if one.state != "gone"}
    return audit(connection), sorted(found)


def _listens(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
        return any(one.status == psutil.CONN_LISTEN for one in process.net_connections("tcp"))
    return False
