"""The warehouses: the one place where it stands what they are called, which of them are active and which go first.

There are few, so all of them are in memory, those of each organization by themselves: one that has thousands makes
nothing slower for others. A change of one is a transaction like any other, decided in one synchronous
step; it touches no stock row. The registry keeps two states: *decided*, by which new changes are judged, and *durable*,
which readers see (see `docs/ARCHITECTURE.md`). A row that is made in a warehouse that does not exist makes the
warehouse too, in its own transaction.

Turned down: an actor for each warehouse (a mailbox serializes what has to wait, and nothing here does); a flag in
every stock row (closing a warehouse would be a transaction over all of its rows).
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct
from msgspec.structs import replace

from actors.bounds import WAREHOUSES_MAX
from actors.outcomes import Refused
from actors.records import StockKey, WarehouseRecord
from actors.sourcing import USUAL, Closed, Sourcing, SourcingPolicy, SourcingRecord
from actors.warehouse_outcomes import TooManyWarehouses

Warehouses = dict[str, dict[str, WarehouseRecord]]
"""By organization, and its own by id."""

NONE: Mapping[str, WarehouseRecord] = {}


class WarehouseStatistics(Struct, frozen=True):
    """Counts of what is in memory: all warehouses, and those that are not active, as it was decided."""

    warehouses: int
    closed: int


class WarehouseRegistry:
    """All warehouses of all organizations."""

    def __init__(self) -> None:
        self.durable: Warehouses = {}
        self.decided: Warehouses = {}
        self.sourcing: dict[str, Sourcing] = {}  # by organization, where it is not the usual, as it was decided
        self.durable_sourcing: dict[str, Sourcing] = {}
        self._sorted_ids: dict[str, list[str]] = {}  # of the durable ones, where they were listed

    def __repr__(self) -> str:
        statistics = self.statistics()
        return f"<WarehouseRegistry warehouses={statistics.warehouses} closed={statistics.closed}>"

    def statistics(self) -> WarehouseStatistics:
        """Counts of what is in memory."""
        warehouses = sum(map(len, self.decided.values()))
        return WarehouseStatistics(warehouses, sum(len(one.closed) for one in self.sourcing.values()))

    def add(self, warehouses: Sequence[WarehouseRecord]) -> None:
        """Take over what the database has, before anything is decided; it may come in parts."""
        closed: dict[str, set[str]] = {}
        for one in warehouses:
            for known in (self.decided, self.durable):
                known.setdefault(one.organization_id, {})[one.warehouse_id] = one
            if not one.is_active:
                closed.setdefault(one.organization_id, set()).add(one.warehouse_id)
        # Once for all of them: to put in one after the other copies what is there each time.
        for organization_id, ids in closed.items():
            before = self.sourcing.get(organization_id, USUAL)
            after = replace(before, closed=before.closed | ids)
            self.sourcing[organization_id] = self.durable_sourcing[organization_id] = after

    def note(self, warehouses: Sequence[WarehouseRecord]) -> None:
        """These were decided, though they may not be durable yet."""
        for warehouse in warehouses:
            _put(self.decided, self.sourcing, warehouse)

    def publish(self, warehouses: Sequence[WarehouseRecord]) -> None:
        """These are durable: readers may see them."""
        for warehouse in warehouses:
            _put(self.durable, self.durable_sourcing, warehouse)

    def add_policies(self, policies: Sequence[SourcingRecord]) -> None:
        """Take over what the database has."""
        for one in policies:
            self.note_policy(one)
            self.publish_policy(one)

    def note_policy(self, record: SourcingRecord) -> None:
        """This was decided, though it may not be durable yet."""
        _put_policy(self.decided, self.sourcing, record)

    def publish_policy(self, record: SourcingRecord) -> None:
        """This is durable: readers may see it."""
        _put_policy(self.durable, self.durable_sourcing, record)

    def decided_policy(self, organization_id: str) -> SourcingPolicy:
        return self.sourcing.get(organization_id, USUAL).policy

    def policy_of(self, organization_id: str) -> SourcingPolicy:
        """What readers see."""
        return self.durable_sourcing.get(organization_id, USUAL).policy

    def name_of(self, key: StockKey) -> str:
        """What the row's warehouse is shown as: its name or, lacking one, its id."""
        return _name(self.durable, key)

    def decided_name_of(self, key: StockKey) -> str:
        """The same, as it was decided, though it may not be durable yet."""
        return _name(self.decided, key)

    def new(self, named: Iterable[tuple[str, str, str]]) -> tuple[WarehouseRecord, ...]:
        """What must be written for these (organization, warehouse, name); an empty name keeps the one there is.

        Raises:
            Refused: an organization would have more warehouses than it may.
        """
        new: dict[tuple[str, str], WarehouseRecord] = {}
        more: dict[str, int] = {}
        for organization_id, warehouse_id, name in named:
            key = (organization_id, warehouse_id)
            known = self.find(organization_id, warehouse_id)
            if known is None:
                if key not in new:
                    more[organization_id] = more.get(organization_id, 0) + 1
                new[key] = WarehouseRecord(organization_id, warehouse_id, name or warehouse_id)
            elif name and name != known.name:
                new[key] = replace(known, name=name)
        for organization_id, warehouses in more.items():
            self.see_that_they_fit(organization_id, warehouses)
        return tuple(new.values())

    def see_that_they_fit(self, organization_id: str, more: int) -> None:
        """See whether the organization may have this many more, beside those that were decided.

        Raises:
            Refused: that would be more than it may have.
        """
        warehouses = len(self.decided.get(organization_id, NONE)) + more
        if warehouses > WAREHOUSES_MAX:
            raise Refused(TooManyWarehouses(organization_id, warehouses))

    def find(self, organization_id: str, warehouse_id: str) -> WarehouseRecord | None:
        """The warehouse, as it was decided."""
        return self.decided.get(organization_id, NONE).get(warehouse_id)

    def known(self, warehouses: Iterable[WarehouseRecord]) -> tuple[WarehouseRecord, ...]:
        """Those of these that there are, as they were decided before."""
        found = (self.find(one.organization_id, one.warehouse_id) for one in warehouses)
        return tuple([one for one in found if one is not None])

    def have(self, organization_ids: Iterable[str]) -> set[str]:
        """Those of these organizations that have a warehouse: each row has its own noted with it."""
        return {one for one in organization_ids if one in self.decided}

    def page(self, organization_id: str, after: str, limit: int, *, active_only: bool) -> list[WarehouseRecord]:
        """At most this many durable ones of an organization, by id, beginning after the id `after`."""
        found: list[WarehouseRecord] = []
        its, ids = self.durable.get(organization_id, NONE), self._ids_of(organization_id)
        for place in range(bisect_right(ids, after), len(ids)):
            if len(found) == limit:
                break
            if (one := its[ids[place]]).is_active or not active_only:
                found.append(one)
        return found

    def _ids_of(self, organization_id: str) -> list[str]:
        """Its durable ones in order. No warehouse ever goes, so there are more where one has come."""
        its, ids = self.durable.get(organization_id, NONE), self._sorted_ids.get(organization_id, [])
        if len(ids) != len(its):
            ids = self._sorted_ids[organization_id] = sorted(its)
        return ids


def _put(warehouses: Warehouses, sourcing: dict[str, Sourcing], warehouse: WarehouseRecord) -> None:
    organization_id, warehouse_id = warehouse.organization_id, warehouse.warehouse_id
    warehouses.setdefault(organization_id, {})[warehouse_id] = warehouse
    before = sourcing.get(organization_id, USUAL)
    if warehouse.is_active == (warehouse_id in before.closed):
        sourcing[organization_id] = before = replace(before, closed=_with(before.closed, warehouse))
    if before.policy == "priority" and warehouse.priority != before.priorities.get(warehouse_id, 0):
        priorities = {**before.priorities, warehouse_id: warehouse.priority}
        sourcing[organization_id] = replace(before, priorities=priorities)


def _with(closed: Closed, warehouse: WarehouseRecord) -> Closed:
    """What is closed now. This copies all of them, 0.2 ms for 10,000; to swap one in place would take twice as long."""
    return closed - {warehouse.warehouse_id} if warehouse.is_active else closed | {warehouse.warehouse_id}


def _put_policy(warehouses: Warehouses, sourcing: dict[str, Sourcing], record: SourcingRecord) -> None:
    organization_id, policy = record.organization_id, record.policy
    priorities = {}
    if policy == "priority":
        its = warehouses.get(organization_id, NONE)
        priorities = {warehouse_id: one.priority for warehouse_id, one in its.items() if one.priority}
    before = sourcing.get(organization_id, USUAL)
    sourcing[organization_id] = replace(before, policy=policy, priorities=priorities)


def _name(warehouses: Warehouses, key: StockKey) -> str:
    warehouse = warehouses.get(key.organization_id, NONE).get(key.warehouse_id)
    return warehouse.name if warehouse is not None else key.warehouse_id
