"""The rows of a change of goods as its answer shows them."""

from collections.abc import Iterable

from actors.outcomes import MovedRow
from actors.stock_actor import StockActor
from supervisor.activations.warehouse_registry import WarehouseRegistry


def moved_rows(rows: Iterable[StockActor], transaction_id: int, warehouses: WarehouseRegistry) -> tuple[MovedRow, ...]:
    """Each row once, as the transaction will leave it, in the order in which they are first named."""
    changes = [row.state.foreseen(transaction_id) for row in dict.fromkeys(rows)]
    return tuple(
        [
            MovedRow(change.after, warehouses.decided_name_of(change.after.key), not change.before.exists)
            for change in changes
        ]
    )
