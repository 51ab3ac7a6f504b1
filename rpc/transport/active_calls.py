"""The calls that a listener has not ended yet."""

import asyncio
from collections.abc import Hashable, Iterable
from typing import Generic, NamedTuple, TypeVar

from rpc.transport.transport_port import ListenerStatistics

C = TypeVar("C", bound=Hashable)


class _Drain(NamedTuple):
    """A wait for the calls that were under way when it began."""

    calls: set[object]
    done: asyncio.Event


class ActiveCalls(Generic[C]):
    """Each call from its arrival until its last word is written or its caller is gone."""

    def __init__(self) -> None:
        self._calls: dict[C, None] = {}
        self._drains: list[_Drain] = []
        self.begun = 0

    def __repr__(self) -> str:
        return f"<ActiveCalls {len(self._calls)}>"

    def __len__(self) -> int:
        return len(self._calls)

    def statistics(self) -> ListenerStatistics:
        return ListenerStatistics(len(self._calls), self.begun)

    def all(self) -> Iterable[C]:
        return self._calls

    def add(self, call: C) -> None:
        self.begun += 1
        self._calls[call] = None

    def remove(self, call: C) -> None:
        del self._calls[call]
        for drain in self._drains:
            drain.calls.discard(call)
            if not drain.calls:
                drain.done.set()

    async def drain(self, timeout_s: float) -> None:
        """Wait until the calls that run now have ended, at most `timeout_s` seconds."""
        if not self._calls:
            return
        drain = _Drain(set(self._calls), asyncio.Event())
        self._drains.append(drain)
        try:
            async with asyncio.timeout(timeout_s):
                await drain.done.wait()
        except TimeoutError:
            pass
        finally:
            self._drains.remove(drain)
