"""Planted bugs of counts that do not come back to 0, and of indexes that only grow."""

from typing import Any

import anyio

from actors.reply import Reply
from actors.turn import finish
from actors.variant_stock import VariantStock
from simulation.planted.planting import Patches, bug
from supervisor.activations.order_directory import OrderDirectory
from supervisor.activations.warehouse_registry import WarehouseRegistry
from supervisor.background.expiry import Expiry
from supervisor.background.expiry_hints import ExpiryHints
from supervisor.incarnation import Incarnation
from supervisor.transactions.journal import Journal

LEFT = "nothing is left over"


@bug("a question that is answered stays in the count", LEFT)
def answered_queries_counted_on() -> Patches:
    async def finish_query(self: Incarnation, turn: Any, need: Any, reply: Reply[Any]) -> None:
        try:
            await finish(turn, need)
        except Exception as error:  # noqa: BLE001 - as in the code that it stands for
            if not reply.is_done:
                reply.fail(error)

    return [(Incarnation, "_finish_query", finish_query)]


@bug("a call that fails stays in the count", LEFT, "G10")
def failed_calls_counted_on() -> Patches:
    right = Incarnation.submit

    def submit(self: Incarnation, command: Any) -> Reply[Any]:
        try:
            return right(self, command)
        except BaseException:
            lost: Reply[Any] = Reply()
            lost.set(None)
            self._open_calls[lost] = None
            raise

    return [(Incarnation, "submit", submit)]


@bug("what an order had in memory stays in the index of reservations", LEFT)
def index_of_orders_grows() -> Patches:
    return [(OrderDirectory, "_forget", lambda self, actors: None)]


@bug("rows that a refused import would have made stay in memory", LEFT)
def unmade_rows_kept() -> Patches:
    return [(VariantStock, "drop_unmade_rows", lambda self: None)]


@bug("claims of what was shipped or given back stay", "G3", "G5")
def claims_only_grow() -> Patches:
    right = ExpiryHints.discard

    def discard(self: ExpiryHints, reservation: Any) -> None:
        if reservation.state != "released":
            right(self, reservation)

    return [(ExpiryHints, "discard", discard)]


@bug("an expiry that was carried out is taken for one under way", LEFT, "G7")
def expiries_never_settled() -> Patches:
    right = Expiry._settle

    def settle(self: Expiry, order: Any, reply: Reply[Any]) -> None:
        right(self, order, reply)
        self._under_way.setdefault(order, reply)

    return [(Expiry, "_settle", settle)]


@bug("the journal keeps those that waited until something was durable", LEFT)
def durable_waiters_kept() -> Patches:
    async def wait_durable(self: Journal) -> None:
        if self.durable_lsn < self.last_lsn:
            event = anyio.Event()
            self._durable_waiters[event] = self.last_lsn
            await event.wait()

    return [(Journal, "wait_durable", wait_durable)]


@bug("a warehouse's new name is shown only after a restart", "G4", "G3")
def new_name_shown_after_a_restart() -> Patches:
    right = WarehouseRegistry.publish

    def publish(self: WarehouseRegistry, warehouses: Any) -> None:
        before = {one: dict(its) for one, its in self.durable.items()}
        right(self, warehouses)
        for one, its in before.items():
            self.durable[one].update(its)

    return [(WarehouseRegistry, "publish", publish)]
