"""What brings entries of the journal about: each is traced to a client's command."""

from typing import assert_never

import actors.idempotency
from actors.basket_commands import ReserveBasket
from actors.commands import (
    Adjust,
    Amend,
    Announce,
    Command,
    Confirm,
    Deduct,
    Delete,
    DropStaged,
    Expire,
    Extend,
    Fulfill,
    Import,
    ImportStaged,
    Reacquire,
    Receive,
    Release,
    Reserve,
    StageLines,
)
from actors.records import Transaction
from actors.transfer_commands import CancelTransfer, ReceiveTransfer, ShipTransfer
from actors.warehouse_commands import SetLevels, SetSourcing, UpsertWarehouse
from simulation.audit.expected import lines_asked
from simulation.audit.expected_goods import cause_in_goods, cause_of_goods
from simulation.audit.explain_baskets import basket_asked
from simulation.audit.replay import basket_of

KIND_OF_TRANSFER_COMMAND = {
    "ShipTransfer": "ship_transfer",
    "ReceiveTransfer": "receive_transfer",
    "CancelTransfer": "cancel_transfer",
}


def cause_of(request: Command) -> object:
    """What a command may bring about: an entry of the journal is traced to it."""
    match request:
        case Reserve():
            return ("reserve", request.organization_id, request.order_id, str(lines_asked(request.lines)))
        case ReserveBasket():
            return ("reserve", request.organization_id, request.order_id, str(basket_asked(request)))
        case Confirm() | Release() | Fulfill() | Extend() | Amend() | Reacquire():
            kind = type(request).__name__.lower()
            return (kind, request.organization_id, request.reservation_id)
        case Receive() | Announce() | Deduct() | Adjust():
            return cause_of_goods(request)
        case Delete():
            return ("delete", request.organization_id, request.request_id, request.variant_id, request.warehouse_id)
        case UpsertWarehouse():
            return ("warehouse", request.organization_id, request.request_id, request.warehouse_id)
        case ShipTransfer() | ReceiveTransfer() | CancelTransfer():
            return (KIND_OF_TRANSFER_COMMAND[type(request).__name__], request.organization_id, request.request_id)
        case SetSourcing():
            return ("sourcing", request.organization_id, request.request_id)
        case SetLevels():
            return ("levels", request.organization_id, request.request_id)
        case Import():
            return (
                "import",
                actors.idempotency.import_scope({line.organization_id for line in request.lines}),
                request.request_id,
            )
        case Expire():
            raise AssertionError("no client asks for an expiry")
        case ImportStaged() | StageLines() | DropStaged():
            raise AssertionError("a client asks for an import, which the servicer stages")
        case _:
            assert_never(request)


def cause_in(transaction: Transaction) -> object | None:
    """What a client must have asked for before this entry; None where no client asks."""
    reservation, request = transaction.reservation, transaction.request
    match transaction.kind:
        case "reserve":
            assert reservation is not None
            return ("reserve", reservation.organization_id, reservation.order_id, str(basket_of(reservation)))
        case "confirm" | "release" | "fulfill" | "extend" | "amend" | "reacquire":
            assert reservation is not None
            return (transaction.kind, reservation.organization_id, reservation.reservation_id)
        case "receive" | "announce" | "deduct" | "adjust":
            return cause_in_goods(transaction)
        case "delete":
            rows = [part for change in transaction.changes for part in change.after.key[1:]]
            return (transaction.kind, *((request.scope, request.request_id) if request is not None else ("?",)), *rows)
        case "warehouse":
            return ("warehouse", *cause_in_warehouses(transaction))
        case "import" | "levels" | "sourcing" | "ship_transfer" | "receive_transfer" | "cancel_transfer":
            return (transaction.kind, request.scope, request.request_id) if request is not None else ("?",)
        case "expire" | "remember":
            return None


def cause_in_warehouses(transaction: Transaction) -> tuple[str, ...]:
    """Of an entry that changes a warehouse: the request's id and the warehouse."""
    request = transaction.request
    key = (request.scope, request.request_id) if request is not None else ("?", "?")
    return (*key, *[one.warehouse_id for one in transaction.warehouses])
