"""An import of very many lines goes in steps, and is still one transaction among others."""

from contextlib import suppress

import anyio
import anyio.lowlevel
import pytest
from msgspec.structs import replace

from actors.commands import CountedLine, DeliveryLine, Import, Line, Receive
from actors.outcomes import ImportRejected, Refused, StockImported
from actors.turn import Turn
from actors.unavailable import Unavailable
from supervisor.limits import Limits
from supervisor.transactions import importing
from supervisor.transactions.chunks import ROWS_MAX
from tests.core.conftest import ORGANIZATION, World, available, bring, check, reserve

pytestmark = pytest.mark.anyio

OTHERS = 3 * ROWS_MAX


def lines_of(x: int, others: int) -> tuple[CountedLine, ...]:
    """A count of the row x, which is in the first step, and, if they are not 0, of very many others."""
    totals = {"a": x, **({f"b{number}": others for number in range(OTHERS)} if others else {})}
    return tuple(
        CountedLine(ORGANIZATION, variant, "w", "", total, 0, 0, 0, 0, number)
        for number, (variant, total) in enumerate(totals.items(), 1)
    )


async def test_others_have_their_turn_while_an_import_goes_on(world: World) -> None:
    answered: list[str] = []
    async with world.core(limits=Limits(gather_s=0)) as core:
        await bring(core, {("c", "w"): 100})

        async def import_all() -> None:
            await core.ask(Import(lines_of(10, 5), "all"))
            answered.append("import")

        async def check_and_reserve() -> None:
            await check(core, Line("c", "", 1))
            answered.append("check")
            await reserve(core, "o1", ("c", "w", 1))
            answered.append("reservation")

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(import_all)
            tasks.start_soon(check_and_reserve)
        assert answered == ["check", "reservation", "import"]


@pytest.mark.parametrize("ticks", range(2, 60, 2))
async def test_a_row_that_is_counted_as_it_was_is_still_counted_at_the_decision(world: World, ticks: int) -> None:
    async with world.core() as core:
        await core.ask(Import(lines_of(10, 5), "before"))

        async def receive_later() -> None:
            for _ in range(ticks):
                await anyio.lowlevel.checkpoint()
            await core.ask(Receive(ORGANIZATION, (DeliveryLine("a", "w", 2),), "delivery"))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(core.ask, Import(lines_of(10, 6), "count"))
            tasks.start_soon(receive_later)
        in_order = [transaction.kind for transaction in world.disk.transactions]
        counted_last = in_order == ["import", "receive", "import"]
        assert counted_last or in_order == ["import", "import", "receive"]
        assert (await available(core))["a", "w"] == (10 if counted_last else 12)


async def test_a_repeated_import_changes_nothing(world: World) -> None:
    async with world.core() as core:
        lines = lines_of(10, 5)
        assert await core.ask(Import(lines, "first")) == StockImported(
            len(lines), len(lines), 0, 0, new_organizations=(ORGANIZATION,)
        )
        assert await core.ask(Import(lines, "second")) == StockImported(len(lines), 0, 0, len(lines))
        assert await core.ask(Import(lines_of(11, 5), "third")) == StockImported(len(lines), 0, 1, len(lines) - 1)


@pytest.mark.parametrize(("x", "after"), [(10, "divided"), (3, "_pin")])
async def test_an_import_does_not_judge_by_a_row_that_a_crash_took_away(
    world: World, monkeypatch: pytest.MonkeyPatch, x: int, after: str
) -> None:
    """The first time the row is unchanged, the second time too little is counted for what is reserved."""
    owner = importing if after == "divided" else importing.Importing
    right = getattr(owner, after)

    def crashing(*arguments: object) -> Turn[object]:
        found = yield from right(*arguments)
        rows = found if after == "_pin" else found[1]
        rows[0]._on_crash(rows[0], ZeroDivisionError())
        return found

    async with world.core() as core:
        await core.ask(Import(lines_of(10, 5), "before"))
        await reserve(core, "o1", ("a", "w", 5))
        monkeypatch.setattr(owner, after, crashing)
        with pytest.raises(Unavailable):
            await core.ask(Import(lines_of(x, 6), "count"))
        monkeypatch.undo()
        world.crashes.clear()
        stock = await available(core)
        assert (stock["a", "w"], stock["b0", "w"]) == (5, 5)


@pytest.mark.parametrize("ticks", range(2, 30))
async def test_a_refused_import_names_all_that_was_wrong_at_one_moment(world: World, ticks: int) -> None:
    """The order takes goods from the first step's row and from the last step's, at once: both are wrong or neither."""
    first, *others = lines_of(1, 5)
    last = CountedLine(ORGANIZATION, "z", "w", "", 1, 0, 0, 0, 0, len(others) + 2)
    async with world.core() as core:
        await core.ask(Import((replace(first, total=10), *others, replace(last, total=10)), "before"))
        refused: list[int] = []

        async def count() -> None:
            try:
                await core.ask(Import((first, *others, last), "count"))
            except Refused as rejected:
                assert isinstance(rejected.refusal, ImportRejected)
                refused.extend(error.line_number for error in rejected.refusal.errors)

        async def reserve_later() -> None:
            for _ in range(ticks):
                await anyio.lowlevel.checkpoint()
            with suppress(Refused):  # the count was first, and left one of each
                await reserve(core, "o1", ("a", "w", 2), ("z", "w", 2))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(count)
            tasks.start_soon(reserve_later)
        assert refused in ([], [first.line_number, last.line_number])
