"""What callers hold by being slow: answers that they do not take, and requests that they do not finish.

gRPC keeps an answer until its caller takes it, and counts nothing. Here large answers are counted by size, for each
connection and in all; beyond a bound the largest are cut off first, and of equals the oldest. (Small ones are bounded
by the number of calls, which count until their answer is written.) A call that does not bring its request, or take its
answer, is cut off after some time. Nothing is measured for a call: all are looked at every few seconds, and a call
that was found waiting in every look is old.
"""

import asyncio
import logging
from collections.abc import Callable, Hashable, Iterable
from typing import Generic, NamedTuple, Protocol, TypeVar

from rpc.network_bounds import DEFAULT_BOUNDS, NetworkBounds

LARGE_BYTES = 4 * 1024  # smaller answers are not counted
LOOK_BYTES = 8 * 1024 * 1024  # more or less of it, and the connections are looked at again
LOOK_EVERY_S = 5.0

log = logging.getLogger(__name__)


class SlowCall(Hashable, Protocol):
    """A call, as far as its caller can be slow."""

    @property
    def awaits_request(self) -> bool:
        """Whether its one request has not come."""
        ...

    def peer(self) -> str:
        """The connection that it came on."""
        ...

    def cut_off(self) -> None:
        """End it at once."""
        ...


C = TypeVar("C", bound=SlowCall)


class SlowCallersStatistics(NamedTuple):
    """Large answers that are not taken yet, and how many calls were cut off."""

    answers: int
    size_bytes: int
    cut_off: int


class SlowCallers(Generic[C]):
    """Belongs to the running asyncio loop.

    Args:
        calls: gives those under way.
        bounds: on answers that are not taken, in all and on a connection, and on how long a request or its answer may
            take.
        look_every_s: how often all calls are looked at, in seconds.
    """

    def __init__(
        self,
        calls: Callable[[], Iterable[C]],
        bounds: NetworkBounds = DEFAULT_BOUNDS,
        *,
        look_every_s: float = LOOK_EVERY_S,
    ) -> None:
        self._calls = calls
        self._bytes_max = bounds.answers_bytes_max
        self._bytes_max_of_connection = bounds.answers_bytes_a_connection_max
        self._request_looks = looks_within(bounds.request_arrival_s)
        self._answer_looks = looks_within(bounds.answer_untaken_s)
        self._look_every_s = look_every_s
        self._answers: dict[C, int] = {}  # oldest first
        self._size_bytes = 0
        self._look_at_bytes = LOOK_BYTES
        self._waiting: dict[C, int] = {}  # in how many looks a call was found so
        self._cut_off = 0
        self._timer: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<SlowCallers answers={len(self._answers)} size_bytes={self._size_bytes} cut_off={self._cut_off}>"

    def statistics(self) -> SlowCallersStatistics:
        return SlowCallersStatistics(len(self._answers), self._size_bytes, self._cut_off)

    def start(self) -> None:
        """Look at all calls from now on."""
        self._timer = asyncio.get_running_loop().call_later(self._look_every_s, self._look)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def given(self, call: C, size_bytes: int) -> None:
        """A large answer was given to gRPC."""
        self._answers[call] = size_bytes
        self._size_bytes += size_bytes
        if self._size_bytes > self._look_at_bytes:
            self._bound()

    def gone(self, call: C) -> None:
        """The answer was taken, or its caller is gone."""
        size_bytes = self._answers.pop(call, 0)
        if size_bytes:
            self._size_bytes -= size_bytes
            self._look_at_bytes = min(self._look_at_bytes, self._size_bytes + LOOK_BYTES)

    def _bound(self) -> None:
        """Cut off what is too much on a connection, or in all."""
        connections: dict[str, list[C]] = {}
        for call in self._answers:
            connections.setdefault(call.peer(), []).append(call)
        cut: dict[C, None] = {}
        for calls in connections.values():
            if len(calls) > 1:  # one alone may be as large as a message may be
                cut |= dict.fromkeys(self._too_much(calls, self._bytes_max_of_connection))
        cut |= dict.fromkeys(self._too_much([call for call in self._answers if call not in cut], self._bytes_max))
        self._cut(list(cut))
        self._look_at_bytes = self._size_bytes + LOOK_BYTES

    def _too_much(self, calls: list[C], bytes_max: int) -> Iterable[C]:
        size_bytes = sum(self._answers[call] for call in calls)
        for call in sorted(calls, key=self._answers.__getitem__, reverse=True):  # stable: the oldest of equals first
            if size_bytes <= bytes_max:
                return
            size_bytes -= self._answers[call]
            yield call

    def _look(self) -> None:
        self.start()
        before, self._waiting = self._waiting, {}
        for call in self._calls():
            if call.awaits_request or call in self._answers:
                self._waiting[call] = before.get(call, 0) + 1
        old = [
            call
            for call, looks in self._waiting.items()
            if looks > (self._request_looks if call.awaits_request else self._answer_looks)
        ]
        for call in old:
            del self._waiting[call]
        self._cut(old)

    def _cut(self, calls: list[C]) -> None:
        if not calls:
            return
        log.info("slow_callers_cut_off", extra={"calls": len(calls), "not_taken_bytes": self._size_bytes})
        self._cut_off += len(calls)
        for call in calls:
            self.gone(call)
            call.cut_off()


def looks_within(seconds: float) -> int:
    """In how many looks a call may be found waiting.

    >>> looks_within(30)
    6
    """
    return max(1, round(seconds / LOOK_EVERY_S))
