"""Warehouses as the core sees them: made, changed, closed, and what becomes of goods in a closed one."""

from typing import Any

import anyio
import pytest

from actors.commands import Confirm, Deduct, DeliveryLine, Fulfill, Line, Receive, Release, Reserve
from actors.outcomes import InsufficientStock, RequestIdReused, Shortage, StockReserved
from actors.queries import ListWarehouses
from actors.records import WarehouseRecord
from actors.views import Availability, WarehousePage
from actors.warehouse_commands import UpsertWarehouse
from actors.warehouse_outcomes import ClosedRow, WarehouseInactive, WarehouseUpserted
from supervisor.supervisor import Supervisor
from tests.core.conftest import ORGANIZATION, World, bring, check, reserve
from tests.core.test_goods import figures, refusal_of

pytestmark = pytest.mark.anyio


def upsert(
    warehouse_id: str = "w1", request_id: str = "u-1", *, organization: str = ORGANIZATION, **given: Any
) -> UpsertWarehouse:
    fields: dict[str, Any] = {"name": None, "code": None, "priority": None, "is_active": None} | given
    return UpsertWarehouse(organization, warehouse_id, request_id=request_id, reason="why", reference="memo", **fields)


async def close(core: Supervisor, warehouse_id: str = "w1", *, is_active: bool = False, request_id: str = "c") -> None:
    await core.ask(upsert(warehouse_id, f"{request_id}-{warehouse_id}-{is_active}", is_active=is_active))


async def listed(core: Supervisor, **query: Any) -> WarehousePage:
    return await core.answer(ListWarehouses(ORGANIZATION, **query)).wait()


async def test_a_warehouse_is_made_and_then_changed_where_something_is_given(world: World) -> None:
    async with world.core() as core:
        made = WarehouseRecord(ORGANIZATION, "w1", "w1", "W-1", 3)
        assert await core.ask(upsert(code="W-1", priority=3)) == WarehouseUpserted(made, True)
        named = WarehouseRecord(ORGANIZATION, "w1", "Madrid", "W-1", 3)
        assert await core.ask(upsert(request_id="u-2", name="Madrid")) == WarehouseUpserted(named, False)
        entry = world.disk.transactions[-1]
        assert (entry.kind, entry.reason, entry.reference, entry.warehouses) == ("warehouse", "why", "memo", (named,))
        assert await core.ask(upsert(request_id="u-3", priority=3)) == WarehouseUpserted(named, False)
        assert world.disk.transactions[-1].kind == "remember"
    async with world.core() as core:
        assert await core.ask(upsert(code="W-1", priority=3)) == WarehouseUpserted(made, True)
        assert await refusal_of(core, upsert(code="W-2")) == RequestIdReused("u-1")
        assert await listed(core) == WarehousePage((named,), "")
        await core.ask(Receive(ORGANIZATION, (DeliveryLine("a", "w1", 1),), "d-1"))  # which gives it no name
        assert (await listed(core)).warehouses == (named,)


async def test_warehouses_are_listed_page_by_page_and_to_their_organization_alone(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", f"w{number}"): 1 for number in range(5)})
        await close(core, "w1")
        await core.ask(upsert("w0", organization="org_2", is_active=False))
        first = await listed(core, limit=2)
        assert ([one.warehouse_id for one in first.warehouses], first.next_after) == (["w0", "w1"], "w1")
        rest = await listed(core, limit=3, after="w1")
        assert ([one.warehouse_id for one in rest.warehouses], rest.next_after) == (["w2", "w3", "w4"], "")
        active = await listed(core, limit=2, active_only=True)
        assert ([one.warehouse_id for one in active.warehouses], active.next_after) == (["w0", "w2"], "w2")
        assert (await reserve(core, "o1", ("a", "w0", 1))).items  # another organization's is closed


async def test_nothing_new_is_taken_from_a_closed_warehouse_also_after_a_restart(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 9, ("a", "w2"): 3, ("b", "w1"): 5})
        await close(core)
    async with world.core() as core:
        assert (await reserve(core, "o1", ("a", "", 1))).items[0].warehouse_id == "w2"
        named = WarehouseInactive((ClosedRow("a", "w1"), ClosedRow("b", "w1")))
        lines = (Line("a", "w1", 1), Line("a", "w2", 1), Line("b", "w1", 1), Line("a", "w1", 2))
        assert await refusal_of(core, Reserve(ORGANIZATION, "o2", lines, 15)) == named
        assert await refusal_of(core, Deduct(ORGANIZATION, lines, "t-1")) == named
        short = InsufficientStock((Shortage("a", "w2", 5, 2),))  # and where it is closed is no alternative
        assert await refusal_of(core, Deduct(ORGANIZATION, (Line("a", "", 5),), "t-2")) == short
        nowhere = InsufficientStock((Shortage("b", "", 1, 0),))
        assert await refusal_of(core, Reserve(ORGANIZATION, "o3", (Line("b", "", 1),), 15)) == nowhere
        await close(core, is_active=True)
        assert (await reserve(core, "o3", ("b", "", 1))).items[0].warehouse_id == "w1"


async def test_a_check_says_what_a_reservation_would_meet(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 9, ("a", "w2"): 3, ("b", "w1"): 5})
        await close(core)
        found = await check(core, Line("a", "w1", 1), Line("a", "", 2), Line("b", "", 1), Line("c", "w1", 1))
        assert not found.all_available
        assert found.lines == (
            Availability("a", "w1", 1, 9, True, False, True),
            Availability("a", "w2", 2, 3, True, True),
            Availability("b", "", 1, 0, True, False),
            Availability("c", "", 1, 0, False, False),
        )
        assert (await check(core, Line("a", "", 2))).all_available


async def test_what_is_held_in_a_closed_warehouse_goes_on(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 9})
        held = [await reserve(core, f"o{number}", ("a", "w1", 2)) for number in range(3)]
        await close(core)
        lines = (Line("a", "w1", 2),)
        assert await core.ask(Reserve(ORGANIZATION, "o0", lines, 15)) == StockReserved(held[0])  # a retry
        await core.ask(Confirm(ORGANIZATION, held[0].reservation_id, "o0"))
        await core.ask(Fulfill(ORGANIZATION, held[0].reservation_id, "f-1", ""))
        await core.ask(Release(ORGANIZATION, held[1].reservation_id, "changed my mind"))
        await core.ask(Receive(ORGANIZATION, (DeliveryLine("a", "w1", 1),), "d-1"))
        assert await figures(core, "a") == [(6, 2, 0, 0)]


async def test_reservations_and_a_deactivation_at_once_end_where_one_order_of_them_does(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 50, ("a", "w2"): 10})
        async with anyio.create_task_group() as tasks:
            for number in range(8):
                tasks.start_soon(reserve, core, f"o{number}", ("a", "", 1))
            tasks.start_soon(close, core)
        entries = world.disk.transactions
        [closed] = [entry.lsn for entry in entries if entry.kind == "warehouse"]
        for entry in entries:
            if entry.kind == "reserve":
                assert entry.changes[0].after.warehouse_id == ("w1" if entry.lsn < closed else "w2")
