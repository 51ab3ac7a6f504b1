"""The part of the Store's contract that moves organizations."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from actors.cell_records import CellRecord, HeldOrganization
from actors.changes import Point
from actors.history_feed import CursorRecord
from actors.organization_moves import MoveRecord, Place
from actors.organization_stays import OPEN_END, Shift, Stay
from actors.records import ReservationRecord
from storage.sql.organization_rows import TABLES, shifted
from storage.store import OwnershipLost, StorageError, Store
from tests.storage.contract import Make, StoreContract, contents, newest
from tests.storage.scribe import ORGANIZATION, Scribe

ALL = 2**31 - 1
LEAVING, ARRIVING = MoveRecord("try-1", "leaving", "south"), MoveRecord("try-2", "arriving", "north")
FROZEN = HeldOrganization(ORGANIZATION, "frozen", 3, "south")
GONE = HeldOrganization(ORGANIZATION, "gone", 3, "south")
SERVED = HeldOrganization(ORGANIZATION, "serving", 4)

Copy = dict[str, list[Sequence[Any]]]


async def copy_of(store: Store) -> Copy:
    """All rows of the organization, page by page."""
    found: Copy = {}
    for name in TABLES:
        after: Place | None = None
        found[name] = []
        while True:
            page = await store.read_rows(ORGANIZATION, name, after)
            found[name] += page.rows
            if (after := page.next) is None:
                break
    return found


async def told(store: Store) -> list[Any]:
    """What a reader of the whole history is told, but for the places."""
    found, after = list[Any](), Point(-(2**40), ALL)
    while True:
        page, _ = await store.read_changes(ORGANIZATION, after, 10_000)
        found += [
            (one.at_ms, one.kind, one.rows, one.reservation, one.request_id, one.warehouses) for one in page.changes
        ]
        if not page.changes or page.upto is None:
            return found
        after = page.upto


async def cleared(store: Store, *, is_gone: bool) -> None:
    while await store.clear_rows(ORGANIZATION, is_gone=is_gone) == "some":
        pass


def history(scribe: Scribe) -> list[Any]:
    """Of two organizations, one of which moves. A reservation of an order that had another one is the last."""
    steps = [scribe.receive("x"), *scribe.random_history(5, 80), scribe.receive("x"), scribe.remember("answered")]
    steps += [scribe.reserve("twice", [("x", "w", 1)], reservation_id="z")]
    return [*steps, scribe.release(last(scribe)), scribe.reserve("twice", [("x", "w", 1)], reservation_id="y")]


def last(scribe: Scribe) -> ReservationRecord:
    return list(scribe.reservations.values())[-1]


@pytest.mark.anyio
class MoveContract(StoreContract):
    """The part of the contract that is about moves."""

    async def test_an_organization_leaves_and_comes_back_with_all_that_it_has(self, make: Make, scribe: Scribe) -> None:
        store = make()
        ownership = await store.open()
        await store.join_cell(CellRecord("north", 3, "d"), [HeldOrganization(ORGANIZATION, "serving", 3)])
        await store.write(history(scribe))
        before, changes, copied = await contents(store), await told(store), await copy_of(store)
        others = await newest(store, "org_2")
        stays = await store.freeze(FROZEN, LEAVING)
        assert stays == [Stay(ownership.database_id, 0, scribe.lsn, 0, 1, 1)]
        assert (dict(await store.load_moves()), dict(await store.load_stays())) == ({ORGANIZATION: LEAVING}, {})
        assert await copy_of(store) == copied
        await store.hold_organization(GONE)
        await cleared(store, is_gone=True)
        assert (await told(store), dict(await store.load_moves())) == ([], {})
        assert await copy_of(store) == {name: [] for name in TABLES}
        assert await newest(store, "org_2") == others
        shift = await store.receive(ORGANIZATION, ARRIVING, stays)
        assert shift.newer <= -scribe.lsn
        await self._write(store, copied, shift)
        assert await copy_of(store) == {name: shifted(name, rows, shift) for name, rows in copied.items()}
        with pytest.raises((StorageError, AssertionError)):  # a row that is there
            await store.write_rows(ORGANIZATION, "stock", [copied["stock"][0]])
        found = await store.audit_rows(ORGANIZATION, 0)
        assert not found.disagreement
        await store.settle(SERVED)
        await store.close()
        again = make()
        assert (await again.open()).last_lsn == scribe.lsn + 1  # places of both stays differ
        assert (await contents(again), await told(again), dict(await again.load_moves())) == (before, changes, {})
        came = [one for one in (await again.load_stays())[ORGANIZATION] if one.upto_lsn == OPEN_END]
        assert came == [Stay(ownership.database_id, scribe.lsn + 1, OPEN_END)]
        scribe.lsn += 1
        await again.write([scribe.release(last(scribe)), scribe.reserve("after", [("x", "w", 1)])])
        assert [one[1] for one in (await told(again))[len(changes) :]] == ["release", "reserve"]
        await again.close()

    async def _write(self, store: Store, copied: Copy, shift: Shift) -> None:
        for name, rows in copied.items():
            await store.write_rows(ORGANIZATION, name, shifted(name, rows, shift))

    async def test_no_place_is_in_two_blocks_of_a_history_that_comes_again(self, make: Make) -> None:
        store = make()
        database_id = (await store.open()).database_id
        stays = [
            Stay("other", 0, 9, -7, 1, 1),
            Stay(database_id, -7, -1),
            Stay(database_id, 3, 6),
            Stay("other", 12, 14),
        ]
        await store.receive(ORGANIZATION, ARRIVING, stays)
        came = (await store.load_stays())[ORGANIZATION]
        here = sorted((one.from_lsn, one.upto_lsn) for one in came if one.database_id == database_id)
        assert (here[1:], here[0][1]) == ([(-7, -1), (3, 6)], -8)
        await store.close()

    async def test_what_a_relay_has_not_passed_on_is_not_cleared(self, store: Store, scribe: Scribe) -> None:
        await store.write(history(scribe))
        await store.write_cursor(CursorRecord("relay", 1, Point(scribe.lsn - 1)))
        copied = await copy_of(store)
        assert await store.clear_rows(ORGANIZATION, is_gone=True) == "needed"
        assert await copy_of(store) == copied
        await store.write_cursor(CursorRecord("relay", 1, Point(scribe.lsn)))
        await cleared(store, is_gone=True)
        assert await told(store) == []

    async def test_a_server_that_lost_ownership_moves_nothing(
        self, store: Store, scribe: Scribe, usurp: Callable[[], None]
    ) -> None:
        await store.write(history(scribe))
        stock = (await copy_of(store))["stock"]
        await cleared(store, is_gone=True)
        await store.write([scribe.receive("new")])
        copied = await copy_of(store)
        usurp()
        stays = [Stay("other", 0, 9, 0, 1, 1)]
        for change in (
            lambda: store.freeze(FROZEN, LEAVING),
            lambda: store.receive(ORGANIZATION, ARRIVING, stays),
            lambda: store.clear_rows(ORGANIZATION, is_gone=True),
            lambda: store.write_rows(ORGANIZATION, "stock", stock),
            lambda: store.settle(SERVED),
        ):
            with pytest.raises(OwnershipLost):
                await change()
        assert (await copy_of(store), dict(await store.load_moves()), dict(await store.load_stays())) == (
            copied,
            {},
            {},
        )
