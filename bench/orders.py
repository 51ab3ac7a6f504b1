"""The orders, by number: the number of an acknowledged order says which goods it took.

No number is used twice on one system, and the same number is the same order on every system.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache

from stockkeeper_client.v1 import inventory_pb2 as pb

from bench.generator import Call
from examples.order_day import read_day

ORGANIZATION, WAREHOUSE = "org_1", "w1"
PIECES = 100_000_000
HOT_ROWS = 4
SPREAD_ROWS = 10_000
SCATTER = 0x9E3779B97F4A7C15  # Fibonacci hashing: 2^64 by the golden ratio

Lines = Sequence[tuple[str, int]]


@dataclass(frozen=True)
class Workload:
    """Orders by number.

    Args:
        name: in results and on the page.
        lines: returns the variants and quantities of the order with a given number.
        rows: how many stock rows there are; 0 where the variants have other names than `variant(n)`.
    """

    name: str
    lines: Callable[[int], Lines]
    rows: int = 0

    def calls(self, numbers: Iterable[int]) -> list[Call]:
        """ReserveStock for each of these orders."""
        return [Call("ReserveStock", reserve_request(number, self.lines(number)), number) for number in numbers]

    def taken(self, numbers: Iterable[int]) -> Counter[str]:
        """Pieces of each variant that these orders hold."""
        taken: Counter[str] = Counter()
        for number in numbers:
            for variant_id, quantity in self.lines(number):
                taken[variant_id] += quantity
        return taken


def variant(row: int) -> str:
    return f"v{row}"


def reserve_request(number: int, lines: Lines) -> bytes:
    items = [
        pb.ReservationItem(variant_id=variant_id, warehouse_id=WAREHOUSE, quantity=quantity)
        for variant_id, quantity in lines
    ]
    request = pb.ReserveStockRequest(organization_id=ORGANIZATION, order_id=f"order-{number}", items=items)
    return request.SerializeToString()


def distinct_lines(rows: int, lines: int) -> Callable[[int], Lines]:
    """Orders of the given number of lines, one piece each, scattered over the rows, no row twice in an order."""

    def order(number: int) -> Lines:
        scattered = (number * SCATTER) % 2**64
        first, step = (scattered >> 32) % rows, 1 + (scattered >> 8) % (rows // lines)
        return [(variant((first + line * step) % rows), 1) for line in range(lines)]

    return order


@cache
def _day() -> tuple[Lines, ...]:
    return tuple(order.lines for order in read_day().orders)


def day_lines(number: int) -> Lines:
    """The orders of a shop's real day, over and over."""
    day = _day()
    return day[number % len(day)]


def day_variants() -> list[str]:
    """All that was ordered on that day."""
    return sorted({variant_id for lines in _day() for variant_id, _ in lines})


def spread(rows: int, lines: int = 2) -> Workload:
    return Workload(f"{rows} rows, {lines} lines", distinct_lines(rows, lines), rows)


HOT = Workload("hot", distinct_lines(HOT_ROWS, 2), HOT_ROWS)
SPREAD = Workload("spread", distinct_lines(SPREAD_ROWS, 2), SPREAD_ROWS)
DAY = Workload("day", day_lines)


def check_calls(numbers: Iterable[int], rows: int) -> list[Call]:
    """CheckAvailability of one row each, over the given number of rows."""
    return [
        Call(
            "CheckAvailability",
            pb.CheckAvailabilityRequest(
                organization_id=ORGANIZATION, variant_id=variant(number % rows), warehouse_id=WAREHOUSE, quantity=1
            ).SerializeToString(),
        )
        for number in numbers
    ]


def confirm_call(reservation_id: str, number: int) -> Call:
    request = pb.ConfirmReservationRequest(
        organization_id=ORGANIZATION, reservation_id=reservation_id, order_id=f"order-{number}"
    )
    return Call("ConfirmReservation", request.SerializeToString())


def release_call(reservation_id: str, number: int) -> Call:
    request = pb.ReleaseReservationRequest(
        organization_id=ORGANIZATION, reservation_id=reservation_id, reason="cancelled"
    )
    return Call("ReleaseReservation", request.SerializeToString(), releases=number)
