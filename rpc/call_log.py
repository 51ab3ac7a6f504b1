"""One line in the log for each call that was refused, failed or was slow: which method, which order, and whose call.

A line is asked for before it is made: in a flood of refusals most are left out, and cost next to nothing. How many were
is told with the next one (`more_like_this`).
"""

import logging
from collections.abc import Callable, Mapping

from rpc.line_budget import LineBudget
from rpc.messages.call_ids import printable
from rpc.messages.problems import INTERNAL, KeyRefused, describe
from rpc.messages.status import Problem

log = logging.getLogger(__name__)

Told = Callable[[], Mapping[str, object]]
"""What a line says of whose call it was: see `rpc.messages.call_ids`."""


class CallLog:
    """Tells the log of calls.

    Args:
        lines: bounds it.
    """

    def __init__(self, lines: LineBudget | None = None) -> None:
        self._lines = lines or LineBudget()

    def __repr__(self) -> str:
        return f"<CallLog {self._lines}>"

    def problem_of(self, path: str, error: Exception, told: Told) -> Problem:
        """What the caller of a method is told of an error. An unknown error is a bug, and has its traceback logged."""
        problem = describe(error)
        if problem is None:
            self._tell(logging.ERROR, "rpc_failed", path, INTERNAL, told, error=error)
            return INTERNAL
        if problem is INTERNAL:  # the core has logged the traceback
            self._tell(logging.ERROR, "rpc_failed", path, INTERNAL, told)
        elif isinstance(error, KeyRefused):  # the caller is not told why
            why = {"reason": printable(error.why)} | ({"key": error.key} if error.key else {})
            self._tell(logging.INFO, "call_not_allowed", path, problem, lambda: {**told(), **why})
        else:
            self.refused(path, problem, told)
        error.__traceback__ = None  # it refers to the reply, and the reply to the error: a cycle that keeps the call
        return problem

    def refused(self, path: str, problem: Problem, told: Told) -> None:
        self._tell(logging.INFO, "rpc_refused", path, problem, told)

    def slow(self, path: str, code: str, told: Told) -> None:
        left_out = self._lines.take("rpc_slow")
        if left_out is not None:
            log.info("rpc_slow", extra=_values(path, code, left_out, told))

    def _tell(
        self, level: int, event: str, path: str, problem: Problem, told: Told, *, error: Exception | None = None
    ) -> None:
        if not log.isEnabledFor(level):
            return
        left_out = self._lines.take(event)
        if left_out is not None:
            values = {"reason": problem.reason} | _values(path, problem.code.name, left_out, told)
            log.log(level, event, extra=values, exc_info=error)


def _values(path: str, code: str, left_out: int, told: Told) -> dict[str, object]:
    more = {"more_like_this": left_out} if left_out else {}
    return {"method": printable(path), "code": code, **told(), **more}
