"""The full names of the services, as they stand on the wire."""

INVENTORY = "inventory.v1.InventoryService"
STOCK = "inventory.v1.StockService"
STREAM = "inventory.v1.ReservationStream"
EVENTS = "inventory.v1.EventsService"
OPERATIONS = "inventory.v1.OperationsService"
HEALTH = "grpc.health.v1.Health"
