"""What each method asks of its caller. A method that is not named here asks for the most."""

from typing import Literal

from rpc.service_names import (
    EVENTS,
    HEALTH,
    INVENTORY,
    OPERATIONS,
    REFLECTION_V1,
    REFLECTION_V1ALPHA,
    STOCK,
    STREAM,
)

Scope = Literal["inventory.stock.read", "inventory.stock.reserve", "inventory.stock.manage"]

READ: Scope = "inventory.stock.read"
RESERVE: Scope = "inventory.stock.reserve"
MANAGE: Scope = "inventory.stock.manage"

OPEN = frozenset({HEALTH, REFLECTION_V1, REFLECTION_V1ALPHA})
"""Services that anybody may ask: a load balancer has no key, and whether there is reflection is a switch of its own."""


def _paths(service: str, methods: str) -> frozenset[str]:
    return frozenset(f"/{service}/{method}" for method in methods.split())


METHODS: dict[Scope, frozenset[str]] = {
    READ: _paths(INVENTORY, "CheckAvailability CheckBulkAvailability GetStockInfo")
    | _paths(STOCK, "ExplainReservation GetReservation ListReservations GetSourcingPolicy ListWarehouses ListStock")
    | _paths(STOCK, "GetTransfer ListTransfers ListMovements GetStockAt WatchChanges ExportStock"),
    RESERVE: _paths(INVENTORY, "ReserveStock ConfirmReservation ReleaseReservation")
    | _paths(STREAM, "ReserveStock")
    | _paths(STOCK, "Reserve ExtendReservation AmendReservation ReacquireReservation FulfillReservation"),
    MANAGE: _paths(STOCK, "ImportStock ReceiveStock AnnounceStock DeductStock AdjustStock DeleteStock")
    | _paths(STOCK, "ShipTransfer ReceiveTransfer CancelTransfer SetStockLevels UpsertWarehouse SetSourcingPolicy")
    | _paths(EVENTS, "ReadFeed TakeCursor MoveCursor DropCursor ListCursors")
    | _paths(OPERATIONS, "GetActivity"),
}
_SCOPE_OF = {path: scope for scope, paths in METHODS.items() for path in paths}


def scope_of(path: str) -> Scope:
    return _SCOPE_OF.get(path, MANAGE)
