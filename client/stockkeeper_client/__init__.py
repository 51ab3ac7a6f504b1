"""Client of the stockkeeper inventory service: `InventoryClient`, and what comes with it."""

from stockkeeper_client.channel import RetryPolicy
from stockkeeper_client.circuit import CircuitBreaker, CircuitOpenError, CircuitState
from stockkeeper_client.client import InventoryClient
from stockkeeper_client.errors import ErrorDetails, FieldViolation, LineError, PreconditionViolation, error_details
from stockkeeper_client.items import (
    AdjustedRow,
    ArrivedPieces,
    BasketItem,
    CountedTotal,
    Item,
    ReceivedLine,
    RowLevels,
    ShippedPieces,
    StockLine,
)
from stockkeeper_client.stock import StockClient
from stockkeeper_client.tls import tls_credentials

__all__ = [
    "AdjustedRow",
    "ArrivedPieces",
    "BasketItem",
    "CircuitBreaker",
    "CircuitOpenError",
    "CircuitState",
    "CountedTotal",
    "ErrorDetails",
    "FieldViolation",
    "InventoryClient",
    "Item",
    "LineError",
    "PreconditionViolation",
    "ReceivedLine",
    "RetryPolicy",
    "RowLevels",
    "ShippedPieces",
    "StockClient",
    "StockLine",
    "error_details",
    "tls_credentials",
]
