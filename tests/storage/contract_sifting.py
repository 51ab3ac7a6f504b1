"""The part of the Store's contract that is about reservations of a variant, of a warehouse or of a time."""

from typing import Any

import pytest

from actors.queries import ListReservations
from storage.store import Store
from tests.storage.scribe import MINUTE_MS, ORGANIZATION, Scribe

BASKETS = {
    "o1": [("v1", "w1", 1)],
    "o2": [("v1", "w2", 1), ("v2", "w1", 1)],
    "o3": [("v2", "w2", 1)],
    "o4": [("v1", "w1", 1), ("v1", "w2", 2)],
}


@pytest.mark.anyio
class SiftingContract:
    async def filled(self, store: Store, scribe: Scribe) -> list[int]:
        """Four reservations, a minute apart, the first of them confirmed. Returns when they were made."""
        await store.write([scribe.receive(v, w) for v in ("v1", "v2") for w in ("w1", "w2")])
        made = []
        for order, basket in BASKETS.items():
            scribe.at_ms += MINUTE_MS
            made.append(scribe.at_ms)
            await store.write([scribe.reserve(order, basket)])
        await store.write([scribe.confirm(next(iter(scribe.reservations.values())))])
        return made

    async def test_reservations_are_found_by_what_they_hold(self, store: Store, scribe: Scribe) -> None:
        await self.filled(store, scribe)
        assert await orders(store, variant_id="v1") == ["o4", "o2", "o1"]
        assert await orders(store, variant_id="v1", warehouse_id="w1") == ["o4", "o1"]  # of one item
        assert await orders(store, warehouse_id="w2") == ["o4", "o3", "o2"]
        assert await orders(store, variant_id="v1", state="confirmed") == ["o1"]
        assert await orders(store, warehouse_id="w1", state="active") == ["o4", "o2"]
        assert await orders(store, variant_id="v2", order_id="o2") == ["o2"]
        assert await orders(store, variant_id="v3") == []
        assert await orders(store, variant_id="v1", organization="another") == []

    async def test_reservations_are_found_by_when_they_were_made(self, store: Store, scribe: Scribe) -> None:
        made = await self.filled(store, scribe)
        assert await orders(store, created_after_ms=made[2]) == ["o4", "o3"]
        assert await orders(store, created_before_ms=made[2]) == ["o2", "o1"]
        assert await orders(store, created_after_ms=made[1], created_before_ms=made[3]) == ["o3", "o2"]
        assert await orders(store, created_after_ms=made[1], variant_id="v1") == ["o4", "o2"]

    @pytest.mark.parametrize("looked_max", [1, 2, 3, 100])
    @pytest.mark.parametrize("limit", [1, 2, 100])
    async def test_pages_that_looked_at_few_lead_to_all(
        self, store: Store, scribe: Scribe, looked_max: int, limit: int
    ) -> None:
        await self.filled(store, scribe)
        wishes: list[dict[str, Any]] = [{"variant_id": "v1"}, {"warehouse_id": "w1"}, {"variant_id": "v2"}]
        for wish in wishes:
            found = await orders(store, **wish, looked_max=looked_max, limit=limit)
            assert found == await orders(store, **wish)

    @pytest.mark.parametrize("lines_max", [1, 2, 3, 4, 5, 6, 100])
    @pytest.mark.parametrize("looked_max", [2, 100])
    async def test_pages_that_looked_at_few_lines_lead_to_all(
        self, store: Store, scribe: Scribe, lines_max: int, looked_max: int
    ) -> None:
        await self.filled(store, scribe)
        wishes: list[dict[str, Any]] = [{"variant_id": "v1"}, {"warehouse_id": "w1"}, {"variant_id": "v3"}]
        for wish in wishes:
            found = await orders(store, **wish, looked_max=looked_max, looked_lines_max=lines_max)
            assert found == await orders(store, **wish)

    async def test_a_look_ends_with_its_lines(self, store: Store, scribe: Scribe) -> None:
        await self.filled(store, scribe)
        o1, o2, o3, o4 = [one.reservation_id for one in scribe.reservations.values()]  # of 1, 2, 1 and 2 lines
        ends = {}
        for lines_max in range(1, 8):
            query = ListReservations(ORGANIZATION, variant_id="v3", looked_lines_max=lines_max)
            page = await store.list_reservations(query)
            assert page.reservations == ()
            ends[lines_max] = page.next_before
        assert ends == {1: o4, 2: o4, 3: o3, 4: o3, 5: o2, 6: "", 7: ""}
        assert o1 < o2


async def orders(store: Store, *, organization: str = ORGANIZATION, **wanted: Any) -> list[str]:
    found: list[str] = []
    before = ""
    for _ in range(20):
        page = await store.list_reservations(ListReservations(organization, before=before, **wanted))
        found += [one.order_id for one in page.reservations]
        before = page.next_before
        if not before:
            return found
    raise AssertionError("the pages have no end")
