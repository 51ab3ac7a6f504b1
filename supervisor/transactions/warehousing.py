"""Warehouses are made and changed here, and the policy by which they serve a basket. Why that needs no more than one
step is said in `supervisor/activations/warehouse_registry.py`.
"""

from msgspec.structs import replace

from actors.idempotency import remember
from actors.outcomes import Fact
from actors.records import WarehouseRecord
from actors.sourcing import SourcingRecord
from actors.turn import Turn
from actors.two_phase import NOTHING_PREPARED
from actors.warehouse_commands import SetSourcing, UpsertWarehouse
from actors.warehouse_outcomes import SourcingSet, WarehouseUpserted
from supervisor.activations.warehouse_registry import WarehouseRegistry
from supervisor.transactions.answering import Answering


class Warehousing:
    """Carries out changes of warehouses. Their turns end when the outcome is durable."""

    def __init__(self, answering: Answering, warehouses: WarehouseRegistry) -> None:
        self._answering = answering
        self._warehouses = warehouses

    def __repr__(self) -> str:
        return f"<Warehousing {self._warehouses!r}>"

    def upsert(self, command: UpsertWarehouse) -> Turn[Fact]:
        """Make the warehouse, or change it. Nothing waits before the decision.

        Raises:
            Refused: the organization has as many as it may have.
        """
        return self._answering.answered(command, self._upserted(command))

    def _upserted(self, command: UpsertWarehouse) -> Turn[Fact]:
        yield from ()
        before = self._warehouses.find(command.organization_id, command.warehouse_id)
        if before is None:
            self._warehouses.see_that_they_fit(command.organization_id, 1)
        after = _changed(before, command)
        fact = WarehouseUpserted(after, before is None)
        if after == before:
            self._answering.remember(command, fact)
            return fact
        self._answering.coordinator.decide(
            NOTHING_PREPARED,
            "warehouse",
            self._answering.clock.now_ms(),
            request=remember(command, fact),
            warehouses=(after,),
            warehouses_before=() if before is None else (before,),
            reference=command.reference,
            reason=command.reason,
            origin=command.origin,
        )
        return fact

    def set_sourcing(self, command: SetSourcing) -> Turn[Fact]:
        """Set the organization's policy. Nothing waits before the decision."""
        return self._answering.answered(command, self._sourcing_set(command))

    def _sourcing_set(self, command: SetSourcing) -> Turn[Fact]:
        yield from ()
        fact = SourcingSet(command.policy)
        if self._warehouses.decided_policy(command.organization_id) == command.policy:
            self._answering.remember(command, fact)
            return fact
        self._answering.coordinator.decide(
            NOTHING_PREPARED,
            "sourcing",
            self._answering.clock.now_ms(),
            request=remember(command, fact),
            sourcing=SourcingRecord(command.organization_id, command.policy),
            reference=command.reference,
            reason=command.reason,
            origin=command.origin,
        )
        return fact


def _changed(before: WarehouseRecord | None, command: UpsertWarehouse) -> WarehouseRecord:
    """The warehouse after the command."""
    given = {"name": command.name, "code": command.code, "priority": command.priority, "is_active": command.is_active}
    base = before or WarehouseRecord(command.organization_id, command.warehouse_id, command.warehouse_id)
    return replace(base, **{field: value for field, value in given.items() if value is not None})
