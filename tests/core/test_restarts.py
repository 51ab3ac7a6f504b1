"""How often a core whose storage keeps failing is started anew."""

from collections.abc import Sequence

import anyio
import pytest
import trio.testing

from actors.records import Transaction
from actors.unavailable import Unavailable
from storage.latecomers import Latecomers, no_latecomers
from storage.memory_store import MemoryStore
from storage.store import StorageError
from supervisor.limits import Limits
from tests.core.conftest import World, bring, reserve


class UnwritableStore(MemoryStore):
    """A database that opens well and, for a while, fails at every write."""

    is_broken = False

    async def write(
        self, transactions: Sequence[Transaction], latecomers: Latecomers = no_latecomers
    ) -> Sequence[Transaction]:
        if self.is_broken:
            raise StorageError("disk I/O error")
        return await super().write(transactions, latecomers)


def test_a_store_that_fails_at_every_write_is_opened_about_once_a_second(world: World) -> None:
    async def main() -> None:
        store = UnwritableStore(world.disk)
        async with world.core(store, Limits()) as core:
            await bring(core, {("a", "w1"): 10})
            store.is_broken = True
            with anyio.move_on_after(60):
                while True:
                    await anyio.sleep(0.01)
                    with pytest.raises(Unavailable):
                        await reserve(core, "o1", ("a", "w1", 1))
            assert 60 <= core.incarnations <= 70
            store.is_broken = False
            await anyio.sleep(1.5)
            await reserve(core, "o1", ("a", "w1", 1))
            await anyio.sleep(10)
            store.is_broken = True
            with pytest.raises(Unavailable):
                await reserve(core, "o2", ("a", "w1", 1))
            store.is_broken = False
            await anyio.sleep(0.1)  # a life of ten seconds was a healthy one: back at once
            await reserve(core, "o2", ("a", "w1", 1))

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
