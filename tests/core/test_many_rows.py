"""Variants of very many rows are loaded in steps, and do not stay in memory beyond a bound.

How long a turn of the event loop may be is judged for every test, and so for these (`tests/turn_limit.py`).
"""

from collections.abc import Mapping
from pathlib import Path

import anyio
import pytest
from anyio.lowlevel import checkpoint

from actors.commands import Line, Reserve
from actors.queries import CheckBasket
from actors.records import StockRecord, VariantKey
from actors.turn import run
from actors.unavailable import Unavailable
from actors.variant_stock import Pinned
from storage.sql import variant_reads
from storage.sql.sql_store import SqlStore
from supervisor.activations import loader, stock_directory
from supervisor.activations.loader import Loader
from supervisor.activations.stock_directory import ROWS_A_VARIANT
from supervisor.limits import Limits
from tests.core.conftest import ORGANIZATION, World, available, bring, check, reserve
from tests.storage.scribe import Scribe

pytestmark = pytest.mark.anyio

FEW, WIDE = 12, 300


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # SQLite on a thread


async def test_others_use_the_database_while_very_many_rows_are_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(variant_reads, "ROWS_A_STEP", 20)
    store, scribe = SqlStore(f"sqlite+aiosqlite:///{tmp_path / 'stock.db'}"), Scribe()
    await store.open()
    wide = [("wide", f"w{number:03}", 5) for number in range(WIDE)]
    few = [(f"v{number:02}", f"w{place}", 5) for number in range(FEW) for place in range(3)]
    await store.write([scribe.counted([*wide, *few, ("just", "w", 1), *[("full", f"w{n}", 1) for n in range(20)]])])
    names = ("wide", "just", "full", "unknown", *[f"v{number:02}" for number in range(FEW)])
    keys = [VariantKey(ORGANIZATION, name) for name in names]
    between, loaded = 0, anyio.Event()
    found: list[StockRecord] = []

    async def load() -> None:
        found.extend(await store.load_variants([*keys, *keys]))
        loaded.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(load)
        while not loaded.is_set():
            await store.find_reservation(ORGANIZATION, "none")
            between += 1
    assert between >= WIDE // 20
    assert sorted(found, key=lambda row: row.key) == sorted(scribe.rows.values(), key=lambda row: row.key)
    await store.close()


async def test_what_was_read_is_delivered_in_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader, "VALUES_A_TURN", 2)
    delivered: list[tuple[str, int]] = []

    async def read(keys: object) -> Mapping[str, list[int]]:
        return {"a": [1, 2], "b": [3], "c": [4, 5, 6]}

    async def wait_durable() -> None:
        pass

    loads: Loader[str, list[int]] = Loader(
        read, wait_durable, lambda key, value: delivered.append((key, len(value or ())))
    )
    for key in "abcde":
        loads.want(key)
    seen = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(loads.run)
        with anyio.fail_after(5):
            while len(delivered) < 5:
                seen.append(len(delivered))
                await checkpoint()
        tasks.cancel_scope.cancel()
    assert delivered == [("a", 2), ("b", 1), ("c", 3), ("d", 0), ("e", 0)]
    assert set(seen) == {0, 1, 2, 3}  # of d and e nothing is known: they are one step


async def test_rows_beyond_the_bound_are_let_go(world: World) -> None:
    """A bound on variants says nothing of their rows: one may be in ten thousand warehouses."""
    places = [f"w{number}" for number in range(50)]
    async with world.core(limits=Limits(heartbeat_s=0.005, variants_max=100)) as core:
        for number in range(12):
            await bring(core, {(f"v{number}", place): 3 for place in places}, f"of {number}")
        assert core._core is not None
        stock = core._core.stock
        for number in range(12):
            await check(core, Line(f"v{number}", "", 1))
        assert stock._rows <= ROWS_A_VARIANT * 100 + len(places)
        assert stock._rows == sum(len(one.rows) for one in stock._directory.activations())
        await reserve(core, "o1", *[(f"v{number}", "w7", 1) for number in range(12)])
        basket = tuple(Line(f"v{number}", "", 1) for number in range(12))
        assert (await core.answer(CheckBasket(ORGANIZATION, basket)).wait()).all_available
        assert (await available(core))["v3", "w7"] == 2


async def test_goods_with_very_many_rows_are_not_all_brought_into_memory(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stock_directory, "ROWS_A_BASKET_MAX", 300)
    monkeypatch.setattr(stock_directory, "ROWS_AT_ONCE", 100)
    places, names = [f"w{number}" for number in range(10)], [f"v{number}" for number in range(60)]
    async with world.core() as core:
        await bring(core, {(name, place): 3 for name in names for place in places})
    async with world.core(limits=Limits(heartbeat_s=0.005, variants_max=1_000)) as core:
        assert core._core is not None
        stock, loader_ = core._core.stock, core._core.stock.loader
        large = tuple(Line(name, "", 1) for name in names)
        with pytest.raises(Unavailable, match="These goods have more than 300 rows"):
            await core.ask(Reserve(ORGANIZATION, "o1", large, 15))
        assert stock._rows < 600
        assert loader_.statistics().reads == 3  # 20, ten and then one more ten were asked for
        with pytest.raises(Unavailable, match="ask for fewer"):
            await check(core, *large)
        assert (await core.ask(Reserve(ORGANIZATION, "o1", large[:30], 15))) is not None
        assert all(variant.pins == 0 for variant in stock._directory.activations())


async def test_where_memory_is_full_of_rows_in_use_no_more_goods_with_very_many_are_loaded(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stock_directory, "ROWS_AT_ONCE", 10)
    async with world.core(limits=Limits(heartbeat_s=0.005, variants_max=15)) as core:
        for number in range(4):
            await bring(core, {(f"v{number}", f"w{place}"): 3 for place in range(20)}, f"of {number}")
        assert core._core is not None
        stock = core._core.stock
        in_use = [f"v{number}" for number in range(3)]
        with Pinned(await run(stock.load(ORGANIZATION, in_use))):
            with pytest.raises(Unavailable, match="Too many requests for goods with very many rows are under way"):
                await check(core, Line("v3", "", 1))
            assert (await check(core, Line("v0", "", 1))).all_available
        assert (await check(core, Line("v3", "", 1))).all_available


def test_variants_of_many_rows_are_looked_at_a_few_at_a_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stock_directory, "ROWS_A_TURN", 100)

    async def look() -> None:
        async with world.core() as core:
            await bring(core, {(f"v{number}", f"w{place}"): 1 for number in range(10) for place in range(50)})
            assert core._core is not None
            assert core._core.stock._looks_a_turn() == 1
            await bring(core, {(f"few{number}", "w1"): 1 for number in range(90)}, "few")
            assert core._core.stock._looks_a_turn() == 16

    anyio.run(look)
