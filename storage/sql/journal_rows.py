"""The journal as rows of `journal_entry`: one for each transaction, in each organization that it touches.

The lines of the ledger say what became of stock rows, these rows say what happened: to which reservation, why, and who
asked for it. So a confirmation, which changes no stock row, is told by the database as everything else is. Only an
import touches several organizations, and an answer that is remembered for several of them belongs to none: its row has
no organization.

What hardly any transaction has stands in `details`, as JSON, which is empty otherwise: names of warehouses, a transfer,
a policy, the lines of a reservation where they are not those that it was made with, which rows fell to their minimum,
and the id of a row that is gone.
"""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from actors.records import Transaction
from storage.batch import Batch
from storage.told import has_lines, low_lines

Row = tuple[Any, ...]

JOURNAL_COLUMNS = (
    "lsn organization_id at kind reservation_id order_id state expires_at reference reason request_id actor"
    " correlation_id details"
)

_json = msgspec.json.Encoder()


def journal_entries(batch: Batch, instant: Callable[[int], Any]) -> Iterator[Row]:
    """A row for each transaction and organization."""
    for one in batch.transactions:
        request_id = "" if one.request is None else one.request.request_id
        origin = ("", "") if one.origin is None else (one.origin.actor, one.origin.correlation_id)
        at, reservation = instant(one.at_ms), one.reservation
        if reservation is not None:
            yield (
                one.lsn,
                reservation.organization_id,
                at,
                one.kind,
                reservation.reservation_id,
                reservation.order_id,
                reservation.state,
                instant(reservation.expires_at_ms),
                one.reference,
                one.reason,
                request_id,
                *origin,
                _details(one, reservation.organization_id),
            )
            continue
        said = (one.reference, one.reason, request_id, *origin)
        for organization_id in organizations_of(one):
            yield (one.lsn, organization_id, at, one.kind, "", "", "", None, *said, _details(one, organization_id))


def organizations_of(one: Transaction) -> dict[str, None]:
    """Whose history a transaction belongs to."""
    if one.reservation is not None:
        return {one.reservation.organization_id: None}
    found = dict.fromkeys(change.after.organization_id for change in one.changes)
    found.update((warehouse.organization_id, None) for warehouse in one.warehouses)
    if one.staged is not None:
        found.update(dict.fromkeys(one.staged.organizations))
    if one.transfer is not None:
        found[one.transfer.organization_id] = None
    if one.sourcing is not None:
        found[one.sourcing.organization_id] = None
    if not found:
        scope = "" if one.request is None else one.request.scope
        found["" if scope.startswith("\n") else scope] = None
    return found


def _details(one: Transaction, organization_id: str) -> str:
    return "" if _is_plain(one) else _told(one, organization_id)


def _is_plain(one: Transaction) -> bool:
    """Whether it has no details: as good as every reservation, and looked at with each."""
    if one.warehouses or one.transfer is not None or one.sourcing is not None:
        return False
    if one.kind == "delete" or has_lines(one):
        return False
    for change in one.changes:  # noqa: SIM110 - `any` takes twice as long
        if low_lines(change):
            return False
    return True


def _told(one: Transaction, organization_id: str) -> str:
    details: dict[str, Any] = {}
    if one.reservation is not None and has_lines(one):
        details["items"] = one.reservation.items
    low = [
        (place, change.after.organization_id, *lines) for place, change in one.placed() if (lines := low_lines(change))
    ]
    if low and one.staged is None:  # of a large import there may be very many: they are in a table of their own
        details["low"] = [(place, *lines) for place, owner, *lines in low if owner == organization_id]
    if one.warehouses:
        details["warehouses"] = [named for named in one.warehouses if named.organization_id == organization_id]
    if one.warehouses_before:
        before = [named for named in one.warehouses_before if named.organization_id == organization_id]
        details["warehouses_before"] = before
    if one.transfer is not None and one.transfer.organization_id == organization_id:
        details["transfer"] = one.transfer
    if one.sourcing is not None and one.sourcing.organization_id == organization_id:
        details["sourcing"] = one.sourcing.policy
    if one.kind == "delete":
        details["gone"] = one.changes[0].before.stock_id
    # Of a transaction in two organizations, what belongs to the other one is not even an empty list here.
    told = {name: value for name, value in details.items() if value}
    return _json.encode(told).decode() if told else ""
