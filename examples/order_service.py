"""A small Order Service: takes a day of real orders through reservation, payment and shipping.

    python examples/order_service.py --target localhost:50053     against a running server, once a database
    python examples/order_service.py --demo                       against a server of its own

All orders come at once. Each is reserved; its payment succeeds or fails; some are sent twice, as a client does
that lost the answer; the day's cancellations give goods back. In the end the books must balance to the piece,
or it exits with 1.
"""

import argparse
import asyncio
import contextlib
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import grpc
from order_day import ORGANIZATION, Cancellation, Day, Order, read_day, stock_below_demand
from rich.console import Console
from rich.table import Table
from stockkeeper_client import InventoryClient, Item, ReceivedLine
from stockkeeper_client.errors import error_details

CONCURRENT_ORDERS = 64


@dataclass
class Books:
    """What the Order Service knows at the end of its day."""

    start: int = 0
    asked: int = 0
    filled: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    payment_failed: int = 0
    retried: int = 0
    retried_otherwise: int = 0
    cancelled: int = 0
    returned: int = 0
    sold: int = 0
    left: int = 0


def payment_succeeds(order: Order) -> bool:
    """Every tenth card is declined; the invoice number decides, so that each run is like the next."""
    return int(order.order_id) % 10 != 3


def answer_gets_lost(order: Order) -> bool:
    """Every seventh answer does not reach us, and we ask again."""
    return int(order.order_id) % 7 == 1


class OrderService:
    """Takes orders to their end. One instance, many orders at a time."""

    def __init__(self, client: InventoryClient) -> None:
        self.client = client
        self.books = Books()
        self._sold: dict[str, tuple[Order, str]] = {}  # by customer: the last order and its reservation

    async def take(self, order: Order) -> None:
        """Reserve, pay, confirm and ship one order, or give its goods back."""
        books, client = self.books, self.client
        books.asked += 1
        items: list[Item] = [{"variant_id": code, "quantity": quantity} for code, quantity in order.lines]
        try:
            reserved = await client.reserve_stock(ORGANIZATION, order.order_id, items)
            if answer_gets_lost(order):
                again = await client.reserve_stock(ORGANIZATION, order.order_id, items)
                books.retried += 1
                books.retried_otherwise += again != reserved
        except grpc.aio.AioRpcError as error:
            books.refused[error_details(error).reason or error.code().name] += 1
            return
        if not payment_succeeds(order):
            await client.release_reservation(ORGANIZATION, reserved.reservation_id, "payment_failed")
            books.payment_failed += 1
            return
        await client.confirm_reservation(ORGANIZATION, reserved.reservation_id, order.order_id)
        books.filled += 1
        self._sold[order.customer_id] = (order, reserved.reservation_id)

    async def cancel(self, cancellation: Cancellation) -> None:
        """A customer gives goods back: the order they were in is released, anything else is a return."""
        known = self._sold.get(cancellation.customer_id)
        if known is not None and dict(cancellation.lines).keys() <= dict(known[0].lines).keys():
            await self.client.release_reservation(ORGANIZATION, known[1], "cancelled")
            self.books.cancelled += 1
            self.books.filled -= 1
            del self._sold[cancellation.customer_id]
            return
        returned: list[ReceivedLine] = [
            {"variant_id": code, "warehouse_id": "north", "quantity": quantity} for code, quantity in cancellation.lines
        ]
        await self.client.stock.receive_stock(
            ORGANIZATION,
            returned,
            reason="return",
            reference=cancellation.invoice_id,
            request_id=cancellation.invoice_id,
        )
        self.books.returned += sum(quantity for _, quantity in cancellation.lines)

    async def ship_everything(self) -> None:
        """The evening: everything that is paid leaves the house."""
        confirmed = self.client.stock.list_reservations(ORGANIZATION, state="confirmed", page_size=50)
        ids = [reservation.reservation_id async for reservation in confirmed]
        for reservation_id in ids:
            answer = await self.client.stock.fulfill_reservation(
                ORGANIZATION, reservation_id, request_id=f"ship-{reservation_id}"
            )
            self.books.sold += answer.total_quantity_fulfilled


async def run_day(client: InventoryClient, day: Day) -> Books:
    """The whole day against one server whose organization has no stock yet."""
    service = OrderService(client)
    await client.stock.import_stock(stock_below_demand(day), request_id="morning")
    service.books.start = await total_stock(client)
    places = asyncio.Semaphore(CONCURRENT_ORDERS)

    async def take(order: Order) -> None:
        async with places:
            await service.take(order)

    await asyncio.gather(*(take(order) for order in day.orders))
    for cancellation in day.cancellations:
        await service.cancel(cancellation)
    await service.ship_everything()
    service.books.left = await total_stock(client)
    return service.books


async def total_stock(client: InventoryClient) -> int:
    """All pieces of the organization, whatever their state."""
    return sum([row.total_quantity async for row in client.stock.list_stock(ORGANIZATION)])


def report(books: Books) -> bool:
    """Print the day's table. Returns whether the books balance."""
    table = Table("A day of orders", show_header=True)
    table.add_column("", justify="right")
    table.add_row("orders asked", str(books.asked))
    table.add_row("  filled", str(books.filled))
    for reason, count in sorted(books.refused.items()):
        table.add_row(f"  refused: {reason}", str(count))
    table.add_row("  released, payment failed", str(books.payment_failed))
    table.add_row("  released, cancelled", str(books.cancelled))
    table.add_row("sent twice, answered the same", str(books.retried - books.retried_otherwise))
    table.add_row("sent twice, answered otherwise", str(books.retried_otherwise), end_section=True)
    table.add_row("pieces in stock in the morning", str(books.start))
    table.add_row("+ returned", str(books.returned))
    table.add_row("- sold", str(books.sold))
    table.add_row("= expected in the evening", str(books.start + books.returned - books.sold))
    table.add_row("counted in the evening", str(books.left))
    Console(width=60).print(table)
    handled = books.filled + books.refused.total() + books.payment_failed + books.cancelled
    return books.start + books.returned - books.sold == books.left and handled == books.asked


@contextlib.asynccontextmanager
async def own_server() -> AsyncIterator[str]:
    """A server of our own on a free port and a database that goes with it."""
    with tempfile.TemporaryDirectory() as directory:
        database_url = f"sqlite+aiosqlite:///{directory}/demo.db"
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "stockkeeper", "serve", "--port", "0", "--database-url", database_url),
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        line = (await process.stdout.readline()).decode()
        if " listens on " not in line:
            raise SystemExit("The server did not start.")
        try:
            yield "localhost:" + line.split(" listens on ")[1].split(" ")[0].rstrip(",").rpartition(":")[2]
        finally:
            process.send_signal(signal.SIGTERM)
            await process.wait()


async def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--target", default="localhost:50053", help="the server, as host:port")
    parser.add_argument("--demo", action="store_true", help="start a server, and end it afterwards")
    arguments = parser.parse_args()
    async with contextlib.AsyncExitStack() as stack:
        target = await stack.enter_async_context(own_server()) if arguments.demo else arguments.target
        host, _, port = target.rpartition(":")
        client = await stack.enter_async_context(InventoryClient(host, int(port), timeout_s=30))
        balanced = report(await run_day(client, read_day()))
    return 0 if balanced else 1


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    sys.exit(asyncio.run(main()))
