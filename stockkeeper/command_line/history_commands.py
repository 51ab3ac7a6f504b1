"""What happened: the lines of the ledger, and everything that happens as it does."""

from collections.abc import Iterator
from contextlib import aclosing
from typing import Annotated

from cyclopts import Parameter
from stockkeeper_client import InventoryClient
from stockkeeper_client.v1.stock_pb2 import Movement, Notice, Quantities, WatchChangesResponse

from stockkeeper.command_line.goods_commands import Flag, Reference
from stockkeeper.command_line.output import Column, end_without_a_reader, flush, print_list, say, to_json
from stockkeeper.command_line.parameters import DEFAULT_TARGET, Json, RowsMax, Target
from stockkeeper.command_line.server_call import call
from stockkeeper.command_line.stock_commands import PAGE_ROWS_MAX
from stockkeeper.config import ConfigurationError

After = Annotated[str, Parameter(help="From this time on, as 2026-01-31T12:00:00Z.")]
Before = Annotated[str, Parameter(help="Before this time.")]

MOVEMENT_COLUMNS = (
    Column("LSN", need=3, justify="right"),
    Column("At", width_min=10),
    Column("Kind"),
    Column("Variant"),
    Column("Warehouse"),
    Column("Available", justify="right"),
    Column("Reserved", need=1, justify="right"),
    Column("Damaged", need=5, justify="right"),
    Column("In transit", need=5, justify="right"),
    Column("Order", need=2),
    Column("Reservation", need=6),
    Column("Reference", need=2),
    Column("Reason", need=3),
    Column("Actor", need=4),
)


def movements(
    organization_id: str,
    variant_id: str = "",
    /,
    *,
    warehouse: str = "",
    order: str = "",
    reservation: str = "",
    reference: Reference = "",
    kind: tuple[str, ...] = (),
    after: After = "",
    before: Before = "",
    newest_first: Flag = False,
    rows: RowsMax = 100,
    json: Json = False,
    target: Target = DEFAULT_TARGET,
) -> int:
    """Show lines of the ledger: what changed an organization's stock.

    Parameters
    ----------
    variant_id
        Only this variant.
    warehouse
        Only this warehouse.
    order
        Only this order.
    reservation
        Only this reservation.
    kind
        Only this kind, such as receive; several are given one by one.
    newest_first
        Begin with the last one.
    """

    async def run(client: InventoryClient) -> int:
        found = client.stock.list_movements(
            organization_id,
            variant_id=variant_id,
            warehouse_id=warehouse,
            order_id=order,
            reservation_id=reservation,
            reference=reference,
            kinds=kind,
            after=after,
            before=before,
            newest_first=newest_first,
            page_size=min(rows + 1, PAGE_ROWS_MAX),
        )
        sentence = f"{organization_id} has no such movement."
        shown = await print_list(found, MOVEMENT_COLUMNS, _cells, rows, as_json=json, if_empty=sentence)
        return 0 if shown else 1

    return call(target, run)


def _cells(one: Movement) -> tuple[str, ...]:
    figures = [f"{_figure(one.before, name)} → {_figure(one.after, name)}" for name in _NAMES]
    about = (one.order_id, one.reservation_id, one.reference, one.reason, one.actor)
    return (str(one.lsn), one.at, one.kind, one.variant_id, one.warehouse_id, *figures, *about)


_NAMES = ("available", "reserved", "damaged", "in_transit")
_NOTICES = {Notice.KIND_LOW: "low", Notice.KIND_DEPLETED: "depleted", Notice.KIND_REPLENISHED: "replenished"}


def _figure(quantities: Quantities, name: str) -> int:
    figure: int = getattr(quantities, name)
    return figure


def watch(
    organization_id: str,
    /,
    *,
    variant: tuple[str, ...] = (),
    warehouse: tuple[str, ...] = (),
    snapshot: Flag = False,
    token: str = "",
    json: Json = False,
    target: Target = DEFAULT_TARGET,
) -> int:
    """Show everything that happens in an organization, as it happens, until it is interrupted.

    Parameters
    ----------
    variant
        Only rows of this variant; several are given one by one.
    warehouse
        Only rows of this warehouse; several are given one by one.
    snapshot
        Show what there is first.
    token
        Go on behind this token, which an earlier `watch --json` showed.
    """
    if snapshot and token:
        raise ConfigurationError("The stream begins with a snapshot or behind a token, not with both.")

    async def run(client: InventoryClient) -> int:
        changes = client.stock.watch_changes(
            organization_id, token=token, snapshot=snapshot, variant_ids=variant, warehouse_ids=warehouse
        )
        async with aclosing(changes) as messages:
            async for message in messages:
                for line in [to_json(message)] if json else lines_of(message):
                    say(line)
                flush()
                end_without_a_reader()  # each message is looked at, and the server sends one every ten seconds
        return 0

    return call(target, run)


def lines_of(message: WatchChangesResponse) -> Iterator[str]:
    """What a person is told of a message."""
    if message.fell_behind:
        yield "(far behind; nothing is left out)"
    about = " ".join(part for part in (message.at, message.kind) if part)
    if message.HasField("reservation"):
        it = message.reservation
        yield f"{about} {it.reservation_id} of order {it.order_id}: {it.state}"
    for row in message.rows:
        yield f"{about} {row.variant_id}@{row.warehouse_id} {_change(row.before, row.after, row.HasField('after'))}"
    for notice in message.notices:
        said = _NOTICES.get(notice.kind, "")
        yield f"{about} {notice.variant_id}@{notice.warehouse_id} is {said}: {notice.available} available"
    if message.snapshot_done:
        yield f"{about} is complete"


def _change(before: Quantities, after: Quantities, is_there: bool) -> str:
    if not is_there:
        return "is gone"
    moved = [name for name in _NAMES if _figure(before, name) != _figure(after, name)] or ["available"]
    return ", ".join(f"{name.replace('_', ' ')} {_figure(before, name)} → {_figure(after, name)}" for name in moved)
