"""The part of the Store's contract that is about what a cell holds."""

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from actors.cell_records import CellRecord, HeldOrganization
from storage.store import OwnershipLost, Store
from tests.storage.contract import Make, StoreContract

NORTH = CellRecord("north", 3, "digest")
SHOP = HeldOrganization("shop", "serving", 3)


@pytest.mark.anyio
class CellContract(StoreContract):
    """The part of the contract that is about cells."""

    async def test_a_database_is_no_cell_until_it_joins_and_then_for_ever(self, make: Make) -> None:
        store = make()
        assert (await store.open()).cell is None
        assert list(await store.load_organizations()) == []
        await store.join_cell(NORTH, [SHOP, HeldOrganization("a", "serving", 3)])
        later = replace(NORTH, version=2**53, digest="other")
        await store.join_cell(later, ())
        await store.close()
        store = make()
        assert (await store.open()).cell == later
        assert list(await store.load_organizations()) == [HeldOrganization("a", "serving", 3), SHOP]
        await store.close()

    async def test_an_organization_is_held_as_it_was_said_last(self, make: Make) -> None:
        store = make()
        await store.open()
        await store.join_cell(NORTH, [HeldOrganization(f"o{n:04}", "serving", 3) for n in range(2_500)])
        gone = HeldOrganization("o0007", "gone", 9, "south")
        for one in (SHOP, replace(SHOP, state="frozen"), replace(gone, state="frozen", moved_to=""), gone):
            await store.hold_organization(one)
        await store.join_cell(replace(NORTH, version=4), [SHOP])
        await store.close()
        store = make()
        await store.open()
        found = {one.organization_id: one for one in await store.load_organizations()}
        assert (len(found), found["o0007"], found["shop"]) == (2_501, gone, SHOP)
        await store.close()

    async def test_a_server_that_lost_ownership_holds_nothing_new(
        self, store: Store, usurp: Callable[[], None]
    ) -> None:
        await store.join_cell(NORTH, [SHOP])
        usurp()
        with pytest.raises(OwnershipLost):
            await store.join_cell(replace(NORTH, version=4), [replace(SHOP, state="gone")])
        with pytest.raises(OwnershipLost):
            await store.hold_organization(HeldOrganization("other", "serving", 3))
        assert list(await store.load_organizations()) == [SHOP]
