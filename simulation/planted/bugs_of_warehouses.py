"""Planted bugs of warehouses: which are closed, and what becomes of goods in them."""

from typing import Any

import supervisor.transactions.warehousing
from actors.basket import reserving
from actors.closed_warehouses import NONE_CLOSED
from actors.commands import Reserve
from actors.order_actor import OrderActor
from actors.turn import Turn
from actors.two_phase import Prepared
from actors.variant_stock import Pinned
from simulation.planted.planting import Patches, bug
from supervisor.activations.stock_directory import StockDirectory
from supervisor.activations.warehouse_registry import WarehouseRegistry


@bug("reservations and sales take from warehouses that are not active", "G4", "G5", "G8")
def closed_warehouse_chosen() -> Patches:
    return [(StockDirectory, "closed", lambda self, organization_id: NONE_CLOSED)]


@bug("a reservation that has waited takes from a warehouse that was closed meanwhile", "G4", "G8")
def closed_warehouse_chosen_by_an_old_plan() -> Patches:
    def reserve(self: OrderActor, command: Reserve) -> Turn[Any]:
        if self._latest is not None:
            return (yield from right(self, command))
        rows = self._services.rows
        wanted = (command.organization_id, dict.fromkeys(line.variant_id for line in command.lines))
        closed = rows.closed(command.organization_id)
        with Pinned(rows.ready(*wanted) or (yield from rows.load(*wanted))) as variants:
            while True:
                chosen = yield from self._plan(command, variants, closed)
                prepared = yield from self._services.two_phase.prepare(reserving(command.lines, chosen))
                if isinstance(prepared, Prepared):
                    return self._reserved(command, chosen, prepared)

    right = OrderActor._reserve
    return [(OrderActor, "_reserve", reserve)]


@bug("after a restart every warehouse is active", "G3", "G4", "G5", "G8")
def closed_forgotten_at_a_restart() -> Patches:
    def add(self: WarehouseRegistry, warehouses: Any) -> None:
        right(self, warehouses)
        self.closed.clear()
        self.durably_closed.clear()

    right = WarehouseRegistry.add
    return [(WarehouseRegistry, "add", add)]


@bug("checks know of a closed warehouse before that is durable", "G3", "G4")
def closed_before_it_is_durable() -> Patches:
    def note(self: WarehouseRegistry, warehouses: Any) -> None:
        right(self, warehouses)
        self.durably_closed.update(self.closed)

    right = WarehouseRegistry.note
    return [(WarehouseRegistry, "note", note)]


@bug("what a change of a warehouse does not give is lost", "G4", "G8")
def warehouse_set_as_a_whole() -> Patches:
    right = supervisor.transactions.warehousing._changed
    return [(supervisor.transactions.warehousing, "_changed", lambda before, command: right(None, command))]
