"""Divides what a database has among the databases of several cells, organization by organization.

All are held by the locks that keep servers away. The targets' schemas have the version `MOVING`, as in
`storage.sql.move`, so that no server serves half of one, and the next try begins anew. The source is only read. When
all is there and was compared, the map is written, which is the moment from which on the cells count. Then the targets
get their version, and the source is told that it is divided: a server that is started on it holds nothing, and says so
to every caller. A try that was killed after the map finds it, sees that the cells have every organization, and goes on.

Each organization comes with its history, in LSNs below 0 (`actors/organization_stays.py`), so that tokens of watchers
stay valid. Cursors of relays do not come: they must have passed on everything. Answers under the request ids of imports
of several organizations do not come either: they are of no organization.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from uuid import uuid4

from msgspec import Struct
from sqlalchemy import Connection, func, select, union, update

from actors.cell_records import CellRecord, HeldOrganization
from actors.organization_moves import MoveRecord, OrganizationRows, OrganizationTally, Place, Span, Value
from actors.organization_stays import NO_SHIFT, Shift
from storage.sql.audit import Audit
from storage.sql.cell_schema import cell_organization
from storage.sql.cell_tables import join
from storage.sql.move import MoveRefused, MoveSide, audited_source, checked_target, prepare_target
from storage.sql.organization_copy import NotTheSame, copy_rows
from storage.sql.organization_rows import TABLES, read_rows, write_rows
from storage.sql.organization_tables import ROWS_A_PAGE, receive, settle, stays_up_to_now
from storage.sql.organization_tally import tally
from storage.sql.schema import event_cursor, metadata, ownership
from storage.sql.schema_version import LATEST, restamp

DIVIDED = "divided"  # the cell that a divided database is; it holds nothing


class Division(Struct, frozen=True):
    """What is to become of a database.

    Args:
        cells: the records of the cells, by their names.
        cell_of: the name of an organization's cell.
    """

    cells: Mapping[str, CellRecord]
    cell_of: Callable[[str], str]


class Divided(Struct, frozen=True):
    """How many organizations each cell has now, and what the audits found."""

    organizations: Mapping[str, int]
    audits: Mapping[str, Audit]


class _Cell(Struct, frozen=True):
    """What a database says that it is, and where it ends."""

    cell: str
    last_lsn: int
    last_at: int


async def divide(source: MoveSide, targets: Mapping[str, MoveSide], division: Division) -> Divided:
    """Copy everything and prove it.

    Raises:
        MoveRefused: the source does not agree with itself or is a cell already, a target is not empty, a relay is
            behind, or what came is not what was there.
        SchemaTooOld, SchemaTooNew: the source is of another version.
    """
    before = await source.run(audited_source)
    organizations = await source.run(_organizations)
    last_at = await source.run(_undivided)
    for target in targets.values():
        await target.run(prepare_target)
    placed: dict[str, list[str]] = {name: [] for name in targets}
    for organization_id in organizations:
        name = division.cell_of(organization_id)
        placed[name].append(organization_id)
        await _copy(source, targets[name], organization_id, division.cells[name])
    audits = {}
    for name, target in targets.items():
        await target.run(partial(_become, cell=division.cells[name], last_at=last_at))
        audits[name] = await target.run(checked_target)
    _compare(before, audits.values())
    return Divided({name: len(ids) for name, ids in placed.items()}, audits)


async def finish(source: MoveSide, targets: Mapping[str, MoveSide], digest: str) -> bool:
    """Let servers have the cells, and tell the source that it is divided, once the map is written. Returns False if it
    knows.

    Raises:
        MoveRefused: the cells do not have what it has.
    """
    if (await source.run(_cell)).cell == DIVIDED:
        return False
    held: set[str] = set()
    for target in targets.values():
        held |= await target.run(_held)
    if missing := set(await source.run(_organizations)) - held:
        raise MoveRefused(f"no cell of the map has the organization {min(missing)}: the map is of something else")
    for target in targets.values():
        await target.run(lambda connection: restamp(connection, LATEST))
    await source.run(partial(join, cell=CellRecord(DIVIDED, 1, digest), held=()))
    return True


def _organizations(connection: Connection) -> list[str]:
    """All that have rows of any kind."""
    columns = [
        table.c.organization_id for table in map(metadata.tables.__getitem__, TABLES) if "organization_id" in table.c
    ]
    found = connection.execute(union(*[select(column) for column in columns])).scalars()
    return sorted(one for one in found if one)


def _undivided(connection: Connection) -> int:
    """The time of the source's newest transaction."""
    there = _cell(connection)
    if there.cell:
        raise MoveRefused(f"the database is the cell {there.cell} already")
    behind = select(func.min(event_cursor.c.lsn)).where(event_cursor.c.lsn < there.last_lsn)
    if connection.execute(behind).scalar() is not None:
        raise MoveRefused("a relay has not passed on everything: start the server once more, and let it end (`events`)")
    return int(there.last_at)


def _cell(connection: Connection) -> _Cell:
    row = connection.execute(select(ownership.c.cell, ownership.c.last_lsn, ownership.c.last_at)).one()
    return _Cell(row.cell, row.last_lsn, row.last_at or 0)


def _held(connection: Connection) -> set[str]:
    return set(connection.execute(select(cell_organization.c.organization_id)).scalars())


def _become(connection: Connection, cell: CellRecord, last_at: int) -> None:
    """Service time goes on where it was."""
    join(connection, cell, ())
    connection.execute(update(ownership).values(last_at=last_at or None))


class SideRows:
    """An organization's rows in a database that is held by its lock."""

    def __init__(self, side: MoveSide, organization_id: str) -> None:
        self._side = side
        self._organization_id = organization_id

    def __repr__(self) -> str:
        return f"<SideRows of {self._organization_id} in {self._side.name}>"

    async def read(self, table: str, after: Place | None, span: Span, *, keys_only: bool = False) -> OrganizationRows:
        assert not keys_only, "nothing changes here meanwhile"
        whose = partial(read_rows, organization_id=self._organization_id, rows_max=ROWS_A_PAGE)
        return await self._side.run(partial(whose, name=table, after=after, span=span))

    async def write(self, table: str, rows: Sequence[Sequence[Value]], keys: Sequence[Place] = ()) -> None:
        assert not keys, "as above"
        await self._side.run(partial(write_rows, name=table, rows=rows))

    async def tally(self, table: str, shift: Shift = NO_SHIFT) -> OrganizationTally:
        whose = partial(tally, organization_id=self._organization_id)
        return await self._side.run(partial(whose, name=table, shift=shift))


async def _copy(source: MoveSide, target: MoveSide, organization_id: str, cell: CellRecord) -> None:
    move = MoveRecord(uuid4().hex, "arriving", "")
    stays = await source.run(partial(stays_up_to_now, organization_id=organization_id))
    shift = await target.run(partial(receive, organization_id=organization_id, move=move, stays=stays))
    try:
        await copy_rows(SideRows(source, organization_id), SideRows(target, organization_id), shift)
    except NotTheSame as error:
        raise MoveRefused(f"of {organization_id} in {target.name}, {error}") from None
    await target.run(partial(settle, held=HeldOrganization(organization_id, "serving", cell.version)))


def _compare(before: Audit, audits: Iterable[Audit]) -> None:
    figures = [name for name in Audit.__struct_fields__ if name != "disagreements"]
    together = list(audits)
    for found in together:
        if found.disagreements:
            raise MoveRefused(f"a cell does not agree with itself: {found.disagreements[0].sentence}")
    for name in figures:
        there, was = sum(getattr(found, name) for found in together), getattr(before, name)
        if there != was:
            raise MoveRefused(f"the cells have {there} {name.replace('_', ' ')}, and there were {was}")
