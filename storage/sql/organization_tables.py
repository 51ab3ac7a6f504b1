"""The part of `SqlStore` that moves an organization between cells: see `storage.organization_store`."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import Connection, delete, func, insert, select, update

from actors.cell_records import HeldOrganization
from actors.organization_moves import (
    WHOLE,
    Cleared,
    MoveRecord,
    OrganizationAudit,
    OrganizationRows,
    OrganizationTally,
    Place,
    Span,
    Value,
)
from actors.organization_stays import NO_SHIFT, OPEN_END, Shift, Stay, grown, moved_in, shift_of
from storage.sql.cell_tables import hold
from storage.sql.changed_rows import changed_keys, drop_keys
from storage.sql.history_begin import first_lsn, newest_at_of, oldest_lsn_of, stays_of
from storage.sql.move_schema import organization_move, organization_stay
from storage.sql.organization_audit import audit_rows
from storage.sql.organization_rows import SAID, clear_rows, read_rows, write_rows
from storage.sql.organization_tally import tally
from storage.sql.schema import journal_entry, ownership

T = TypeVar("T")

ROWS_A_PAGE = 1_000
ROOM = 2_000_000  # of LSNs: five minutes at 7,000 transactions a second; what looks into the past steps over them


class OrganizationTables:
    """`OrganizationStore`, on what reads, and on what writes behind the fence."""

    async def _read(self, function: Callable[[Connection], T]) -> T:
        raise NotImplementedError

    async def _change(self, function: Callable[[Connection], None]) -> None:
        raise NotImplementedError

    async def _changed(self, function: Callable[[Connection], Any]) -> Any:
        raise NotImplementedError

    async def load_moves(self) -> Mapping[str, MoveRecord]:
        return await self._read(load_moves)

    async def load_stays(self) -> Mapping[str, Sequence[Stay]]:
        return await self._read(load_stays)

    async def stays_up_to_now(self, organization_id: str) -> Sequence[Stay]:
        return await self._read(partial(stays_up_to_now, organization_id=organization_id))

    async def freeze(self, held: HeldOrganization, move: MoveRecord) -> Sequence[Stay]:
        stays: Sequence[Stay] = await self._changed(partial(freeze, held=held, move=move))
        return stays

    async def receive(self, organization_id: str, move: MoveRecord, stays: Sequence[Stay]) -> Shift:
        received = partial(receive, organization_id=organization_id, move=move, stays=stays, room=ROOM)
        shift: Shift = await self._changed(received)
        return shift

    async def settle(self, held: HeldOrganization) -> None:
        await self._change(partial(settle, held=held))

    async def clear_rows(self, organization_id: str, *, is_gone: bool) -> Cleared:
        cleared: Cleared = await self._changed(partial(clear, organization_id=organization_id, is_gone=is_gone))
        return cleared

    async def read_rows(
        self, organization_id: str, table: str, after: Place | None, span: Span = WHOLE
    ) -> OrganizationRows:
        page = partial(read_rows, organization_id=organization_id, name=table, after=after, rows_max=ROWS_A_PAGE)
        return await self._read(partial(page, span=span))

    async def changed_keys(self, organization_id: str, table: str, after: Place | None, span: Span) -> OrganizationRows:
        page = partial(changed_keys, organization_id=organization_id, name=table, after=after, keys_max=ROWS_A_PAGE)
        return await self._read(partial(page, span=span))

    async def write_rows(
        self, organization_id: str, table: str, rows: Sequence[Sequence[Value]], keys: Sequence[Place] = ()
    ) -> None:
        def write(connection: Connection) -> None:
            drop_keys(connection, organization_id, table, keys)
            write_rows(connection, table, rows)

        await self._change(write)

    async def tally_rows(self, organization_id: str, table: str, shift: Shift = NO_SHIFT) -> OrganizationTally:
        return await self._read(partial(tally, organization_id=organization_id, name=table, shift=shift))

    async def audit_rows(self, organization_id: str, part: int) -> OrganizationAudit:
        return await self._read(partial(audit_rows, organization_id=organization_id, part=part))


def load_moves(connection: Connection) -> dict[str, MoveRecord]:
    """The moves under way."""
    rows = connection.execute(select(organization_move))
    return {row.organization_id: MoveRecord(row.move_id, row.way, row.cell) for row in rows}


def load_stays(connection: Connection) -> dict[str, list[Stay]]:
    """Where the histories of organizations have been."""
    stays: dict[str, list[Stay]] = {}
    for organization_id, *values in connection.execute(select(organization_stay)):
        stays.setdefault(organization_id, []).append(Stay(*values))
    return stays


def freeze(connection: Connection, held: HeldOrganization, move: MoveRecord) -> list[Stay]:
    """Keep both, and say where the organization's history has been, up to now."""
    hold(connection, [held])
    _note(connection, held.organization_id, move)
    return stays_up_to_now(connection, held.organization_id)


def stays_up_to_now(connection: Connection, organization_id: str) -> list[Stay]:
    """Where the organization's history has been, with the stay that goes on here, ended."""
    end = connection.execute(select(ownership.c.last_lsn, ownership.c.database_id)).one()
    stays = stays_of(connection, organization_id)
    if not stays:
        oldest_lsn = oldest_lsn_of(connection, organization_id)
        return [Stay(end.database_id, 0, end.last_lsn, 0, first_lsn(connection), oldest_lsn)]
    ended = [stay for stay in stays if stay.upto_lsn != OPEN_END]
    return [*ended, *(Stay(one.database_id, one.from_lsn, end.last_lsn) for one in stays if one.upto_lsn == OPEN_END)]


def receive(
    connection: Connection, organization_id: str, move: MoveRecord, stays: Sequence[Stay], room: int = 0
) -> Shift:
    """Keep that the organization arrives, in a block of LSNs of its own. Returns the shift of those that it has.

    Args:
        stays: empty: they are told later.
        room: how many more there may be when the same try receives it again.
    """
    before = load_moves(connection).get(organization_id)
    _note(connection, organization_id, move)
    if not stays:
        return NO_SHIFT
    database_id: str = connection.execute(select(ownership.c.database_id)).scalar_one()
    came = grown(stays_of(connection, organization_id), stays, database_id) if before == move else None
    if came is None:
        came = moved_in(stays, database_id, _floor_lsn(connection, database_id, stays), room)
    table = organization_stay
    connection.execute(delete(table).where(table.c.organization_id == organization_id))
    connection.execute(insert(table), [_row(organization_id, stay) for stay in came])
    return shift_of(stays, came)


def _floor_lsn(connection: Connection, database_id: str, stays: Sequence[Stay]) -> int:
    """Below it there is nothing, and never was."""
    table = organization_stay
    known = connection.execute(select(func.min(table.c.from_lsn)).where(table.c.database_id == database_id)).scalar()
    floors = [stay.from_lsn for stay in stays if stay.database_id == database_id]
    # 0 is what a caller is told where there is no LSN, and where one block begins no other ends: places must differ.
    return min(0, known or 0, *floors) - 1


def settle(connection: Connection, held: HeldOrganization) -> None:
    """The organization is here, and its move is over. If it arrived, a stay begins."""
    organization_id = held.organization_id
    end = connection.execute(select(ownership.c.last_lsn, ownership.c.last_at, ownership.c.database_id)).one()
    stays = stays_of(connection, organization_id)
    if stays and not any(stay.upto_lsn == OPEN_END for stay in stays):
        lsn, at = end.last_lsn, max(end.last_at or 0, newest_at_of(connection, organization_id))
        is_left_just_so = any(stay.database_id == end.database_id and stay.upto_lsn >= lsn for stay in stays)
        if is_left_just_so or at > (end.last_at or 0):
            # Places of both stays must differ, and an organization's history never goes back in time.
            lsn = _next_lsn(connection, at)
        stay = Stay(end.database_id, lsn, OPEN_END)
        connection.execute(insert(organization_stay), _row(organization_id, stay))
    hold(connection, [held])
    connection.execute(delete(organization_move).where(organization_move.c.organization_id == organization_id))


def _next_lsn(connection: Connection, at: int) -> int:
    """Add an entry of that time that says nothing. The incarnation's journal does not know of it, and so must end."""
    lsn = int(connection.execute(select(ownership.c.last_lsn)).scalar_one()) + 1
    entry = {"lsn": lsn, "organization_id": "", "at": at, "kind": "remember"}
    connection.execute(insert(journal_entry), {**entry, **dict.fromkeys(SAID, "")})
    connection.execute(update(ownership).values(last_lsn=lsn, last_at=at or None))
    return lsn


def clear(connection: Connection, organization_id: str, is_gone: bool) -> Cleared:
    """Delete some rows of the organization."""
    if is_gone:
        connection.execute(delete(organization_move).where(organization_move.c.organization_id == organization_id))
    return clear_rows(connection, organization_id, ROWS_A_PAGE)


def _note(connection: Connection, organization_id: str, move: MoveRecord) -> None:
    table = organization_move
    connection.execute(delete(table).where(table.c.organization_id == organization_id))
    row = {"organization_id": organization_id, "move_id": move.move_id, "way": move.way, "cell": move.cell}
    connection.execute(insert(table), row)


def _row(organization_id: str, stay: Stay) -> dict[str, Any]:
    return {"organization_id": organization_id, **{name: getattr(stay, name) for name in Stay.__struct_fields__}}
