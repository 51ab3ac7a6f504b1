"""Planted bugs of warehouses: which are closed, and what becomes of goods in them."""

from typing import Any

from msgspec.structs import replace

import actors.order_explanation
import supervisor.transactions.warehousing
from actors import explanation
from actors.basket import plan, reserving
from actors.commands import Reserve
from actors.order_actor import OrderActor
from actors.sourcing import Sourcing
from actors.turn import Turn
from actors.two_phase import Prepared
from actors.variant_stock import Pinned
from simulation.planted.planting import Patches, bug
from supervisor.activations.stock_directory import StockDirectory
from supervisor.activations.warehouse_registry import WarehouseRegistry


@bug("reservations and sales take from warehouses that are not active", "G4", "G5", "G8")
def closed_warehouse_chosen() -> Patches:
    def sourcing(self: StockDirectory, organization_id: str) -> Sourcing:
        return replace(right(self, organization_id), closed=frozenset())

    # The object must be the same each time: a plan of another is made again.
    right, known = StockDirectory.sourcing, dict[Sourcing, Sourcing]()
    return [(StockDirectory, "sourcing", lambda self, one: known.setdefault(right(self, one), sourcing(self, one)))]


@bug("a reservation that has waited takes from a warehouse that was closed meanwhile", "G4", "G8")
def closed_warehouse_chosen_by_an_old_plan() -> Patches:
    def reserve(self: OrderActor, command: Reserve) -> Turn[Any]:
        if self._latest is not None:
            return (yield from right(self, command))
        rows = self._services.rows
        wanted = (command.organization_id, dict.fromkeys(line.variant_id for line in command.lines))
        sourcing = rows.sourcing(command.organization_id)
        with Pinned(rows.ready(*wanted) or (yield from rows.load(*wanted))) as variants:
            while True:
                chosen = yield from plan(command.lines, variants, sourcing)
                prepared = yield from self._services.two_phase.prepare(reserving(command.lines, chosen))
                if isinstance(prepared, Prepared):
                    return self._reserved(command, chosen, prepared)

    right = OrderActor._reserve
    return [(OrderActor, "_reserve", reserve)]


@bug("after a restart every warehouse is active", "G3", "G4", "G5", "G8")
def closed_forgotten_at_a_restart() -> Patches:
    def add(self: WarehouseRegistry, warehouses: Any) -> None:
        right(self, warehouses)
        for known in (self.sourcing, self.durable_sourcing):
            known.update({one: replace(its, closed=frozenset()) for one, its in known.items()})

    right = WarehouseRegistry.add
    return [(WarehouseRegistry, "add", add)]


@bug("checks know of a closed warehouse before that is durable", "G3", "G4")
def closed_before_it_is_durable() -> Patches:
    def note(self: WarehouseRegistry, warehouses: Any) -> None:
        right(self, warehouses)
        self.durable_sourcing.update(self.sourcing)

    right = WarehouseRegistry.note
    return [(WarehouseRegistry, "note", note)]


@bug("what a change of a warehouse does not give is lost", "G4", "G8")
def warehouse_set_as_a_whole() -> Patches:
    right = supervisor.transactions.warehousing._changed
    return [(supervisor.transactions.warehousing, "_changed", lambda before, command: right(None, command))]


@bug("an explanation counts what closed warehouses have", "G4")
def closed_warehouses_explained() -> Patches:
    right = explanation.explained

    def all_open(lines: Any, placements: Any, everything: Any, sourcing: Any, *rest: Any) -> Any:
        return right(lines, placements, everything, replace(sourcing, closed=frozenset()), *rest)

    return [(actors.order_explanation, "explained", all_open)]


@bug("an explanation says what one line lacks, and not all lines on the same goods", "G4")
def shortage_explained_line_by_line() -> Patches:
    def explained(lines: Any, placements: Any, *state: Any) -> Any:
        found = yield from right(lines, placements, *state)
        short = [max(0, line.quantity - one.available) for line, one in zip(lines, placements, strict=True)]
        pairs = zip(found.lines, short, strict=True)
        return replace(found, lines=tuple(replace(a, short=b) if a.why == "short" else a for a, b in pairs))

    right = explanation.explained
    return [(actors.order_explanation, "explained", explained)]
