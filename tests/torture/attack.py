"""What all attacks share: their names, and what they are aimed at."""

from collections.abc import Awaitable, Callable

ATTACKER = "attacker"
HOST = "127.0.0.1"
CONTRACT = "/inventory.v1.InventoryService/"
STOCK = "/inventory.v1.StockService/"
CHECK, RESERVE = f"{CONTRACT}CheckBulkAvailability", f"{CONTRACT}ReserveStock"
STREAM = "/inventory.v1.ReservationStream/ReserveStock"
WAREHOUSES = 9_000
BASKET = [f"v{number:03}" for number in range(1_000)]

Attack = Callable[[int], Awaitable[None]]
ATTACKS: dict[str, Attack] = {}


def attack(function: Attack) -> Attack:
    """Register an attack. It gets the port, and its docstring says what is done."""
    ATTACKS[function.__name__] = function
    return function
