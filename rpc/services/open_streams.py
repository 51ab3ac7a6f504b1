"""Which streams are open, and which of them must go: a stream that does nothing holds a place that others want.

Only progress counts, a request that was taken in or replies that the client took: empty messages and pings do not. At
the limit, or at a caller's share of it, the stream that has been idle for longest makes room for a new one. A stream
whose client takes no replies is cut off. What all streams hold together is bounded by its lines, since a refusal names
each of them.
"""

import asyncio
from typing import NamedTuple, Protocol

from actors.unavailable import stream_idle, too_many
from rpc.in_flight import InFlightLimit
from rpc.network_bounds import DEFAULT_BOUNDS

MAKES_ROOM_AFTER_S = 10.0
SWEEP_EVERY_S = 5.0


class OpenStream(Protocol):
    """A stream, as far as its place goes."""

    @property
    def idle_since_s(self) -> float | None:
        """Since when nothing is under way, on the loop's clock; None if something is."""
        ...

    @property
    def unread_since_s(self) -> float | None:
        """Since when its client could have taken replies and did not; None if there are none."""
        ...

    def end(self, error: Exception) -> None:
        """Read no more, and end with `error` once everything under way was answered."""
        ...

    def cut_off(self) -> None:
        """End at once."""
        ...


class OpenStreamsStatistics(NamedTuple):
    """Streams that are open, the lines of the requests under way on them, and how many streams had to go."""

    streams: int
    lines: int
    cut_off: int


class OpenStreams:
    """The streams of one server. It belongs to the running asyncio loop.

    Args:
        limit: how many may be open.
        idle_s, unread_s: how long a stream may be idle, and its replies unread, in seconds.
        makes_room_after_s: how long it must have been idle to make room for another.
        sweep_every_s: how often they are looked at, in seconds.
        lines_max: of the requests under way on all of them; 250 to 600 bytes each, refused.
    """

    def __init__(
        self,
        limit: InFlightLimit,
        *,
        idle_s: float = DEFAULT_BOUNDS.stream_idle_s,
        unread_s: float = DEFAULT_BOUNDS.stream_unread_s,
        makes_room_after_s: float = MAKES_ROOM_AFTER_S,
        sweep_every_s: float = SWEEP_EVERY_S,
        lines_max: int = DEFAULT_BOUNDS.stream_lines_max,
    ) -> None:
        self._limit = limit
        self._idle_s = idle_s
        self._unread_s = unread_s
        self._makes_room_after_s = makes_room_after_s
        self._sweep_every_s = sweep_every_s
        self._lines_max = lines_max
        self._streams: dict[OpenStream, str | None] = {}  # and whose the limit counts it as; None: it does not
        self._sweeping: asyncio.TimerHandle | None = None
        self._cut_off = 0
        self.lines = 0

    def __repr__(self) -> str:
        return f"<OpenStreams streams={len(self._streams)} lines={self.lines}>"

    def statistics(self) -> OpenStreamsStatistics:
        return OpenStreamsStatistics(len(self._streams), self.lines, self._cut_off)

    def all(self) -> list[OpenStream]:
        return list(self._streams)

    @property
    def are_full(self) -> bool:
        """Whether only streams that have nothing under way may read on."""
        return self.lines >= self._lines_max

    def add(self, stream: OpenStream, caller: str = "") -> None:
        """A stream was opened.

        Args:
            caller: whose it is, see `rpc.call_source.source_of`.

        Raises:
            Unavailable: there are too many, or too many of this caller, and none is idle.
        """
        if self._limit.is_full:
            self._make_room()
        elif not self._limit.has_room(caller):
            self._make_room(caller)
        self._limit.enter("", caller)
        self._streams[stream] = caller
        if self._sweeping is None:
            self._sweep_later()

    def remove(self, stream: OpenStream) -> None:
        """It has ended."""
        if (caller := self._streams.pop(stream)) is not None:
            self._limit.leave("", caller)

    def _make_room(self, whose: str = "") -> None:
        """Have the stream go that was idle for longest, of this caller if one is given."""
        now_s = asyncio.get_running_loop().time()
        idle = [
            (since_s, stream)
            for stream, caller in self._streams.items()
            if caller is not None
            and (not whose or caller == whose)
            and (since_s := stream.idle_since_s) is not None
            and now_s - since_s >= self._makes_room_after_s
        ]
        if idle:
            _, longest = min(idle, key=lambda one: one[0])
            caller, self._streams[longest] = self._streams[longest], None
            self._limit.leave("", caller or "")
            self._cut_off += 1
            longest.end(too_many("streams"))

    def _sweep_later(self) -> None:
        self._sweeping = asyncio.get_running_loop().call_later(self._sweep_every_s, self._sweep)

    def _sweep(self) -> None:
        self._sweeping = None
        now_s = asyncio.get_running_loop().time()
        for stream in list(self._streams):
            if _is_past(stream.unread_since_s, now_s, self._unread_s):
                self._cut_off += 1
                stream.cut_off()
            elif _is_past(stream.idle_since_s, now_s, self._idle_s):
                self._cut_off += 1
                stream.end(stream_idle())
        if self._streams:
            self._sweep_later()


def _is_past(since_s: float | None, now_s: float, limit_s: float) -> bool:
    return since_s is not None and now_s - since_s >= limit_s
