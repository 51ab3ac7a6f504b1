"""What is small goes on a few at a time, the organizations by turns."""

import asyncio
from functools import partial

import pytest

from rpc.company import Company
from rpc.pace import Pace
from rpc.small_turns import ROWS_A_MESSAGE, ROWS_A_TURN, SmallTurns

pytestmark = pytest.mark.anyio

A_TURN = ROWS_A_TURN // ROWS_A_MESSAGE


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def turns_of(small: SmallTurns, begun: list[str]) -> list[int]:
    """How many are begun in each turn of the loop, until none waits."""
    counts = []
    async with asyncio.timeout(10):
        while small.statistics().waiting:
            before = len(begun)
            await asyncio.sleep(0)
            counts.append(len(begun) - before)
    return counts


async def test_a_crowd_goes_on_a_few_in_a_turn_of_the_loop() -> None:
    small, begun = SmallTurns(), list[str]()
    for number in range(5 * A_TURN):
        small.post("herd", 0, partial(begun.append, str(number)))
    assert not begun
    assert max(await turns_of(small, begun)) == A_TURN
    assert begun == [str(number) for number in range(5 * A_TURN)]


async def test_large_ones_go_on_alone() -> None:
    small, begun = SmallTurns(), list[str]()
    for _ in range(5):
        small.post("herd", 10 * ROWS_A_TURN, partial(begun.append, "large"))
    assert max(await turns_of(small, begun)) == 1
    assert len(begun) == 5


async def test_another_organization_does_not_wait_for_the_crowd() -> None:
    small, begun = SmallTurns(), list[str]()
    for _ in range(10 * A_TURN):
        small.post("herd", 0, partial(begun.append, "herd"))
    small.post("other", 0, partial(begun.append, "other"))
    await turns_of(small, begun)
    assert begun.index("other") == 1


async def test_in_company_the_loop_is_left_to_others_in_between_and_alone_it_is_not() -> None:
    company = Company()
    for has_company in (False, True):
        if has_company:
            company.note("herd")
            company.note("other")
        small, begun = SmallTurns(company, Pace(24, 48, 60.0)), list[str]()
        for _ in range(2 * A_TURN):
            small.post("herd", 0, partial(begun.append, "herd"))
        for _ in range(10):
            await asyncio.sleep(0)
        assert len(begun) == (A_TURN if has_company else 2 * A_TURN)


async def test_one_that_finds_room_does_not_wait_and_the_room_is_of_a_turn() -> None:
    small = SmallTurns()
    for _ in range(A_TURN):
        with pytest.raises(StopIteration):
            small.turn("org", 0).send(None)
    waits, gone = small.turn("org", 0), small.turn("org", 0)
    waits.send(None)
    gone.send(None)
    assert small.statistics().waiting == 2
    gone.close()
    await asyncio.sleep(0)
    assert small.statistics().waiting == 0
    with pytest.raises(StopIteration):
        waits.send(None)
