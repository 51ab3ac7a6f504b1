"""Client of the stockkeeper inventory service: `InventoryClient`, and what comes with it."""

from inventory.channel import RetryPolicy
from inventory.circuit import CircuitBreaker, CircuitOpenError, CircuitState
from inventory.client import InventoryClient
from inventory.errors import ErrorDetails, FieldViolation, LineError, PreconditionViolation, error_details
from inventory.stock import StockClient

__all__ = [
    "CircuitBreaker",
    "CircuitOpenError",
    "CircuitState",
    "ErrorDetails",
    "FieldViolation",
    "InventoryClient",
    "LineError",
    "PreconditionViolation",
    "RetryPolicy",
    "StockClient",
    "error_details",
]
