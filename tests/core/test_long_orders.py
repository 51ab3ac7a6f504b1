"""An order of very many lines is read in steps, and others are answered between them.

How long a turn of the event loop may be is judged for every test, and so for these (`tests/turn_limit.py`).
"""

from pathlib import Path

import anyio
import pytest

from actors.commands import Confirm, Release
from actors.outcomes import ReservationConfirmed
from storage.sql import order_reads
from storage.sql.sql_store import SqlStore
from tests.core.conftest import World
from tests.storage.scribe import ORGANIZATION, Scribe

pytestmark = pytest.mark.anyio

RESERVATIONS, LINES, LINES_A_STEP = 30, 500, 1_000
BASKET = [(f"v{number:03}", "w", 1) for number in range(LINES)]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # SQLite on a thread


async def test_others_are_answered_while_a_long_order_is_loaded(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(order_reads, "LINES_A_STEP", LINES_A_STEP)
    store, scribe = SqlStore(f"sqlite+aiosqlite:///{tmp_path / 'stock.db'}"), Scribe()
    scribe.at_ms = world.wall_ms
    await store.open()
    await store.write([scribe.counted([(variant, "w", 100_000) for variant, *_ in BASKET])])
    for number in range(RESERVATIONS - 1):
        made = scribe.reserve("long", BASKET, reservation_id=f"r{number}")
        await store.write([made, scribe.release(made.reservation)])
    await store.write([scribe.reserve("long", BASKET, reservation_id="last")])
    others = [scribe.reserve(f"o{number}", BASKET[:1], reservation_id=f"other-{number}") for number in range(40)]
    await store.write(others)
    await store.close()

    async with world.core(store) as core, anyio.create_task_group() as tasks:
        between = []
        confirmed = anyio.Event()

        async def confirm() -> None:
            fact = await core.ask(Confirm(ORGANIZATION, "last", "long"))
            assert isinstance(fact, ReservationConfirmed)
            assert len(fact.reservation.items) == LINES
            confirmed.set()

        tasks.start_soon(confirm)
        for number in range(len(others)):
            await store.find_reservation(ORGANIZATION, f"other-{number}")
            if confirmed.is_set():
                break
            between.append(number)
        await confirmed.wait()
        assert len(between) >= RESERVATIONS * LINES // LINES_A_STEP // 2  # two in all where it is one read
        assert await core.ask(Release(ORGANIZATION, "other-0", ""))
