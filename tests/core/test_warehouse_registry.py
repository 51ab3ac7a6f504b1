"""What one organization's many warehouses cost: others nothing, and itself little."""

from typing import Any

import pytest
from msgspec.structs import replace

from actors.records import StockKey, WarehouseRecord
from actors.sourcing import SourcingRecord
from supervisor.activations import warehouse_registry
from supervisor.activations.warehouse_registry import WarehouseRegistry

ORGANIZATION = "org_1"


class Watched(str):
    """An id that counts how often it is looked at."""

    looks = 0

    def __eq__(self, other: object) -> bool:
        Watched.looks += 1
        return str.__eq__(self, other)

    def __lt__(self, other: str) -> bool:
        Watched.looks += 1
        return str.__lt__(self, other)

    def __hash__(self) -> int:
        Watched.looks += 1
        return str.__hash__(self)


def looks_of(registry: WarehouseRegistry, after: str = "") -> int:
    """How many ids are looked at for a page of ten."""
    Watched.looks = 0
    assert len(registry.page(ORGANIZATION, after, 10, active_only=False)) == 10
    return Watched.looks


def test_the_warehouses_of_others_are_not_looked_at() -> None:
    registry = WarehouseRegistry()
    others = Watched("org_2")
    registry.add([WarehouseRecord(others, Watched(f"w{number}"), "name", priority=1) for number in range(1_000)])
    registry.add([WarehouseRecord(ORGANIZATION, f"w{number}", "name", priority=number) for number in range(20)])
    assert looks_of(registry) == 0
    assert registry.have([ORGANIZATION, "org_3"]) == {ORGANIZATION}
    assert registry.name_of(StockKey(ORGANIZATION, "v", "w9")) == "name"
    registry.add_policies([SourcingRecord(ORGANIZATION, "priority")])
    assert dict(registry.sourcing[ORGANIZATION].priorities) == {f"w{number}": number for number in range(1, 20)}
    assert Watched.looks == 0


def test_a_page_is_found_among_many() -> None:
    registry = WarehouseRegistry()
    ids = [Watched(f"w{number:05}") for number in range(5_000)]
    registry.add([WarehouseRecord(ORGANIZATION, one, "name") for one in ids])
    looks_of(registry)  # which sorts them, once
    assert looks_of(registry, after="w02500") < 100
    assert [one.warehouse_id for one in registry.page(ORGANIZATION, "w02500", 2, active_only=False)] == ids[2501:2503]
    registry.publish([WarehouseRecord(ORGANIZATION, "w02500a", "name")])
    found = registry.page(ORGANIZATION, "w02500", 2, active_only=False)
    assert [one.warehouse_id for one in found] == ["w02500a", "w02501"]
    assert registry.page("org_2", "", 2, active_only=False) == []


def test_closed_warehouses_are_gathered_once_when_they_are_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    made = 0

    def counted(*args: Any, **named: Any) -> Any:
        nonlocal made
        made += 1
        return replace(*args, **named)

    monkeypatch.setattr(warehouse_registry, "replace", counted)
    registry = WarehouseRegistry()
    every = [WarehouseRecord(f"org_{n % 2}", f"w{n}", "name", is_active=n % 4 == 0) for n in range(1_000)]
    registry.add(every[:500])
    registry.add(every[500:])
    assert made <= 8
    for known in (registry.sourcing, registry.durable_sourcing):
        closed = {(organization, one) for organization, its in known.items() for one in its.closed}
        assert closed == {(one.organization_id, one.warehouse_id) for one in every if not one.is_active}
    assert registry.statistics() == warehouse_registry.WarehouseStatistics(1_000, 750)
