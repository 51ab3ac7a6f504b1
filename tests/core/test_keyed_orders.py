"""Confirmations and releases under an idempotency key: done once, whatever became of the order since."""

import pytest

from actors.commands import Confirm, Release
from actors.outcomes import (
    RequestIdReused,
    ReservationConfirmed,
    ReservationNotFound,
    ReservationReleased,
    ReservationWasReleased,
)
from tests.core.conftest import ORGANIZATION, World, available, bring, reserve
from tests.core.test_goods import refusal_of

pytestmark = pytest.mark.anyio


async def test_a_repetition_has_the_first_answer_and_touches_no_later_reservation(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 10})
        first = await reserve(core, "o1", ("a", "w1", 3))
        confirmation = Confirm(ORGANIZATION, first.reservation_id, "o1", "c1")
        release = Release(ORGANIZATION, first.reservation_id, "changed my mind", "r1")
        confirmed = await core.ask(confirmation)
        assert isinstance(confirmed, ReservationConfirmed)
        released = await core.ask(release)
        assert isinstance(released, ReservationReleased)
        second = await reserve(core, "o1", ("a", "w1", 3))
    async with world.core() as core:
        assert await core.ask(confirmation) == confirmed  # though it was released since
        assert await core.ask(release) == released
        of_the_second = Release(ORGANIZATION, second.reservation_id, "changed my mind", "r1")
        assert await refusal_of(core, of_the_second) == RequestIdReused("r1")
        assert await available(core) == {("a", "w1"): 7}


async def test_refusals_and_answers_that_change_nothing_are_remembered_too(world: World) -> None:
    async with world.core() as core:
        await bring(core, {("a", "w1"): 10})
        one = await reserve(core, "o1", ("a", "w1", 3))
        missing = ReservationNotFound("none")
        assert await refusal_of(core, Confirm(ORGANIZATION, "none", "o1", "c0")) == missing
        await core.ask(Confirm(ORGANIZATION, one.reservation_id, "o1"))
        again = await core.ask(Confirm(ORGANIZATION, one.reservation_id, "o1", "c1"))
        await core.ask(Release(ORGANIZATION, one.reservation_id, "x"))
        released = await core.ask(Release(ORGANIZATION, one.reservation_id, "y", "r1"))
        late = ReservationWasReleased(one.reservation_id)
        assert await refusal_of(core, Confirm(ORGANIZATION, one.reservation_id, "o1", "c2")) == late
        remembered = [entry.request.request_id for entry in world.disk.transactions if entry.request is not None]
        assert remembered[-4:] == ["c0", "c1", "r1", "c2"]
        assert await core.ask(Confirm(ORGANIZATION, one.reservation_id, "o1", "c1")) == again
        assert await core.ask(Release(ORGANIZATION, one.reservation_id, "y", "r1")) == released
