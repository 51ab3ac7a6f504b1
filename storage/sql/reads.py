"""Every question the core asks, as a plain function of a SQLAlchemy `Connection`.

Each is a single statement, so that it sees whole batches without a transaction, and each follows an index for
only the rows that it returns: on SQLite one connection serves everything, and a scan would keep the journal
waiting. A test looks at the plans. The databases differ in how they take a list of keys, and nowhere else.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

from msgspec import json
from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Select,
    Table,
    Text,
    bindparam,
    func,
    literal_column,
    select,
    tuple_,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY

from actors.queries import ListReservations
from actors.records import (
    OrderKey,
    RequestKey,
    RequestRecord,
    ReservationItem,
    ReservationRecord,
    StockRecord,
    WarehouseRecord,
)
from actors.sourcing import SourcingRecord
from actors.views import ReservationPage
from storage.reservation_page import cut_page
from storage.sql.schema import (
    request,
    reservation,
    reservation_archive,
    reservation_item,
    reservation_item_archive,
    sourcing,
    stock,
    warehouse,
)
from storage.store import Due

KEYS_MAX = 500

# As text and no parameter: the planner must see that the partial index has the rows.
IS_ACTIVE = reservation.c.state == literal_column("'active'")
BY_EXPIRY = (reservation.c.expires_at, reservation.c.organization_id, reservation.c.reservation_id)

# The columns of these three are in the order of their records' fields; only a reservation's items come last.
SELECT_STOCK = select(
    stock.c.organization_id,
    stock.c.variant_id,
    stock.c.warehouse_id,
    stock.c.stock_id,
    stock.c.available,
    stock.c.reserved,
    stock.c.damaged,
    stock.c.in_transit,
    stock.c.min_stock,
    stock.c.max_stock,
    stock.c.reorder_point,
    stock.c.version,
).order_by(stock.c.organization_id, stock.c.variant_id, stock.c.warehouse_id)
SELECT_RESERVATIONS = select(
    reservation.c.reservation_id,
    reservation.c.organization_id,
    reservation.c.order_id,
    reservation.c.state,
    reservation.c.created_at,
    reservation.c.expires_at,
    reservation.c.confirmed_at,
    reservation.c.ended_at,
    reservation.c.reason,
    reservation.c.asked,
    reservation.c.lsn,
)
ITEM_COLUMNS = (
    reservation_item.c.variant_id,
    reservation_item.c.warehouse_id,
    reservation_item.c.requested_warehouse_id,
    reservation_item.c.stock_id,
    reservation_item.c.quantity,
    reservation_item.c.stock_before,
    reservation_item.c.stock_after,
    reservation_item.c.fulfilled,
)


# ---- lists of keys ----------------------------------------------------------------------------------------------


class KeyList:
    """A list of pairs as one parameter list of fixed size, so that the statement's text is always the same.

    Of `(a, b) IN (VALUES …)` SQLite 3.40 makes a scan of the table.
    """

    def __init__(self, build: Callable[[FromClause, Any, Any], Select[Any]]) -> None:
        listed = func.json_each(bindparam("keys", type_=Text)).table_valued("value", name="wanted")
        self._sqlite = build(
            listed, func.json_extract(listed.c.value, "$[0]"), func.json_extract(listed.c.value, "$[1]")
        )
        columns = (bindparam("firsts", type_=ARRAY(Text)), bindparam("seconds", type_=ARRAY(Text)))
        listed = func.unnest(*columns).table_valued("first", "second", name="wanted").render_derived()
        self._postgres = build(listed, listed.c.first, listed.c.second)

    def __repr__(self) -> str:
        return f"<KeyList {self._sqlite}>"

    def execute(self, connection: Connection, keys: Iterable[tuple[str, str]], **more: Any) -> Iterable[Any]:
        wanted = sorted(set(keys))
        assert len(wanted) <= KEYS_MAX, len(wanted)
        if connection.dialect.name == "sqlite":
            return connection.execute(self._sqlite, {"keys": json.encode(wanted).decode(), **more})
        firsts, seconds = [key[0] for key in wanted], [key[1] for key in wanted]
        return connection.execute(self._postgres, {"firsts": firsts, "seconds": seconds, **more})


# ---- stock ------------------------------------------------------------------------------------------------------

WAREHOUSES = select(
    warehouse.c.organization_id,
    warehouse.c.warehouse_id,
    warehouse.c.name,
    warehouse.c.code,
    warehouse.c.priority,
    warehouse.c.active,
).order_by(warehouse.c.organization_id, warehouse.c.warehouse_id)
SOURCING = select(sourcing.c.organization_id, sourcing.c.policy).order_by(sourcing.c.organization_id)


def load_warehouses(connection: Connection) -> Sequence[WarehouseRecord]:
    return [WarehouseRecord(*row[:-1], bool(row[-1])) for row in connection.execute(WAREHOUSES)]


def load_sourcing(connection: Connection) -> Sequence[SourcingRecord]:
    return [SourcingRecord(*row) for row in connection.execute(SOURCING)]


def stock_records(rows: Sequence[Any]) -> Sequence[StockRecord]:
    """The records of rows that `SELECT_STOCK` chose, all fetched: row by row would pass Python's lock to and fro.

    They are as they stand: a list shows one that another program has made impossible, and the core decides by none.
    """
    return [StockRecord(*row) for row in rows]


# ---- reservations -----------------------------------------------------------------------------------------------


def with_items(
    chosen: Select[Any], *order: str, newest_first: bool = False, of_states: Sequence[str] = ()
) -> Select[Any]:
    """The chosen reservations, a row for each of their items, or one row without.

    Args:
        of_states: those in other states come without items; empty: none does.
    """
    its = chosen.subquery("chosen")
    is_its = reservation_item.c.organization_id == its.c.organization_id
    is_its &= reservation_item.c.reservation_id == its.c.reservation_id
    if of_states:
        is_its &= its.c.state.in_(of_states)
    joined = its.outerjoin(reservation_item, is_its)
    columns = [its.c[name].desc() if newest_first else its.c[name] for name in order]
    found = select(*its.c, reservation_item.c.line, *ITEM_COLUMNS).select_from(joined)
    return found.order_by(*columns, reservation_item.c.line) if columns else found


def up_to_lines(chosen: Select[Any], lines_max: Any, *order: str, newest_first: bool = False) -> Select[Any]:
    """The first of these reservations, in this order, up to the one with which they have more than `lines_max` lines.

    Lines are numbered, so the last one's number says how many there are, without a look at the others.
    """
    of_it = reservation_item.c.organization_id == reservation.c.organization_id
    of_it &= reservation_item.c.reservation_id == reservation.c.reservation_id
    last = select(func.max(reservation_item.c.line)).where(of_it).correlate(reservation).scalar_subquery()
    sized = chosen.add_columns((func.coalesce(last, -1) + 1).label("lines")).subquery("sized")
    columns = [sized.c[name].desc() if newest_first else sized.c[name] for name in order]
    return first_of(sized, lines_max, columns)


def first_of(sized: FromClause, lines_max: Any, order: Sequence[ColumnElement[Any]]) -> Select[Any]:
    """The first of what is chosen, in this order, up to that with which they have more than `lines_max` lines.

    Args:
        sized: what is chosen, and as its last column `lines`, how many lines each has.
    """
    before = func.sum(sized.c.lines).over(order_by=order) - sized.c.lines
    place = func.row_number().over(order_by=order)
    counted = select(*sized.c, before.label("lines_before"), place.label("place")).subquery("counted")
    # The first is there in any case, and the one behind it says that there are more.
    is_on_it = (counted.c.lines_before <= lines_max) | (counted.c.place <= 2)
    return select(*[counted.c[name] for name in sized.c.keys()[:-1]]).where(is_on_it)


ORDER_OF_RESERVATION = select(reservation.c.order_id).where(
    reservation.c.organization_id == bindparam("organization_id"),
    reservation.c.reservation_id == bindparam("reservation_id"),
)
SELECT_ORDERS = (
    select(reservation.c.organization_id, reservation.c.order_id)
    .distinct()
    .order_by(reservation.c.organization_id, reservation.c.order_id)
)


def _kept_in(reservations: Table, items: Table) -> Select[Any]:
    """One reservation from these tables, a row for each of its items."""
    is_its = (items.c.organization_id == reservations.c.organization_id) & (
        items.c.reservation_id == reservations.c.reservation_id
    )
    columns = [reservations.c[column.name] for column in SELECT_RESERVATIONS.selected_columns]
    columns += [items.c[column.name] for column in (reservation_item.c.line, *ITEM_COLUMNS)]
    return (
        select(*columns)
        .select_from(reservations.join(items, is_its))
        .where(
            reservations.c.organization_id == bindparam("organization_id"),
            reservations.c.reservation_id == bindparam("reservation_id"),
        )
    )


RESERVATION = union_all(
    _kept_in(reservation, reservation_item), _kept_in(reservation_archive, reservation_item_archive)
).order_by("line")


def load_reservation(connection: Connection, organization_id: str, reservation_id: str) -> ReservationRecord | None:
    """From where it is kept, in one statement: it may be on its way to the archive."""
    parameters = {"organization_id": organization_id, "reservation_id": reservation_id}
    return next(reservations_of(connection.execute(RESERVATION, parameters)), None)


def find_reservation(connection: Connection, organization_id: str, reservation_id: str) -> OrderKey | None:
    parameters = {"organization_id": organization_id, "reservation_id": reservation_id}
    order_id = connection.execute(ORDER_OF_RESERVATION, parameters).scalar()
    return None if order_id is None else OrderKey(organization_id, order_id)


def orders_after(connection: Connection, key: OrderKey | None, limit: int) -> Sequence[OrderKey]:
    statement = SELECT_ORDERS.limit(limit)
    if key is not None:
        statement = statement.where(tuple_(reservation.c.organization_id, reservation.c.order_id) > tuple_(*key))
    return [OrderKey(*row) for row in connection.execute(statement)]


def list_reservations(connection: Connection, query: ListReservations) -> ReservationPage:
    chosen = SELECT_RESERVATIONS.where(reservation.c.organization_id == query.organization_id)
    if query.state is not None:
        chosen = chosen.where(reservation.c.state == query.state)
    if query.order_id:
        chosen = chosen.where(reservation.c.order_id == query.order_id)
    if query.before:
        chosen = chosen.where(reservation.c.reservation_id < query.before)
    chosen = chosen.order_by(reservation.c.reservation_id.desc()).limit(query.limit + 1)
    cut = up_to_lines(chosen, query.lines_max, "reservation_id", newest_first=True)
    page = with_items(cut, "reservation_id", newest_first=True)
    return cut_page(reservations_of(connection.execute(page)), query)


def reservations_of(rows: Iterable[Any]) -> Iterator[ReservationRecord]:
    for _, group in groupby(rows, key=lambda row: (row[0], row[1])):
        lines = list(group)
        fields: list[Any] = list(lines[0][:10])
        fields.insert(6, _items(lines))
        yield ReservationRecord(*fields)


def _items(lines: Sequence[Any]) -> tuple[ReservationItem, ...]:
    width = len(ITEM_COLUMNS)
    return tuple(ReservationItem(*line[-width:]) for line in lines if line[-1] is not None)


# ---- expiry -----------------------------------------------------------------------------------------------------

DUE = (
    select(reservation.c.organization_id, reservation.c.order_id, reservation.c.expires_at)
    .where(IS_ACTIVE, reservation.c.expires_at <= bindparam("now"))
    .order_by(*BY_EXPIRY)
    .limit(bindparam("rows_max"))
)
NEXT_EXPIRY = select(reservation.c.expires_at).where(IS_ACTIVE).order_by(*BY_EXPIRY).limit(1)
ACTIVE = with_items(
    SELECT_RESERVATIONS.where(IS_ACTIVE).order_by(*BY_EXPIRY).limit(bindparam("rows_max")),
    "expires_at",
    "organization_id",
    "reservation_id",
)


def due(connection: Connection, now_ms: int, limit: int) -> Sequence[Due]:
    rows = connection.execute(DUE, {"now": now_ms, "rows_max": limit})
    return [Due(OrderKey(organization_id, order_id), at_ms) for organization_id, order_id, at_ms in rows]


def next_expiry_ms(connection: Connection) -> int | None:
    return connection.execute(NEXT_EXPIRY).scalar()


def active_reservations(connection: Connection, limit: int) -> Sequence[ReservationRecord]:
    return list(reservations_of(connection.execute(ACTIVE, {"rows_max": limit})))


# ---- requests ---------------------------------------------------------------------------------------------------

REQUEST = select(request.c.scope, request.c.request_id, request.c.fingerprint, request.c.outcome).where(
    request.c.scope == bindparam("scope"), request.c.request_id == bindparam("request_id")
)
SELECT_REQUESTS = select(request.c.scope, request.c.request_id).order_by(request.c.scope, request.c.request_id)


def load_request(connection: Connection, key: RequestKey) -> RequestRecord | None:
    row = connection.execute(REQUEST, key._asdict()).one_or_none()
    return None if row is None else RequestRecord(row.scope, row.request_id, row.fingerprint, row.outcome.encode())


def requests_after(connection: Connection, key: RequestKey | None, limit: int) -> Sequence[RequestKey]:
    statement = SELECT_REQUESTS.limit(limit)
    if key is not None:
        statement = statement.where(tuple_(request.c.scope, request.c.request_id) > tuple_(*key))
    return [RequestKey(*row) for row in connection.execute(statement)]
