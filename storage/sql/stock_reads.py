"""Lists of stock rows. Each is a single statement that follows an index; see `storage.sql.reads`."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, func, select, tuple_

from actors.queries import FindStock, ListStock
from actors.records import StockRecord
from storage.found_stock import FoundStock, cut_found, prefix_end
from storage.sql.reads import SELECT_STOCK, stock_records
from storage.sql.schema import stock


def list_stock(connection: Connection, query: ListStock) -> Sequence[StockRecord]:
    return stock_records(connection.execute(_named(query).limit(query.limit)).all())


def find_stock(connection: Connection, query: FindStock) -> FoundStock:
    """Looks at `looks_max` rows in key order, and returns those that are wanted and the last of all."""
    looked_at = _named(query).limit(query.looks_max).subquery("looked_at")
    place = func.row_number().over(order_by=(looked_at.c.variant_id, looked_at.c.warehouse_id)).label("place")
    placed = select(place, *looked_at.c).subquery("placed")
    statement = select(*placed.c).where(_wanted(placed.c, query) | (placed.c.place == query.looks_max))
    rows = connection.execute(
        statement.order_by(placed.c.variant_id, placed.c.warehouse_id).limit(query.limit + 1)
    ).all()
    found = stock_records([row[1:] for row in rows])
    return cut_found(zip([row[0] for row in rows], found, strict=True), query)


def _named(query: ListStock | FindStock) -> Select[Any]:
    """The rows that a query names, from where it begins on, whatever their figures."""
    statement = SELECT_STOCK.where(stock.c.organization_id == query.organization_id)
    if query.variant_id:
        statement = statement.where(stock.c.variant_id == query.variant_id)
    if query.variant_prefix:
        statement = statement.where(stock.c.variant_id >= query.variant_prefix)
        if end := prefix_end(query.variant_prefix):
            statement = statement.where(stock.c.variant_id < end)
    if query.warehouse_id:
        statement = statement.where(stock.c.warehouse_id == query.warehouse_id)
    if query.after is not None:
        assert query.after.organization_id == query.organization_id, query
        statement = statement.where(tuple_(stock.c.variant_id, stock.c.warehouse_id) > tuple_(*query.after[1:]))
    return statement


def _wanted(row: Any, query: FindStock) -> ColumnElement[bool]:
    """The rule of `storage.found_stock.is_wanted`."""
    is_low = row.available <= row.min_stock
    by_status = {
        None: True,
        "out_of_stock": row.available == 0,
        "low_stock": is_low & (row.available > 0),
        "in_stock": (row.available > row.min_stock) & (row.available > 0),
    }
    by_alert = {None: True, "critical": is_low, "warning": ~is_low & (row.available <= row.reorder_point)}
    return and_(by_status[query.status], by_alert[query.alert_level])
