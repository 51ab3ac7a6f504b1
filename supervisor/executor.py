"""How commands with an idempotency key are carried out, and how a reservation's order is found.

It stands behind the request's actor and before the order's: a retry has been seen to by then, and what belongs to an
order still meets in the order's mailbox.
"""

from typing import assert_never

from actors.basket_commands import ReserveBasket
from actors.commands import (
    Adjust,
    Amend,
    Announce,
    Confirm,
    Deduct,
    Delete,
    Extend,
    Fulfill,
    Import,
    ImportStaged,
    KeyedCommand,
    OfReservation,
    OrderCommand,
    Reacquire,
    Receive,
    Release,
    Reserve,
)
from actors.idempotency import remember
from actors.outcomes import Fact, Refused, ReservationNotFound
from actors.records import OrderKey
from actors.reply import Reply
from actors.transfer_commands import CancelTransfer, ReceiveTransfer, ShipTransfer
from actors.turn import Turn, awaited
from actors.two_phase import NOTHING_PREPARED
from actors.warehouse_commands import SetLevels, SetSourcing, UpsertWarehouse
from supervisor.activations.order_directory import OrderDirectory
from supervisor.activations.transfer_directory import TransferDirectory
from supervisor.clock import ServiceClock
from supervisor.transactions.coordinator import Coordinator
from supervisor.transactions.deleting import Deleting
from supervisor.transactions.goods import Goods
from supervisor.transactions.importing import Importing
from supervisor.transactions.journal import Journal
from supervisor.transactions.large_imports import LargeImports
from supervisor.transactions.levelling import Levelling
from supervisor.transactions.warehousing import Warehousing


class Executor:
    """Makes turns that end when the outcome of a command is durable.

    Args:
        orders: the activations that carry out what belongs to an order.
        goods, deleting, importing, large_imports, warehousing, levelling, transfers: carry out what belongs to none.
        coordinator, journal, clock: for the one answer that is given here: that there is no such reservation.
    """

    def __init__(
        self,
        orders: OrderDirectory,
        goods: Goods,
        deleting: Deleting,
        importing: Importing,
        large_imports: LargeImports,
        warehousing: Warehousing,
        levelling: Levelling,
        transfers: TransferDirectory,
        coordinator: Coordinator,
        journal: Journal,
        clock: ServiceClock,
    ) -> None:
        self._orders = orders
        self._goods = goods
        self._deleting = deleting
        self._importing = importing
        self._large_imports = large_imports
        self._warehousing = warehousing
        self._levelling = levelling
        self._transfers = transfers
        self._coordinator = coordinator
        self._journal = journal
        self._clock = clock

    def __repr__(self) -> str:
        return f"<Executor {self._orders!r}>"

    def carry_out(self, command: KeyedCommand) -> Turn[Fact]:
        """The turn of a command whose idempotency key is new. Raises `Refused` and `Unavailable` when it runs."""
        match command:
            case Reserve() | ReserveBasket():
                return self._ask_order(OrderKey(command.organization_id, command.order_id), command)
            case Confirm() | Release() | Fulfill() | Extend() | Amend() | Reacquire():
                return self.ask_owner(command)
            case Receive() | Announce() | Deduct() | Adjust():
                return self._goods.move(command)
            case Delete():
                return self._deleting.delete(command)
            case UpsertWarehouse():
                return self._warehousing.upsert(command)
            case SetSourcing():
                return self._warehousing.set_sourcing(command)
            case SetLevels():
                return self._levelling.set_levels(command)
            case ShipTransfer() | ReceiveTransfer() | CancelTransfer():
                return self._transfers.carry_out(command)
            case Import():
                return self._importing.import_stock(command)
            case ImportStaged():
                return self._large_imports.import_staged(command)
            case _ as never:
                assert_never(never)

    def ask_owner(self, command: OfReservation) -> Turn[Fact]:
        """Find the order that has the reservation, and ask it."""
        key = yield from self._orders.find(command.organization_id, command.reservation_id)
        if key is None:
            return (yield from awaited(self._not_found(command)))
        return (yield from self._ask_order(key, command))

    def _ask_order(self, key: OrderKey, command: OrderCommand) -> Turn[Fact]:
        answer: Reply[Fact] = Reply()
        self._orders.ask(key, command, answer)
        return (yield from awaited(answer))

    def _not_found(self, command: OfReservation) -> Reply[Fact]:
        refusal = ReservationNotFound(command.reservation_id)
        request = remember(command, refusal)
        if request is not None:
            self._coordinator.decide(NOTHING_PREPARED, "remember", self._clock.now_ms(), request=request)
        return self._journal.answered(error=Refused(refusal))
