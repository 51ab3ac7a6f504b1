"""An order of very many lines is read in steps, between which others are answered, and not all of them are kept.

How long a turn of the event loop may be is judged for every test, and so for these (`tests/turn_limit.py`).
"""

from pathlib import Path

import anyio
import pytest

from actors.commands import Confirm, Reacquire, Release
from actors.outcomes import (
    ReservationConfirmed,
    ReservationReacquired,
    ReservationReleased,
    ReservationWasReleased,
)
from actors.records import OrderKey
from storage.sql import order_reads
from storage.sql.sql_store import SqlStore
from supervisor.activations import order_directory
from supervisor.supervisor import Supervisor
from tests.core.conftest import ORGANIZATION as ORGANIZATION_OF_CORE
from tests.core.conftest import World, available, bring, reserve
from tests.core.test_goods import refusal_of
from tests.storage.scribe import ORGANIZATION, Scribe

pytestmark = pytest.mark.anyio

RESERVATIONS, LINES, A_STEP = 30, 500, 1
BASKET = [(f"v{number:03}", "w", 1) for number in range(LINES)]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"  # SQLite on a thread


async def test_others_are_answered_while_a_long_order_is_loaded(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(order_reads, "LINES_A_STEP", 1_000)
    monkeypatch.setattr(order_reads, "RESERVATIONS_A_STEP", A_STEP)
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
        assert len(between) >= RESERVATIONS // 2  # two in all where it is one read
        assert await core.ask(Release(ORGANIZATION, "other-0", ""))
        assert lines_held(core) == LINES + 1
        for number in (0, 7):  # what has ended is read again where it is asked for
            again = await core.ask(Release(ORGANIZATION, f"r{number}", "late"))
            assert isinstance(again, ReservationReleased)
            assert again.reservation == await store.load_reservation(ORGANIZATION, f"r{number}")
            assert len(again.reservation.items) == LINES
            assert lines_held(core) == LINES + 1


async def test_the_latest_is_read_whole_also_if_it_has_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order_reads, "LINES_A_STEP", 1)
    store, scribe = SqlStore(f"sqlite+aiosqlite:///{tmp_path / 'stock.db'}"), Scribe()
    await store.open()
    await store.write([scribe.counted([(variant, "w", 100_000) for variant, *_ in BASKET])])
    for number in range(3):
        made = scribe.reserve("long", BASKET[:2], reservation_id=f"r{number}")
        await store.write([made, scribe.release(made.reservation)])
    found = await store.load_orders([OrderKey(ORGANIZATION, "long")])
    assert [(one.reservation_id, one.state, len(one.items)) for one in found] == [
        ("r0", "released", 0),
        ("r1", "released", 0),
        ("r2", "released", 2),
    ]
    await store.close()


@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_what_has_ended_goes_from_a_long_order_in_use(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order_directory, "LONG_LINES", 100)
    basket = {(f"v{number}", "w"): 10 for number in range(40)}
    async with world.core() as core:
        await bring(core, basket)
        ended = []
        for _ in range(10):
            held = await reserve(core, "long", *((variant, "w", 10) for variant, _ in basket))
            ended.append(await core.ask(Release(ORGANIZATION_OF_CORE, held.reservation_id, "no")))
            assert lines_held(core) <= 140
        assert isinstance(ended[0], ReservationReleased)
        first = ended[0].reservation
        assert await core.ask(Release(ORGANIZATION_OF_CORE, first.reservation_id, "no")) == ended[0]
        late = Confirm(ORGANIZATION_OF_CORE, first.reservation_id, "long")
        assert await refusal_of(core, late) == ReservationWasReleased(first.reservation_id)
        assert lines_held(core) <= 140


async def test_what_was_let_go_is_taken_again_whole(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order_directory, "LONG_LINES", 5)
    async with world.core() as core:
        await bring(core, {("a", "w"): 10, ("b", "w"): 10})
        lines = ("a", "w", 10), ("b", "w", 10)
        first = await reserve(core, "long", *lines)
        for _ in range(4):
            world.wall_ms += 16 * 60_000
            world.time.now_s += 16 * 60
            await reserve(core, "long", *lines)
        world.wall_ms += 16 * 60_000
        world.time.now_s += 16 * 60
        taken = await core.ask(Reacquire(ORGANIZATION_OF_CORE, first.reservation_id, 15, "again"))
        assert isinstance(taken, ReservationReacquired)
        assert [one.quantity for one in taken.reservation.items] == [10, 10]
        assert await available(core) == {("a", "w"): 0, ("b", "w"): 0}
        assert isinstance(await core.ask(Release(ORGANIZATION_OF_CORE, first.reservation_id, "")), ReservationReleased)
        assert await available(core) == {("a", "w"): 10, ("b", "w"): 10}


def lines_held(core: Supervisor) -> int:
    assert core._core is not None
    orders = core._core.orders
    held = [r for order in orders._directory.activations() for r in order.reservations.values()]
    assert orders._lines == sum(len(reservation.items) for reservation in held)
    return orders._lines
