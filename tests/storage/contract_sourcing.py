"""What every adapter of the Store port must do with sourcing policies."""

import pytest
from msgspec.structs import replace

from actors.changes import Point
from actors.sourcing import SourcingRecord
from storage.store import Store
from tests.storage.contract import StoreContract
from tests.storage.scribe import ORGANIZATION, Scribe


@pytest.mark.anyio
class SourcingContract(StoreContract):
    """The part of the contract that is about policies."""

    async def test_a_policy_is_written_and_rewritten(self, store: Store, scribe: Scribe) -> None:
        first, other = SourcingRecord(ORGANIZATION, "priority"), SourcingRecord("org_0", "most_stock")
        for place, one in enumerate((first, other)):
            await store.write([replace(scribe.remember(f"r{place}"), kind="sourcing", sourcing=one)])
        assert await store.load_sourcing() == [other, first]
        again = replace(first, policy="fewest_parcels")
        await store.write([replace(scribe.remember("r2"), kind="sourcing", sourcing=again)])
        assert await store.load_sourcing() == [other, again]
        changes, _ = await store.read_changes(ORGANIZATION, Point(0), rows_max=10)
        assert [one.sourcing for one in changes.changes] == ["priority", "fewest_parcels"]
