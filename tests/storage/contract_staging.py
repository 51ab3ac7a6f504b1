"""The part of the Store's contract that is about large imports: lines are staged, then decided, then folded."""

from collections.abc import Callable

import pytest

from actors.changes import Point
from actors.commands import CountedLine
from actors.queries import ListStock
from actors.records import StockKey, Transaction, VariantKey
from actors.row_changes import Levels
from actors.staged_rows import Repeat, StagedRows
from storage.staging import StagedLine, Tally
from storage.store import OwnershipLost, Store
from tests.storage.contract import StoreContract
from tests.storage.scribe import ORGANIZATION, START_MS, Scribe

LEVELS = Levels(1, 0, 2)
OTHER = "another"


def staged(place: int, variant_id: str, total: int | None, damaged: int | None = None) -> StagedLine:
    organization_id = OTHER if variant_id.startswith("o") else ORGANIZATION
    line = CountedLine(organization_id, variant_id, "w", "", total, damaged, None, None, None, place + 1)
    return StagedLine(place, f"new-{place}", line)


def decision(scribe: Scribe, import_id: str) -> Transaction:
    it = StagedRows(import_id, (OTHER, ORGANIZATION), LEVELS.min_stock, LEVELS.max_stock, LEVELS.reorder_point)
    scribe.lsn += 1
    return Transaction(scribe.lsn, START_MS, "import", staged=it, reference=import_id)


@pytest.mark.anyio
class StagingContract(StoreContract):
    async def test_lines_are_true_from_their_decision_on_and_folded_in_any_order(
        self, store: Store, scribe: Scribe
    ) -> None:
        await store.write([scribe.counted([("b", "w", 7), ("d", "w", 4)])])
        lines = [staged(0, "b", 3), staged(1, "a", 5), staged(2, "d", 4), staged(3, "o", 9), staged(4, "c", None)]
        assert list(await store.stage("i", lines)) == []
        assert list(await store.stage("i", [staged(5, "a", 6), staged(6, "e", 2)])) == [Repeat(6, 2)]
        assert (list(await store.staged_imports()), list(await store.decided_imports())) == (["i"], [])
        assert await store.fold("i", 100) is False  # nothing is decided
        await store.fold_variants([VariantKey(ORGANIZATION, "a")])
        before = await store.list_stock(ListStock(ORGANIZATION, limit=9))
        assert [(row.variant_id, row.total) for row in before] == [("b", 7), ("d", 4)]
        await store.write([decision(scribe, "i")])
        assert (list(await store.staged_imports()), list(await store.decided_imports())) == ([], ["i"])
        assert await store.drop_staged("i", 100) is False
        await store.fold_variants([VariantKey(ORGANIZATION, "c"), VariantKey(ORGANIZATION, "z")])
        [row] = await store.load_variants([VariantKey(ORGANIZATION, "c")])
        assert (row.stock_id, row.total, row.min_stock, row.reorder_point, row.version) == ("new-4", 0, 1, 2, 1)
        while await store.fold("i", 2):
            assert list(await store.decided_imports()) == ["i"]
        rows = await store.list_stock(ListStock(ORGANIZATION, limit=9))
        assert [(row.variant_id, row.total, row.version) for row in rows] == [
            ("a", 5, 1),
            ("b", 3, 2),
            ("c", 0, 1),
            ("d", 4, 1),
            ("e", 2, 1),
        ]
        changes, _ = await store.read_changes(ORGANIZATION, Point(1), 100)
        [told] = changes.changes
        assert [(one.position, one.variant_id, one.low) for one in told.rows] == [
            (0, "b", None),
            (1, "a", None),
            (4, "c", None),
            (6, "e", None),
        ]
        assert list(await store.decided_imports()) == []

    async def test_a_row_that_falls_to_its_minimum_is_told_as_low(self, store: Store, scribe: Scribe) -> None:
        await store.stage("i", [staged(0, "a", 5)])
        await store.stage("k", [staged(0, "x", 1), staged(1, "a", 2)])
        await store.write([decision(scribe, "i")])
        await store.fold("i", 10)
        await store.write([decision(scribe, "k")])
        await store.fold("k", 10)
        feed, _ = await store.read_feed(Point(1), 100)
        assert [(row.position, row.low) for row in feed.entries()[-1].change.rows] == [(0, None), (1, (1, 2))]

    async def test_lines_are_judged_by_the_rows_as_they_are(self, store: Store, scribe: Scribe) -> None:
        await store.write([scribe.counted([("a", "w", 5), ("b", "w", 7)])])
        await store.write([scribe.reserve("order", [("b", "w", 4)])])
        lines = [staged(0, "a", 5), staged(1, "b", 3), staged(2, "c", 1, damaged=2), staged(3, "o", 1)]
        await store.stage("i", lines)
        first = await store.judge_staged("i", None, 2, LEVELS)
        assert first.lsn == 2
        assert (first.last, first.tallies) == (
            StockKey(ORGANIZATION, "a", "w"),
            {OTHER: Tally(1), ORGANIZATION: Tally(0, 0, 1)},
        )
        rest = await store.judge_staged("i", first.last, 10, LEVELS)
        assert rest.tallies == {ORGANIZATION: Tally(1, 1)}
        assert [(bad.line.line_number, None if row is None else row.reserved) for bad, row in rest.bad] == [
            (2, 4),
            (3, None),
        ]
        assert (await store.judge_staged("i", rest.last, 10, LEVELS)).last is None

    async def test_lines_of_variants_are_read_and_withdrawn(self, store: Store, scribe: Scribe) -> None:
        lines = [staged(0, "a", 5), staged(1, "b", 3), staged(2, "c", 1)]
        await store.stage("i", lines)
        keys = [VariantKey(ORGANIZATION, "c"), VariantKey(ORGANIZATION, "a"), VariantKey(OTHER, "b")]
        assert list(await store.staged_lines("i", keys)) == [lines[0], lines[2]]
        assert list(await store.staged_lines("k", keys)) == []
        await store.withdraw("i", keys)
        assert list(await store.staged_lines("i", [VariantKey(ORGANIZATION, v) for v in "abc"])) == [lines[1]]

    async def test_undecided_lines_are_dropped_in_steps(self, store: Store, scribe: Scribe) -> None:
        await store.stage("i", [staged(place, f"v{place}", 1) for place in range(3)])
        await store.stage("k", [staged(0, "v0", 1)])
        while await store.drop_staged("i", 2):
            pass
        assert list(await store.staged_imports()) == ["k"]

    async def test_an_owner_that_was_driven_out_stages_and_folds_nothing(
        self, store: Store, scribe: Scribe, usurp: Callable[[], None]
    ) -> None:
        await store.stage("i", [staged(0, "a", 5)])
        await store.write([decision(scribe, "i")])
        usurp()
        for change in (store.stage("k", [staged(0, "a", 5)]), store.fold("i", 1), store.withdraw("i", [])):
            with pytest.raises(OwnershipLost):
                await change
