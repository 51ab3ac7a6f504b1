"""The part of the Store's contract that is about reading: what is due, lists, odd ids, and everything at once."""

from collections import Counter
from typing import Any

import pytest
from msgspec.structs import replace

from actors.queries import CountRows, FindStock, ListReservations
from actors.records import OrderKey, RequestKey, RequestRecord, StockKey, VariantKey
from actors.row_counts import Counted
from storage.memory_store import Disk, MemoryStore
from storage.store import Store
from tests.storage.contract import UNUSUAL_IDS, Make, StoreContract, contents, newest, rows, steps_of, stock
from tests.storage.scribe import MINUTE_MS, ORGANIZATION, START_MS, Scribe


@pytest.mark.anyio
class ReadingContract(StoreContract):
    # ---- expiry

    async def test_what_is_due_comes_soonest_first_and_no_more_than_asked(self, store: Store, scribe: Scribe) -> None:
        history = [scribe.receive()]
        for order, minutes in (("c", 3), ("a", 1), ("b", 2), ("d", 1)):
            history.append(scribe.reserve(order, reservation_id=f"r-{order}", ttl_ms=minutes * MINUTE_MS))
        await store.write(history)
        second = START_MS + 2 * MINUTE_MS
        assert [due.order.order_id for due in await store.due(second, 10)] == ["a", "d", "b"]
        assert [due.order.order_id for due in await store.due(second - 1, 10)] == ["a", "d"]
        assert [due.order.order_id for due in await store.due(second, 1)] == ["a"]
        assert await store.due(START_MS, 10) == []
        assert len(await store.due(2**62, 10)) == 4
        assert [r.order_id for r in await store.active_reservations(3)] == ["a", "d", "b"]

    async def test_the_next_expiry_moves_on_as_reservations_end(self, store: Store, scribe: Scribe) -> None:
        first = scribe.reserve_after_receiving(ttl_ms=MINUTE_MS)
        second = scribe.reserve("second", ttl_ms=2 * MINUTE_MS)
        await store.write([*first, second])
        assert await store.next_expiry_ms() == START_MS + MINUTE_MS
        await store.write([scribe.expire(first[1].reservation)])
        assert await store.next_expiry_ms() == START_MS + 2 * MINUTE_MS
        await store.write([scribe.confirm(second.reservation)])
        assert await store.next_expiry_ms() is None

    # ---- lists

    async def test_rows_are_found_by_their_figures_and_a_page_looks_at_a_bounded_number(
        self, store: Store, scribe: Scribe
    ) -> None:
        keys = [StockKey(ORGANIZATION, f"v{v}", f"w{w}") for v in range(4) for w in range(2)]
        await store.write([scribe.counted([(key.variant_id, key.warehouse_id, 1 + n) for n, key in enumerate(keys)])])

        async def found(**query: Any) -> tuple[list[StockKey], StockKey | None]:
            page = await store.find_stock(FindStock(ORGANIZATION, **query))
            return [record.key for record in page.records], page.next_key

        # A scribe's rows have a minimum of 1, and the first has as many.
        assert await found(status="low_stock") == (keys[:1], None)
        assert await found(alert_level="critical", looks_max=8) == (keys[:1], keys[7])
        assert await found(status="out_of_stock") == await found(alert_level="warning") == ([], None)
        assert await found(status="in_stock") == (keys[1:], None)
        assert await found(status="in_stock", limit=3) == (keys[1:4], keys[3])
        assert await found(status="low_stock", limit=1) == (keys[:1], None)
        assert await found(status="low_stock", limit=1, looks_max=8) == (keys[:1], keys[0])
        assert await found(status="in_stock", limit=3, looks_max=2) == (keys[1:2], keys[1])
        assert await found(status="in_stock", limit=7, looks_max=8) == (keys[1:], keys[7])
        assert await found(status="in_stock", after=keys[5]) == (keys[6:], None)
        assert await found(status="in_stock", warehouse_id="w1", variant_prefix="v") == (keys[1::2], None)
        assert await found(status="in_stock", variant_prefix="v2") == (keys[4:6], None)
        assert await found(status="in_stock", variant_id="v3", after=keys[6]) == (keys[7:], None)

    async def test_a_prefix_is_what_ids_begin_with_character_by_character(self, store: Store, scribe: Scribe) -> None:
        ids = sorted(["a", "ab", "a%c", "a_d", "a\U0010ffff", "a\U0010ffffz", "a\ud7ff", "a\ue000", "b", "A", "á"])
        await store.write([scribe.counted([(name, "w", 5) for name in ids])])
        for prefix in ("a", "a%", "a_", "a\U0010ffff", "a\ud7ff", "\U0010ffff", "ab", "b"):
            expected = [name for name in ids if name.startswith(prefix)]
            assert [key.variant_id for key in await rows(store, variant_prefix=prefix)] == expected

    async def test_stock_is_listed_in_key_order_page_by_page(self, store: Store, scribe: Scribe) -> None:
        keys = [StockKey(ORGANIZATION, f"v{v}", f"w{w}") for v in range(4) for w in range(3)]
        await store.write([scribe.counted([(key.variant_id, key.warehouse_id, 1) for key in reversed(keys)])])
        assert await rows(store) == keys
        pages, after = [], None
        while page := await rows(store, after=after, limit=5):
            pages.append(len(page))
            after = page[-1]
        assert pages == [5, 5, 2]
        assert await rows(store, variant_id="v2") == keys[6:9]
        assert await rows(store, variant_id="v2", after=keys[6]) == keys[7:9]
        assert await rows(store, warehouse_id="w1") == keys[1::3]
        assert await rows(store, warehouse_id="w1", after=keys[4], limit=1) == [keys[7]]
        assert await rows(store, variant_id="v2", warehouse_id="w1") == [keys[7]]
        assert await rows(store, variant_id="v2", warehouse_id="w1", after=keys[7]) == []
        assert await rows(store, variant_id="v9") == []

    async def test_reservations_are_listed_newest_first_page_by_page(self, store: Store, scribe: Scribe) -> None:
        history = [scribe.receive()]
        history += [scribe.reserve(f"order{n % 2}", reservation_id=f"r{n}") for n in range(6)]
        history += [scribe.confirm(history[n].reservation) for n in (1, 4)]
        await store.write(history)

        async def ids(**filters: Any) -> str:
            return " ".join(r.reservation_id for r in await newest(store, **filters))

        assert await ids() == "r5 r4 r3 r2 r1 r0"
        assert await ids(limit=2) == "r5 r4"
        assert await ids(limit=2, before="r4") == "r3 r2"
        assert await ids(before="r0") == ""
        assert await ids(state="confirmed") == "r3 r0"
        assert await ids(state="active", before="r4", limit=1) == "r2"
        assert await ids(order_id="order1") == "r5 r3 r1"
        assert await ids(order_id="order1", state="confirmed", before="r5") == "r3"
        assert await ids(state="expired") == ""

    async def test_a_page_of_reservations_ends_with_its_lines_but_has_one_in_any_case(
        self, store: Store, scribe: Scribe
    ) -> None:
        variants = [f"v{n}" for n in range(4)]
        history = [scribe.receive(variant) for variant in variants]
        for number, lines in enumerate((1, 3, 2, 4)):
            basket = tuple((variant, "w", 1) for variant in variants[:lines])
            history.append(scribe.reserve(f"order{number}", basket, reservation_id=f"r{number}"))
        await store.write(history)

        async def page(**asked: Any) -> tuple[str, str]:
            found = await store.list_reservations(ListReservations(ORGANIZATION, **asked))
            assert all(len(one.items) == (1, 3, 2, 4)[int(one.reservation_id[1])] for one in found.reservations)
            return " ".join(one.reservation_id for one in found.reservations), found.next_before

        assert await page(lines_max=1) == ("r3", "r3")
        assert await page(lines_max=5) == ("r3", "r3")
        assert await page(lines_max=6) == ("r3 r2", "r2")
        assert await page(lines_max=6, before="r2") == ("r1 r0", "")
        assert await page(lines_max=9, limit=2) == ("r3 r2", "r2")
        assert await page(lines_max=10) == ("r3 r2 r1 r0", "")
        assert await page(lines_max=10, limit=4) == ("r3 r2 r1 r0", "")

    async def test_orders_and_requests_are_paged_each_once_in_key_order(self, store: Store, scribe: Scribe) -> None:
        history = [scribe.receive(organization=organization) for organization in ("b", "a")]
        for organization in ("b", "a"):
            for order in ("2", "10", "1"):
                made = scribe.reserve(order, organization=organization)
                history += [made, scribe.release(made.reservation), scribe.reserve(order, organization=organization)]
        await store.write(history)
        orders = [OrderKey(organization, order) for organization in "ab" for order in ("1", "10", "2")]
        assert await store.orders_after(None, 100) == orders
        assert await store.orders_after(None, 2) == orders[:2]
        assert await store.orders_after(orders[1], 3) == orders[2:5]
        assert await store.orders_after(orders[-1], 3) == []
        assert await store.orders_after(OrderKey("a", "zzz"), 1) == [orders[3]]
        requests = [RequestKey("a", "receive-2"), RequestKey("b", "receive-1")]
        assert await store.requests_after(None, 100) == requests
        assert await store.requests_after(None, 1) == requests[:1]
        assert await store.requests_after(requests[0], 100) == requests[1:]

    async def test_an_orders_reservations_come_oldest_first_whatever_their_ids(
        self, store: Store, scribe: Scribe
    ) -> None:
        history = [scribe.receive()]
        for reservation_id in ("z", "m", "a"):  # all in the same millisecond but for the release
            made = scribe.reserve(reservation_id=reservation_id)
            history += [made, scribe.release(made.reservation)]
        scribe.at_ms = START_MS
        history += [replace(scribe.reserve(reservation_id="b"), at_ms=scribe.at_ms)]
        await store.write(history)
        found = await store.load_orders([OrderKey(ORGANIZATION, "order")])
        assert [r.reservation_id for r in found] == ["z", "m", "a", "b"]

    async def test_long_histories_load_whole_among_short_ones(self, store: Store, scribe: Scribe) -> None:
        basket = [(f"v{n:03}", "w", 1) for n in range(700)]
        await store.write([scribe.counted([(variant, "w", 1_000) for variant, *_ in basket])])
        for number in range(5):
            await store.write([scribe.reserve("long", basket, reservation_id=f"r{9 - number}")])
        await store.write([scribe.reserve(name, basket[:2]) for name in ("a", "z")])
        long, *short = [OrderKey(ORGANIZATION, name) for name in ("long", "a", "z")]
        found = await store.load_orders([long, *short])
        assert [(one.order, one.reservation_id) for one in found if one.order == long] == [
            (long, f"r{9 - number}") for number in range(5)
        ]
        assert sorted(found, key=lambda one: one.reservation_id) == sorted(
            scribe.reservations.values(), key=lambda one: one.reservation_id
        )
        assert [one.order for one in found] == [short[0], *[long] * 5, short[1]]

    async def test_five_hundred_keys_load_in_one_call(self, store: Store, scribe: Scribe) -> None:
        await store.write([scribe.counted([(f"v{n:03}", "w", 1 + n) for n in range(600)])])
        await store.write([scribe.reserve(f"order{n:03}", [(f"v{n:03}", "w", 1)]) for n in range(600)])
        variants = [VariantKey(ORGANIZATION, f"v{n:03}") for n in range(100, 600)]
        assert [row.key.variant for row in await store.load_variants(variants[::-1])] == variants
        assert len(await store.load_variants([variants[0], variants[0], VariantKey("x", "y")])) == 1
        orders = [OrderKey(ORGANIZATION, f"order{n:03}") for n in range(100, 600)]
        assert [reservation.order for reservation in await store.load_orders(orders[::-1])] == orders

    async def test_organizations_never_meet(self, store: Store, scribe: Scribe) -> None:
        history = []
        for organization in ("a", "b"):
            history += [
                scribe.receive(organization=organization),
                replace(
                    scribe.reserve(organization=organization, reservation_id="r"),
                    request=scribe.request("q", organization=organization),
                ),
            ]
        await store.write(history)
        await store.write([scribe.release(scribe.reservations["b", "r"])])
        for organization, state in (("a", "active"), ("b", "released")):
            (reservation,) = await newest(store, organization)
            assert (reservation.organization_id, reservation.state) == (organization, state)
            assert await store.load_orders([OrderKey(organization, "order")]) == [reservation]
            assert await store.find_reservation(organization, "r") == OrderKey(organization, "order")
            assert {row.organization_id for row in await stock(store, organization)} == {organization}
            request = await store.load_request(RequestKey(organization, "q"))
            assert request is not None
            assert request.scope == organization
        assert await store.find_reservation("c", "r") is None
        assert await store.load_orders([OrderKey("c", "order")]) == []

    @pytest.mark.parametrize("unusual", UNUSUAL_IDS)
    async def test_ids_are_taken_as_they_are(self, store: Store, scribe: Scribe, unusual: str) -> None:
        received = scribe.receive(unusual, unusual, organization=unusual)
        reserved = scribe.reserve(
            unusual,
            [(unusual, unusual, 1)],
            reservation_id=unusual,
            request=RequestRecord(unusual, unusual, unusual, b'"x"'),
            organization=unusual,
        )
        await store.write([received, reserved, scribe.release(reserved.reservation, reason=unusual)])
        assert await rows(store, unusual) == [StockKey(unusual, unusual, unusual)]
        assert [row.key.variant for row in await store.load_variants([VariantKey(unusual, unusual)])] == [
            VariantKey(unusual, unusual)
        ]
        released = scribe.reservations[unusual, unusual]
        assert await store.load_orders([OrderKey(unusual, unusual)]) == [released]
        assert await newest(store, unusual, order_id=unusual) == [released]
        assert await store.find_reservation(unusual, unusual) == OrderKey(unusual, unusual)
        assert await store.load_request(RequestKey(unusual, unusual)) == reserved.request
        assert await store.orders_after(None, 9) == [OrderKey(unusual, unusual)]

    # ---- everything at once

    @pytest.mark.parametrize("seed", range(5))
    async def test_a_random_history_reads_as_it_does_from_the_simulated_disk(self, make: Make, seed: int) -> None:
        history = Scribe().random_history(seed, 250)
        model, store = MemoryStore(Disk()), make()
        await model.open()
        await store.open()
        begin, size = 0, 1
        while batch := history[begin : begin + size]:
            await store.write(batch)
            await model.write(batch)
            begin, size = begin + size, size % 40 + 7
            if begin % 4 == 0:
                limit_ms = batch[-1].at_ms - 3 * MINUTE_MS
                moved, wanted = [
                    [(m.requests, m.reservations, m.items) for m in await steps_of(tidied, limit_ms, 20)]
                    for tidied in (store, model)
                ]
                assert moved[: len(wanted)] == wanted
                assert set(moved[len(wanted) :]) <= {(0, 0, 0)}  # only the ledger's, which the model keeps
            if begin % 3 == 0:
                assert await contents(store) == await contents(model)
        await store.close()
        again = make()
        await again.open()
        assert await contents(again) == await contents(model)
        await again.close()

    # ---- counts

    async def test_what_is_too_much_to_be_counted_at_once_is_counted_in_parts(
        self, store: Store, scribe: Scribe
    ) -> None:
        rows = [("a", "w0", 1), ("a", "w1", 9), ("b", "w0", 1), ("c", "w0", 2)]  # a scribe's rows have a minimum of 1
        await store.write([scribe.counted(rows)])
        reserved = [scribe.reserve(f"o{n}", (("a", "w1", 1),)) for n in range(3)]
        await store.write(reserved)
        await store.write([scribe.confirm(reserved[0].reservation), scribe.expire(reserved[1].reservation)])

        async def counted(what: Counted, rows_max: int) -> tuple[dict[tuple[str, str], int], int]:
            totals: Counter[tuple[str, str]] = Counter()
            parts, after = 0, None
            while parts == 0 or after is not None:
                part = await store.count_rows(CountRows("", what, after, rows_max))
                for one in part.counts:
                    totals[one.organization_id, one.name] += one.count
                parts, after = parts + 1, part.next_key
            return dict(totals), parts

        states = {(ORGANIZATION, state): 1 for state in ("active", "confirmed", "expired")}
        for rows_max, parts in ((1, 4), (2, 2), (3, 2), (4, 1)):
            assert await counted("reservations", rows_max) == (states, parts), rows_max
        for rows_max, parts in ((1, 5), (3, 2), (10, 1)):
            assert await counted("low_stock", rows_max) == ({(ORGANIZATION, "critical"): 2}, parts), rows_max
