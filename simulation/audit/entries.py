"""What an entry of the journal says besides its quantities: names, references, reasons and time limits.

All of it comes from the command that the entry carries out, so it is written a second time from the command.
"""

from collections.abc import Iterator, Mapping, Sequence

from msgspec.structs import astuple

from actors.basket_commands import ReserveBasket
from actors.commands import (
    Adjust,
    Amend,
    Announce,
    Command,
    Confirm,
    Deduct,
    Delete,
    Extend,
    Fulfill,
    Import,
    Reacquire,
    Receive,
    Release,
    Reserve,
)
from actors.idempotency import request_key
from actors.records import Transaction, WarehouseRecord
from actors.transfer_commands import CancelTransfer, ReceiveTransfer, ShipTransfer
from actors.warehouse_commands import SetLevels, SetSourcing, UpsertWarehouse
from simulation.audit.amendments import why_not_amended
from simulation.audit.fingerprints import is_of
from simulation.audit.shipments import why_not_shipped

Names = Mapping[tuple[str, str], WarehouseRecord]
"""The warehouses as they are, by organization and id."""

Named = list[tuple[str, str, str]]
"""Organization, warehouse and name, sorted."""


def why_unlike(transaction: Transaction, commands: Sequence[Command], names: Names) -> str:
    """Why the entry says something else than any of the commands that may have caused it; empty if it does not.

    Args:
        commands: those that clients asked for with this cause; none for an expiry.
        names: the warehouses before the entry.
    """
    said = _said_by(transaction)
    wanted = [_wanted_by(command, names) for command in _candidates(transaction, commands)]
    for command in _candidates(transaction, commands):
        if isinstance(command, Fulfill) and transaction.kind == "fulfill":
            why = why_not_shipped(command, transaction)
            if why:
                return f"{command!r} {why}"
        if isinstance(command, Amend) and transaction.kind == "amend":
            why = why_not_amended(command, transaction)
            if why:
                return f"{command!r} {why}"
    return "" if said in wanted else f"{transaction.kind} says {said}, and was asked for as {wanted}"


def _said_by(transaction: Transaction) -> object:
    warehouses = sorted(map(astuple, transaction.warehouses))
    reservation, life_ms = transaction.reservation, 0
    if transaction.kind == "reserve" and reservation is not None:
        life_ms = reservation.expires_at_ms - reservation.created_at_ms
    if transaction.kind in ("extend", "reacquire") and reservation is not None:
        life_ms = reservation.expires_at_ms - transaction.at_ms
    return transaction.reference, transaction.reason, warehouses, life_ms


def _candidates(transaction: Transaction, commands: Sequence[Command]) -> Iterator[Command | None]:
    """The commands that the entry may carry out: under a key, only what the key belongs to."""
    request = transaction.request
    if transaction.kind in ("expire", "remember"):
        yield None
    for command in commands:
        is_it = request_key(command) is None if request is None else is_of(request.fingerprint, command)
        if is_it:
            yield command


def _wanted_by(command: Command | None, names: Names) -> object:
    match command:
        case Reserve():
            return "", "", [], command.ttl_minutes * 60_000
        case Release():
            return "", command.reason, [], 0
        case Fulfill():
            return command.reference, command.reason, [], 0
        case ReserveBasket():
            return command.reference, command.reason, [], command.ttl_minutes * 60_000
        case Amend():
            return command.reference, command.reason, [], 0
        case Extend() | Reacquire():
            return command.reference, command.reason, [], command.ttl_minutes * 60_000
        case ShipTransfer() | ReceiveTransfer() | CancelTransfer():
            return command.reference, command.reason, [], 0
        case Deduct() | Adjust() | Delete() | SetLevels() | SetSourcing():
            return command.reference, command.reason, [], 0
        case Receive() | Announce():
            named = [(command.organization_id, line.warehouse_id, "") for line in command.lines]
            return command.reference, command.reason, _new_names(named, names), 0
        case UpsertWarehouse():
            return command.reference, command.reason, [warehouse_after(command, names)], 0
        case Import():
            named = [(line.organization_id, line.warehouse_id, line.warehouse_name) for line in command.lines]
            return command.request_id, "", _new_names(named, names), 0
        case Confirm() | _:
            return "", "", [], 0


def warehouse_after(command: UpsertWarehouse, names: Names) -> tuple[object, ...]:
    """The warehouse as the command leaves it."""
    place = (command.organization_id, command.warehouse_id)
    known = names.get(place)
    kept = astuple(known)[2:] if known is not None else (command.warehouse_id, "", 0, True)
    given = (command.name, command.code, command.priority, command.is_active)
    return (*place, *[was if said is None else said for said, was in zip(given, kept, strict=True)])


def _new_names(named: Named, names: Names) -> list[tuple[object, ...]]:
    """The warehouses to write: the last name that was given; where none was, the one there is or, for a new place, its
    id. The rest of one that is known stays.
    """
    told = {(organization, warehouse): name for organization, warehouse, name in named if name}
    after: dict[tuple[str, str], tuple[object, ...]] = {}
    for organization, warehouse, _ in named:
        place = (organization, warehouse)
        known = names.get(place)
        name = told.get(place) or (known.name if known is not None else warehouse)
        if known is None or known.name != name:
            after[place] = (*place, name, *(astuple(known)[3:] if known is not None else ("", 0, True)))
    return sorted(after.values())
