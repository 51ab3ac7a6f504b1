"""A batch of large baskets is shown in turns, each a prefix of the journal."""

import anyio
import pytest
from anyio.lowlevel import checkpoint

from actors.commands import Line, Reserve
from actors.outcomes import InsufficientStock, Refused
from actors.turn import Doing
from supervisor.transactions import chunks, coordinator
from tests.core.conftest import ORGANIZATION, World, bring, reserve
from tests.core.test_interleavings import SteppedStore

pytestmark = pytest.mark.anyio

VARIANTS = [f"v{number:03}" for number in range(300)]
BASKET = tuple(Line(variant, "w1", 1) for variant in VARIANTS)


async def test_each_large_basket_is_shown_whole_and_in_a_turn_of_its_own(world: World) -> None:
    async with world.core() as core:
        await bring(core, {(variant, "w1"): 100 for variant in VARIANTS})
        replies = [core.submit(Reserve(ORGANIZATION, f"o{number}", BASKET, 15, "")) for number in range(8)]
        assert core._core is not None
        stock, seen = core._core.stock, set()
        with anyio.fail_after(30):
            while not all(reply.is_done for reply in replies):
                variants = stock.ready(ORGANIZATION, [VARIANTS[0], VARIANTS[-1]])
                assert variants is not None
                first, last = [variant.rows["w1"].state.durable.reserved for variant in variants.values()]
                assert first == last
                seen.add(first)
                await checkpoint()
        assert len(seen) >= 4  # one after another, and not all at once; trio may let every second one pass unseen


def test_parts_have_as_many_rows_as_a_turn_may(monkeypatch: pytest.MonkeyPatch) -> None:
    class Sized:
        def __init__(self, rows: int) -> None:
            self.changes = [None] * rows

    monkeypatch.setattr(chunks, "ROWS_MAX", 10)
    monkeypatch.setattr(chunks, "LITTLE_ROWS", 10)
    batch = [Sized(rows) for rows in (3, 3, 30, 0, 8, 9, 9)]
    parts = list(chunks.by_rows(batch))  # type: ignore[arg-type]
    assert [[len(one.changes) for one in part] for part in parts] == [[3, 3], [30, 0, 8], [9], [9]]
    assert [len(part) for part in chunks.by_rows(batch[:1])] == [1]  # type: ignore[arg-type]


async def test_a_call_while_a_very_large_basket_is_prepared_goes_before_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment, is_over = anyio.Event(), anyio.Event()

    async def others() -> None:
        moment.set()
        await is_over.wait()

    variants = [f"v{number:03}" for number in range(chunks.ROWS_MAX + 1)]
    async with world.core() as core:
        await bring(core, {(variant, "w1"): 100 for variant in variants})
        assert core._core is not None
        journal = core._core.journal
        before = journal.last_lsn
        monkeypatch.setattr(coordinator, "A_MOMENT_FOR_OTHERS", Doing(others))
        large = core.submit(Reserve(ORGANIZATION, "large", tuple(Line(one, "w1", 1) for one in variants), 15, ""))
        with anyio.fail_after(10):
            await moment.wait()
            small = await reserve(core, "small", ("v000", "w1", 1))
            assert (journal.last_lsn, large.is_done) == (before + 1, False)
            is_over.set()
            await large.wait()
        assert small.items[0].stock_before == 100
        assert large.result().reservation.items[0].stock_before == 99  # type: ignore[union-attr]


async def test_a_long_turn_waits_until_little_is_written_and_not_for_much(world: World) -> None:
    async with world.core() as core:
        await bring(core, {(f"v{number:03}", "w1"): 100 for number in range(chunks.LITTLE_ROWS)})
        assert core._core is not None
        journal = core._core.journal
        await journal.wait_for_little()  # nothing is under way
        for number in range(2):
            core.submit(Reserve(ORGANIZATION, f"little-{number}", (Line("v000", "w1", 1),), 15, ""))
        assert journal.undurable_entries == 2
        await journal.wait_for_little()
        assert journal.undurable_entries == 0
        lines = tuple(Line(f"v{number:03}", "w1", 1) for number in range(chunks.LITTLE_ROWS))
        much = core.submit(Reserve(ORGANIZATION, "much", lines, 15, ""))
        await journal.wait_for_little()
        assert (journal.undurable_entries, much.is_done) == (1, False)
        await much.wait()


async def test_a_long_turn_does_not_wait_for_ever_for_what_comes_one_after_the_other(world: World) -> None:
    store = SteppedStore(world.disk)
    async with world.core(store) as core:
        await bring(core, {("v0", "w1"): 100})
        assert core._core is not None
        store.hold()
        little = core.submit(Reserve(ORGANIZATION, "little", (Line("v0", "w1", 1),), 15, ""))
        with anyio.fail_after(5):
            await core._core.journal.wait_for_little()
        assert core._core.journal.undurable_entries == 1
        store.step(free=True)
        await little.wait()


async def test_what_a_large_basket_takes_of_many_rows_is_noted_after_its_answer(world: World) -> None:
    async with world.core() as core:
        await bring(core, {(variant, "w1"): 1 for variant in VARIANTS})
        assert core._core is not None
        hints = core._core._hints
        with anyio.fail_after(10):
            await core.submit(Reserve(ORGANIZATION, "large", BASKET, 15, "")).wait()
            assert (hints.statistics().aside, len(hints)) == (1, 0)
            while hints.statistics().aside:
                await checkpoint()
        assert len(hints) == len(BASKET)


async def test_a_refusal_before_that_says_when_it_expires_too(world: World) -> None:
    async with world.core() as core:
        await bring(core, {(variant, "w1"): 1 for variant in VARIANTS})
        await core.submit(Reserve(ORGANIZATION, "large", BASKET, 15, "")).wait()
        assert core._core is not None
        assert core._core._hints.statistics().aside
        with pytest.raises(Refused) as caught:
            await reserve(core, "late", (VARIANTS[7], "w1", 1))
        assert isinstance(caught.value.refusal, InsufficientStock)
        assert caught.value.refusal.retry_after_ms == 15 * 60_000
