"""A large import: its lines are staged in the database, decided at once, and folded into the rows afterwards."""

from collections.abc import Sequence
from contextlib import suppress

import anyio
import anyio.lowlevel
import pytest
from msgspec.structs import replace

from actors.changes import Point
from actors.commands import CountedLine, Delete, DropStaged, Import, Line, Reserve, StageLines
from actors.outcomes import Fact, ImportRejected, Refused, RequestIdReused, StockImported
from actors.queries import ListStock, ReadChanges
from actors.records import Transaction
from actors.staged_rows import LinesStaged, Repeat
from actors.staged_upload import Upload
from actors.unavailable import Unavailable
from storage.latecomers import Latecomers, no_latecomers
from storage.memory_store import Disk, MemoryStore
from storage.staging import StagedLine
from supervisor.limits import Limits
from supervisor.supervisor import Supervisor
from supervisor.transactions import folding, journal, large_imports
from tests.core.conftest import ORGANIZATION, World, available, bring, check, reserve, rows_of

pytestmark = pytest.mark.anyio

ROWS = 12


def lines_of(total: int, rows: int = ROWS, organization: str = ORGANIZATION) -> list[CountedLine]:
    return [
        CountedLine(organization, f"v{number:02}", "w", "", total, 0, 0, 0, 0, number) for number in range(1, rows + 1)
    ]


async def staged(core: Supervisor, lines: Sequence[CountedLine], import_id: str, part: int = 5) -> Upload:
    upload = Upload(import_id)
    for first in range(0, len(lines), part):
        assert await core.ask(upload.part(lines[first : first + part])) == LinesStaged()
    return upload


async def import_staged(core: Supervisor, lines: Sequence[CountedLine], request_id: str) -> Fact:
    """As the servicer has it done."""
    upload = await staged(core, lines, f"upload of {request_id} {len(lines)}")
    try:
        return await core.ask(upload.whole(request_id))
    finally:
        with suppress(Unavailable):
            await core.ask(upload.dropped())


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_imports, "LINES_A_LOOK", 3)
    monkeypatch.setattr(folding, "LINES_A_STEP", 2)


class HeldStore(MemoryStore):
    """Folds nothing but what is about to be loaded, until it may."""

    def __init__(self, world: World) -> None:
        super().__init__(world.disk)
        self.may_fold = False
        self.folds = anyio.Event()

    async def fold(self, import_id: str, lines_max: int) -> bool:
        if self.may_fold:
            return await super().fold(import_id, lines_max)
        self.folds.set()
        await anyio.sleep(0.001)
        return True


async def test_it_says_what_an_import_says_and_leaves_nothing_behind(world: World) -> None:
    async with world.core() as core:
        fact = await import_staged(core, lines_of(5), "first")
        assert fact == StockImported(ROWS, ROWS, 0, 0, new_organizations=(ORGANIZATION,))
        await reserve(core, "order", ("v03", "w", 2))
        again = [replace(line, total=7) if line.line_number in (2, 3) else line for line in lines_of(5)]
        assert await import_staged(core, again, "second") == StockImported(ROWS, 0, 2, ROWS - 2)
        stock = await available(core)
        assert (stock["v02", "w"], stock["v03", "w"], stock["v04", "w"]) == (7, 5, 5)
        page = await core.answer(ReadChanges(ORGANIZATION, Point(2))).wait()
        assert [row.position for row in page.changes[0].rows] == [1, 2]
    assert world.disk.staged.statistics().lines == world.disk.staged.statistics().decided == 0


@pytest.mark.parametrize("ticks", range(0, 60, 5))
async def test_what_others_sell_meanwhile_is_counted_once(world: World, ticks: int) -> None:
    """Whenever a sale happens: before a part is judged, after it, or after the decision."""
    async with world.core(limits=Limits(gather_s=0)) as core:
        await import_staged(core, lines_of(5), "before")
        facts: list[Fact] = []

        async def count() -> None:
            facts.append(await import_staged(core, lines_of(6), "count"))

        async def sell_later() -> None:
            for _ in range(ticks):
                await anyio.lowlevel.checkpoint()
            await reserve(core, "order", ("v01", "w", 2), ("v12", "w", 3))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(count)
            tasks.start_soon(sell_later)
        assert facts == [StockImported(ROWS, 0, ROWS, 0)]
        stock = await available(core)
        assert (stock["v01", "w"], stock["v02", "w"], stock["v12", "w"]) == (4, 6, 3)
        rows = [world.disk.stock[key] for key in world.disk.rows]
        assert [row.total for row in rows] == [6] * ROWS


@pytest.mark.parametrize("ticks", range(0, 60, 6))
async def test_a_refusal_names_all_that_was_wrong_at_one_moment(world: World, ticks: int) -> None:
    async with world.core(limits=Limits(gather_s=0)) as core:
        await import_staged(core, lines_of(5), "before")
        refused: list[int] = []

        async def count() -> None:
            try:
                await import_staged(core, lines_of(1), "count")
            except Refused as rejected:
                assert isinstance(rejected.refusal, ImportRejected)
                refused.extend(error.line_number for error in rejected.refusal.errors)

        async def sell_later() -> None:
            for _ in range(ticks):
                await anyio.lowlevel.checkpoint()
            with suppress(Refused):  # the count was first
                await reserve(core, "order", ("v01", "w", 2), ("v12", "w", 2))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(count)
            tasks.start_soon(sell_later)
        assert refused in ([], [1, 12])
        assert {row.total for row in world.disk.stock.values()} == ({5} if refused else {1})


async def test_very_many_bad_lines_are_counted_and_the_first_are_named(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(large_imports, "BAD_ROWS_HELD_MAX", 2)
    monkeypatch.setattr(large_imports, "LINE_ERRORS_MAX", 3)
    async with world.core() as core:
        await bring(core, {(f"v{number:02}", "w"): 5 for number in range(1, 6)})
        await reserve(core, "order", *[(f"v{number:02}", "w", 2) for number in range(1, 6)])
        with pytest.raises(Refused) as refused:
            await import_staged(core, lines_of(1), "count")
        refusal = refused.value.refusal
        assert isinstance(refusal, ImportRejected)
        assert ([error.line_number for error in refusal.errors], refusal.errors_total) == ([1, 2, 3], 5)
        assert "does not cover the 2 that are reserved" in refusal.errors[0].reason
        assert len(world.disk.stock) == 5


async def test_all_of_it_is_seen_as_soon_as_any_of_it_and_lists_wait_for_that(world: World) -> None:
    store = HeldStore(world)
    async with world.core(store) as core:
        await bring(core, {("v01", "w"): 3, ("z", "w"): 4})
        upload = await staged(core, lines_of(9), "large")
        answer = core.submit(upload.whole("large"))
        await store.folds.wait()
        listed = core.answer(ListStock(ORGANIZATION, limit=100))
        watched = core.answer(ReadChanges(ORGANIZATION, Point(1)))
        assert [one.fits for one in (await check(core, Line("v01", "w", 9), Line("v12", "w", 9))).lines] == [True, True]
        assert [view.record.total for view in await rows_of(core, "v07")] == [9]
        await reserve(core, "order", ("v05", "w", 4))
        assert not listed.is_done
        assert not watched.is_done
        assert not answer.is_done
        store.may_fold = True
        with anyio.fail_after(30):
            assert await answer.wait() == StockImported(ROWS, ROWS - 1, 1, 0)
            stock = {view.record.variant_id: view.record.available for view in (await listed.wait()).stock}
            assert (stock["v05"], stock["v01"], stock["z"]) == (5, 9, 4)
            kinds = [change.kind for change in (await watched.wait()).changes]
        assert kinds == ["import", "reserve"]


async def test_a_crash_after_the_decision_loses_nothing(world: World) -> None:
    store = HeldStore(world)
    with anyio.CancelScope() as process:
        async with world.core(store) as core:
            upload = await staged(core, lines_of(9), "large")
            core.submit(upload.whole("large"))
            await store.folds.wait()
            await check(core, Line("v12", "w", 1))  # one row is folded, the others are not
            process.cancel()
            await anyio.sleep(1)
    assert len(world.disk.stock) == 1
    world.disk.release()
    async with world.core() as core:
        assert await available(core) == {(f"v{number:02}", "w"): 9 for number in range(1, ROWS + 1)}
        fact = await import_staged(core, lines_of(9), "large")
        assert fact == StockImported(ROWS, ROWS, 0, 0, new_organizations=(ORGANIZATION,))
        with pytest.raises(Refused) as refused:
            await import_staged(core, lines_of(8), "large")
        assert refused.value.refusal == RequestIdReused("large")
    assert world.disk.staged.statistics().lines == 0


async def test_what_was_not_decided_before_a_restart_is_forgotten_and_never_decided(world: World) -> None:
    async with world.core() as core:
        upload = await staged(core, lines_of(9), "large")
        core._core.uploads._open.clear()  # type: ignore[union-attr]  # it would be left over
    assert world.disk.staged.statistics().lines == ROWS
    async with world.core() as core:
        with pytest.raises(Unavailable):
            await core.ask(upload.whole("large"))
        with pytest.raises(Unavailable):
            await core.ask(upload.part(lines_of(9, 1)))
        with anyio.fail_after(30):
            while world.disk.staged.lines:  # noqa: ASYNC110 - the core does not tell
                await anyio.sleep(0.001)
        assert await available(core) == {}


async def test_parts_that_do_not_follow_each_other_are_no_upload(world: World) -> None:
    async with world.core() as core:
        first, *others = lines_of(9)
        with pytest.raises(Unavailable):
            await core.ask(StageLines("large", 3, tuple(others)))
        assert await core.ask(StageLines("large", 0, (first,))) == LinesStaged()
        repeated = replace(first, line_number=7)
        assert await core.ask(StageLines("large", 1, (repeated,))) == LinesStaged((Repeat(7, 1),))
        upload = Upload("large")
        upload.part([first, repeated])
        with pytest.raises(Unavailable):
            await core.ask(upload.whole("large"))  # one of them is not there
        await core.ask(upload.dropped())
        assert await available(core) == {}


async def test_an_upload_that_is_dropped_while_it_is_decided_is_decided_or_dropped_as_a_whole(world: World) -> None:
    for ticks in range(0, 40, 5):
        async with world.core() as core:
            upload = await staged(core, lines_of(9), f"large {ticks}")
            answer = core.submit(upload.whole(f"large {ticks}"))
            for _ in range(ticks):
                await anyio.lowlevel.checkpoint()
            await core.ask(upload.dropped())
            with suppress(Unavailable):
                await answer.wait()
            assert len(await available(core)) in (0, ROWS)
        assert world.disk.staged.statistics().lines == 0


async def test_an_upload_that_ends_before_its_decision_is_durable_takes_nothing_away(world: World) -> None:
    decision, may_write = anyio.Event(), anyio.Event()

    class SlowStore(MemoryStore):
        async def write(
            self, transactions: Sequence[Transaction], latecomers: Latecomers = no_latecomers
        ) -> Sequence[Transaction]:
            if any(one.staged is not None for one in transactions):
                decision.set()
                await may_write.wait()
            return await super().write(transactions, latecomers)

    async with world.core(SlowStore(world.disk)) as core:
        upload = await staged(core, lines_of(9), "large")
        answer = core.submit(upload.whole("large"))
        await decision.wait()
        await core.ask(upload.dropped())
        may_write.set()
        assert await answer.wait() == StockImported(ROWS, ROWS, 0, 0, new_organizations=(ORGANIZATION,))
        assert len(await available(core)) == ROWS


async def test_a_row_that_was_deleted_meanwhile_is_made_anew(world: World) -> None:
    async with world.core() as core:
        await import_staged(core, lines_of(0), "before")
        upload = await staged(core, lines_of(4), "count")
        await core.ask(Delete(ORGANIZATION, "v02", "w", "gone"))
        assert await core.ask(upload.whole("count")) == StockImported(ROWS, 1, ROWS - 1, 0)
        assert await available(core) == {(f"v{number:02}", "w"): 4 for number in range(1, ROWS + 1)}


async def test_two_at_once_are_carried_out_one_after_the_other(world: World) -> None:
    async with world.core() as core:
        facts: dict[str, Fact] = {}

        async def count(request_id: str, total: int) -> None:
            facts[request_id] = await import_staged(core, lines_of(total), request_id)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(count, "a", 3)
            tasks.start_soon(count, "b", 4)
            tasks.start_soon(core.ask, Import(tuple(lines_of(5, 2)), "small"))
        assert sorted(fact.rows_created for fact in facts.values() if isinstance(fact, StockImported))[0] == 0
        totals = [row.total for row in world.disk.stock.values()]
        assert len(set(totals[2:])) == 1


async def test_an_upload_to_which_nothing_is_added_any_more_is_forgotten(world: World) -> None:
    async with world.core() as core:
        lines = lines_of(1)
        left, slow = await staged(core, lines[:5], "left"), await staged(core, lines[:5], "slow")
        uploads = core._core.uploads  # type: ignore[union-attr]
        await uploads.drop_idle()
        assert uploads.statistics().open == 2
        await core.ask(slow.part(lines[5:]))
        await uploads.drop_idle()
        with pytest.raises(Unavailable):
            await core.ask(left.whole("left"))
        assert isinstance(await core.ask(slow.whole("slow")), StockImported)
        assert uploads.statistics().open == 0


class PartsNoted(MemoryStore):
    """Notes what is written, in its order, and how many parts of imports at a time."""

    def __init__(self, disk: Disk) -> None:
        super().__init__(disk)
        self.written: list[str] = []
        self.parts = self.parts_max = 0
        self.may_stage = anyio.Event()

    async def stage(self, import_id: str, lines: Sequence[StagedLine]) -> Sequence[Repeat]:
        self.parts += 1
        self.parts_max = max(self.parts_max, self.parts)
        await self.may_stage.wait()
        self.parts -= 1
        self.written.append(import_id)
        return await super().stage(import_id, lines)

    async def write(
        self, transactions: Sequence[Transaction], latecomers: Latecomers = no_latecomers
    ) -> Sequence[Transaction]:
        written = await super().write(transactions, latecomers)
        self.written += [one.kind for one in written]
        return written


async def test_a_small_order_waits_for_one_part_of_one_import_at_most(world: World) -> None:
    store = PartsNoted(world.disk)
    async with world.core(store) as core, anyio.create_task_group() as tasks:
        await bring(core, {("v0", "w1"): 100})
        for number in range(3):
            tasks.start_soon(core.ask, StageLines(f"import-{number}", 0, tuple(lines_of(5, 1))))
        await anyio.wait_all_tasks_blocked()
        store.written.clear()
        core.submit(Reserve(ORGANIZATION, "little", (Line("v0", "w1", 1),), 15, ""))
        store.may_stage.set()
        await anyio.wait_all_tasks_blocked()
        assert store.parts_max == 1
        assert "reserve" in store.written[:2]
        assert sorted(store.written) == ["import-0", "import-1", "import-2", "reserve"]
        for number in range(3):
            await core.ask(DropStaged(f"import-{number}"))


async def test_a_part_of_an_import_waits_until_what_is_little_is_written(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Held(PartsNoted):
        may_write = anyio.Event()

        async def write(
            self, transactions: Sequence[Transaction], latecomers: Latecomers = no_latecomers
        ) -> Sequence[Transaction]:
            await self.may_write.wait()
            return await super().write(transactions, latecomers)

    monkeypatch.setattr(journal, "LITTLE_S", 60.0)
    store = Held(world.disk)
    store.may_stage.set()
    async with world.core(store) as core, anyio.create_task_group() as tasks:
        store.may_write.set()
        await bring(core, {("v0", "w1"): 100})
        store.may_write, store.written = anyio.Event(), []
        core.submit(Reserve(ORGANIZATION, "little", (Line("v0", "w1", 1),), 15, ""))
        tasks.start_soon(core.ask, StageLines("import", 0, tuple(lines_of(5, 1))))
        await anyio.wait_all_tasks_blocked()
        assert store.written == []
        store.may_write.set()
        await anyio.wait_all_tasks_blocked()
        assert store.written == ["reserve", "import"]
        await core.ask(DropStaged("import"))
