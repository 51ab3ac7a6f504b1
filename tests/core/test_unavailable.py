"""What a caller hears when the database goes away under it."""

from collections.abc import Sequence
from typing import Any

import anyio
import pytest

from actors.commands import Line, Reserve
from actors.queries import GetStock
from actors.records import StockRecord, VariantKey
from actors.reply import Reply
from actors.unavailable import Unavailable
from storage.store import StorageError
from tests.core.conftest import ORGANIZATION, World, bring
from tests.core.test_lifecycle import GatedStore

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("is_query", [True, False])
async def test_only_a_caller_whose_command_was_under_way_hears_that_it_may_have_been_done(
    world: World, is_query: bool
) -> None:
    """A query waits for rows, a command for the disk, when the database goes away."""

    class Failing(GatedStore):
        async def load_variants(self, keys: Sequence[VariantKey]) -> Sequence[StockRecord]:
            if keys[0].variant_id == "cold":
                await self.gate.wait()
                raise StorageError("the disk is gone")
            return await super().load_variants(keys)

    store = Failing(world.disk)
    async with world.core(store) as core:
        await bring(core, {("a", "w1"): 10})
        store.gate = anyio.Event()
        if is_query:
            reply: Reply[Any] = core.answer(GetStock(ORGANIZATION, "cold"))
        else:
            store.error = StorageError("the disk is gone")
            reply = core.submit(Reserve(ORGANIZATION, "o1", (Line("a", "w1", 1),), 15))
        await anyio.wait_all_tasks_blocked()
        store.gate.set()
        with pytest.raises(Unavailable) as raised, anyio.fail_after(30):
            await reply.wait()
        assert raised.value.reason == "STORAGE_DOWN"
        assert ("may or may not have been done" in raised.value.message) is not is_query
        world.reports.clear()
