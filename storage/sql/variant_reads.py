"""The rows of variants, in steps where they are many.

A variant may be in ten thousand warehouses, and five hundred variants are read at once. Read whole, that takes seconds,
in which nothing else is read or written where SQLite has one connection. What is loaded is not in memory, so nothing is
decided about it between the steps.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

from sqlalchemy import Connection, FromClause, Select, bindparam

from actors.records import StockRecord, VariantKey
from storage.sql.read_steps import Steps, read_without_pause
from storage.sql.reads import SELECT_STOCK, KeyList, stock_records
from storage.sql.schema import stock

ROWS_A_STEP = 2_000  # 10 ms or so


def _of_variants(keys: FromClause, organization_id: Any, variant_id: Any) -> Select[Any]:
    of_it = (stock.c.organization_id == organization_id) & (stock.c.variant_id == variant_id)
    return SELECT_STOCK.select_from(keys.join(stock, of_it))


def _first_of_variant(keys: FromClause, organization_id: Any, variant_id: Any) -> Select[Any]:
    chosen = _of_variants(keys, organization_id, variant_id).where(stock.c.warehouse_id > bindparam("after"))
    return chosen.order_by(stock.c.warehouse_id).limit(ROWS_A_STEP)


# The rows of variants, if they are few. Without an order: the databases would sort all before they count.
VARIANTS = KeyList(lambda *keys: _of_variants(*keys).limit(ROWS_A_STEP + 1))
FIRST_OF_VARIANT = KeyList(_first_of_variant)  # behind a warehouse, in their order


def load_variants(connection: Connection, keys: Sequence[VariantKey]) -> list[StockRecord]:
    """All rows of these variants."""
    return read_without_pause(connection, variants_in_steps(keys))


def variants_in_steps(keys: Sequence[VariantKey]) -> Steps[list[StockRecord]]:
    """The same, so that others use the database between the steps."""
    parts, records = [sorted(set(keys))], list[StockRecord]()
    while parts:
        part = parts.pop()
        found = yield partial(_few_of_variants, keys=part)
        if found is not None:
            records += found
        elif len(part) > 1:
            half = len(part) // 2
            parts += (part[half:], part[:half])
        else:
            records += yield from _variant_in_steps(part[0])
    return records


def _variant_in_steps(key: VariantKey) -> Steps[list[StockRecord]]:
    records: list[StockRecord] = []
    after, may_be_more = "", True
    while may_be_more:
        found = yield partial(_step_of_variant, key=key, after=after)
        records += found
        may_be_more = len(found) == ROWS_A_STEP
        after = found[-1].warehouse_id if found else after
    return records


def _few_of_variants(connection: Connection, keys: Sequence[VariantKey]) -> Sequence[StockRecord] | None:
    """All rows of these variants; None if they are too many for a step."""
    rows = list(VARIANTS.execute(connection, keys))
    return None if len(rows) > ROWS_A_STEP else stock_records(rows)


def _step_of_variant(connection: Connection, key: VariantKey, after: str) -> Sequence[StockRecord]:
    return stock_records(list(FIRST_OF_VARIANT.execute(connection, [key], after=after)))
