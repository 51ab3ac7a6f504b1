"""Refusals that floods of calls get, made once: to make one costs as much as all else that is done for such a call."""

from typing import NamedTuple

import grpc

from actors.unavailable import too_many
from rpc.call_watch import WatchedCall
from rpc.messages.problems import NotAuthenticated, describe
from rpc.messages.status import Problem, to_status
from rpc.transport.transport_port import Context


class SaidOften(NamedTuple):
    """A refusal without a list, which would have to be cut to what a caller can take."""

    problem: Problem
    status: grpc.Status

    def say(self, path: str, context: Context, watched: WatchedCall) -> None:
        """End a call with it."""
        watched.refused(path, self.problem, context)
        context.abort(self.status)


def _made(problem: Problem | None) -> SaidOften:
    assert problem is not None
    return SaidOften(problem, to_status(problem))


METHOD_UNKNOWN = _made(Problem(grpc.StatusCode.UNIMPLEMENTED, "METHOD_UNKNOWN", "There is no such method here"))
TOO_MANY_WATCHES = _made(describe(too_many("watches")))
NO_KEY = _made(describe(NotAuthenticated()))
