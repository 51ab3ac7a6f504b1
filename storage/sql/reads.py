"""Every question the core asks, as a plain function of a SQLAlchemy `Connection`.

Each is a single statement, so that it sees whole batches without a transaction, and each follows an index for as many rows
as it returns: on SQLite one connection serves everything, and a scan would keep the journal waiting. A test looks at the
plans. What differs between the databases is how they take a list of keys (`_listed`).
"""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from msgspec import json
from sqlalchemy import Connection, Dialect, FromClause, Row, Select, Text, bindparam, func, literal_column, select, tuple_
from sqlalchemy.dialects.postgresql import ARRAY

from actors.records import (
    OrderKey,
    RequestKey,
    RequestRecord,
    ReservationItem,
    ReservationRecord,
    ReservationState,
    StockKey,
    StockRecord,
    VariantKey,
    WarehouseRecord,
)
from storage.sql.schema import request, reservation, reservation_item, stock, warehouse
from storage.store import ActiveItems, Due, Loaded

VARIANTS_MAX = 500

# As text and no parameter: the planner must see that the partial index has the rows.
IS_ACTIVE = reservation.c.state == literal_column("'active'")

STOCK_COLUMNS = (
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
    stock.c.version,
)
STOCK_FIELDS = len(STOCK_COLUMNS)
WITH_WAREHOUSE = stock.outerjoin(
    warehouse,
    (warehouse.c.organization_id == stock.c.organization_id) & (warehouse.c.warehouse_id == stock.c.warehouse_id),
)
SELECT_STOCK = select(*STOCK_COLUMNS, warehouse.c.name)
STOCK_ORDER = (stock.c.organization_id, stock.c.variant_id, stock.c.warehouse_id)

ITEM_COLUMNS = (
    reservation_item.c.variant_id,
    reservation_item.c.warehouse_id,
    reservation_item.c.requested_warehouse_id,
    reservation_item.c.stock_id,
    reservation_item.c.quantity,
    reservation_item.c.stock_before,
    reservation_item.c.stock_after,
)
