"""Whether a basket fits, in the model of `linearizability.py`."""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

from actors.basket_commands import ReserveBasket, asked_of
from actors.commands import Deduct, Line, Reserve
from actors.queries import CheckBasket, ExplainBasket
from actors.records import ReservationRecord
from simulation.audit.goods_model import Row, RowKey, Rows
from simulation.audit.warehouse_model import Closed, closed_lines, open_rows


def fits(rows: Mapping[RowKey, Row], organization: str, lines: Sequence[Line]) -> bool:
    """By trying every choice of warehouses."""
    choices = [
        [line.warehouse_id]
        if line.warehouse_id
        else [key[2] for key in rows if key[:2] == (organization, line.variant_id)]
        for line in lines
    ]
    for choice in product(*choices):
        wanted: dict[RowKey, int] = {}
        for line, warehouse in zip(lines, choice, strict=True):
            key = (organization, line.variant_id, warehouse)
            wanted[key] = wanted.get(key, 0) + line.quantity
        if all(key in rows and rows[key][0] >= quantity for key, quantity in wanted.items()):
            return True
    return False


def exists(rows: Mapping[RowKey, Row], organization: str, line: Line) -> bool:
    return any(key[:2] == (organization, line.variant_id) and line.warehouse_id in ("", key[2]) for key in rows)


def unknown(rows: Mapping[RowKey, Row], request: Reserve | Deduct) -> tuple[str, str] | None:
    for line in request.lines:
        if not exists(rows, request.organization_id, line):
            return line.variant_id, line.warehouse_id
    return None


Asked = tuple[tuple[str, str, int], ...]


def wanted_by(request: ReserveBasket) -> Asked:
    """What a basket asks for, as its reservation shows it."""
    if asked := asked_of(request):
        return (("", asked, 0),)
    return tuple(sorted((wish.variant_id, "".join(wish.warehouse_ids), wish.quantity) for wish in request.wishes))


def asked_for(reservation: ReservationRecord) -> Asked:
    """What a reservation shows that it was asked for."""
    if reservation.asked:
        return (("", reservation.asked, 0),)
    return tuple(sorted((i.variant_id, i.requested_warehouse_id, i.quantity) for i in reservation.items))


def is_checked_so(rows: Rows, closed: Closed, request: CheckBasket, answer: Any) -> bool:
    """Whether a check is right about what would be served, and what there is."""
    does_fit = all(exists(rows, request.organization_id, line) for line in request.lines)
    does_fit = does_fit and fits(open_rows(rows, closed), request.organization_id, request.lines)
    if answer.all_available != does_fit:
        return False
    return all(
        rows.get((request.organization_id, line.variant_id, line.warehouse_id), (0,))[0] == line.available
        for line in answer.lines
    )


def is_explained_so(rows: Rows, closed: Closed, request: ExplainBasket, answer: Any) -> bool:
    """Whether an explanation is right about what would be served."""
    does_fit = all(exists(rows, request.organization_id, line) for line in request.lines)
    does_fit = does_fit and not closed_lines(request, closed)
    does_fit = does_fit and fits(open_rows(rows, closed), request.organization_id, request.lines)
    return bool(answer.fits == does_fit)
