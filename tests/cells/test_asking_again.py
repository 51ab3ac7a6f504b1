"""What a router asks again: only what may be, and for no longer than its caller waits."""

from collections.abc import Callable
from math import inf
from typing import Any, get_args

import anyio
import msgspec
import pytest

from actors.commands import CallersCommand, Line, Reserve
from actors.queries import GetStock
from actors.reply import Reply
from actors.unavailable import Unavailable, cell_away, outcome_unknown, standing_by
from cells.asking_again import Pauses
from cells.cell_map import parse_map
from cells.routed_inventory import RoutedInventory
from cells.whereabouts import Whereabouts

pytestmark = pytest.mark.anyio

MAP = parse_map('version = 1\n[cells.a]\naddress = "unix:/a"\n')
ORDER = Reserve("x", "o1", (Line("v1", "", 1),), 15)


class Deaf:
    """An owner that gives what it is told, in that order, and then no answer."""

    serving = True

    def __init__(self, *gives: Any) -> None:
        self.gives = list(gives)
        self.asked: list[Any] = []

    def submit(self, request: Any) -> Reply[Any]:
        self.asked.append(request)
        reply: Reply[Any] = Reply()
        if self.gives:
            given = self.gives.pop(0)
            reply.settle(given, given if isinstance(given, Exception) else None)
        return reply

    answer = submit

    async def ask(self, command: Any) -> Any:
        return await self.submit(command).wait()


def a_router(tasks: Any, owner: Deaf, time_left_s: float) -> RoutedInventory:
    def owner_of(name: str) -> Any:
        return owner

    where = Whereabouts(MAP, lambda: MAP, owner_of)
    asking: Callable[[], Callable[[], float]] = lambda: lambda: time_left_s  # noqa: E731
    return RoutedInventory(where, owner_of, lambda: [owner], tasks.start_soon, 3_600.0, 10, asking)


@pytest.mark.parametrize("first", [cell_away(), outcome_unknown(), standing_by()])
async def test_a_caller_hears_unavailable_before_it_gives_up(first: Unavailable) -> None:
    async with anyio.create_task_group() as tasks:
        for gives in ([first], [first] * 1_000):  # an owner that then says nothing, and one that stays away
            owner = Deaf(*gives)
            router, began_s = a_router(tasks, owner, 1.0), anyio.current_time()
            with pytest.raises(Unavailable) as away:
                await router.submit(ORDER).wait()
            assert away.value.retry_after_ms > 0
            assert anyio.current_time() - began_s > 0.5
            assert len(owner.asked) > 1
            assert not router.statistics().waiting


async def test_what_comes_in_time_is_given() -> None:
    async with anyio.create_task_group() as tasks:
        router = a_router(tasks, Deaf(cell_away(), cell_away(), "there"), 60.0)
        given: Any = await router.answer(GetStock("x", "v1")).wait()
        assert given == "there"
        assert router.statistics().asked_again == 2


async def test_a_caller_that_has_no_time_left_is_asked_for_once() -> None:
    async with anyio.create_task_group() as tasks:
        owner = Deaf(cell_away(), "late")
        with pytest.raises(Unavailable):
            await a_router(tasks, owner, 0.01).submit(ORDER).wait()
        assert len(owner.asked) == 1


@pytest.mark.parametrize(("time_left_s", "margin_s"), [(0.1, 0.05), (1.0, 0.2), (60.0, 1.0), (inf, 1.0)])
async def test_the_answer_has_time_to_arrive(time_left_s: float, margin_s: float) -> None:
    gives_up_at_s = Pauses(5.0, time_left_s).gives_up_at_s
    assert gives_up_at_s == inf or gives_up_at_s <= anyio.current_time() + time_left_s - margin_s


def test_every_command_of_a_caller_can_be_asked_again() -> None:
    """By its request id; those that may have none are found again by their order or reservation."""
    without = {
        kind.__name__
        for kind in get_args(CallersCommand)
        if any(field.name == "request_id" and not field.required for field in msgspec.structs.fields(kind))
    }
    assert all("request_id" in kind.__struct_fields__ for kind in get_args(CallersCommand))
    assert without == {"Reserve", "Confirm", "Release"}
