"""The part of the Store's contract that is about housekeeping, and with it the whole contract."""

from collections.abc import Callable

import pytest

from actors.records import OrderKey, RequestKey, ReservationRecord
from storage.store import OwnershipLost, StorageError, Store
from tests.storage.contract import Make, contents, steps_of
from tests.storage.contract_cells import CellContract
from tests.storage.contract_feed import FeedContract
from tests.storage.contract_late import LateContract
from tests.storage.contract_moves import MoveContract
from tests.storage.contract_reading import ReadingContract
from tests.storage.contract_sifting import SiftingContract
from tests.storage.contract_sourcing import SourcingContract
from tests.storage.contract_staging import StagingContract
from tests.storage.contract_transfers import TransferContract
from tests.storage.scribe import MINUTE_MS, ORGANIZATION, START_MS, Scribe

OLD = ["released", "expired", "fulfilled", "confirmed", "active"]
DAY_MS = 24 * 60 * MINUTE_MS


@pytest.mark.anyio
class WholeStoreContract(
    ReadingContract,
    SiftingContract,
    TransferContract,
    SourcingContract,
    FeedContract,
    StagingContract,
    CellContract,
    MoveContract,
    LateContract,
):
    @pytest.mark.parametrize("rows_max", [1, 7, 500])
    async def test_what_is_long_over_is_moved_out_and_nothing_else(
        self, store: Store, scribe: Scribe, rows_max: int
    ) -> None:
        await store.write([scribe.counted([("v", "w", 100), ("u", "w", 100)])])
        history = [scribe.reserve(name, [("v", "w", 1), ("u", "w", 2)]) for name in OLD]
        old = {one.reservation.order_id: one.reservation for one in history if one.reservation}
        history += [scribe.release(old["released"]), scribe.expire(old["expired"]), scribe.confirm(old["confirmed"])]
        history += [
            scribe.confirm(old["fulfilled"]),
            scribe.fulfill(latest(scribe, "fulfilled")),
            scribe.remember("old"),
        ]
        scribe.at_ms = limit_ms = scribe.at_ms + DAY_MS
        recent = scribe.reserve("recent")
        history += [recent, scribe.release(recent.reservation), scribe.remember("recent")]
        await store.write(history)
        before = await contents(store)

        moved = await steps_of(store, limit_ms, rows_max)
        assert max(step.rows for step in moved) <= max(rows_max, 3)  # a reservation and its two items
        assert sum(step.reservations for step in moved) == 3
        assert sum(step.items for step in moved) == 6
        after = await contents(store)
        assert [r.order_id for r in after["reservations"]] == ["active", "confirmed", "recent"]
        assert [key.order_id for key in after["orders"]] == ["active", "confirmed", "recent"]
        assert [r.order_id for r in after["newest"][ORGANIZATION]] == ["recent", "active", "confirmed"]
        assert [request.request_id for request in after["requests"]] == ["recent"]
        for same in ("stock", "variants", "warehouses", "active", "due", "next_expiry_ms"):
            assert after[same] == before[same]
        gone = scribe.reservations[ORGANIZATION, old["released"].reservation_id]
        assert await store.find_reservation(ORGANIZATION, gone.reservation_id) is None
        assert await store.load_reservation(ORGANIZATION, gone.reservation_id) == gone
        assert await store.load_reservation("another", gone.reservation_id) is None
        assert await store.load_orders([gone.order]) == []
        assert await store.load_request(RequestKey(ORGANIZATION, "old")) is None

    async def test_what_ended_at_the_limit_itself_stays(self, store: Store, scribe: Scribe) -> None:
        history = scribe.reserve_after_receiving()
        await store.write([*history, scribe.release(history[1].reservation)])
        assert (await store.move_out(scribe.at_ms, 500)).reservations == 0
        assert (await store.move_out(scribe.at_ms + 1, 500)).reservations == 1
        assert (await store.move_out(scribe.at_ms + 1, 500)).rows == 0

    async def test_work_goes_on_after_a_step_and_the_names_are_free_again(
        self, make: Make, store: Store, scribe: Scribe
    ) -> None:
        history = scribe.reserve_after_receiving()
        await store.write([*history, scribe.release(history[1].reservation), scribe.remember("again")])
        await store.move_out(scribe.at_ms + 1, 500)
        second = scribe.reserve("order")
        await store.write([second, scribe.remember("again"), scribe.confirm(second.reservation)])
        assert [r.state for r in await store.load_orders([OrderKey(ORGANIZATION, "order")])] == ["confirmed"]
        assert await store.load_request(RequestKey(ORGANIZATION, "again")) is not None
        await store.close()
        again = make()
        assert (await again.open()).last_lsn == scribe.lsn
        await again.close()

    async def test_a_fenced_store_moves_nothing(self, store: Store, scribe: Scribe, usurp: Callable[[], None]) -> None:
        history = scribe.reserve_after_receiving()
        await store.write([*history, scribe.release(history[1].reservation)])
        before = await contents(store)
        usurp()
        with pytest.raises(OwnershipLost):
            await store.move_out(scribe.at_ms + 1, 500)
        assert await contents(store) == before

    async def test_a_closed_store_moves_nothing(self, make: Make) -> None:
        with pytest.raises(StorageError):
            await make().move_out(START_MS, 500)


def latest(scribe: Scribe, order_id: str) -> ReservationRecord:
    (reservation,) = [r for r in scribe.reservations.values() if r.order_id == order_id]
    return reservation
