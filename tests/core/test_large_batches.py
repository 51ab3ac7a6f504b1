"""A batch of large baskets is shown in turns, each a prefix of the journal."""

import anyio
import pytest
from anyio.lowlevel import checkpoint

from actors.commands import Line, Reserve
from actors.turn import Doing
from supervisor.transactions import chunks, coordinator
from tests.core.conftest import ORGANIZATION, World, bring, reserve

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
