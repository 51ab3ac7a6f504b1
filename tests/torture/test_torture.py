"""A few rounds of each scenario; `make torture` does them in full."""

from pathlib import Path

import pytest

from tests.torture.attack import ATTACKS
from tests.torture.plan import PLAN, Entry
from tests.torture.scenario import Finding, database
from tests.torture.under_attack import CORE, GRPC_AIO, attacked_by_each

pytestmark = pytest.mark.anyio

PARTS = 2  # that may run side by side


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.long
@pytest.mark.parametrize("entry", [entry for entry in PLAN if entry.rounds_short], ids=str)
async def test_nothing_is_lost_or_doubled(entry: Entry, tmp_path: Path) -> None:
    finding = Finding()
    with database(entry.kind, tmp_path) as made:
        await entry.scenario(made, entry.rounds_short, finding)
    assert finding.problems == []
    assert finding.rounds == entry.rounds_short


@pytest.mark.long
@pytest.mark.parametrize("transport", [CORE, GRPC_AIO])
@pytest.mark.parametrize("part", range(PARTS))
async def test_no_attack_loses_a_call_of_a_bystander(part: int, transport: str, tmp_path: Path) -> None:
    with database("SQLite", tmp_path) as made:
        assert await attacked_by_each(made, list(ATTACKS)[part::PARTS], transport) == []
