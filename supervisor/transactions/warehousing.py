"""Warehouses are made and changed here. Why that needs no more than one step is said in
`supervisor/activations/warehouse_registry.py`.
"""

from msgspec.structs import replace

from actors.idempotency import remember
from actors.outcomes import Fact
from actors.records import WarehouseRecord
from actors.turn import Turn, awaited
from actors.two_phase import NOTHING_PREPARED
from actors.warehouse_commands import UpsertWarehouse
from actors.warehouse_outcomes import WarehouseUpserted
from supervisor.activations.warehouse_registry import WarehouseRegistry
from supervisor.clock import ServiceClock
from supervisor.transactions.coordinator import Coordinator
from supervisor.transactions.journal import Journal


class Warehousing:
    """Carries out commands about warehouses. Their turns end when the outcome is durable."""

    def __init__(
        self, clock: ServiceClock, coordinator: Coordinator, journal: Journal, warehouses: WarehouseRegistry
    ) -> None:
        self._clock = clock
        self._coordinator = coordinator
        self._journal = journal
        self._warehouses = warehouses

    def __repr__(self) -> str:
        return f"<Warehousing {self._warehouses!r}>"

    def upsert(self, command: UpsertWarehouse) -> Turn[Fact]:
        """Make the warehouse, or change it. Nothing waits before the decision."""
        before = self._warehouses.decided.get((command.organization_id, command.warehouse_id))
        after = _changed(before, command)
        fact = WarehouseUpserted(after, before is None)
        self._coordinator.decide(
            NOTHING_PREPARED,
            "remember" if after == before else "warehouse",
            self._clock.now_ms(),
            request=remember(command, fact),
            warehouses=() if after == before else (after,),
            reference=command.reference if after != before else "",
            reason=command.reason if after != before else "",
        )
        answered: Turn[Fact] = awaited(self._journal.answered(fact))
        return (yield from answered)


def _changed(before: WarehouseRecord | None, command: UpsertWarehouse) -> WarehouseRecord:
    """The warehouse after the command."""
    given = {"name": command.name, "code": command.code, "priority": command.priority, "is_active": command.is_active}
    base = before or WarehouseRecord(command.organization_id, command.warehouse_id, command.warehouse_id)
    return replace(base, **{field: value for field, value in given.items() if value is not None})
