"""What a row's levels say of it: how its stock is called, and whether it is time to do something."""

from typing import Literal

from actors.records import StockRecord

StockStatus = Literal["in_stock", "low_stock", "out_of_stock"]
AlertLevel = Literal["critical", "warning"]


def status_of(record: StockRecord) -> StockStatus:
    """How its stock is called, by what is available and its minimum."""
    if record.available == 0:
        return "out_of_stock"
    return "low_stock" if record.available <= record.min_stock else "in_stock"


def alert_of(record: StockRecord) -> AlertLevel | None:
    """Critical at its minimum or below, a warning at its reorder point or below."""
    if record.available <= record.min_stock:
        return "critical"
    return "warning" if record.available <= record.reorder_point else None
