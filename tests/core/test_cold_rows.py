"""Orders whose rows are not in memory are taken up by the last load that they wait for."""

from collections.abc import Sequence

import anyio
import pytest

from actors.commands import Line, Reserve
from actors.outcomes import StockReserved
from actors.queries import CheckBasket
from actors.records import StockRecord, VariantKey
from actors.unavailable import Unavailable
from storage.memory_store import Disk, MemoryStore
from storage.store import StorageError
from tests.core.conftest import ORGANIZATION, World, bring, reserve

pytestmark = pytest.mark.anyio


class SlowReads(MemoryStore):
    """A store whose reads of rows wait for the test, and may fail."""

    def __init__(self, disk: Disk) -> None:
        super().__init__(disk)
        self.reading: list[Sequence[VariantKey]] = []
        self.lets_through = anyio.Semaphore(0)
        self.error: Exception | None = None

    async def load_variants(self, keys: Sequence[VariantKey]) -> Sequence[StockRecord]:
        self.reading.append(keys)
        await self.lets_through.acquire()
        if self.error is not None:
            raise self.error
        return await super().load_variants(keys)


def an_order(order_id: str, *variant_ids: str) -> Reserve:
    return Reserve(ORGANIZATION, order_id, tuple(Line(variant_id, "w1", 1) for variant_id in variant_ids), 15)


@pytest.fixture
async def store(world: World) -> SlowReads:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 1, ("b", "w1"): 10})
    return SlowReads(world.disk)


async def test_an_order_waits_for_the_last_of_its_rows(world: World, store: SlowReads) -> None:
    async with world.core(store) as core:
        first = core.submit(an_order("o1", "a"))
        await anyio.wait_all_tasks_blocked()
        both = core.submit(an_order("o2", "b", "a"))  # `a` is being read already, and `b` after it
        again = core.submit(an_order("o2", "b", "a"))
        store.lets_through.release()
        await anyio.wait_all_tasks_blocked()
        assert isinstance(first.result(), StockReserved)
        assert not both.is_done
        assert [[key.variant_id for key in keys] for keys in store.reading] == [["a"], ["b"]]
        store.lets_through.release()
        with pytest.raises(Exception, match="InsufficientStock"):
            await both.wait()  # `a` had one piece
        with pytest.raises(Exception, match="InsufficientStock"):
            await again.wait()


async def test_a_repetition_that_waited_too_finds_the_reservation(world: World, store: SlowReads) -> None:
    async with world.core(store) as core:
        replies = [core.submit(an_order("o1", "b")) for _ in range(3)]
        store.lets_through.release()
        facts = [await reply.wait() for reply in replies]
        assert facts[0] == facts[1] == facts[2]


async def test_an_order_that_waits_is_told_of_a_failed_read(world: World, store: SlowReads) -> None:
    async with world.core(store) as core:
        reply = core.submit(an_order("o1", "a"))
        await anyio.wait_all_tasks_blocked()
        store.error = StorageError("the disk is gone")
        store.lets_through.release()
        with pytest.raises(Unavailable) as raised, anyio.fail_after(30):
            await reply.wait()
        assert raised.value.reason == "STORAGE_DOWN"
        store.error = None
        for _ in range(10):
            store.lets_through.release()
        with anyio.fail_after(30):
            while not core.serving:  # noqa: ASYNC110 - it does not tell
                await anyio.sleep(0.005)
            await reserve(core, "o1", ("a", "w1", 1))
    world.reports.clear()


async def test_a_stop_waits_for_an_order_that_waits(world: World, store: SlowReads) -> None:
    async with world.core(store) as core:
        reply = core.submit(an_order("o1", "a"))
        core.stop()
        await anyio.wait_all_tasks_blocked()
        assert not reply.is_done
        store.lets_through.release()
    assert isinstance(reply.result(), StockReserved)


async def test_a_check_is_answered_without_a_wait_where_the_rows_are_in_memory(world: World, store: SlowReads) -> None:
    query = CheckBasket(ORGANIZATION, (Line("b", "w1", 3),))
    async with world.core(store) as core:
        await anyio.wait_all_tasks_blocked()
        first = core.answer(query)
        assert not first.is_done
        store.lets_through.release()
        checked = await first.wait()
        assert core.answer(query).result() == checked
        core.stop()
        with pytest.raises(Unavailable):
            core.answer(query)
