"""Long reads in steps, so that others use the database in between: on SQLite one connection may serve everything."""

from collections.abc import Awaitable, Callable, Generator
from typing import Any, TypeAlias, TypeVar

from sqlalchemy import Connection

LINES_A_STEP = 5_000  # that one statement looks at: 3 ms or so

T = TypeVar("T")

Step: TypeAlias = Callable[[Connection], Any]
Steps: TypeAlias = Generator[Step, Any, T]
"""Each thing that is yielded is to be called with a connection, and its value sent back."""


def read_without_pause(connection: Connection, steps: Steps[T]) -> T:
    """What the steps find, without a pause."""
    found = None
    try:
        while True:
            found = steps.send(found)(connection)
    except StopIteration as end:
        answer: T = end.value
        return answer


async def read_in_steps(read: Callable[[Step], Awaitable[Any]], steps: Steps[T]) -> T:
    """The same, with whatever else asks the database in between.

    Args:
        read: carries out one step.
    """
    found = None
    try:
        while True:
            found = await read(steps.send(found))
    except StopIteration as end:
        answer: T = end.value
        return answer
