"""What every adapter of the Store port must do. A subclass says how to make one, and how to rob it of its database."""

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest
from msgspec.structs import astuple, replace

from actors.queries import ListReservations, ListStock
from actors.records import (
    OrderKey,
    RequestKey,
    RequestRecord,
    ReservationRecord,
    StockKey,
    Transaction,
    VariantKey,
    WarehouseRecord,
)
from storage.store import Due, MovedOut, OwnershipLost, StorageError, Store
from tests.storage.scribe import ORGANIZATION, START_MS, Scribe

Make = Callable[[], Store]

# A bug is an assertion where the batch itself shows it, and an error of the database where only that knows.
REFUSED = (StorageError, AssertionError)

UNUSUAL_IDS = ["o'clock", 'say "so"', "a\\b%c_d", "ünï-çødé", "日本語", "🛒", "x" * 128, " ", "?", ":name", "NULL", "0"]


async def contents(store: Store) -> dict[str, Any]:
    """Everything that the port can tell."""
    orders = await store.orders_after(None, 500)
    organizations = sorted({key.organization_id for key in orders} | {ORGANIZATION})
    stock = {name: await store.list_stock(ListStock(name, limit=999)) for name in organizations}
    return {
        "warehouses": list(await store.load_warehouses()),
        "sourcing": list(await store.load_sourcing()),
        "orders": list(orders),
        "reservations": list(await store.load_orders(orders)),
        "requests": [await store.load_request(key) for key in await store.requests_after(None, 500)],
        "stock": {name: list(rows) for name, rows in stock.items()},
        "variants": list(await store.load_variants([row.key.variant for rows in stock.values() for row in rows])),
        "active": list(await store.active_reservations(500)),
        "due": list(await store.due(START_MS + 10**9, 500)),
        "next_expiry_ms": await store.next_expiry_ms(),
        "newest": {name: list(await newest(store, name)) for name in organizations},
    }


async def newest(store: Store, organization_id: str = ORGANIZATION, **filters: Any) -> Sequence[ReservationRecord]:
    page = await store.list_reservations(ListReservations(organization_id, **{"limit": 500} | filters))
    return list(page.reservations)


async def rows(store: Store, organization_id: str = ORGANIZATION, **filters: Any) -> list[StockKey]:
    return [row.key for row in await store.list_stock(ListStock(organization_id, **{"limit": 500} | filters))]


@pytest.mark.anyio
class StoreContract:
    @pytest.fixture
    def make(self) -> Make:
        """A new store, not yet open, on what the last one left."""
        raise NotImplementedError

    @pytest.fixture
    def usurp(self) -> Callable[[], None]:
        """Raise the epoch behind the back of the store that is open."""
        raise NotImplementedError

    @pytest.fixture
    async def store(self, make: Make) -> AsyncIterator[Store]:
        store = make()
        await store.open()
        yield store
        await store.close()

    @pytest.fixture
    def scribe(self) -> Scribe:
        return Scribe()

    # ---- ownership

    async def test_an_empty_database_begins_at_lsn_0(self, make: Make) -> None:
        store = make()
        assert astuple(await store.open())[:3] == (1, 0, 0)
        await store.close()

    async def test_every_open_raises_the_epoch_and_says_where_the_journal_ends(
        self, make: Make, scribe: Scribe
    ) -> None:
        store = make()
        await store.open()
        await store.write([scribe.receive(), scribe.receive()])
        assert astuple(await store.open())[:3] == (2, 2, scribe.at_ms)
        await store.close()
        again = make()
        assert astuple(await again.open())[:3] == (3, 2, scribe.at_ms)
        await again.close()

    async def test_a_second_owner_is_refused_while_the_first_lives(
        self, make: Make, store: Store, scribe: Scribe
    ) -> None:
        second = make()
        with pytest.raises(OwnershipLost):
            await second.open()
        await second.close()
        await store.write([scribe.receive()])
        await store.close()
        assert (await second.open()).last_lsn == 1
        await second.close()

    async def test_a_fenced_store_writes_nothing_more(
        self, make: Make, store: Store, scribe: Scribe, usurp: Callable[[], None]
    ) -> None:
        await store.write([scribe.receive()])
        before = await contents(store)
        usurp()
        with pytest.raises(OwnershipLost):
            await store.check_ownership()
        with pytest.raises(OwnershipLost):
            await store.write([scribe.reserve()])
        assert await contents(store) == before
        await store.close()
        successor = make()
        assert (await successor.open()).last_lsn == 1
        await successor.close()

    async def test_a_closed_store_serves_nothing_and_closes_twice(self, make: Make, scribe: Scribe) -> None:
        store = make()
        await store.close()
        await store.open()
        await store.close()
        await store.close()
        with pytest.raises(StorageError):
            await store.write([scribe.receive()])
        with pytest.raises(StorageError):
            await store.next_expiry_ms()

    # ---- what is written

    async def test_nothing_is_found_where_nothing_was_written(self, store: Store) -> None:
        assert await contents(store) == {
            "warehouses": [],
            "sourcing": [],
            "orders": [],
            "reservations": [],
            "requests": [],
            "stock": {ORGANIZATION: []},
            "variants": [],
            "active": [],
            "due": [],
            "next_expiry_ms": None,
            "newest": {ORGANIZATION: []},
        }
        assert await store.load_variants([]) == []
        assert await store.load_orders([]) == []
        assert await store.find_reservation(ORGANIZATION, "r") is None
        assert await store.load_reservation(ORGANIZATION, "r") is None
        assert await store.load_request(RequestKey(ORGANIZATION, "q")) is None

    async def test_goods_in_make_a_row_and_then_add_to_it(self, store: Store, scribe: Scribe) -> None:
        first, second = scribe.receive(quantity=3), scribe.receive(quantity=4)
        await store.write([first])
        assert await store.load_variants([VariantKey(ORGANIZATION, "v")]) == [first.changes[0].after]
        await store.write([second])
        (row,) = await store.load_variants([VariantKey(ORGANIZATION, "v")])
        assert row == second.changes[0].after
        assert (row.available, row.version) == (7, 2)
        assert await store.load_warehouses() == [WarehouseRecord(ORGANIZATION, "w", "Warehouse w")]

    @pytest.mark.parametrize("sizes", [(1, 1, 1, 1), (2, 2), (4,), (1, 3), (3, 1)])
    async def test_a_deleted_row_is_gone_and_may_be_made_again(
        self, store: Store, scribe: Scribe, sizes: tuple[int, ...]
    ) -> None:
        emptied = [scribe.receive("kept"), scribe.counted([("v", "w", 0)])]
        first = scribe.rows[StockKey(ORGANIZATION, "v", "w")]
        history = [scribe.delete(), scribe.receive(quantity=3), scribe.counted([("v", "w", 0)]), scribe.delete()]
        await store.write(emptied)
        begin = 0
        for size in sizes:
            await store.write(history[begin : begin + size])
            begin += size
            found = await store.load_variants([VariantKey(ORGANIZATION, "v")])
            last = history[begin - 1].changes[0].after
            assert found == ([last] if last.exists else [])
            assert [row.variant_id for row in await stock(store)] == ["kept", *["v" for _ in found]]
        scribe.deleted.clear()  # memory has forgotten it
        again = scribe.receive()
        await store.write([again])
        (row,) = await store.load_variants([VariantKey(ORGANIZATION, "v")])
        assert (row, row.version) == (again.changes[0].after, 1)
        assert row.stock_id != first.stock_id

    async def test_a_row_is_deleted_only_as_the_service_knows_it(self, store: Store, scribe: Scribe) -> None:
        await store.write([scribe.receive(), scribe.counted([("v", "w", 0)])])
        key = StockKey(ORGANIZATION, "v", "w")
        scribe.rows[key] = replace(scribe.rows[key], version=9)
        with pytest.raises((StorageError, AssertionError)):
            await store.write([scribe.delete()])

    async def test_an_import_sets_rows_old_and_new_and_renames_warehouses(self, store: Store, scribe: Scribe) -> None:
        await store.write([scribe.receive("v1", "w1", 3)])
        names = (WarehouseRecord(ORGANIZATION, "w1", "First"), WarehouseRecord(ORGANIZATION, "w2", "Second"))
        await store.write([replace(scribe.counted([("v1", "w1", 9), ("v2", "w2", 5)]), warehouses=names)])
        assert [(row.variant_id, row.total, row.min_stock, row.max_stock) for row in await stock(store)] == [
            ("v1", 9, 1, 18),
            ("v2", 5, 1, 10),
        ]
        assert await store.load_warehouses() == list(names)

    async def test_a_warehouse_is_written_as_it_is_and_rewritten(self, store: Store, scribe: Scribe) -> None:
        made = WarehouseRecord(ORGANIZATION, "w", "Main", "W-1", 7, is_active=False)
        await store.write([replace(scribe.remember("r1"), kind="warehouse", warehouses=(made,))])
        assert await store.load_warehouses() == [made]
        changed = replace(made, name="Mine", code="", priority=0, is_active=True)
        await store.write([replace(scribe.remember("r2"), kind="warehouse", warehouses=(changed,))])
        assert await store.load_warehouses() == [changed]

    async def test_a_reservation_is_found_by_order_by_id_and_by_expiry(self, store: Store, scribe: Scribe) -> None:
        transaction = scribe.reserve_after_receiving()
        await store.write(transaction)
        reservation = scribe.only_reservation()
        order = OrderKey(ORGANIZATION, "order")
        assert await store.load_orders([order]) == [reservation]
        assert await store.find_reservation(ORGANIZATION, reservation.reservation_id) == order
        assert await store.due(reservation.expires_at_ms, 10) == [Due(order, reservation.expires_at_ms)]
        assert await store.next_expiry_ms() == reservation.expires_at_ms
        assert await store.active_reservations(10) == [reservation]
        assert await newest(store) == [reservation]

    @pytest.mark.parametrize("batched", [True, False])
    @pytest.mark.parametrize("steps", ["confirm", "release", "expire", "confirm fulfill", "confirm release"])
    async def test_every_transition_is_kept(self, store: Store, scribe: Scribe, steps: str, batched: bool) -> None:
        history = scribe.reserve_after_receiving()
        for step in steps.split():
            history.append(getattr(scribe, step)(scribe.only_reservation()))
        for batch in [history] if batched else [[transaction] for transaction in history]:
            await store.write(batch)
        assert await store.load_orders([OrderKey(ORGANIZATION, "order")]) == [scribe.only_reservation()]
        assert await newest(store) == [scribe.only_reservation()]
        assert await store.load_variants([VariantKey(ORGANIZATION, "v")]) == list(scribe.rows.values())
        assert await store.next_expiry_ms() is None
        assert await store.active_reservations(10) == []

    @pytest.mark.parametrize("batched", [True, False])
    @pytest.mark.parametrize(
        "steps",
        [
            "extend",
            "extend confirm",
            "confirm ship_one",
            "confirm ship_one ship_one release",
            "confirm ship_one fulfill",
        ],
    )
    async def test_times_and_shipments_are_kept(self, store: Store, scribe: Scribe, steps: str, batched: bool) -> None:
        basket = [("v", "w", 3), ("v2", "w2", 2)]
        history = [scribe.receive(), scribe.receive("v2", "w2"), scribe.reserve(basket=basket)]
        history += [getattr(scribe, step)(scribe.only_reservation()) for step in steps.split()]
        for batch in [history] if batched else [[transaction] for transaction in history]:
            await store.write(batch)
        wanted = scribe.only_reservation()
        assert await store.load_orders([OrderKey(ORGANIZATION, "order")]) == [wanted]
        assert await store.load_reservation(ORGANIZATION, wanted.reservation_id) == wanted
        assert await newest(store) == [wanted]
        active = wanted.state == "active"
        assert await store.next_expiry_ms() == (wanted.expires_at_ms if active else None)
        order = OrderKey(ORGANIZATION, "order")
        assert await store.due(wanted.expires_at_ms - 1, 10) == []
        assert await store.due(wanted.expires_at_ms, 10) == ([Due(order, wanted.expires_at_ms)] if active else [])

    @pytest.mark.parametrize("batched", [True, False])
    async def test_what_is_taken_again_is_the_latest_of_its_order(
        self, store: Store, scribe: Scribe, batched: bool
    ) -> None:
        first = scribe.reserve_after_receiving()
        history = [*first, scribe.expire(first[1].reservation), scribe.reserve(), scribe.remember("between")]
        second = history[-2].reservation
        assert second is not None
        history.append(scribe.expire(second))
        again = scribe.reacquire(scribe.reservations[ORGANIZATION, "reservation-000002"])
        for batch in [[*history, again]] if batched else [*([one] for one in history), [again]]:
            await store.write(batch)
        ids = [one.reservation_id for one in await store.load_orders([OrderKey(ORGANIZATION, "order")])]
        assert ids == [second.reservation_id, "reservation-000002"]
        assert await store.active_reservations(10) == [again.reservation]
        assert again.reservation is not None
        await store.write([scribe.release(again.reservation)])
        assert (await store.move_out(scribe.at_ms + 1, 500)).reservations == 2

    async def test_an_answer_is_remembered_and_changes_nothing_else(self, store: Store, scribe: Scribe) -> None:
        await store.write([scribe.receive()])
        before = await contents(store)
        answer = scribe.remember("late duplicate")
        await store.write([answer])
        assert answer.request is not None
        assert await store.load_request(answer.request.key) == answer.request
        after = await contents(store)
        assert after.pop("requests") == [answer.request, *before.pop("requests")]
        assert after == before

    async def test_the_empty_scope_is_a_scope(self, store: Store, scribe: Scribe) -> None:
        request = scribe.request("import", organization="")
        await store.write([replace(scribe.counted([("v", "w", 1)]), request=request)])
        assert await store.load_request(RequestKey("", "import")) == request
        assert await store.load_request(RequestKey(ORGANIZATION, "import")) is None
        assert await store.requests_after(None, 10) == [RequestKey("", "import")]

    async def test_a_row_may_hold_as_much_as_an_int32(self, store: Store, scribe: Scribe) -> None:
        await store.write([scribe.receive(quantity=2**31 - 1)])
        assert (await stock(store))[0].total == 2**31 - 1

    # ---- all or nothing

    @pytest.mark.parametrize(
        "spoil",
        [
            pytest.param(lambda t: replace(t, lsn=t.lsn + 1), id="a gap before it"),
            pytest.param(lambda t: replace(t, lsn=t.lsn - 1), id="an LSN that was given"),
            pytest.param(lambda t: stale(t), id="a row as it was before"),
            pytest.param(lambda t: negative(t), id="a negative quantity"),
            pytest.param(lambda t: replace(t, reservation=ghost(t)), id="a reservation of the same id"),
            pytest.param(lambda t: replace(t, kind="confirm", reservation=unknown(t)), id="an unknown reservation"),
            pytest.param(lambda t: replace(t, request=taken()), id="a request of the same key"),
        ],
    )
    async def test_a_batch_with_one_bad_transaction_leaves_no_trace(
        self, make: Make, scribe: Scribe, spoil: Callable[[Transaction], Transaction]
    ) -> None:
        store = make()
        await store.open()
        await store.write([*scribe.reserve_after_receiving(), scribe.remember("taken")])
        before = await contents(store)
        good = [scribe.receive("other"), scribe.reserve("second"), scribe.remember("another")]
        with pytest.raises(REFUSED):
            await store.write([good[0], spoil(good[1]), good[2]])
        assert await contents(store) == before
        assert (await store.open()).last_lsn == 3
        await store.write(good)
        assert len(await newest(store)) == 2
        await store.close()

    @pytest.mark.parametrize("shift", [-1, 1])
    async def test_a_batch_that_does_not_follow_the_last_is_refused(
        self, make: Make, scribe: Scribe, shift: int
    ) -> None:
        store = make()
        await store.open()
        await store.write([scribe.receive(), scribe.receive()])
        scribe.lsn += shift
        with pytest.raises(REFUSED):
            await store.write([scribe.receive("other")])
        assert await rows(store) == [StockKey(ORGANIZATION, "v", "w")]
        assert (await store.open()).last_lsn == 2
        await store.close()


async def steps_of(store: Store, before_ms: int, rows_max: int) -> list[MovedOut]:
    """Housekeeping, step by step, until nothing is left."""
    steps = []
    while (moved := await store.move_out(before_ms, rows_max)).rows:
        steps.append(moved)
    return steps


async def stock(store: Store, organization_id: str = ORGANIZATION) -> Any:
    return await store.list_stock(ListStock(organization_id, limit=500))


def stale(transaction: Transaction) -> Transaction:
    (change,) = transaction.changes
    before, after = change.before, change.after
    step = replace(change, before=replace(before, version=1), after=replace(after, version=2))
    return replace(transaction, changes=(step,))


def negative(transaction: Transaction) -> Transaction:
    (change,) = transaction.changes
    return replace(transaction, changes=(replace(change, after=replace(change.after, available=-1)),))


def ghost(transaction: Transaction) -> ReservationRecord:
    assert transaction.reservation is not None
    return replace(transaction.reservation, reservation_id="reservation-000002")


def unknown(transaction: Transaction) -> ReservationRecord:
    assert transaction.reservation is not None
    return replace(transaction.reservation, reservation_id="nobody", state="confirmed", confirmed_at_ms=START_MS)


def taken() -> RequestRecord:
    return RequestRecord(ORGANIZATION, "taken", "", b"1")
