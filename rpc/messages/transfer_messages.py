"""Requests about transfers become commands and queries, and their answers become messages."""

from collections.abc import Sequence
from functools import partial
from typing import cast, get_args

from stockkeeper_client.v1 import stock_pb2

from actors.outcomes import Refused
from actors.queries import GetTransfer, ListTransfers
from actors.transfer_commands import ArrivedLine, CancelTransfer, ReceiveTransfer, ShippedLine, ShipTransfer
from actors.transfer_outcomes import TransferCancelled, TransferNotFound, TransferReceived, TransferShipped
from actors.transfer_records import TransferRecord, TransferState
from actors.views import TransferFound, TransferPage
from rpc.messages.field_checks import bounded as _bounded
from rpc.messages.field_checks import change as _change
from rpc.messages.field_checks import check_id as _check_id
from rpc.messages.field_checks import check_new_id as _check_new_id
from rpc.messages.field_checks import check_optional_id as _check_optional_id
from rpc.messages.field_checks import check_sum as _check_sum
from rpc.messages.field_checks import page_size as _page_size
from rpc.messages.field_checks import raise_if_any as _raise_if_any
from rpc.messages.level_messages import _named
from rpc.messages.page_texts import page_text
from rpc.messages.page_tokens import TOKEN_RULE, read_transfer_token, transfer_token
from rpc.messages.responses import timestamp
from rpc.messages.rules import FIGURE_RULE, QUANTITY_RULE, Violation

STATES: tuple[TransferState, ...] = get_args(TransferState)  # in the order of the wire's numbers, which begin with 1


def ship_transfer(request: stock_pb2.ShipTransferRequest) -> ShipTransfer:
    """Raises `Invalid`, as all of `rpc.messages.validation` do."""
    faults: list[Violation] = []
    change = _change(faults, request, _check_id)
    if request.transfer_id:
        _check_new_id(faults, "transfer_id", request.transfer_id)
    _check_id(faults, "from_warehouse_id", request.from_warehouse_id)
    _check_id(faults, "to_warehouse_id", request.to_warehouse_id)
    if request.from_warehouse_id == request.to_warehouse_id != "":
        faults.append(Violation("to_warehouse_id", "must be another warehouse than from_warehouse_id"))
    lines = []
    for position, line in enumerate(_bounded(faults, request.lines)):
        _check_id(faults, f"lines[{position}].variant_id", line.variant_id)
        if line.quantity < 1:
            faults.append(Violation(f"lines[{position}].quantity", QUANTITY_RULE))
        lines.append(ShippedLine(line.variant_id, line.quantity))
    _check_sum(faults, [line.quantity for line in lines])
    _raise_if_any(faults)
    ends = request.from_warehouse_id, request.to_warehouse_id
    return ShipTransfer(request.organization_id, request.transfer_id, *ends, tuple(lines), *change)


def receive_transfer(request: stock_pb2.ReceiveTransferRequest) -> ReceiveTransfer:
    """Raises `Invalid`."""
    faults: list[Violation] = []
    change = _change(faults, request, _check_id)
    _check_id(faults, "transfer_id", request.transfer_id)
    # A transfer that is closed needs no lines: what is open is missing.
    given = () if request.close and not request.lines else _bounded(faults, request.lines)
    lines = [_arrived(faults, f"lines[{position}]", line) for position, line in enumerate(given)]
    _check_sum(faults, [pieces for line in lines for pieces in (line.quantity, line.damaged, line.missing)])
    _raise_if_any(faults)
    return ReceiveTransfer(request.organization_id, request.transfer_id, tuple(lines), request.close, *change)


def _arrived(faults: list[Violation], place: str, line: stock_pb2.ArrivedLine) -> ArrivedLine:
    _check_id(faults, f"{place}.variant_id", line.variant_id)
    pieces = {name: getattr(line, name) for name in ("quantity", "damaged_quantity", "missing_quantity")}
    faults += [Violation(f"{place}.{name}", FIGURE_RULE) for name, number in pieces.items() if number < 0]
    if not any(pieces.values()):
        faults.append(Violation(f"{place}.quantity", f"{QUANTITY_RULE}, or 0 if pieces came damaged or are missing"))
    return ArrivedLine(line.variant_id, *pieces.values())


def cancel_transfer(request: stock_pb2.CancelTransferRequest) -> CancelTransfer:
    """Raises `Invalid`."""
    faults: list[Violation] = []
    change = _change(faults, request, _check_id)
    _check_id(faults, "transfer_id", request.transfer_id)
    _raise_if_any(faults)
    return CancelTransfer(request.organization_id, request.transfer_id, *change)


def get_transfer(request: stock_pb2.GetTransferRequest) -> GetTransfer:
    """Raises `Invalid`."""
    faults: list[Violation] = []
    _check_id(faults, "organization_id", request.organization_id)
    _check_id(faults, "transfer_id", request.transfer_id)
    _raise_if_any(faults)
    return GetTransfer(request.organization_id, request.transfer_id)


def list_transfers(request: stock_pb2.ListTransfersRequest) -> ListTransfers:
    """Raises `Invalid`."""
    faults: list[Violation] = []
    _check_id(faults, "organization_id", request.organization_id)
    state = cast(TransferState | None, _named(faults, "state", request.state, STATES))
    _check_optional_id(faults, "warehouse_id", request.warehouse_id)
    limit = _page_size(faults, request.page_size)
    before: tuple[int, str] | None = None
    if request.page_token:
        try:
            before = read_transfer_token(request.page_token, request.organization_id)
        except ValueError:
            faults.append(Violation("page_token", TOKEN_RULE))
    _raise_if_any(faults)
    return ListTransfers(request.organization_id, state, request.warehouse_id, before, limit)


def shipped(fact: TransferShipped) -> stock_pb2.ShipTransferResponse:
    return stock_pb2.ShipTransferResponse(message="Transfer shipped", transfer=transfer_message(fact.transfer))


def received(fact: TransferReceived) -> stock_pb2.ReceiveTransferResponse:
    is_over = fact.transfer.state == "received"
    message = "Transfer received" if is_over else "Transfer received in part"
    if is_over and any(line.damaged or line.missing for line in fact.transfer.lines):
        message += ", with a discrepancy"
    return stock_pb2.ReceiveTransferResponse(message=message, transfer=transfer_message(fact.transfer))


def cancelled(fact: TransferCancelled) -> stock_pb2.CancelTransferResponse:
    return stock_pb2.CancelTransferResponse(message="Transfer cancelled", transfer=transfer_message(fact.transfer))


def found(transfer_id: str) -> "partial[stock_pb2.GetTransferResponse]":
    """What makes a message of the transfer with this id, if there is one."""
    return partial(_found, transfer_id)


def _found(transfer_id: str, view: TransferFound) -> stock_pb2.GetTransferResponse:
    if view.transfer is None:
        raise Refused(TransferNotFound(transfer_id))
    message = f"Transfer is {view.transfer.state.replace('_', ' ')}"
    return stock_pb2.GetTransferResponse(message=message, transfer=transfer_message(view.transfer))


def page(organization_id: str) -> "partial[stock_pb2.ListTransfersResponse]":
    """What makes a message of a page of this organization's transfers."""
    return partial(_page, organization_id)


def _page(organization_id: str, view: TransferPage) -> stock_pb2.ListTransfersResponse:
    token = transfer_token(organization_id, view.next_mark)
    return stock_pb2.ListTransfersResponse(
        transfers=[transfer_message(record) for record in view.transfers],
        next_page_token=token,
        message=page_text(len(view.transfers), "transfer", token),
    )


def transfer_message(record: TransferRecord) -> stock_pb2.Transfer:
    return stock_pb2.Transfer(
        transfer_id=record.transfer_id,
        from_warehouse_id=record.from_warehouse_id,
        to_warehouse_id=record.to_warehouse_id,
        state=f"TRANSFER_STATE_{record.state.upper()}",
        lines=_lines(record),
        shipped_at=timestamp(record.shipped_at_ms),
        received_at=timestamp(record.ended_at_ms) if record.state == "received" else "",
        cancelled_at=timestamp(record.ended_at_ms) if record.state == "cancelled" else "",
    )


def _lines(record: TransferRecord) -> Sequence[stock_pb2.TransferLine]:
    return [
        stock_pb2.TransferLine(
            variant_id=line.variant_id,
            sent=line.sent,
            received=line.received,
            damaged=line.damaged,
            missing=line.missing,
        )
        for line in record.lines
    ]
