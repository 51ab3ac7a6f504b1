"""Rows that are taken away again, as the core sees it: only when empty, once, and durable before anybody sees it."""

import anyio
import pytest

from actors.commands import Announce, Deduct, Delete, DeliveryLine, Line, Receive, Reserve
from actors.outcomes import Alternative, Refused, StockDeducted, StockDeleted, StockNotEmpty, StockNotFound
from actors.stock_actor import StockActor
from supervisor.supervisor import Supervisor
from tests.core.conftest import ORGANIZATION, World, available, bring, reserve, rows_of
from tests.core.test_goods import refusal_of
from tests.core.test_lifecycle import GatedStore

pytestmark = pytest.mark.anyio

DELETE = Delete(ORGANIZATION, "a", "w1", "delete-1", "typing error", "ticket 7")


async def make_empty_row(core: Supervisor) -> str:
    """An empty row beside a full one. Returns its stock id."""
    await bring(core, {("a", "w1"): 0, ("a", "w2"): 5})
    [empty, _] = await rows_of(core, "a")
    return empty.record.stock_id


async def test_an_empty_row_is_gone_and_the_ledger_says_why(world: World) -> None:
    async with world.core() as core:
        stock_id = await make_empty_row(core)
        assert await core.ask(DELETE) == StockDeleted(stock_id)
        assert await available(core) == {("a", "w2"): 5}
        assert [view.record.warehouse_id for view in await rows_of(core, "a")] == ["w2"]
        assert await core.ask(DELETE) == StockDeleted(stock_id)
    entry = world.disk.transactions[-1]
    assert (entry.kind, entry.reason, entry.reference) == ("delete", "typing error", "ticket 7")
    async with world.core() as core:
        assert await core.ask(DELETE) == StockDeleted(stock_id)
        assert await available(core) == {("a", "w2"): 5}
        again = Delete(ORGANIZATION, "a", "w1", "delete-2")
        assert await refusal_of(core, again) == StockNotFound("a", "w1", (Alternative("w2", 5),))
        assert await refusal_of(core, Reserve(ORGANIZATION, "o1", (Line("a", "w1", 1),), 15)) == StockNotFound(
            "a", "w1", (Alternative("w2", 5),)
        )


@pytest.mark.parametrize("restart", [False, True])
async def test_a_deleted_row_may_be_made_again_and_is_another_one(world: World, restart: bool) -> None:
    async with world.core() as core:
        stock_id = await make_empty_row(core)
        await core.ask(DELETE)
        if not restart:
            await core.ask(Receive(ORGANIZATION, (DeliveryLine("a", "w1", 3),), "d-1"))
    async with world.core() as core:
        fact = await core.ask(Receive(ORGANIZATION, (DeliveryLine("a", "w1", 3),), "d-1"))
        assert fact.rows[0].is_new  # type: ignore[union-attr]
        [again, _] = await rows_of(core, "a")
        assert (again.record.available, again.record.min_stock) == (3, 0)
        assert again.record.stock_id != stock_id
        await core.ask(Deduct(ORGANIZATION, (Line("a", "w1", 3),), "t-1"))
        assert await core.ask(Delete(ORGANIZATION, "a", "w1", "delete-2")) == StockDeleted(again.record.stock_id)


@pytest.mark.parametrize("kind", ["available", "reserved", "damaged", "in_transit"])
async def test_a_row_with_goods_of_any_kind_is_not_deleted(world: World, kind: str) -> None:
    async with world.core() as core:
        if kind == "reserved":
            await bring(core, {("a", "w1"): 2})
            await reserve(core, "o1", ("a", "w1", 2))
        elif kind == "in_transit":
            await core.ask(Announce(ORGANIZATION, (Line("a", "w1", 2),), "a-1"))
        else:
            line = DeliveryLine("a", "w1", 2) if kind == "available" else DeliveryLine("a", "w1", 0, damaged=2)
            await core.ask(Receive(ORGANIZATION, (line,), "d-1"))
        refusal = await refusal_of(core, DELETE)
        quantities = [2 if kind == name else 0 for name in ("available", "reserved", "damaged", "in_transit")]
        assert refusal == StockNotEmpty("a", "w1", *quantities)
        assert await refusal_of(core, DELETE) == refusal
        assert len(await rows_of(core, "a")) == 1


async def test_no_caller_deletes_another_organizations_row(world: World) -> None:
    async with world.core() as core:
        await make_empty_row(core)
        assert await refusal_of(core, Delete("org_2", "a", "w1", "delete-1")) == StockNotFound("a", "w1")
        assert len(await rows_of(core, "a")) == 2


async def test_readers_see_a_row_until_its_deletion_is_durable_and_what_follows_builds_on_it(world: World) -> None:
    store = GatedStore(world.disk)
    async with world.core(store) as core:
        stock_id = await make_empty_row(core)
        store.gate = anyio.Event()
        deletion, made = core.submit(DELETE), core.submit(Receive(ORGANIZATION, (DeliveryLine("a", "w1", 3),), "d-1"))
        assert [view.record.stock_id for view in await rows_of(core, "a", "w1")] == [stock_id]
        store.gate.set()
        assert await deletion.wait() == StockDeleted(stock_id)
        fact = await made.wait()
        assert fact.rows[0].is_new  # type: ignore[union-attr]
        [again] = await rows_of(core, "a", "w1")
        assert (again.record.available, again.record.stock_id != stock_id) == (3, True)
        assert not any(not row.state.record.exists for row in _rows_in_memory(core))
    async with world.core() as core:
        assert [view.record for view in await rows_of(core, "a", "w1")] == [again.record]


async def test_a_sale_and_a_deletion_of_what_it_leaves_empty_happen_in_their_order(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 2})
        sale, deletion = core.submit(Deduct(ORGANIZATION, (Line("a", "", 2),), "t-1")), core.submit(DELETE)
        assert isinstance(await sale.wait(), StockDeducted)
        assert isinstance(await deletion.wait(), StockDeleted)
        with pytest.raises(Refused):
            await core.ask(Deduct(ORGANIZATION, (Line("a", "", 1),), "t-2"))
        assert await available(core) == {}
        assert _rows_in_memory(core) == []


def _rows_in_memory(core: Supervisor) -> list[StockActor]:
    assert core._core is not None
    return [row for variant in core._core.stock._directory.activations() for row in variant.rows.values()]
