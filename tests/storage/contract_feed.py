"""The part of the Store's contract that is about the feed and its cursors."""

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from actors.changes import Point
from actors.feed_entries import FeedEntry
from actors.history_feed import CursorRecord
from actors.records import WarehouseRecord
from storage.feed_told import entries_of
from storage.sql.sql_store import SqlStore
from storage.store import OwnershipLost, Store
from tests.storage.contract import Make, StoreContract
from tests.storage.scribe import ORGANIZATION, START_MS, Scribe


async def whole_feed(store: Store, rows_max: int = 1_000, point: Point = Point(0)) -> list[FeedEntry]:  # noqa: B008
    """All entries, page by page, as a relay reads them."""
    found = list[FeedEntry]()
    while True:
        feed, _ = await store.read_feed(point, rows_max)
        found += feed.entries()
        if feed.upto is None:
            return found
        assert feed.upto > point
        point = feed.upto


@pytest.mark.anyio
class FeedContract(StoreContract):
    async def test_the_feed_has_what_happened_in_all_organizations_in_order(self, store: Store, scribe: Scribe) -> None:
        history = [one for one in scribe.random_history(seed=5, length=300) if one.kind != "delete"]
        history = [replace(one, lsn=place) for place, one in enumerate(history, 1)]
        for begin in range(0, len(history), 50):
            await store.write(history[begin : begin + 50])
        expected = [entry for one in history for entry in entries_of(one)]
        assert {entry.organization_id for entry in expected} == {"org_1", "org_2"}
        for rows_max in (4, 1_000):
            found = await whole_feed(store, rows_max)
            assert [row_ids_left_out(one) for one in found] == [row_ids_left_out(one) for one in expected]
        half = len(history) // 2
        behind = [entry for entry in expected if entry.change.lsn > half]
        assert len(await whole_feed(store, point=Point(half))) == len(behind)

    async def test_an_import_of_several_organizations_is_told_in_parts(self, store: Store, scribe: Scribe) -> None:
        one = scribe.counted([(f"v{number}", "w", 1) for number in range(7)])
        other = scribe.counted([(f"v{number}", "w", 1) for number in range(7)], organization="org_2")
        mixed = tuple(change for pair in zip(one.changes, other.changes, strict=True) for change in pair)
        warehouses = tuple(WarehouseRecord(name, "w", "W") for name in (ORGANIZATION, "org_2"))
        scribe.lsn = 1
        await store.write([replace(one, changes=mixed, warehouses=warehouses), scribe.receive("after")])
        found = await whole_feed(store, rows_max=4)
        positions = [[row.position for row in entry.change.rows] for entry in found]
        assert positions[:4] == [[0, 2], [1, 3], [4, 6], [5, 7]]
        assert sorted(row for rows in positions[:-1] for row in rows) == list(range(14))
        assert [entry.is_first for entry in found if entry.change.lsn == 1] == [True, True] + [False] * 6
        assert found[-1].change.kind == "receive"

    async def test_rows_are_told_with_their_ids_and_a_row_that_is_gone_with_the_one_it_had(
        self, store: Store, scribe: Scribe
    ) -> None:
        empty = scribe.counted([("v", "w", 0)])
        gone = scribe.delete()
        again = scribe.receive()
        await store.write([empty])
        await store.write([gone, again])
        deletion, receipt = [entry.change.rows[0].stock_id for entry in (await whole_feed(store))[1:]]
        assert (deletion, receipt) == (gone.changes[0].before.stock_id, again.changes[0].after.stock_id)

    async def test_what_is_told_of_nothing_ends_no_page(self, store: Store, scribe: Scribe) -> None:
        """Answers that are only remembered stand in the journal, and the feed does not tell of them."""
        silent = [scribe.remember(f"r{number}") for number in range(230)]
        await store.write([*silent, scribe.receive("after", "w", 1)])
        for rows_max in (1, 1_000):
            assert [entry.change.lsn for entry in await whole_feed(store, rows_max)] == [231]

    async def test_texts_of_every_kind_come_as_they_were(self, store: Store, scribe: Scribe) -> None:
        text = """ "quoted" \\ 'x' {} [] , é 漢 \u2028 <&> """
        await store.write([replace(scribe.receive('a,"b', "w'1", 1), reference=text, reason=text)])
        [entry] = await whole_feed(store)
        change = entry.change
        assert (change.reference, change.reason, change.rows[0].variant_id) == (text, text, 'a,"b')

    async def test_a_page_is_bounded_by_its_length_too(self, store: Store, scribe: Scribe) -> None:
        """A transaction may have much to tell beside its rows; one alone is told however long it is."""
        sizes = [20, 3_000, 3_000, 20, 12_000, 20]
        history = [
            scribe._transaction(
                "warehouse", warehouses=tuple(WarehouseRecord(ORGANIZATION, f"w{n}", "n" * 128) for n in range(size))
            )
            for size in sizes
        ]
        for one in history:
            await store.write([one])
        assert [len(entry.change.warehouses) for entry in await whole_feed(store)] == sizes
        if isinstance(store, SqlStore):
            pages, point = list[int](), Point(0)
            while (page := (await store.read_feed(point, 1_000))[0]).upto is not None:
                pages.append(len(page.entries()))
                point = page.upto
            assert pages == [2, 2, 1, 1]

    async def test_what_a_warehouse_was_before_is_told(self, store: Store, scribe: Scribe) -> None:
        before = WarehouseRecord(ORGANIZATION, "w", "W")
        after = replace(before, is_active=False)
        closed = replace(scribe.remember("close"), kind="warehouse", warehouses=(after,), warehouses_before=(before,))
        await store.write([closed])
        [entry] = await whole_feed(store)
        assert (entry.change.warehouses, entry.warehouses_before) == ((after,), (before,))

    async def test_a_time_has_the_first_transaction_from_then_on(self, store: Store, scribe: Scribe) -> None:
        assert await store.lsn_at(START_MS) == 1
        history = scribe.random_history(seed=6, length=20)
        await store.write(history)
        for at_ms in (0, START_MS, history[7].at_ms, history[7].at_ms + 1, history[-1].at_ms + 1):
            first = next((one.lsn for one in history if one.at_ms >= at_ms), 21)
            assert await store.lsn_at(at_ms) == first

    async def test_a_cursor_stands_where_it_was_put_after_a_restart_too(self, make: Make) -> None:
        store = make()
        await store.open()
        first = CursorRecord("b", 1, Point(3, 5), is_released=False)
        moved = replace(first, fence=2, point=Point(4), published=7, unroutable=1, moved_at_ms=START_MS)
        for one in (first, replace(first, name="a"), replace(first, name="c"), moved):
            await store.write_cursor(one)
        await store.drop_cursor("c")
        await store.drop_cursor("d")
        await store.close()
        store = make()
        await store.open()
        assert list(await store.load_cursors()) == [replace(first, name="a"), moved]
        await store.close()

    async def test_a_server_that_lost_ownership_moves_no_cursor(self, store: Store, usurp: Callable[[], None]) -> None:
        await store.write_cursor(CursorRecord("a", 1, Point(0)))
        usurp()
        with pytest.raises(OwnershipLost):
            await store.write_cursor(CursorRecord("a", 2, Point(1)))
        with pytest.raises(OwnershipLost):
            await store.drop_cursor("a")
        assert [one.fence for one in await store.load_cursors()] == [1]


def row_ids_left_out(entry: FeedEntry) -> FeedEntry:
    """A row that was made anew in the history has its last id in the tables."""
    rows = tuple(replace(row, stock_id="") for row in entry.change.rows)
    return replace(entry, change=replace(entry.change, rows=rows))
