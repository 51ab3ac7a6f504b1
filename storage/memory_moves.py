"""The part of a store in memory that moves organizations: see `storage.organization_store`."""

from collections.abc import Mapping, Sequence
from typing import Any

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
from actors.records import Transaction
from storage.memory_audit import audit_rows
from storage.memory_disk import Disk
from storage.memory_rows import changed_keys, clear_rows, read_rows, tally, write_rows
from storage.organization_parts import part_of

ROOM = 1_000_000


class MovesOnDisk:
    """`storage.organization_store.OrganizationStore`, on a simulated disk."""

    async def _read(self, operation: str) -> Any:
        raise NotImplementedError

    async def _own(self, operation: str) -> Any:
        raise NotImplementedError

    async def _after(self, operation: str) -> None:
        raise NotImplementedError

    async def load_moves(self) -> Mapping[str, MoveRecord]:
        disk = await self._read("load_moves")
        return dict(disk.moving)

    async def load_stays(self) -> Mapping[str, Sequence[Stay]]:
        disk = await self._read("load_stays")
        return {organization_id: list(stays) for organization_id, stays in disk.stays.items()}

    async def stays_up_to_now(self, organization_id: str) -> Sequence[Stay]:
        return stays_up_to_now(await self._read("stays_up_to_now"), organization_id)

    async def freeze(self, held: HeldOrganization, move: MoveRecord) -> Sequence[Stay]:
        disk = await self._own("freeze")
        disk.held[held.organization_id] = held
        disk.moving[held.organization_id] = move
        stays = stays_up_to_now(disk, held.organization_id)
        await self._after("freeze")
        return stays

    async def receive(self, organization_id: str, move: MoveRecord, stays: Sequence[Stay]) -> Shift:
        disk = await self._own("receive")
        is_again = disk.moving.get(organization_id) == move
        disk.moving[organization_id] = move
        shift = _make_room(disk, organization_id, stays, is_again=is_again) if stays else NO_SHIFT
        await self._after("receive")
        return shift

    async def settle(self, held: HeldOrganization) -> None:
        disk = await self._own("settle")
        _begin_stay(disk, held.organization_id)
        disk.held[held.organization_id] = held
        disk.moving.pop(held.organization_id, None)
        await self._after("settle")

    async def clear_rows(self, organization_id: str, *, is_gone: bool) -> Cleared:
        disk = await self._own("clear_rows")
        if is_gone:
            disk.moving.pop(organization_id, None)
        cleared = clear_rows(disk, organization_id)
        await self._after("clear_rows")
        return cleared

    async def read_rows(
        self, organization_id: str, table: str, after: Place | None, span: Span = WHOLE
    ) -> OrganizationRows:
        return read_rows(await self._read("read_rows"), organization_id, table, after, span)

    async def changed_keys(self, organization_id: str, table: str, after: Place | None, span: Span) -> OrganizationRows:
        return changed_keys(await self._read("changed_keys"), organization_id, table, span)

    async def write_rows(
        self, organization_id: str, table: str, rows: Sequence[Sequence[Value]], keys: Sequence[Place] = ()
    ) -> None:
        disk = await self._own("write_rows")
        write_rows(disk, organization_id, table, rows, keys)
        await self._after("write_rows")

    async def tally_rows(self, organization_id: str, table: str, shift: Shift = NO_SHIFT) -> OrganizationTally:
        return tally(await self._read("tally_rows"), organization_id, table, shift)

    async def audit_rows(self, organization_id: str, part: int) -> OrganizationAudit:
        return audit_rows(await self._read("audit_rows"), organization_id)


def stays_up_to_now(disk: Disk, organization_id: str) -> list[Stay]:
    """Where the organization's history has been, with the stay that goes on here, ended."""
    stays = disk.stays.get(organization_id)
    if not stays:
        lsns = [one.lsn for one in disk.transactions if part_of(one, organization_id) is not None]
        return [Stay(disk.database_id, 0, disk.last_lsn, 0, 1, min(lsns, default=0))]
    ended = [stay for stay in stays if stay.upto_lsn != OPEN_END]
    going_on = [stay for stay in stays if stay.upto_lsn == OPEN_END]
    return [*ended, *(Stay(one.database_id, one.from_lsn, disk.last_lsn) for one in going_on)]


def _make_room(disk: Disk, organization_id: str, stays: Sequence[Stay], *, is_again: bool) -> Shift:
    """A block of LSNs below all that were ever given away here. Returns the shift of those that it has."""
    known = disk.stays.get(organization_id, []) if is_again else []
    came = grown(known, stays, disk.database_id)
    if came is None:
        came = moved_in(stays, disk.database_id, _floor_lsn(disk, stays), ROOM)
    disk.stays[organization_id] = came
    return shift_of(stays, came)


def _floor_lsn(disk: Disk, stays: Sequence[Stay]) -> int:
    known = [*stays, *(stay for of_one in disk.stays.values() for stay in of_one)]
    floors = [stay.from_lsn for stay in known if stay.database_id == disk.database_id]
    # 0 is what a caller is told where there is no LSN, and where one block begins no other ends: places must differ.
    return min([0, *floors]) - 1


def _begin_stay(disk: Disk, organization_id: str) -> None:
    stays = disk.stays.get(organization_id, [])
    if not stays or any(stay.upto_lsn == OPEN_END for stay in stays):
        return
    here = [stay for stay in stays if stay.database_id == disk.database_id]
    if any(stay.upto_lsn >= disk.last_lsn for stay in here):
        # Nothing has happened since it left: places of both stays must differ.
        disk.transactions.append(Transaction(disk.last_lsn + 1, disk.last_at_ms, "remember"))
    stays.append(Stay(disk.database_id, disk.last_lsn, OPEN_END))
    # An organization's history never goes back in time.
    disk.begin_ms = max([disk.begin_ms, *(one.at_ms for one in disk.came.get(organization_id, ()))])
