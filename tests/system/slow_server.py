"""`stockkeeper` in which one method holds the event loop for a fifth of a second of CPU time."""

import time
from typing import Any
from unittest import mock

from stockkeeper.__main__ import main

HELD_S = 0.2

if __name__ == "__main__":
    from stockkeeper.serving.grpc_settings import apply_grpc_settings

    apply_grpc_settings()
    from rpc.services.inventory_service import InventoryServicer

    right = InventoryServicer.GetStockInfo

    def slow(self: InventoryServicer, request: Any, context: Any) -> Any:
        ends_s = time.thread_time() + HELD_S
        while time.thread_time() < ends_s:
            pass
        return right(self, request, context)

    with (
        mock.patch.object(InventoryServicer, "GetStockInfo", slow),
        mock.patch("stockkeeper.serving.grpc_settings.apply_grpc_settings"),  # it was done
    ):
        main()
