"""What the callers saw: every operation with its beginning, its end and its answer."""

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from actors.commands import Command
from actors.outcomes import Outcome
from actors.queries import AnyQuery
from actors.views import View

Request = Command | AnyQuery
Answer = Outcome | View


class Operation(Struct):
    """One call of a client, with all its attempts.

    Args:
        number: its place among all operations.
        client: the name of the caller.
        request: what the client asked.
        begin: the place of its beginning among all beginnings and ends.
        end: the place of its end; -1 while it is open.
        answer: what the client got; None if it gave up or got errors only, and it may or may not have happened.
        high_lsn: what was durable when the server gave the answer.
        answered_ms: service time at that moment.
        attempts: how often the client sent it.
        undisturbed_since_lsn: of a reservation, what was durable when the answered attempt began, if the server carried
            out no other command meanwhile; else -1.
        asked_ms: service time when the answered attempt began.
        hints_since_lsn: what was decided then, if the server knew by then of all active reservations; else -1.
        moves_begun: how many steps housekeeping had done when the answered attempt began.
        moves: how many it had done when the server gave the answer.
    """

    number: int
    client: str
    request: Request
    begin: int
    end: int = -1
    answer: Answer | None = None
    high_lsn: int = 0
    answered_ms: int = 0
    attempts: int = 0
    undisturbed_since_lsn: int = -1
    asked_ms: int = 0
    hints_since_lsn: int = -1
    moves_begun: int = 0
    moves: int = 0


class Note(Struct, frozen=True):
    """An event, for people to read."""

    at_s: float
    step: int
    what: str
    about: Any = None


class HistoryStatistics(Struct, frozen=True):
    """Counts of operations, and of notes."""

    operations: int
    open: int
    answered: int
    notes: int


class History:
    """Operations and notes of one run."""

    def __init__(self, now_s: Callable[[], float], step: Callable[[], int]) -> None:
        self.operations: list[Operation] = []
        self.notes: list[Note] = []
        self._now_s = now_s
        self._step = step
        self._events = 0

    def __repr__(self) -> str:
        counts = self.statistics()
        return f"<History operations={counts.operations} open={counts.open} answered={counts.answered}>"

    def statistics(self) -> HistoryStatistics:
        """Looks at every operation: for people, not for every step."""
        is_open = sum(operation.end < 0 for operation in self.operations)
        answered = sum(operation.answer is not None for operation in self.operations)
        return HistoryStatistics(len(self.operations), is_open, answered, len(self.notes))

    def begin(self, client: str, request: Request) -> Operation:
        """A client calls."""
        operation = Operation(len(self.operations), client, request, self._next())
        self.operations.append(operation)
        self.note("asks", operation)
        return operation

    def end(self, operation: Operation) -> None:
        """The client has its answer, or has given up."""
        operation.end = self._next()
        self.note("gets", operation)

    def note(self, what: str, about: Any = None) -> None:
        """Remember an event for the report of a failure."""
        self.notes.append(Note(self._now_s(), self._step(), what, about))

    def _next(self) -> int:
        self._events += 1
        return self._events
