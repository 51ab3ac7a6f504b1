"""Sees a turn of the event loop that holds up everybody else, and names what it did.

A thread looks at the CPU time of the loop's thread, and asks the loop for a sign. What the loop spends until it gives
the sign is what a call that came at the same moment waited for. CPU time and not the clock: on a busy machine a turn
that is interrupted is not long. A request pays nothing for it; the loop gives at most a sign for each look, and none
while it is idle.

Turned down: asyncio's debug mode, which measures every callback by the clock, and which uvloop does not have.
"""

import asyncio
import logging
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from types import FrameType
from typing import NamedTuple

TURN_S = 0.05
LOOK_EVERY_S = 0.02  # a turn is seen for certain when it is longer than its limit by this
TOLD_AGAIN_S = 10.0
FUNCTIONS_MAX = 4
METHODS_MAX = 200
ROOMS = ("actors.", "storage.", "supervisor.", "rpc.", "stockkeeper.")
RPC_FRAMES = ("rpc.frame", "rpc.call_answers")  # whose functions have the method's path

log = logging.getLogger(__name__)


class Place(NamedTuple):
    """What a turn was doing.

    Args:
        method: the path of the call that it served; empty if it served none.
        functions: ours, the innermost first.
    """

    method: str
    functions: tuple[str, ...]


class TurnStatistics(NamedTuple):
    """Turns that were longer than the limit, since the start.

    Args:
        long: how many.
        longest_s: the CPU time of the longest.
        held_s: of all of them.
        by_method: how many served a call of a method, by its path; an empty one: served none.
    """

    long: int
    longest_s: float
    held_s: float
    by_method: tuple[tuple[str, int], ...]


NOWHERE = Place("", ())


class TurnWatch:
    """Watches the running loop until `stop`.

    Args:
        turn_s: how much CPU time a turn may take, in seconds.
        look_every_s: how often the thread looks, in seconds.
    """

    def __init__(self, turn_s: float = TURN_S, look_every_s: float = LOOK_EVERY_S) -> None:
        self._turn_s = turn_s
        self._look_every_s = look_every_s
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._clock = time.pthread_getcpuclockid(self._loop_thread)
        self._seen_s = 0.0
        self._asked_at_s: float | None = None  # on the CPU clock of the loop's thread; None: no sign is waited for
        self._place: Place | None = None
        self._long = 0
        self._longest_s = self._held_s = 0.0
        self._by_method: Counter[str] = Counter()
        self._untold = 0
        self._tell_after_s = 0.0
        self._stopping = threading.Event()
        threading.Thread(target=self._watch, name="turn-watch", daemon=True).start()

    def __repr__(self) -> str:
        return f"<TurnWatch long={self._long} longest_s={self._longest_s:.3f}>"

    def statistics(self) -> TurnStatistics:
        return TurnStatistics(self._long, self._longest_s, self._held_s, tuple(self._by_method.items()))

    def stop(self) -> None:
        self._stopping.set()

    def _watch(self) -> None:
        while not self._stopping.wait(self._look_every_s):
            try:
                self._look()
            except (OSError, RuntimeError):
                return  # the loop's thread has ended, or the loop was closed

    def _look(self) -> None:
        spent_s = time.clock_gettime(self._clock)
        asked_at_s = self._asked_at_s
        if asked_at_s is not None:
            if self._place is None and spent_s - asked_at_s > self._turn_s:
                self._place = place_of(sys._current_frames().get(self._loop_thread))
        elif spent_s > self._seen_s:  # the loop is not idle
            self._place, self._seen_s, self._asked_at_s = None, spent_s, spent_s
            self._loop.call_soon_threadsafe(self._give_sign)

    def _give_sign(self) -> None:
        now_s = time.thread_time()
        assert self._asked_at_s is not None
        took_s = now_s - self._asked_at_s
        place, self._asked_at_s = self._place or NOWHERE, None
        if took_s > self._turn_s:
            self._long += 1
            self._longest_s = max(self._longest_s, took_s)
            self._held_s += took_s
            if place.method in self._by_method or len(self._by_method) < METHODS_MAX:  # callers may name any
                self._by_method[place.method] += 1
            self._tell(took_s, place)

    def _tell(self, took_s: float, place: Place) -> None:
        """Log it, and not more often than once in a while: an attack must not fill the log."""
        self._untold += 1
        if self._loop.time() < self._tell_after_s:
            return
        values = {"method": place.method, "cpu_ms": round(took_s * 1_000), "in": list(place.functions)}
        log.warning("event_loop_held", extra={**values, "times": self._untold})
        self._untold, self._tell_after_s = 0, self._loop.time() + TOLD_AGAIN_S


def place_of(frame: FrameType | None) -> Place:
    """What a thread does, by its innermost frame."""
    method, functions = "", []
    for outer in _outwards(frame):
        room = outer.f_globals.get("__name__", "")
        if room.startswith(ROOMS):
            functions.append(f"{room}.{outer.f_code.co_name}:{outer.f_lineno}")
        if room.endswith(RPC_FRAMES) and not method:
            method = str(outer.f_locals.get("path", ""))
    return Place(method, tuple(functions[:FUNCTIONS_MAX]))


def _outwards(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back
