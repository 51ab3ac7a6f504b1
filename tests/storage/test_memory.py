"""The simulated disk keeps the contract, on both backends, and has a few ways of its own."""

from collections.abc import Callable

import pytest

from storage.memory_store import Disk, MemoryStore
from storage.store import OwnershipLost
from tests.storage.contract import Make, contents
from tests.storage.contract_housekeeping import WholeStoreContract
from tests.storage.scribe import Scribe


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def disk() -> Disk:
    return Disk()


class TestMemoryStore(WholeStoreContract):
    @pytest.fixture
    def make(self, disk: Disk) -> Make:
        return lambda: MemoryStore(disk)

    @pytest.fixture
    def usurp(self, disk: Disk) -> Callable[[], None]:
        def usurp() -> None:
            disk.epoch += 1

        return usurp


@pytest.mark.anyio
class TestSimulatedDisk:
    async def test_a_store_that_takes_over_fences_off_the_one_that_runs(self, disk: Disk, scribe: Scribe) -> None:
        first, second = MemoryStore(disk), MemoryStore(disk, takes_over=True)
        await first.open()
        await first.write([scribe.receive()])
        assert (await second.open()).last_lsn == 1
        late = [scribe.receive()]
        with pytest.raises(OwnershipLost):
            first.land(late)
        await first.close()  # gives up nothing that is not its own
        await second.write(late)
        assert disk.last_lsn == 2

    async def test_a_killed_owner_leaves_the_disk_to_the_next(self, disk: Disk, scribe: Scribe) -> None:
        killed, successor = MemoryStore(disk), MemoryStore(disk)
        await killed.open()
        await killed.write([scribe.receive()])
        disk.release()
        await successor.open()
        with pytest.raises(OwnershipLost):
            await killed.write([scribe.receive()])

    async def test_a_failure_after_the_effect_leaves_the_effect(self, disk: Disk, scribe: Scribe) -> None:
        class Lossy(MemoryStore):
            async def _after(self, operation: str) -> None:
                if operation == "write":
                    raise ConnectionError(operation)

        store = Lossy(disk)
        await store.open()
        with pytest.raises(ConnectionError):
            await store.write(scribe.reserve_after_receiving())
        assert [t.kind for t in disk.transactions] == ["receive", "reserve"]
        assert (await contents(store))["active"] == [scribe.only_reservation()]

    @pytest.fixture
    def scribe(self) -> Scribe:
        return Scribe()
