"""At the end of a world with cells: is each organization in one cell, with all that ever happened to it, and nothing
of it elsewhere?
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from msgspec.structs import replace

from actors.changes import Change
from actors.records import Transaction
from actors.row_changes import Levels
from simulation.audit.guarantee_violation import GuaranteeViolation
from simulation.audit.replay import Replay
from simulation.disks.entry_owners import owners_of
from storage.memory_store import Disk
from storage.told import change_of

ONE_CELL = "one cell serves an organization"
CHANGED_ELSEWHERE = "only the cell that serves an organization changes it"
WATCHED = "a watcher hears of each change once, wherever it is"
BOOKS = "the books of all cells agree"
MOVES_END = "a move can be finished"


def audit_books(
    disks: Mapping[str, Disk], journals: Mapping[str, Sequence[Transaction]], levels: Levels
) -> Iterator[GuaranteeViolation]:
    """Compare what the cells have with what happened.

    Args:
        disks: by cell, when all is quiet and nothing moves.
        journals: by organization.
        levels: those of a row that is made without a word about them.
    """
    for organization_id in sorted(journals):
        holders = [name for name, disk in disks.items() if _state(disk, organization_id) == "serving"]
        if len(holders) != 1:
            states = {name: _state(disk, organization_id) for name, disk in disks.items()}
            yield GuaranteeViolation(ONE_CELL, f"{organization_id} is served by {holders}: {states}")
            continue
        for name, disk in disks.items():
            if name == holders[0]:
                yield from _whole(organization_id, name, disk, Replay(journals[organization_id], 0, levels=levels))
            elif left := sorted(_left(disk, organization_id)):
                yield GuaranteeViolation(BOOKS, f"{name} has {left[0]} of {organization_id}, which is in {holders[0]}")


def _state(disk: Disk, organization_id: str) -> str:
    held = disk.held.get(organization_id)
    return "" if held is None else held.state


def _whole(organization_id: str, name: str, disk: Disk, replay: Replay) -> Iterator[GuaranteeViolation]:
    """All entries, in their order, and the rows, reservations and requests that follow from them."""
    journal = replay.transactions
    history = [one for one in disk.history_of(organization_id) if organization_id in owners_of(one)]
    for number, (one, other) in enumerate(zip(history, journal, strict=False), 1):
        if _unplaced(one) != _unplaced(other):
            yield GuaranteeViolation(BOOKS, f"entry {number} of {organization_id} is {one} in {name}, and was {other}")
            return
    if len(history) != len(journal):
        yield GuaranteeViolation(
            "G3", f"{name} has {len(history)} entries of {organization_id}, of which {len(journal)} were written"
        )
        return
    if any(one.lsn >= after.lsn for one, after in pairwise(history)):
        yield GuaranteeViolation(BOOKS, f"entries of {organization_id} in {name} have the LSN of the one before")
    for what, expected, found in _tables(organization_id, replay, disk):
        if expected != found:
            differing = sorted(key for key in expected.keys() | found.keys() if expected.get(key) != found.get(key))
            sentence = f"{what} {differing[0]} is {found.get(differing[0])}, and was {expected.get(differing[0])}"
            yield GuaranteeViolation(BOOKS, f"in {name}, of {organization_id}, {sentence}")


def _unplaced(one: Transaction) -> Transaction:
    return replace(one, lsn=0, staged=None)


def _tables(organization_id: str, replay: Replay, disk: Disk) -> Iterator[tuple[str, dict[Any, Any], dict[Any, Any]]]:
    last = replay.last_lsn
    rows = {key: record for key, its in replay.rows.items() if (record := its.at(last)) is not None and record.exists}
    yield "the row", rows, {key: one for key, one in disk.stock.items() if key.organization_id == organization_id}
    reservations = {key: its.at(last) for key, its in replay.reservations.items()}
    yield "the reservation", reservations, {k: one for k, one in disk.reservations.items() if k[0] == organization_id}
    requests = {key: its[-1][1] for key, its in replay.requests.items()}
    yield "the request", requests, {key: one for key, one in disk.requests.items() if key.scope == organization_id}
    latest = {key: its.at(last) for key, its in replay.latest.items()}
    of_orders = {k: ids[-1] for k, ids in disk.reservations_by_order.items() if k.organization_id == organization_id}
    yield "the latest reservation of", latest, of_orders


def _left(disk: Disk, organization_id: str) -> Iterator[str]:
    """What a cell has of an organization that is not there."""
    if organization_id in disk.moving:
        yield f"the move {disk.moving[organization_id]}"
    if any(organization_id in owners_of(one) for one in disk.history_of(organization_id)):
        yield "history"
    for key in (*disk.stock, *disk.reservations, *disk.warehouses, *disk.sourcing, *disk.transfers, *disk.requests):
        if (key if isinstance(key, str) else key[0]) == organization_id:
            yield repr(key)


def audit_watcher(organization_id: str, heard: Sequence[Change], journal: Sequence[Transaction]) -> Iterator[str]:
    """What a watcher was told that began before all, and has heard all."""
    told = [change for one in journal if (change := change_of(one, organization_id)) is not None]
    for number, (one, other) in enumerate(zip(heard, told, strict=False), 1):
        if replace(one, lsn=0) != replace(other, lsn=0):
            yield f"as change {number} of {organization_id}, {one} was heard, where {other} had happened"
            return
    if len(heard) != len(told):
        yield f"of {len(told)} changes of {organization_id}, {len(heard)} were heard"
