"""Losses below what is reserved: the newest active reservations are released in the same step, or it is refused."""

from typing import Any

import anyio
import pytest

import supervisor.transactions.journal as journal_module
from actors import bounds
from actors.commands import (
    Adjust,
    Adjustment,
    Amend,
    Command,
    Confirm,
    Extend,
    Fulfill,
    Line,
    Release,
)
from actors.outcomes import (
    AdjustmentsRefused,
    Refused,
    RequestIdReused,
    ReservationAmended,
    ReservationConfirmed,
    ReservationReleased,
    ReservationWasReleased,
    StockAdjusted,
)
from actors.queries import GetReservation, ListReservations
from actors.records import ReservationRecord, Transaction
from actors.row_changes import Count
from actors.shortfall import Uncovered
from actors.turn import run
from actors.two_phase import Prepared
from actors.unavailable import Unavailable
from actors.variant_stock import Pinned
from actors.views import ReservationPage
from storage.memory_store import MemoryStore
from supervisor.supervisor import Supervisor
from tests.core.conftest import ORGANIZATION, World, available, bring, reserve
from tests.core.test_goods import figures, refusal_of

pytestmark = pytest.mark.anyio


def lose(
    *lines: Adjustment, request_id: str = "loss-1", organization: str = ORGANIZATION, release: bool = True
) -> Adjust:
    command = Adjust(organization, lines, request_id, "burnt", "fire 1", release_uncovered=True)
    return command if release else Adjust(organization, lines, request_id, "burnt", "fire 1")


async def confirm(core: Supervisor, reservation: ReservationRecord) -> None:
    await core.ask(Confirm(ORGANIZATION, reservation.reservation_id, reservation.order_id))


async def state_of(core: Supervisor, reservation: ReservationRecord) -> tuple[str, str]:
    found = await core.answer(GetReservation(ORGANIZATION, reservation.reservation_id)).wait()
    return found.reservation.state, found.reservation.reason


def lacks(reservation: ReservationRecord, pieces: int, variant: str = "a", *, is_confirmed: bool = False) -> Uncovered:
    return Uncovered(reservation.reservation_id, reservation.order_id, variant, "w1", pieces, is_confirmed)


def entries_of(world: World, kind: str) -> list[Transaction]:
    return [entry for entry in world.disk.transactions if entry.kind == kind]


async def test_the_newest_active_reservations_are_released_with_the_loss(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 10, ("b", "w1"): 5})
        oldest = await reserve(core, "o1", ("a", "w1", 3))
        middle = await reserve(core, "o2", ("a", "w1", 2), ("b", "w1", 4))
        paid = await reserve(core, "o3", ("a", "w1", 2))
        newest = await reserve(core, "o4", ("a", "w1", 2))
        await confirm(core, paid)
        command = lose(Adjustment("a", "w1", "delta", -4))
        fact = await core.ask(command)
        assert isinstance(fact, StockAdjusted)
        assert fact.released == (newest.reservation_id, middle.reservation_id)
        assert fact.shortfall == (lacks(newest, 2), lacks(middle, 1))
        assert [row.record.total for row in fact.rows] == [6]
        assert await figures(core, "a") == [(1, 5, 0, 0)]
        assert await figures(core, "b") == [(5, 0, 0, 0)]
        assert await state_of(core, newest) == await state_of(core, middle) == ("released", "stock_lost")
        assert (await state_of(core, oldest))[0] == "active"
        assert (await state_of(core, paid))[0] == "confirmed"
    *releases, adjustment = world.disk.transactions[-3:]
    assert [(one.kind, one.reason, one.reference, one.request) for one in releases] == [
        ("release", "stock_lost", "fire 1", None)
    ] * 2
    assert (adjustment.kind, adjustment.reason, len(adjustment.changes)) == ("adjust", "burnt", 1)
    async with world.core() as core:
        assert await core.ask(command) == fact
        other = lose(*command.lines, release=False)
        assert await refusal_of(core, other) == RequestIdReused("loss-1")
        assert await figures(core, "a") == [(1, 5, 0, 0)]


async def test_unless_the_caller_says_so_it_is_refused_and_names_who_is_not_covered(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 6})
        old = await reserve(core, "o1", ("a", "w1", 3))
        new = await reserve(core, "o2", ("a", "w1", 2))
        for number, line in enumerate(
            (
                Adjustment("a", "w1", "count", 2),
                Adjustment("a", "w1", "delta", -4),
                Adjustment("a", "w1", "mark_damaged", 4),
            )
        ):
            refusal = await refusal_of(core, lose(line, request_id=f"loss-{number}", release=False))
            assert isinstance(refusal, AdjustmentsRefused)
            assert refusal.shortfall == (lacks(new, 2), lacks(old, 1))
            assert await refusal_of(core, lose(line, request_id=f"loss-{number}", release=False)) == refusal
        assert await figures(core, "a") == [(1, 5, 0, 0)]
        assert (await state_of(core, new))[0] == "active"
        more = await refusal_of(core, lose(Adjustment("a", "w1", "delta", -7), request_id="loss-9"))
        assert more.shortfall == ()  # there are no seven pieces, reserved or not
        stranger = lose(Adjustment("a", "w1", "delta", -4), organization="org_2")
        assert (await refusal_of(core, stranger)).variant_id == "a"


async def test_confirmed_reservations_are_never_released(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 6})
        paid = await reserve(core, "o1", ("a", "w1", 3))
        part = await reserve(core, "o2", ("a", "w1", 2))
        active = await reserve(core, "o3", ("a", "w1", 1))
        await confirm(core, paid)
        await confirm(core, part)
        await core.ask(Fulfill(ORGANIZATION, part.reservation_id, "s-1", "", lines=(Line("a", "w1", 1),)))
        refusal = await refusal_of(core, lose(Adjustment("a", "w1", "count", 2)))
        assert refusal.shortfall == (
            lacks(active, 1),
            lacks(part, 1, is_confirmed=True),
            lacks(paid, 1, is_confirmed=True),
        )
        assert (await state_of(core, active))[0] == "active"
        fact = await core.ask(lose(Adjustment("a", "w1", "count", 4), request_id="loss-2"))
        assert isinstance(fact, StockAdjusted)
        assert fact.released == (active.reservation_id,)
        assert await figures(core, "a") == [(0, 4, 0, 0)]


async def test_one_release_serves_all_rows_that_are_short_and_anything_else_that_is_wrong_refuses_all(
    world: World,
) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 4, ("b", "w1"): 4})
        both = await reserve(core, "o1", ("a", "w1", 2), ("b", "w1", 2))
        late = await reserve(core, "o2", ("b", "w1", 2))
        latest = await reserve(core, "o3", ("a", "w1", 2))
        lines = (Adjustment("a", "w1", "delta", -3), Adjustment("b", "w1", "delta", -2))
        wrong = lose(*lines, Adjustment("b", "w2", "repair", 1))
        await bring(core, {("b", "w2"): 0}, "another")
        refusal = await refusal_of(core, wrong)
        assert [row.cause for row in refusal.rows] == ["insufficient"] * 3
        fact = await core.ask(lose(*lines, request_id="loss-2"))
        assert isinstance(fact, StockAdjusted)
        assert fact.released == (latest.reservation_id, both.reservation_id)
        assert fact.shortfall == (lacks(latest, 2), lacks(both, 1), lacks(both, 2, "b"))
        assert (await state_of(core, late))[0] == "active"
        assert await available(core) == {("a", "w1"): 1, ("b", "w1"): 0, ("b", "w2"): 0}


@pytest.mark.parametrize("other", ["confirm", "amend", "release", "extend"])
@pytest.mark.parametrize("loss_first", [True, False])
async def test_what_is_asked_of_a_reservation_at_the_same_time_comes_before_or_after(
    world: World, other: str, *, loss_first: bool
) -> None:
    answers: dict[str, Any] = {}

    async def ask(core: Supervisor, name: str, command: Command) -> None:
        try:
            answers[name] = await core.ask(command)
        except Refused as refused:
            answers[name] = refused.refusal

    async with world.core() as core:
        await bring(core, {("a", "w1"): 4})
        old = await reserve(core, "o1", ("a", "w1", 2))
        new = await reserve(core, "o2", ("a", "w1", 2))
        commands: dict[str, Command] = {
            "confirm": Confirm(ORGANIZATION, new.reservation_id, "o2"),
            "amend": Amend(ORGANIZATION, new.reservation_id, (Line("a", "w1", 1),), "amend-1"),
            "release": Release(ORGANIZATION, new.reservation_id, "cancelled"),
            "extend": Extend(ORGANIZATION, new.reservation_id, 60, "extend-1"),
        }
        both = [("loss", lose(Adjustment("a", "w1", "delta", -2))), ("other", commands[other])]
        async with anyio.create_task_group() as tasks:
            for name, command in both if loss_first else both[::-1]:
                tasks.start_soon(ask, core, name, command)
        [(free, reserved, *_)] = await figures(core, "a")
        assert free + reserved == 2
        assert isinstance(answers["loss"], StockAdjusted)
        expected = {
            "confirm": ReservationConfirmed,
            "amend": ReservationAmended,
            "release": ReservationReleased,
            "extend": object,
        }
        if answers["loss"].released[:1] == (new.reservation_id,) and answers["other"] == ReservationWasReleased(
            new.reservation_id
        ):
            assert other != "release"
        else:
            assert isinstance(answers["other"], expected[other])
        if other == "confirm" and isinstance(answers["other"], ReservationConfirmed):
            assert answers["loss"].released == (old.reservation_id,)


async def test_an_overdue_reservation_expires_and_is_not_released(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 4})
        old = await reserve(core, "o1", ("a", "w1", 2), ttl_minutes=60)
        new = await reserve(core, "o2", ("a", "w1", 2), ttl_minutes=1)
        world.time.now_s += 61
        fact = await core.ask(lose(Adjustment("a", "w1", "delta", -3)))
        assert isinstance(fact, StockAdjusted)
        assert fact.released == (old.reservation_id,)
        assert (await state_of(core, new))[0] == "expired"


async def test_a_loss_of_many_orders_is_one_batch(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "BATCH_ENTRIES_MAX", 2)
    batches: list[list[str]] = []
    async with world.core() as core:
        assert core._core is not None
        right = core._core.journal._store.write

        async def write(batch: Any, latecomers: Any) -> Any:
            written = await right(batch, latecomers)
            batches.append([one.kind for one in written])
            return written

        monkeypatch.setattr(core._core.journal._store, "write", write)
        await bring(core, {("a", "w1"): 5})
        for number in range(5):
            await reserve(core, f"o{number}", ("a", "w1", 1))
        fact = await core.ask(lose(Adjustment("a", "w1", "count", 1)))
        assert isinstance(fact, StockAdjusted)
        assert len(fact.released) == 4
    assert ["release"] * 4 + ["adjust"] in batches


async def test_more_than_one_adjustment_releases_is_refused_with_those_that_it_would_begin_with(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("supervisor.transactions.losses.UNCOVERED_MAX", 2)
    assert bounds.UNCOVERED_MAX > 2
    async with world.core() as core:
        await bring(core, {("a", "w1"): 5})
        made = [await reserve(core, f"o{number}", ("a", "w1", 1)) for number in range(5)]
        refusal = await refusal_of(core, lose(Adjustment("a", "w1", "count", 1)))
        assert refusal.shortfall == (lacks(made[4], 1), lacks(made[3], 1))
        assert refusal.is_cut
        fact = await core.ask(lose(Adjustment("a", "w1", "count", 3), request_id="loss-2"))
        assert isinstance(fact, StockAdjusted)
        assert await figures(core, "a") == [(0, 3, 0, 0)]


async def test_the_order_of_a_released_reservation_knows_it_and_may_reserve_again(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 4})
        lost = await reserve(core, "o1", ("a", "w1", 3))
        await core.ask(lose(Adjustment("a", "w1", "delta", -2)))
        late = Confirm(ORGANIZATION, lost.reservation_id, "o1")
        assert await refusal_of(core, late) == ReservationWasReleased(lost.reservation_id)
        again = await reserve(core, "o1", ("a", "w1", 2))
        assert again.reservation_id != lost.reservation_id
        assert await figures(core, "a") == [(0, 2, 0, 0)]


class GatedList(MemoryStore):
    """Its first list of reservations waits, after it was read, until `gate` is set."""

    gate: anyio.Event | None = None

    async def list_reservations(self, query: ListReservations) -> ReservationPage:
        page = await super().list_reservations(query)
        if self.gate is not None:
            gate, self.gate = self.gate, None
            await gate.wait()
        return page


@pytest.mark.parametrize("what", ["reserved", "confirmed"])
async def test_what_happens_after_the_look_is_looked_at_again(world: World, what: str) -> None:
    store, facts = GatedList(world.disk), []

    async def book(core: Supervisor) -> None:
        facts.append(await core.ask(lose(Adjustment("a", "w1", "delta", -3))))

    async with world.core(store) as core:
        await bring(core, {("a", "w1"): 6})
        old = await reserve(core, "o1", ("a", "w1", 2))
        new = await reserve(core, "o2", ("a", "w1", 2))
        gate = store.gate = anyio.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(book, core)
            await anyio.wait_all_tasks_blocked()
            if what == "reserved":
                newest = await reserve(core, "o3", ("a", "w1", 1))
                expected: tuple[str, ...] = (newest.reservation_id, new.reservation_id)
            else:
                await confirm(core, new)
                expected = (old.reservation_id,)
            gate.set()
        [fact] = facts
        assert isinstance(fact, StockAdjusted)
        assert fact.released == expected
        assert await figures(core, "a") == [(1, 2, 0, 0)]


async def test_an_order_that_has_another_reservation_by_the_second_row_is_looked_at_again(world: World) -> None:
    store, facts = GatedList(world.disk), []

    async def book(core: Supervisor) -> None:
        lines = (Adjustment("a", "w1", "delta", -3), Adjustment("b", "w1", "delta", -3))
        facts.append(await core.ask(lose(*lines)))

    async with world.core(store) as core:
        await bring(core, {("a", "w1"): 4, ("b", "w1"): 4})
        first = await reserve(core, "o1", ("a", "w1", 2))
        other = await reserve(core, "o2", ("a", "w1", 2))
        held = await reserve(core, "o3", ("b", "w1", 2))
        gate = store.gate = anyio.Event()
        with anyio.fail_after(5):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(book, core)
                await anyio.wait_all_tasks_blocked()
                await core.ask(Release(ORGANIZATION, first.reservation_id, "cancelled"))
                second = await reserve(core, "o1", ("b", "w1", 2))
                gate.set()
        [fact] = facts
        assert isinstance(fact, StockAdjusted)
        assert fact.released == (other.reservation_id, second.reservation_id, held.reservation_id)
        assert await figures(core, "a") == await figures(core, "b") == [(1, 0, 0, 0)]
        await core.ask(Release(ORGANIZATION, first.reservation_id, "cancelled"))


async def test_a_loss_that_is_outrun_each_time_ends_after_a_while(world: World) -> None:
    class Outrun(MemoryStore):
        looks = 0

        async def list_reservations(self, query: ListReservations) -> ReservationPage:
            page = await super().list_reservations(query)
            if query.variant_id:
                self.looks += 1
                world.time.now_s += 1
                await reserve(core, f"rival-{self.looks}", ("a", "w1", 1))
            return page

    store = Outrun(world.disk)
    async with world.core(store) as core:
        await bring(core, {("a", "w1"): 1_000})
        await reserve(core, "o1", ("a", "w1", 900))
        with pytest.raises(Unavailable, match="move too fast"):
            await core.ask(lose(Adjustment("a", "w1", "delta", -500)))
        assert 10 < store.looks < 20
        assert [row[0] + row[1] for row in await figures(core, "a")] == [1_000]


async def test_a_reservation_that_runs_out_while_the_loss_waits_for_a_rival_expires(world: World) -> None:
    facts = []

    async def book(core: Supervisor) -> None:
        facts.append(await core.ask(lose(Adjustment("a", "w1", "delta", -2))))

    async with world.core() as core:
        await bring(core, {("a", "w1"): 4, ("b", "w1"): 9})
        old = await reserve(core, "o1", ("a", "w1", 2), ttl_minutes=60)
        new = await reserve(core, "o2", ("a", "w1", 2), ("b", "w1", 1), ttl_minutes=1)
        inner = core._core
        assert inner is not None
        with Pinned(await run(inner.stock.load(ORGANIZATION, {"b": None}))) as variants:
            counted = Count(None, None, None, 1, None)
            rival = await run(inner._coordinator.prepare([(variants["b"].rows["w1"], counted)]))
            assert isinstance(rival, Prepared)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(book, core)
                await anyio.wait_all_tasks_blocked()
                world.time.now_s += 61
                rival.abort()
        [fact] = facts
        assert isinstance(fact, StockAdjusted)
        assert fact.released == ()
        assert (await state_of(core, new))[0] == "expired"
        assert (await state_of(core, old))[0] == "active"
