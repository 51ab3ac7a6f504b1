"""What meets a frozen organization waits for a moment, and for no longer than its caller."""

from collections.abc import Awaitable, Callable
from math import inf
from typing import Any

import anyio
import pytest

from actors.cell_records import WrongCell
from actors.commands import Line, Reserve
from actors.outcomes import Refused
from actors.queries import GetStock
from actors.reply import Reply
from actors.unavailable import MOVING, Unavailable, database_down, moving, shutting_down
from cells.waiting_inventory import WaitingInventory

pytestmark = pytest.mark.anyio

ORDER = Reserve("x", "o1", (Line("v1", "", 1),), 15)
GONE = Refused(WrongCell("x", "a", 1, "b"))


class Core:
    """Refuses as a core does, at once, and gives what it is told afterwards; the last for ever."""

    serving = True

    def __init__(self, *gives: Any) -> None:
        self.gives = list(gives)
        self.asked = 0

    def submit(self, command: Any) -> Reply[Any]:
        self.asked += 1
        given = self.gives.pop(0) if len(self.gives) > 1 else self.gives[0]
        if isinstance(given, Unavailable):
            raise given
        reply: Reply[Any] = Reply()
        reply.settle(given, given if isinstance(given, Exception) else None)
        return reply

    answer = submit

    async def ask(self, command: Any) -> Any:
        return await self.submit(command).wait()


Way = Callable[[WaitingInventory], Awaitable[Any]]


async def submitted(inventory: WaitingInventory) -> Any:
    return await inventory.submit(ORDER).wait()


async def asked(inventory: WaitingInventory) -> Any:
    return await inventory.ask(ORDER)


@pytest.fixture(params=[submitted, asked])
def way(request: pytest.FixtureRequest) -> Way:
    found: Way = request.param
    return found


def waiting(tasks: Any, core: Core, time_left_s: float = inf) -> WaitingInventory:
    return WaitingInventory(core, tasks.start_soon, lambda: lambda: time_left_s)


async def test_it_is_carried_out_once_it_is_thawed_and_told_where_to_go_once_it_is_gone(way: Way) -> None:
    async with anyio.create_task_group() as tasks:
        core = Core(moving(), moving(), "done")
        inventory = waiting(tasks, core)
        assert (await way(inventory), core.asked) == ("done", 3)
        assert inventory.statistics() == (0, 1)
        with pytest.raises(Refused) as refused:
            await way(waiting(tasks, Core(moving(), GONE)))
        assert refused.value is GONE


async def test_it_hears_unavailable_when_its_time_is_over_and_never_after_its_caller_has_left(
    way: Way, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with anyio.create_task_group() as tasks:
        for wait_s, time_left_s in ((30.0, 1.0), (0.7, 60.0)):
            monkeypatch.setattr("cells.waiting_inventory.WAIT_S", wait_s)
            core, began_s = Core(moving()), anyio.current_time()
            with pytest.raises(Unavailable) as away:
                await way(waiting(tasks, core, time_left_s))
            assert (away.value.reason, away.value.retry_after_ms > 0) == (MOVING, True)
            took_s = anyio.current_time() - began_s
            assert 0.2 < took_s < 20.0
            assert core.asked > 2


async def test_nothing_else_waits(way: Way) -> None:
    async with anyio.create_task_group() as tasks:
        for error in (database_down(), shutting_down()):
            core = Core(error)
            with pytest.raises(Unavailable) as away:
                await way(waiting(tasks, core))
            assert (away.value.reason, core.asked) == (error.reason, 1)
            core = Core(moving(), error)
            with pytest.raises(Unavailable) as away:
                await way(waiting(tasks, core))
            assert (away.value.reason, core.asked) == (error.reason, 2)
        there: Any = await waiting(tasks, Core("there")).answer(GetStock("x", "v1")).wait()
        assert there == "there"


async def test_a_server_that_ends_leaves_no_caller_waiting() -> None:
    async with anyio.create_task_group() as tasks:
        reply = waiting(tasks, Core(moving())).submit(ORDER)
        await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
    with pytest.raises(Unavailable) as away:
        reply.result()
    assert away.value.reason == "SHUTTING_DOWN"
