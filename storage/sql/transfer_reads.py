"""Reads of transfers. Each is a single statement; see `storage.sql.reads`."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, get_args

from sqlalchemy import ColumnElement, Connection, Select, func, select, tuple_, union_all

from actors.queries import ListTransfers
from actors.transfer_records import TransferLine, TransferRecord, TransferState
from actors.views import TransferPage
from storage.sql.reads import first_of
from storage.sql.schema import transfer, transfer_line
from storage.transfer_page import cut_transfers

SELECT_TRANSFERS = select(
    transfer.c.transfer_id,
    transfer.c.organization_id,
    transfer.c.from_warehouse_id,
    transfer.c.to_warehouse_id,
    transfer.c.state,
    transfer.c.shipped_at,
    transfer.c.ended_at,
)
LINE_COLUMNS = (
    transfer_line.c.variant_id,
    transfer_line.c.sent,
    transfer_line.c.received,
    transfer_line.c.damaged,
    transfer_line.c.missing,
)


def find_transfer(connection: Connection, organization_id: str, transfer_id: str) -> TransferRecord | None:
    chosen = SELECT_TRANSFERS.where(
        transfer.c.organization_id == organization_id, transfer.c.transfer_id == transfer_id
    )
    return next(_transfers(connection.execute(_with_lines(chosen)).all()), None)


def list_transfers(connection: Connection, query: ListTransfers) -> TransferPage:
    if query.warehouse_id:
        chosen = _of_warehouse(query)
    elif query.state is None:
        chosen = _newest(query)
    else:
        chosen = _newest(query, transfer.c.state == query.state)
    page = _with_lines(_up_to_lines(chosen, query.lines_max))
    return cut_transfers(_transfers(connection.execute(page).all()), query)


def _newest(query: ListTransfers, *conditions: ColumnElement[bool]) -> Select[Any]:
    """As many as a page needs to have, of those that satisfy the conditions."""
    chosen = SELECT_TRANSFERS.where(transfer.c.organization_id == query.organization_id, *conditions)
    if query.before is not None:
        at_ms, transfer_id = query.before
        mark = tuple_(at_ms, transfer_id, types=[transfer.c.shipped_at.type, transfer.c.transfer_id.type])
        chosen = chosen.where(tuple_(transfer.c.shipped_at, transfer.c.transfer_id) < mark)
    newest_first = (transfer.c.shipped_at.desc(), transfer.c.transfer_id.desc())
    return chosen.order_by(*newest_first).limit(query.limit + 1)


def _of_warehouse(query: ListTransfers) -> Select[Any]:
    """The newest of those that begin there and of those that end there, in each state: each is a piece of an index."""
    sender, destination = transfer.c.from_warehouse_id, transfer.c.to_warehouse_id
    parts = [
        _newest(query, end == query.warehouse_id, transfer.c.state == state, *others)
        for state in ([query.state] if query.state is not None else get_args(TransferState))
        for end, others in ((sender, ()), (destination, (sender != query.warehouse_id,)))
    ]
    every = union_all(*[select(part.subquery()) for part in parts]).subquery("every")
    return select(every).order_by(every.c.shipped_at.desc(), every.c.transfer_id.desc()).limit(query.limit + 1)


def _up_to_lines(chosen: Select[Any], lines_max: int) -> Select[Any]:
    """The first of these, those shipped last first; see `storage.sql.reads.up_to_lines`."""
    its = chosen.subquery("its")
    of_it = transfer_line.c.organization_id == its.c.organization_id
    of_it &= transfer_line.c.transfer_id == its.c.transfer_id
    last = select(func.max(transfer_line.c.line)).where(of_it).correlate(its).scalar_subquery()
    sized = select(*its.c, (func.coalesce(last, -1) + 1).label("lines")).subquery("sized")
    return first_of(sized, lines_max, (sized.c.shipped_at.desc(), sized.c.transfer_id.desc()))


def _with_lines(chosen: Select[Any]) -> Select[Any]:
    """The chosen transfers, a row for each of their lines, those shipped last first."""
    its = chosen.subquery("chosen")
    is_of_it = transfer_line.c.organization_id == its.c.organization_id
    is_of_it &= transfer_line.c.transfer_id == its.c.transfer_id
    joined = its.join(transfer_line, is_of_it)
    order = (its.c.shipped_at.desc(), its.c.transfer_id.desc(), transfer_line.c.line)
    return select(*its.c, *LINE_COLUMNS).select_from(joined).order_by(*order)


def _transfers(rows: Sequence[Any]) -> Iterator[TransferRecord]:
    for _, group in groupby(rows, key=lambda row: row[:2]):
        its = list(group)
        transfer_id, organization_id, sender, destination, state, shipped_at_ms, ended_at_ms = its[0][:7]
        lines = tuple([TransferLine(*row[7:]) for row in its])
        names = (transfer_id, organization_id, sender, destination)
        yield TransferRecord(*names, state, lines, shipped_at_ms, ended_at_ms or 0)
