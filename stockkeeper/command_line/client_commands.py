"""What the commands do that talk to a running server. Each returns an exit status and says what happened."""

import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import anyio
import grpc
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from stockkeeper_client import InventoryClient
from stockkeeper_client.errors import LineError, error_details
from stockkeeper_client.v1 import stock_pb2 as pb

from stockkeeper.command_line.stock_csv import BadHeader, read_counted_lines
from stockkeeper.config import ConfigurationError

ERRORS_SHOWN_MAX = 1_000

Call = Callable[[InventoryClient], Awaitable[int]]


def import_stock(file: Path, target: str, request_id: str) -> int:
    """Import a CSV file through the server, with a progress bar."""
    try:
        with file.open(newline="", encoding="utf-8") as opened:
            counted = read_counted_lines(opened)
    except (BadHeader, UnicodeDecodeError) as error:
        return _fail(str(error) if isinstance(error, BadHeader) else f"{file} is not UTF-8 text.")
    except OSError as error:
        return _fail(f"{file} cannot be read: {error.strerror}.")
    if counted.errors:
        return _refuse_lines([LineError(e.line_number, e.reason) for e in counted.errors], counted.errors_total)

    async def run(client: InventoryClient) -> int:
        with _progress() as progress:
            task = progress.add_task("Importing", total=len(counted.lines))

            async def lines() -> AsyncIterator[pb.ImportLine]:
                for number, line in enumerate(counted.lines, 1):
                    yield line
                    if number % 500 == 0 or number == len(counted.lines):
                        progress.update(task, completed=number)

            answer = await client.stock.import_stock(lines(), request_id=request_id or None)
        _say(
            f"{_count(answer.lines, 'line')}: {_count(answer.rows_created, 'row')} created, "
            f"{answer.rows_changed} changed, {answer.rows_unchanged} unchanged."
        )
        return 0

    return _call(target, run)


def show_stock(organization_id: str, variant_id: str, warehouse_id: str, rows_max: int, target: str) -> int:
    """Print stock rows as a table."""

    async def run(client: InventoryClient) -> int:
        table = Table("Variant", "Warehouse")
        for heading in ("Total", "Available", "Reserved", "Damaged", "In transit"):
            table.add_column(heading, justify="right")
        table.add_column("Status")
        rows = client.stock.list_stock(
            organization_id, variant_id=variant_id, warehouse_id=warehouse_id, page_size=min(rows_max + 1, 1_000)
        )
        async for row in rows:
            if table.row_count == rows_max:
                table.caption = f"the first {rows_max} rows"
                break
            figures = (
                row.total_quantity,
                row.available_quantity,
                row.reserved_quantity,
                row.damaged_quantity,
                row.in_transit_quantity,
            )
            name = "" if row.warehouse_name == row.warehouse_id else f" ({row.warehouse_name})"
            table.add_row(
                escape(row.variant_id), escape(f"{row.warehouse_id}{name}"), *map(str, figures), row.stock_status
            )
        return _show(table, f"{organization_id} has no such stock.")

    return _call(target, run)


def show_reservations(organization_id: str, order_id: str, state: str, rows_max: int, target: str) -> int:
    """Print reservations as a table."""

    async def run(client: InventoryClient) -> int:
        table = Table("Reservation", "Order", "State", "Expires", "Items")
        found = client.stock.list_reservations(
            organization_id, state=state, order_id=order_id, page_size=min(rows_max + 1, 1_000)
        )
        async for reservation in found:
            if table.row_count == rows_max:
                table.caption = f"the newest {rows_max} reservations"
                break
            items = [f"{item.quantity} {item.variant_id}@{item.warehouse_id}" for item in reservation.items]
            more = f", and {len(items) - 5} more" if len(items) > 5 else ""
            table.add_row(
                reservation.reservation_id,
                escape(reservation.order_id),
                reservation.state,
                reservation.expires_at if reservation.state == "active" else "",
                escape(", ".join(items[:5]) + more),
            )
        return _show(table, f"{organization_id} has no such reservation.")

    return _call(target, run)


def reserve_stock(organization_id: str, order_id: str, lines: Sequence[str], ttl_minutes: int, target: str) -> int:
    """Reserve lines given as variant:quantity or variant:quantity@warehouse."""
    items = [_parse_line(line) for line in lines]

    async def run(client: InventoryClient) -> int:
        answer = await client.reserve_stock(organization_id, order_id, items, ttl_minutes)
        for item in answer.reserved_items:
            _say(
                f"{item.quantity} {item.variant_id} from {item.warehouse_id}: "
                f"{item.stock_before} were available, {item.stock_after} are left"
            )
        _say(f"Reservation {answer.reservation_id} holds until {answer.expires_at}.")
        return 0

    return _call(target, run)


def confirm_reservation(organization_id: str, reservation_id: str, order_id: str, target: str) -> int:
    """Confirm, and say when it was confirmed."""

    async def run(client: InventoryClient) -> int:
        answer = await client.confirm_reservation(organization_id, reservation_id, order_id)
        _say(f"{answer.message} at {answer.confirmed_at}.")
        return 0

    return _call(target, run)


def release_reservation(organization_id: str, reservation_id: str, reason: str, target: str) -> int:
    """Release, and say what went back."""

    async def run(client: InventoryClient) -> int:
        answer = await client.release_reservation(organization_id, reservation_id, reason)
        _say(f"{answer.message}: {answer.items_released} items, {answer.total_quantity_released} pieces went back.")
        return 0

    return _call(target, run)


def receive_stock(
    organization_id: str,
    variant_id: str,
    warehouse_id: str,
    quantity: int,
    reason: str,
    reference: str,
    request_id: str,
    target: str,
) -> int:
    """Receive goods, and say what the row has now."""

    async def run(client: InventoryClient) -> int:
        answer = await client.stock.receive_stock(
            organization_id,
            variant_id,
            warehouse_id,
            quantity,
            reason=reason,
            reference=reference,
            request_id=request_id or None,
        )
        _say(
            f"{answer.available_quantity} {variant_id} are available in {warehouse_id}, {answer.total_quantity} in all."
        )
        return 0

    return _call(target, run)


def fulfill_reservation(organization_id: str, reservation_id: str, reference: str, request_id: str, target: str) -> int:
    """Ship, and say what left."""

    async def run(client: InventoryClient) -> int:
        answer = await client.stock.fulfill_reservation(
            organization_id, reservation_id, reference=reference, request_id=request_id or None
        )
        _say(f"{answer.items_fulfilled} items, {answer.total_quantity_fulfilled} pieces left at {answer.fulfilled_at}.")
        return 0

    return _call(target, run)


def _call(target: str, run: Call) -> int:
    """Run a command against the server, and turn what it refuses into a sentence and an exit status."""
    host, port = _parse_target(target)

    async def connected() -> int:
        async with InventoryClient(host, port, timeout_s=10.0, breaker=False) as client:
            return await run(client)

    try:
        return anyio.run(connected)
    except grpc.aio.AioRpcError as error:
        details = error_details(error)
        if details.line_errors:
            return _refuse_lines(details.line_errors, details.line_errors_total)
        if error.code() is grpc.StatusCode.UNAVAILABLE and not details.reason:
            return _fail(f"No server answers at {target}. Start one with: stockkeeper serve")
        reasons = [f"{violation.field} {violation.description}" for violation in details.field_violations]
        reasons += [f"{v.subject}: {v.description}" for v in details.precondition_violations]
        return _fail("\n  ".join([error.details() or error.code().name, *reasons]))


def _refuse_lines(errors: Sequence[LineError], errors_total: int) -> int:
    for error in errors[:ERRORS_SHOWN_MAX]:
        sys.stderr.write(f"line {error.line_number}: {error.reason}\n")
    more = errors_total - min(len(errors), ERRORS_SHOWN_MAX)
    if more > 0:
        sys.stderr.write(f"… and {more} more\n")
    return _fail(f"Nothing was imported: {errors_total} bad line{'s' if errors_total != 1 else ''}.")


def _show(table: Table, if_empty: str) -> int:
    if not table.row_count:
        _say(if_empty)
        return 0
    console = Console(width=None if sys.stdout.isatty() else 200)
    console.print(table)
    return 0


def _progress() -> Progress:
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        console=console,
        disable=not console.is_terminal,
    )


def _parse_target(target: str) -> tuple[str, int]:
    host, separator, port = target.rpartition(":")
    if not separator or not host or not port.isdigit():
        raise ConfigurationError(f"The target must be host:port, not {target!r}.")
    return host.strip("[]"), int(port)


def _parse_line(line: str) -> dict[str, object]:
    wish, _, warehouse_id = line.partition("@")
    variant_id, _, quantity = wish.rpartition(":")
    if not variant_id or not quantity.isdigit():
        raise ConfigurationError(f"A line must be variant:quantity or variant:quantity@warehouse, not {line!r}.")
    return {"variant_id": variant_id, "warehouse_id": warehouse_id, "quantity": int(quantity)}


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")


def _fail(sentence: str) -> int:
    sys.stderr.write(f"{sentence}\n")
    return 1


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
