"""When the caller gives up that asks now: for an inventory that may wait, and must have answered before.

Only a router and a cell have that: a core answers as soon as it can. So what works for a call learns of the call by a
variable of its context, and no other server pays for it.
"""

from collections.abc import Callable
from contextvars import ContextVar
from math import inf
from typing import Any

from rpc.transport.transport_port import Context

_call: ContextVar[Context | None] = ContextVar("stockkeeper_call", default=None)


class CallDeadlines:
    """Notes each call as it begins. What it begins, its tasks too, finds it with `of_this_call`."""

    def __repr__(self) -> str:
        return f"<CallDeadlines of {_call.get()!r}>"

    def method(self, behaviour: Callable[..., Any]) -> Callable[..., Any]:
        """The servicer's method, whose calls are noted."""

        def noted(request: Any, context: Context) -> Any:
            _call.set(context)
            return behaviour(request, context)

        return noted

    def of_this_call(self) -> Callable[[], float]:
        """What tells in how many seconds the caller gives up; infinitely many if never."""
        call = _call.get()
        return (lambda: inf) if call is None else call.time_left_s
