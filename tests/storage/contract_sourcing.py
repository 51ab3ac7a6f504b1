"""What every adapter of the Store port must do with sourcing policies."""

import pytest
from msgspec.structs import replace

from actors.changes import Point
from actors.queries import ListMovements
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

    async def test_what_a_basket_was_asked_for_is_kept_until_it_is_another(self, store: Store, scribe: Scribe) -> None:
        await store.write([scribe.receive(), scribe.receive("v2")])
        made = scribe.reserve("o1", [("v", "w", 2), ("v2", "w", 1)])
        assert made.reservation is not None
        asked = replace(made.reservation, asked="what it was")
        await store.write([replace(made, reservation=asked)])
        assert list(await store.load_orders([asked.order])) == [asked]
        later = scribe.reserve("o1", [("v2", "w", 1), ("v", "w", 1)])
        assert later.reservation is not None
        second = replace(later.reservation, asked="and later something else")  # which sorts before it
        await store.write([replace(later, reservation=second)])
        assert list(await store.load_orders([asked.order])) == [asked, second]
        assert await store.load_reservation(ORGANIZATION, asked.reservation_id) == asked
        moved = replace(asked, state="confirmed", confirmed_at_ms=scribe.at_ms)
        await store.write([replace(scribe.remember("r1"), kind="confirm", reservation=moved)])
        assert list(await store.load_orders([asked.order])) == [moved, second]
        amended = replace(moved, asked="")
        await store.write([replace(scribe.remember("r2"), kind="amend", reservation=amended)])
        assert list(await store.load_orders([asked.order])) == [amended, second]

    async def test_movements_of_an_order_begin_where_it_was_reserved_also_if_it_was_taken_again(
        self, store: Store, scribe: Scribe
    ) -> None:
        await store.write(scribe.reserve_after_receiving())
        reservation = scribe.only_reservation()
        await store.write([scribe.expire(reservation)])
        await store.write([scribe.reacquire(scribe.only_reservation())])
        of_order = ListMovements(ORGANIZATION, order_id=reservation.order_id)
        for query in (of_order, ListMovements(ORGANIZATION, reservation_id=reservation.reservation_id)):
            page = await store.list_movements(query)
            assert [one.kind for one in page.movements] == ["reserve", "expire", "reacquire"]
