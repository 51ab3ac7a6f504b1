"""A server whose database is gone: it answers no call from then on, and ends."""

import anyio
import pytest

from actors.unavailable import Unavailable
from storage.memory_store import MemoryStore
from storage.store import DatabaseGone
from tests.core.conftest import World, bring, reserve

pytestmark = pytest.mark.anyio


class VanishingStore(MemoryStore):
    """Fails in the way of a database whose file was removed, while it is open and when it is opened again."""

    gone_when = ""

    async def _before(self, operation: str) -> None:
        await super()._before(operation)
        if operation == self.gone_when:
            raise DatabaseGone("it was removed")


@pytest.mark.parametrize(("operation", "variant"), [("write", "a"), ("load_variants", "b")])
async def test_a_server_whose_database_is_gone_answers_no_call_and_ends(
    world: World, operation: str, variant: str
) -> None:
    store = VanishingStore(world.disk)
    with pytest.RaisesGroup(DatabaseGone):
        async with world.core(store) as core:
            await bring(core, {("a", "w1"): 10})
            store.gone_when = operation
            with pytest.raises(Unavailable):
                await reserve(core, "o1", (variant, "w1", 3))
            await anyio.sleep_forever()
    assert len(world.disk.transactions) == 1


async def test_a_server_whose_database_is_gone_notices_without_a_call(world: World) -> None:
    store = VanishingStore(world.disk)
    with pytest.RaisesGroup(DatabaseGone):
        async with world.core(store):
            store.gone_when = "check_ownership"
            await anyio.sleep_forever()


async def test_a_database_that_is_gone_when_it_is_opened_again_ends_the_server(world: World) -> None:
    store = VanishingStore(world.disk)
    with pytest.RaisesGroup(DatabaseGone):
        async with world.core(store):
            store.gone_when = "open"
            await store.close()  # so that the next heartbeat fails
            await anyio.sleep_forever()
