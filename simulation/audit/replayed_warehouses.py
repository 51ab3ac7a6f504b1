"""The warehouses at every place of the journal: what they were called and which were closed."""

from collections.abc import Iterator

from actors.records import StockKey, Transaction, WarehouseRecord
from actors.sourcing import SourcingPolicy, SourcingRecord
from simulation.audit.sites import Sites
from simulation.audit.timeline import Timeline, between

TAKING = ("reserve", "deduct", "amend", "reacquire")


class ReplayedWarehouses:
    """Follows the journal entry by entry."""

    def __init__(self) -> None:
        self.lsns: dict[str, list[int]] = {}  # by organization
        self._records: dict[str, dict[str, Timeline[WarehouseRecord]]] = {}
        self._ever_closed: dict[str, None] = {}  # organizations
        self._policies: dict[str, Timeline[SourcingPolicy]] = {}  # by organization

    def __repr__(self) -> str:
        return f"<ReplayedWarehouses organizations={len(self._records)}>"

    def apply(self, transaction: Transaction) -> Iterator[str]:
        """Follow an entry. Gives what is wrong with it."""
        if transaction.kind in TAKING:
            yield from self._taken_from_closed(transaction)
        transfer = transaction.transfer if transaction.kind == "ship_transfer" else None
        if transfer is not None and transfer.to_warehouse_id in self.closed_at(
            transfer.organization_id, transaction.lsn
        ):
            yield f"{transfer.transfer_id} is shipped to {transfer.to_warehouse_id}, which is not active"
        if transaction.sourcing is not None:
            yield from self._set_policy(transaction, transaction.sourcing)
        yield from self._wrong_before(transaction)
        for warehouse in transaction.warehouses:
            organization_id, warehouse_id = warehouse.organization_id, warehouse.warehouse_id
            timeline = self._records.setdefault(organization_id, {}).setdefault(warehouse_id, Timeline())
            if timeline.values and timeline.values[-1] == warehouse:
                yield f"{transaction.kind} writes {warehouse} as it was"
            timeline.put(transaction.lsn, warehouse)
            self.lsns.setdefault(organization_id, []).append(transaction.lsn)
            if not warehouse.is_active:
                self._ever_closed[organization_id] = None

    def _set_policy(self, transaction: Transaction, record: SourcingRecord) -> Iterator[str]:
        if record.policy == self.policy_at(record.organization_id, transaction.lsn):
            yield f"{transaction.kind} sets {record.policy} as it was"
        self._policies.setdefault(record.organization_id, Timeline()).put(transaction.lsn, record.policy)
        self.lsns.setdefault(record.organization_id, []).append(transaction.lsn)

    def _wrong_before(self, transaction: Transaction) -> Iterator[str]:
        """What it says the warehouses were before, where they were something else."""
        told = {(one.organization_id, one.warehouse_id): one for one in transaction.warehouses_before}
        for one in transaction.warehouses:
            known = self._records.get(one.organization_id, {}).get(one.warehouse_id)
            was = known.values[-1] if known is not None else None
            if told.get((one.organization_id, one.warehouse_id)) != was:
                yield f"{transaction.kind} says that {one.warehouse_id} was another one than {was}"

    def _taken_from_closed(self, transaction: Transaction) -> Iterator[str]:
        for change in transaction.changes:
            key = change.after.key
            if change.delta.available < 0 and key.warehouse_id in self.closed_at(key.organization_id, transaction.lsn):
                yield f"{transaction.kind} takes from {key}, whose warehouse is not active"

    def at(self, organization_id: str, lsn: int) -> list[WarehouseRecord]:
        """The organization's warehouses as they stood then, by id."""
        every = self._records.get(organization_id, {})
        found = [every[warehouse_id].at(lsn) for warehouse_id in sorted(every)]
        return [one for one in found if one is not None]

    def closed_at(self, organization_id: str, lsn: int) -> frozenset[str]:
        """Those that were not active then."""
        if organization_id not in self._ever_closed:
            return frozenset()
        return frozenset(one.warehouse_id for one in self.at(organization_id, lsn) if not one.is_active)

    def policy_at(self, organization_id: str, lsn: int) -> SourcingPolicy:
        """The policy that was set, or the default."""
        timeline = self._policies.get(organization_id)
        return (timeline.at(lsn) if timeline is not None else None) or "most_stock"

    def sites_at(self, organization_id: str, lsn: int) -> Sites:
        """What the warehouses were to a basket then."""
        shut, policy = self.closed_at(organization_id, lsn), self.policy_at(organization_id, lsn)
        if policy != "priority":
            return Sites(shut, policy)
        return Sites(shut, policy, {one.warehouse_id: one.priority for one in self.at(organization_id, lsn)})

    def name_at(self, key: StockKey, lsn: int) -> str:
        """What the row's warehouse was shown as."""
        timeline = self._records.get(key.organization_id, {}).get(key.warehouse_id)
        record = timeline.at(lsn) if timeline is not None else None
        return record.name if record is not None else key.warehouse_id

    def names_between(self, key: StockKey, low: int, high: int) -> set[str]:
        """All that the row's warehouse was shown as."""
        lsns = between([self.lsns.get(key.organization_id, [])], low, high)
        return {self.name_at(key, lsn) for lsn in lsns}
