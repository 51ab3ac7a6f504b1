"""Moves all that a database has to another one, of the other kind or of the same.

Both are held by the locks that keep servers away, and the source's epoch is raised, so that a server that has slept
through this writes nothing more. The target's schema has the version `MOVING` until all is there and was compared: no
server of any version serves such a database, and the next move throws it away and begins anew. So a move may be killed
at any moment. It reads and writes page by page, and the source keeps what it has.

Proof, before the target becomes a database: the digest of each table's rows is that of the source's, and the audit
finds no disagreement and counts the same.
"""

from collections.abc import Callable
from functools import partial
from typing import Protocol, TypeVar

from msgspec import Struct
from sqlalchemy import Connection, Table, func, inspect, select, update

from storage.sql.audit import Audit, audit
from storage.sql.epoch import raise_epoch
from storage.sql.file_state import journal_end
from storage.sql.schema import metadata, ownership
from storage.sql.schema_creation import create_schema
from storage.sql.schema_upkeep import check_schema
from storage.sql.schema_version import LATEST, MOVING, drop_version, is_empty, restamp, revisions, stamp_latest
from storage.sql.table_copy import Digest, DigestMaker, Rows, read_page, write_page

T = TypeVar("T")

OWNER = "stockkeeper move"


class MoveRefused(Exception):
    """Nothing was moved; the sentence says why."""


class MoveSide(Protocol):
    """A database that is held by its lock."""

    @property
    def name(self) -> str:
        """The database, without a password."""
        ...

    async def run(self, function: Callable[[Connection], T]) -> T:
        """Run a function in a transaction of its own."""
        ...


class Moved(Struct, frozen=True):
    """What was moved and compared."""

    tables: dict[str, Digest]
    audit: Audit
    epoch: int

    @property
    def rows(self) -> int:
        return sum(digest.rows for digest in self.tables.values())


async def move_all(source: MoveSide, target: MoveSide) -> Moved:
    """Copy everything and prove it.

    Raises:
        MoveRefused: the source does not agree with itself, the target is not empty, or what came is not what was there.
        SchemaTooOld, SchemaTooNew: the source is of another version.
    """
    before = await source.run(audited_source)
    await target.run(prepare_target)
    epoch = (await source.run(lambda connection: raise_epoch(connection, OWNER))).epoch
    digests = {}
    for table in metadata.sorted_tables:
        digests[table.name] = await _copy(source, target, table)
    for table in metadata.sorted_tables:
        if (came := await _digest(target, table)) != digests[table.name]:
            raise MoveRefused(f"{table.name} is not the same in {target.name}: {came} for {digests[table.name]}")
    after = await target.run(checked_target)
    if after != before:
        raise MoveRefused(f"the audit finds {after.summary} in {target.name}, and {before.summary} in {source.name}")
    await target.run(lambda connection: restamp(connection, LATEST))
    return Moved(digests, after, epoch)


def audited_source(connection: Connection) -> Audit:
    """What the audit of a source finds. Raises `MoveRefused`: it does not agree with itself."""
    if is_empty(connection):
        raise MoveRefused("there is nothing to move: the source has no tables")
    found = audit(connection)
    if found.disagreements:
        raise MoveRefused(f"the source does not agree with itself: {found.disagreements[0].sentence}")
    return found


def checked_target(connection: Connection) -> Audit:
    """The audit asks for the latest version, which the database gets only afterwards."""
    restamp(connection, LATEST)
    check_schema(connection)
    found = audit(connection)
    restamp(connection, MOVING)
    return found


def prepare_target(connection: Connection) -> None:
    """Make empty tables that no server takes for a database."""
    if is_empty(connection):
        names = {table.name for table in metadata.sorted_tables}
        if others := names & set(inspect(connection).get_table_names()):
            raise MoveRefused(f"the target has another program's table {', '.join(sorted(others))}")
    elif revisions(connection) == {MOVING} or _is_untouched(connection):
        metadata.drop_all(connection)
        drop_version(connection)
    else:
        raise MoveRefused(f"the target is not empty: it ends at {journal_end(connection)}")
    create_schema(connection)
    stamp_latest(connection)
    restamp(connection, MOVING)


def _is_untouched(connection: Connection) -> bool:
    """Whether servers have only ever started on it."""
    if revisions(connection) != {LATEST}:
        return False
    tables = [table for table in metadata.sorted_tables if table is not ownership]
    return not any(_count(connection, table) for table in tables) and journal_end(connection).last_lsn == 0


async def _copy(source: MoveSide, target: MoveSide, table: Table) -> Digest:
    made, last = DigestMaker(), None
    while rows := await source.run(partial(read_page, table=table, after=last)):
        made.add(rows)
        await target.run(partial(_write, table=table, rows=rows))
        last = rows[-1]
    return await _whole(source, table, made)


def _write(connection: Connection, table: Table, rows: Rows) -> None:
    if table is ownership:  # its one row is there
        connection.execute(update(ownership).values(dict(rows[0])))
    else:
        write_page(connection, table, rows)


async def _digest(side: MoveSide, table: Table) -> Digest:
    made, last = DigestMaker(), None
    while rows := await side.run(partial(read_page, table=table, after=last)):
        made.add(rows)
        last = rows[-1]
    return await _whole(side, table, made)


async def _whole(side: MoveSide, table: Table, made: DigestMaker) -> Digest:
    """The digest, if it is of all rows: both ends read their pages in the same way."""
    digest, count = made.statistics(), await side.run(partial(_count, table=table))
    if digest.rows != count:
        raise MoveRefused(f"{table.name} has {count} rows in {side.name}, and {digest.rows} were read")
    return digest


def _count(connection: Connection, table: Table) -> int:
    return int(connection.execute(select(func.count()).select_from(table)).scalar_one())
