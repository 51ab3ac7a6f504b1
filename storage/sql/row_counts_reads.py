"""Counts, a part at a time: each statement looks at a bounded number of rows along an index, and gives only sums."""

from typing import Any

from sqlalchemy import ColumnElement, Connection, case, func, select, tuple_

from actors.queries import CountRows
from actors.row_counts import RowCount, RowCounts
from storage.sql.schema import reservation, stock

BY_STATE = ("organization_id", "state", "reservation_id")  # indexes
BY_ROW = ("organization_id", "variant_id", "warehouse_id")


def count_rows(connection: Connection, query: CountRows) -> RowCounts:
    of = reservation.c if query.counted == "reservations" else stock.c
    names, name = (BY_STATE, of.state) if of is reservation.c else (BY_ROW, _alert())
    key = [of[column] for column in names]
    begins = () if query.after is None else (tuple_(*key) > tuple_(*query.after),)
    last = connection.execute(select(*key).where(*begins).order_by(*key).offset(query.rows_max - 1).limit(1)).first()
    ends = () if last is None else (tuple_(*key) <= tuple_(*last),)
    counted = select(of.organization_id, name, func.count()).where(*begins, *ends, name.is_not(None))
    counts = connection.execute(counted.group_by(of.organization_id, name)).all()
    found = tuple([RowCount(*row) for row in counts])
    return RowCounts(found, None if last is None else (last[0], last[1], last[2]))


def _alert() -> ColumnElement[Any]:
    """The rule of `actors.stock_alerts.alert_of`."""
    return case(
        (stock.c.available <= stock.c.min_stock, "critical"),
        (stock.c.available <= stock.c.reorder_point, "warning"),
    )
