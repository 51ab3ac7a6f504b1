"""The client for code that does not await: Flask, Django, Celery. All else is in `stockkeeper_client`."""

from stockkeeper_client.sync.client import InventoryClient
from stockkeeper_client.sync.stock import StockClient

__all__ = ["InventoryClient", "StockClient"]
