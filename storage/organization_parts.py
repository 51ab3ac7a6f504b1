"""A transaction divided by organization: an import over several is one entry of the journal."""

from collections.abc import Callable
from typing import TypeVar

from msgspec.structs import replace

from actors.records import ReservationRecord, Transaction
from actors.sourcing import SourcingRecord
from actors.transfer_records import TransferRecord

T = TypeVar("T", ReservationRecord, TransferRecord, SourcingRecord)
Wanted = Callable[[str], bool]


def part_of(one: Transaction, organization_id: str) -> Transaction | None:
    """What it says of an organization; None: nothing."""
    part = _sifted(one, lambda name: name == organization_id)
    return part if _says_something(part) else None


def without(one: Transaction, organization_id: str) -> Transaction:
    """The rest of it. If that is nothing, an entry that says nothing has its place: the journal has no gap."""
    rest = _sifted(one, lambda name: name != organization_id)
    return rest if _says_something(rest) else Transaction(one.lsn, one.at_ms, "remember")


def _sifted(one: Transaction, is_wanted: Wanted) -> Transaction:
    placed = [it for it in one.placed() if is_wanted(it[1].after.organization_id)]
    is_whole = len(placed) == len(one.changes)
    return replace(
        one,
        changes=tuple([change for _, change in placed]),
        positions=one.positions if is_whole else tuple([place for place, _ in placed]),
        reservation=_kept(one.reservation, is_wanted),
        transfer=_kept(one.transfer, is_wanted),
        sourcing=_kept(one.sourcing, is_wanted),
        request=one.request if one.request is not None and is_wanted(one.request.scope) else None,
        warehouses=tuple([it for it in one.warehouses if is_wanted(it.organization_id)]),
        warehouses_before=tuple([it for it in one.warehouses_before if is_wanted(it.organization_id)]),
        staged=None,  # what was staged is among the changes by now
    )


def _kept(it: T | None, is_wanted: Wanted) -> T | None:
    return it if it is not None and is_wanted(it.organization_id) else None


def _says_something(one: Transaction) -> bool:
    return bool(one.changes or one.warehouses or one.request or one.reservation or one.transfer or one.sourcing)
