"""Goods that go from one warehouse to another."""

from collections.abc import Sequence
from typing import Literal
from uuid import uuid4

from stockkeeper_client import ArrivedPieces, InventoryClient, ShippedPieces
from stockkeeper_client.v1 import stock_pb2

from stockkeeper.command_line.goods_commands import Flag, Reason, Reference
from stockkeeper.command_line.order_commands import parse_line
from stockkeeper.command_line.output import Column, print_list, show
from stockkeeper.command_line.parameters import DEFAULT_TARGET, Json, RequestId, RowsMax, Target, Watch
from stockkeeper.command_line.server_call import call, under_request_id
from stockkeeper.command_line.stock_commands import PAGE_ROWS_MAX
from stockkeeper.command_line.watched_list import watched
from stockkeeper.config import ConfigurationError

TRANSFER_COLUMNS = (
    Column("Transfer"),
    Column("State"),
    Column("From"),
    Column("To"),
    Column("Shipped", need=2),
    Column("Lines", width_min=20),
)
State = Literal["in_transit", "received", "cancelled"]


def transfer(
    organization_id: str,
    from_warehouse_id: str,
    to_warehouse_id: str,
    /,
    *lines: str,
    transfer_id: str = "",
    reason: Reason = "",
    reference: Reference = "",
    request_id: RequestId = "",
    json: Json = False,
    target: Target = DEFAULT_TARGET,
) -> int:
    """Ship goods from one warehouse to another, all lines or none.

    Parameters
    ----------
    lines
        variant:quantity.
    transfer_id
        Names the transfer; the service chooses a name by default.
    """
    pieces: list[ShippedPieces] = [{"variant_id": v, "quantity": n} for v, n in _pieces(lines)]
    request_id = request_id or str(uuid4())

    async def run(client: InventoryClient) -> int:
        answer = await client.stock.ship_transfer(
            organization_id,
            from_warehouse_id,
            to_warehouse_id,
            pieces,
            transfer_id=transfer_id,
            reason=reason,
            reference=reference,
            request_id=request_id,
        )
        return show(answer, [_sentence(answer.transfer)], as_json=json)

    return call(target, run, again=under_request_id(request_id))


def transfer_receive(
    organization_id: str,
    transfer_id: str,
    /,
    *lines: str,
    damaged: Flag = False,
    missing: Flag = False,
    close: Flag = False,
    reason: Reason = "",
    reference: Reference = "",
    request_id: RequestId = "",
    json: Json = False,
    target: Target = DEFAULT_TARGET,
) -> int:
    """Take in what has come of a transfer.

    Parameters
    ----------
    lines
        variant:quantity.
    damaged
        These pieces came damaged, and cannot be sold.
    missing
        These pieces are known not to come.
    close
        What has not come is missing, and the transfer is over.
    """
    if damaged and missing:
        raise ConfigurationError("Pieces are damaged or missing, not both.")
    if not lines and not close:
        raise ConfigurationError("Say what has come, or --close.")
    kind = "damaged_quantity" if damaged else "missing_quantity" if missing else "quantity"
    came: list[ArrivedPieces] = [{"variant_id": v, kind: n} for v, n in _pieces(lines)]  # type: ignore[misc]
    request_id = request_id or str(uuid4())

    async def run(client: InventoryClient) -> int:
        answer = await client.stock.receive_transfer(
            organization_id, transfer_id, came, close=close, reason=reason, reference=reference, request_id=request_id
        )
        return show(answer, [f"{answer.message}.", _sentence(answer.transfer)], as_json=json)

    return call(target, run, again=under_request_id(request_id))


def transfer_cancel(
    organization_id: str,
    transfer_id: str,
    /,
    *,
    reason: Reason = "",
    reference: Reference = "",
    request_id: RequestId = "",
    json: Json = False,
    target: Target = DEFAULT_TARGET,
) -> int:
    """Give what is still on its way back to where it came from."""
    request_id = request_id or str(uuid4())

    async def run(client: InventoryClient) -> int:
        answer = await client.stock.cancel_transfer(
            organization_id, transfer_id, reason=reason, reference=reference, request_id=request_id
        )
        return show(answer, [_sentence(answer.transfer)], as_json=json)

    return call(target, run, again=under_request_id(request_id))


def transfers(
    organization_id: str,
    transfer_id: str = "",
    /,
    *,
    state: State | None = None,
    warehouse: str = "",
    rows: RowsMax = 100,
    watch: Watch = False,
    json: Json = False,
    target: Target = DEFAULT_TARGET,
) -> int:
    """Show transfers, those shipped last first.

    Parameters
    ----------
    transfer_id
        Only this transfer.
    state
        Only those in this state.
    warehouse
        Only those from or to this warehouse.
    """

    async def run(client: InventoryClient) -> int:
        if transfer_id:
            found = await client.stock.get_transfer(organization_id, transfer_id)
            return show(found, [_sentence(found)], as_json=json)
        every = client.stock.list_transfers(
            organization_id, state=state or "", warehouse_id=warehouse, page_size=min(rows + 1, PAGE_ROWS_MAX)
        )
        sentence = f"{organization_id} has no such transfer."
        await print_list(every, TRANSFER_COLUMNS, _cells, rows, as_json=json, if_empty=sentence)
        return 0

    return call(target, watched(organization_id, run) if watch else run)


def _pieces(lines: Sequence[str]) -> list[tuple[str, int]]:
    """Variants and quantities.

    Raises:
        ConfigurationError: a line is none, or names a warehouse.
    """
    items = [parse_line(line) for line in lines]
    for line, item in zip(lines, items, strict=True):
        if item["warehouse_id"]:
            raise ConfigurationError(f"A line must be variant:quantity, not {line!r}.")
    return [(item["variant_id"], item["quantity"]) for item in items]


def _state(row: stock_pb2.Transfer) -> str:
    return stock_pb2.TransferState.Name(row.state).removeprefix("TRANSFER_STATE_").lower().replace("_", " ")


def _sentence(row: stock_pb2.Transfer) -> str:
    where = f"from {row.from_warehouse_id} to {row.to_warehouse_id}"
    return f"Transfer {row.transfer_id} {where}, {_state(row)}: {'; '.join(map(_line, row.lines))}."


def _line(line: stock_pb2.TransferLine) -> str:
    came = {"received": line.received, "damaged": line.damaged, "missing": line.missing}
    told = ", ".join(f"{pieces} {name}" for name, pieces in came.items() if pieces)
    return f"{line.variant_id} {line.sent} sent" + (f", {told}" if told else "")


def _cells(row: stock_pb2.Transfer) -> tuple[str, ...]:
    ends = (row.from_warehouse_id, row.to_warehouse_id)
    return (row.transfer_id, _state(row), *ends, row.shipped_at, "; ".join(map(_line, row.lines)))
