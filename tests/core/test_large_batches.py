"""A batch of large baskets is shown in turns, each a prefix of the journal."""

import anyio
import pytest
from anyio.lowlevel import checkpoint

from actors.commands import Line, Reserve
from supervisor.transactions import chunks
from tests.core.conftest import ORGANIZATION, World, bring

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
    batch = [Sized(rows) for rows in (3, 3, 30, 0, 8, 9, 9)]
    parts = list(chunks.by_rows(batch))  # type: ignore[arg-type]
    assert [[len(one.changes) for one in part] for part in parts] == [[3, 3], [30], [0, 8], [9], [9]]
    assert [len(part) for part in chunks.by_rows(batch[:1])] == [1]  # type: ignore[arg-type]
