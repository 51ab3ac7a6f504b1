"""A real day of a shop: what was ordered and what was cancelled, read from the Online Retail data set."""

import csv
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from stockkeeper_client import StockLine

DAY = Path(__file__).parent / "data" / "online-retail" / "2010-12-01.csv"
ORGANIZATION = "online-retail"
WAREHOUSES = {"north": "North", "south": "South"}


@dataclass(frozen=True)
class Order:
    """An invoice: a customer's lines. Lines on one stock code stay apart, as they were entered."""

    order_id: str
    customer_id: str
    lines: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Cancellation:
    """Goods that a customer gave back."""

    invoice_id: str
    customer_id: str
    lines: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Day:
    """Everything that happened on the day, in its order."""

    orders: tuple[Order, ...]
    cancellations: tuple[Cancellation, ...]

    def demand(self) -> Counter[str]:
        """Pieces asked for of each stock code."""
        demand: Counter[str] = Counter()
        for order in self.orders:
            for code, quantity in order.lines:
                demand[code] += quantity
        return demand

    def popular(self, orders_min: int = 12) -> set[str]:
        """Stock codes that many orders want."""
        orders = Counter(code for order in self.orders for code in {code for code, _ in order.lines})
        return {code for code, count in orders.items() if count >= orders_min}


def read_day(path: Path = DAY) -> Day:
    """Read the day. Corrections of stock (a negative quantity on an invoice that is no cancellation) are left out."""
    invoices: dict[str, tuple[str, list[tuple[str, int]]]] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            _, lines = invoices.setdefault(row["InvoiceNo"], (row["CustomerID"], []))
            lines.append((row["StockCode"], int(row["Quantity"])))
    orders, cancellations = [], []
    for invoice_id, (customer_id, lines) in invoices.items():
        if invoice_id.startswith("C"):
            returned = tuple((code, -quantity) for code, quantity in lines if quantity < 0)
            cancellations.append(Cancellation(invoice_id, customer_id, returned))
        elif wanted := tuple((code, quantity) for code, quantity in lines if quantity > 0):
            orders.append(Order(invoice_id, customer_id, wanted))
    return Day(tuple(orders), tuple(cancellations))


def stock_below_demand(day: Day) -> list[StockLine]:
    """What is in stock in the morning, in two warehouses, as lines of an import.

    Of what is popular there is half of what will be asked for, of the rest just enough: a part must be refused.
    """
    popular = day.popular()
    lines: list[StockLine] = []
    for code, wanted in sorted(day.demand().items()):
        north, south = (wanted // 4, wanted // 4) if code in popular else (wanted, 0)
        for warehouse_id, quantity in (("north", north), ("south", south)):
            lines.append(
                {
                    "organization_id": ORGANIZATION,
                    "variant_id": code,
                    "warehouse_id": warehouse_id,
                    "warehouse_name": WAREHOUSES[warehouse_id],
                    "total_quantity": quantity,
                }
            )
    return lines
