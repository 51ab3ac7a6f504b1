"""The first of several hosts that will do, however long another one says nothing.

asyncpg asks one host after the other and has one time limit for all of them, so a node that says nothing, since it has
no power or its network is cut, uses up the time of those behind it. Here the next host is asked as soon as one has
refused, or has said nothing for a moment, and the first that will do is taken.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import asyncpg  # type: ignore[import-untyped]

NEXT_AFTER_S = 0.25  # a host that is there has answered by then


async def first_of(connects: Sequence[Callable[[], Awaitable[asyncpg.Connection]]]) -> asyncpg.Connection:
    """The connection of the first host that makes one, in about their order. The others are given up.

    Raises:
        Exception: what the last of them raised, if none does.
    """
    left, trying, failed = list(connects), set[asyncio.Task[Any]](), None
    try:
        while left or trying:
            if left:
                trying.add(asyncio.ensure_future(left.pop(0)()))
            done, trying = await asyncio.wait(
                trying, timeout=NEXT_AFTER_S if left else None, return_when=asyncio.FIRST_COMPLETED
            )
            made = [one for one in done if one.exception() is None]
            trying |= set(made[1:])
            if made:
                return made[0].result()
            failed = next((one.exception() for one in done), failed)
        assert failed is not None
        raise failed
    finally:
        await _give_up(trying)


async def _give_up(tasks: set[asyncio.Task[Any]]) -> None:
    for one in tasks:
        one.cancel()
    for end in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(end, asyncpg.Connection):
            end.terminate()
