"""What a caller waits for on asyncio: `anyio.Event` does more, at ten times the cost."""

import asyncio


class FutureEvent:
    """An event that one task waits for, on asyncio only."""

    __slots__ = ("_future",)

    def __init__(self) -> None:
        self._future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def __repr__(self) -> str:
        return f"<FutureEvent set={self._future.done()}>"

    def set(self) -> None:
        if not self._future.done():  # as it is when the waiting task was cancelled
            self._future.set_result(None)

    def wait(self) -> "asyncio.Future[None]":
        return self._future
