"""Which actor a command goes to.

One place decides it, so that all that is asked of one order, or under one idempotency key, meets in one mailbox.
"""

from functools import partial
from typing import assert_never

from actors.actor import StartSoon
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
from actors.outcomes import Fact
from actors.records import OrderKey
from actors.reply import Reply
from actors.transfer_commands import CancelTransfer, ReceiveTransfer, ShipTransfer
from actors.turn import run
from actors.unavailable import Unavailable
from actors.warehouse_commands import SetLevels, SetSourcing, UpsertWarehouse
from supervisor.activations.order_directory import OrderDirectory
from supervisor.activations.request_directory import RequestDirectory
from supervisor.activations.stock_directory import VARIANTS_AT_FIRST, StockDirectory
from supervisor.executor import Executor
from supervisor.ownership.lease import Lease
from supervisor.transactions.uploads import Uploads


class Router:
    """Sends commands to their actors.

    Args:
        orders, stock, requests: the activations.
        executor: finds the order of a reservation that is not in memory.
        lease: says when an answer may be given.
        uploads: keeps the lines of large imports.
        start_soon: starts a task of the incarnation.
    """

    def __init__(
        self,
        orders: OrderDirectory,
        stock: StockDirectory,
        requests: RequestDirectory,
        executor: Executor,
        lease: Lease,
        uploads: Uploads,
        start_soon: StartSoon,
    ) -> None:
        self._orders = orders
        self._stock = stock
        self._requests = requests
        self._executor = executor
        self._lease = lease
        self._uploads = uploads
        self._start_soon = start_soon

    def __repr__(self) -> str:
        return f"<Router {self._orders!r} {self._requests!r}>"

    def route(self, command: Command, reply: Reply[Fact]) -> None:
        """Have a command carried out; the reply is given when its outcome is durable.

        Raises:
            Unavailable: a mailbox is full; nothing was begun.
        """
        match command:
            case Reserve(request_id=""):
                self._reserve(command, reply)
            case Confirm(request_id="") | Release(request_id=""):
                self._ask_owner(command, reply)
            case Confirm() | Release():
                self._requests.ask(command, reply)
            case Reserve() | ReserveBasket() | Fulfill() | Extend() | Amend() | Reacquire():
                self._requests.ask(command, reply)
            case Receive() | Announce() | Deduct() | Adjust() | Delete() | Import() | ImportStaged():
                self._requests.ask(command, reply)
            case UpsertWarehouse() | SetSourcing() | SetLevels():
                self._requests.ask(command, reply)
            case ShipTransfer() | ReceiveTransfer() | CancelTransfer():
                self._requests.ask(command, reply)
            case Expire():
                self._orders.ask(OrderKey(command.organization_id, command.order_id), command, reply)
            case StageLines() | DropStaged():
                self._start_soon(partial(self._stage, command, reply))
            case _ as never:
                assert_never(never)

    async def _stage(self, command: StageLines | DropStaged, reply: Reply[Fact]) -> None:
        """What no reader sees needs no actor: the upload sends one part after another."""
        fact: Fact | None = None
        error: Exception | None = None
        try:
            fact = await self._uploads.carry_out(command)
        except Exception as raised:  # noqa: BLE001 - it is the caller's
            error = raised
        if not reply.is_done:
            self._lease.give(reply, fact, error)

    def _ask_owner(self, command: Confirm | Release, reply: Reply[Fact]) -> None:
        key = self._orders.order_in_memory(command.organization_id, command.reservation_id)
        if key is not None:
            self._orders.ask(key, command, reply)
        else:
            self._start_soon(partial(self._find_and_ask, command, reply))

    async def _find_and_ask(self, command: Confirm | Release, reply: Reply[Fact]) -> None:
        """Ask the order of a reservation that is not in memory."""
        fact: Fact | None = None
        error: Exception | None = None
        try:
            fact = await run(self._executor.ask_owner(command))
        except Exception as raised:  # noqa: BLE001 - it is the caller's
            error = raised
        if not reply.is_done:  # the incarnation may be ending and have answered
            self._lease.give(reply, fact, error)

    def _reserve(self, command: Reserve, reply: Reply[Fact]) -> None:
        """A new order is taken up when its rows are in memory: a turn that waits for them itself needs a task. That of
        a large one asks for a few first.
        """
        key = OrderKey(command.organization_id, command.order_id)
        is_small = len(command.lines) <= VARIANTS_AT_FIRST
        if is_small and not self._stock.has_all(command.organization_id, command.lines) and self._orders.is_new(key):
            variant_ids = dict.fromkeys([line.variant_id for line in command.lines])
            self._stock.when_loaded(command.organization_id, variant_ids, partial(self._take_up, key, command, reply))
        else:
            self._orders.ask(key, command, reply)

    def _take_up(self, key: OrderKey, command: Reserve, reply: Reply[Fact]) -> None:
        if reply.is_done:
            return  # the incarnation is ending and has answered
        try:
            self._orders.ask(key, command, reply)
        except Unavailable as error:
            reply.fail(error)
