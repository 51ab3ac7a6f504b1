"""aiosqlite's thread: the one place that reaches for what aiosqlite keeps private.

aiosqlite offers a call for each of the driver's methods and a hop to its thread for every call. A batch is some
twenty calls, a read through SQLAlchemy's adapter five. To run a whole function in one hop there is only
`_execute`, which its public methods are made of. It has a second virtue: a function that has begun runs to its
end, whatever becomes of the task that waits for it, so no cancellation leaves a transaction open for the next.
aiosqlite is pinned, and a test is the canary.
"""

import sqlite3
from collections.abc import Callable
from typing import TypeVar

import aiosqlite

T = TypeVar("T")


async def run_on_thread(connection: aiosqlite.Connection, function: Callable[[sqlite3.Connection], T]) -> T:
    """Run `function` on the connection's own thread, after all that was asked before, in one hop.

    Cancellation does not stop it, only the waiting for it.
    """
    raw = connection._connection
    if raw is None or not connection._running:
        raise sqlite3.ProgrammingError("the connection is closed")
    result: T = await connection._execute(function, raw)  # type: ignore[no-untyped-call]
    return result
