"""What a large import has brought into memory does not stay there."""

import gc
from collections.abc import Iterator

import anyio
import pytest

from actors.commands import CountedLine, Import
from actors.variant_stock import VariantStock
from supervisor import incarnation
from supervisor.limits import Limits
from tests.core.conftest import ORGANIZATION, World, reserve

pytestmark = pytest.mark.anyio

ROWS = 500


@pytest.fixture
def uncollected() -> Iterator[None]:
    """No walk through memory: what is in a cycle stays."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def variants_in_memory() -> int:
    return sum(isinstance(one, VariantStock) for one in gc.get_objects())


@pytest.mark.usefixtures("uncollected")
async def test_rows_beyond_the_bound_are_let_go_soon_and_need_no_collector(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(incarnation, "TRIM_PAUSE_S", 0.001)
    lines = tuple(CountedLine(ORGANIZATION, f"v{n}", "w", "", 5, 0, 0, 0, 0, n) for n in range(ROWS))
    async with world.core(limits=Limits(variants_max=100, heartbeat_s=0.005)) as core:
        await core.ask(Import(lines, "all"))
        with anyio.fail_after(30):
            while True:
                statistics = core.statistics()
                assert statistics is not None
                if statistics.variants.activations <= 100:
                    break
                await anyio.sleep(0.001)
        assert statistics.variants.passivated >= ROWS - 100
        assert variants_in_memory() <= 100
        await reserve(core, "o1", ("v0", "w", 5))
