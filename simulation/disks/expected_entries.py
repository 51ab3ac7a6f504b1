"""The rows that `journal_entry` must hold after a journal, written a second time: see `expected_tables`."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from actors.records import Transaction
from simulation.disks.entry_owners import owners_of
from storage.sql.instant_text import ms_to_text

Row = tuple[Any, ...]

ENTRY_COLUMNS = (
    *("lsn", "organization_id", "at", "kind", "reservation_id", "order_id", "state", "expires_at", "reference"),
    *("reason", "request_id", "actor", "correlation_id", "details"),
)


def entries_of(journal: Sequence[Transaction]) -> list[Row]:
    """All rows, in the order in which housekeeping takes them away."""
    return [row for one in journal for row in _entries(one)]


def _entries(one: Transaction) -> Iterator[Row]:
    reservation: Row = ("", "", "", None)
    if (it := one.reservation) is not None:
        reservation = (it.reservation_id, it.order_id, it.state, ms_to_text(it.expires_at_ms))
    request_id = one.request.request_id if one.request is not None else ""
    origin = (one.origin.actor, one.origin.correlation_id) if one.origin is not None else ("", "")
    for organization in sorted(owners_of(one)):
        at = ms_to_text(one.at_ms)
        told = (one.reference, one.reason, request_id, *origin, _details(one, organization))
        yield (one.lsn, organization, at, one.kind, *reservation, *told)


def gives_rest_back(one: Transaction) -> bool:
    """Whether a shipment ends a reservation of which not all was shipped."""
    items = one.reservation.items if one.reservation is not None else ()
    return one.kind == "fulfill" and any(item.fulfilled != item.quantity for item in items)


def _details(one: Transaction, organization: str) -> str:
    details: dict[str, Any] = {}
    it = one.reservation
    if (
        it is not None
        and one.kind not in ("reserve", "confirm", "extend")
        and (it.state in ("active", "confirmed") or one.kind == "amend" or gives_rest_back(one))
    ):
        details["items"] = msgspec.to_builtins(it.items)
    low = [
        [place, row.min_stock, row.reorder_point]
        for place, (before, row) in enumerate((change.before, change.after) for change in one.changes)
        if row.organization_id == organization
        and any(line > 0 and row.available <= line < before.available for line in (row.min_stock, row.reorder_point))
    ]
    if low and one.staged is None:
        details["low"] = low
    warehouses = [msgspec.to_builtins(named) for named in one.warehouses if named.organization_id == organization]
    if warehouses:
        details["warehouses"] = warehouses
    was = [msgspec.to_builtins(named) for named in one.warehouses_before if named.organization_id == organization]
    if was:
        details["warehouses_before"] = was
    if one.transfer is not None and one.transfer.organization_id == organization:
        details["transfer"] = msgspec.to_builtins(one.transfer)
    if one.sourcing is not None and one.sourcing.organization_id == organization:
        details["sourcing"] = one.sourcing.policy
    if one.kind == "delete":
        details["gone"] = one.changes[0].before.stock_id
    return json.dumps(details, separators=(",", ":"), ensure_ascii=False) if details else ""
