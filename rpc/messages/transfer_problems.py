"""What callers are told of refusals about transfers."""

from typing import assert_never

from grpc import StatusCode

from actors.transfer_outcomes import (
    MoreThanSent,
    TransferExists,
    TransferIsClosed,
    TransferNotFound,
    WarehouseNotFound,
)
from rpc.messages.status import Problem

TransferRefusal = WarehouseNotFound | TransferExists | TransferNotFound | TransferIsClosed | MoreThanSent


def describe_transfer_refusal(refusal: TransferRefusal) -> Problem:
    match refusal:
        case WarehouseNotFound(warehouse_ids=(first, *others)):
            message = f"There is no warehouse {first}" + (f" (and {len(others)} more)" if others else "")
            return Problem(StatusCode.NOT_FOUND, "WAREHOUSE_NOT_FOUND", message, {"warehouse_id": first})
        case WarehouseNotFound():
            raise AssertionError("it names a warehouse")
        case TransferExists(transfer_id=transfer_id):
            message = f"The id {transfer_id} belongs to another transfer"
            return Problem(StatusCode.ALREADY_EXISTS, "TRANSFER_EXISTS", message, {"transfer_id": transfer_id})
        case TransferNotFound(transfer_id=transfer_id):
            message = "Transfer not found"
            return Problem(StatusCode.NOT_FOUND, "TRANSFER_NOT_FOUND", message, {"transfer_id": transfer_id})
        case TransferIsClosed(transfer_id=transfer_id, state=state):
            message = f"Transfer {transfer_id} is over: it was {state}"
            metadata = {"transfer_id": transfer_id, "state": state}
            return Problem(StatusCode.FAILED_PRECONDITION, "TRANSFER_IS_CLOSED", message, metadata)
        case MoreThanSent():
            return _more_than_sent(refusal)
        case _ as never:
            assert_never(never)


def _more_than_sent(refusal: MoreThanSent) -> Problem:
    first, *others = refusal.rows
    message = (
        f"Of variant {first.variant_id} {first.open} of {first.sent} are still on their way, "
        f"and {first.reported} were reported"
    )
    if others:
        message += f" (and {len(others)} more)"
    metadata = {
        **{"transfer_id": refusal.transfer_id, "variant_id": first.variant_id, "sent": str(first.sent)},
        **{"open": str(first.open), "reported": str(first.reported)},
    }
    code = StatusCode.FAILED_PRECONDITION
    return Problem(code, "MORE_THAN_SENT", message, metadata, listed=refusal.rows)
