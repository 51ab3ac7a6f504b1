"""A few rounds of each scenario; `make torture` does them in full."""

from pathlib import Path

import pytest

from tests.torture.plan import PLAN, Entry
from tests.torture.scenario import Finding, database

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.parametrize("entry", [entry for entry in PLAN if entry.rounds_short], ids=str)
async def test_nothing_is_lost_or_doubled(entry: Entry, tmp_path: Path) -> None:
    finding = Finding()
    with database(entry.kind, tmp_path) as made:
        await entry.scenario(made, entry.rounds_short, finding)
    assert finding.problems == []
    assert finding.rounds == entry.rounds_short
