"""When a router asks again, and when it says that it cannot."""

from collections.abc import Callable
from math import inf

import anyio

from actors.cell_records import WrongCell
from actors.outcomes import Refused
from actors.unavailable import CELL_AWAY, CELLS_DISAGREE, MOVING, Unavailable, moving

TimeLeft = Callable[[], float]

PASSING = {"SHUTTING_DOWN", "STORAGE_DOWN", "STANDING_BY", MOVING, CELL_AWAY, CELLS_DISAGREE}
PAUSE_MIN_S, PAUSE_MAX_S = 0.02, 0.5
MARGIN_MIN_S, MARGIN_MAX_S, MARGIN = 0.05, 1.0, 0.2  # of the time that a caller has left: for the answer to arrive


class Pauses:
    """Those between two tries.

    Args:
        wait_s: for how long there are any.
        time_left_s: in which the caller gives up.
    """

    def __init__(self, wait_s: float, time_left_s: float) -> None:
        now_s = anyio.current_time()
        margin_s = min(max(MARGIN * time_left_s, MARGIN_MIN_S), MARGIN_MAX_S)
        self.gives_up_at_s = now_s + time_left_s - margin_s
        self._until_s = min(now_s + wait_s, self.gives_up_at_s)
        self._pause_s = 0.0

    def __repr__(self) -> str:
        return f"<Pauses {self._pause_s:g} s>"

    def statistics(self) -> float:
        """The next one, in seconds."""
        return self._pause_s

    async def after(self, error: Exception | None) -> bool:
        """Wait for the next try, the first of which is at once; False: there is no time for another."""
        pause_s, self._pause_s = self._pause_s, min(max(2 * self._pause_s, PAUSE_MIN_S), PAUSE_MAX_S)
        if isinstance(error, Unavailable):
            pause_s = max(pause_s, PAUSE_MIN_S)
        if anyio.current_time() + pause_s > self._until_s:
            return False
        await anyio.sleep(pause_s)
        return True


def never() -> float:
    """What a caller has left that does not give up, in seconds."""
    return inf


def passes(error: Exception) -> bool:
    """Whether asking again can help."""
    if isinstance(error, Refused):
        return isinstance(error.refusal, WrongCell)
    return isinstance(error, Unavailable) and error.reason in PASSING


def kept(before: Exception, error: Exception) -> Exception:
    """A cell that did not hold the organization is looked for until it is found."""
    return before if isinstance(before, Refused) and isinstance(error, Unavailable) and passes(error) else error


def final(error: Exception) -> Exception:
    """What the caller is told in the end: that no cell is right is no answer, since one will be."""
    return moving() if isinstance(error, Refused) and isinstance(error.refusal, WrongCell) else error
