"""What is noted of each call as it ends: how long it took and with which code, and a line in the log if it was slow.

It costs a call one object and two looks at the clock, and where calls are counted a search in a dozen bounds. There is
no lock: all of it belongs to the loop's thread.
"""

from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import Any, Protocol

from grpc import StatusCode
from msgspec import Struct

from actors.buckets import BucketCounts, Buckets
from rpc.call_log import CallLog
from rpc.messages.call_ids import CallIds, ids_of
from rpc.messages.status import Problem
from rpc.transport.transport_port import Context, TracedCall

# The boundaries of OpenTelemetry's rpc.server.call.duration, in seconds, and three below them: half of our calls take
# less than its first.
DURATIONS_S = (
    *(0.0005, 0.001, 0.0025),
    *(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0),
)
OTHER_METHOD = "_OTHER"  # of paths that name no method here, as OpenTelemetry has it
CODES: dict[int, str] = {code.value[0]: code.name for code in StatusCode}
SLOW_CALL_S = 1.0


class CallTrace(TracedCall, Protocol):
    """The span of a call that is sampled."""

    def ended(self, code: int, ids: CallIds) -> None:
        """The call is over."""
        ...


class CallTraces(Protocol):
    """Makes spans of calls."""

    def begin(self, method: str, context: Context) -> CallTrace | None:
        """The span of a call that has come; None if it is not sampled."""
        ...


class CallDurations(Struct, frozen=True):
    """How long the calls of a method took that ended with a code, in seconds."""

    method: str
    code: str
    durations_s: BucketCounts


class CallWatchStatistics(Struct, frozen=True):
    """Calls that ended, if they are counted, and how many of all were slow."""

    calls: tuple[CallDurations, ...]
    slow: int


class MethodWatch:
    """What is known of a method: its calls that ended, by their code.

    Args:
        path: as callers name it.
        is_stream: it answers for as long as its caller likes, and so is never slow.
        is_counting: whether durations are kept.
    """

    __slots__ = ("by_code", "is_stream", "path")

    def __init__(self, path: str, *, is_stream: bool, is_counting: bool) -> None:
        self.path = path
        self.is_stream = is_stream
        self.by_code: dict[int, Buckets] | None = {} if is_counting else None

    def __repr__(self) -> str:
        return f"<MethodWatch {self.path} {self.by_code}>"

    def statistics(self) -> tuple[CallDurations, ...]:
        name = self.path.removeprefix("/")
        return tuple(
            CallDurations(name, CODES.get(code, "UNKNOWN"), durations.statistics())
            for code, durations in (self.by_code or {}).items()
        )

    def add(self, code: int, took_s: float) -> None:
        assert self.by_code is not None, self
        durations = self.by_code.get(code)
        if durations is None:
            durations = self.by_code[code] = Buckets(DURATIONS_S)
        durations.add(took_s)


class CallWatch:
    """Watches the calls of one server.

    Args:
        is_counting: whether durations are kept, which metrics need.
        slow_call_s: a call that takes as long is told to the log, in seconds.
        log: is told.
        traces: makes spans of calls; None: they are not traced.
        clock_s: a clock, in seconds.
    """

    def __init__(
        self,
        *,
        is_counting: bool = False,
        slow_call_s: float = SLOW_CALL_S,
        log: CallLog | None = None,
        traces: CallTraces | None = None,
        clock_s: Callable[[], float] = monotonic,
    ) -> None:
        self._is_counting = is_counting
        self._methods: dict[str, MethodWatch] = {}
        self._other = MethodWatch(OTHER_METHOD, is_stream=False, is_counting=is_counting)
        self.slow_call_s = slow_call_s
        self.log = log or CallLog()
        self._traces = traces
        self.clock_s = clock_s
        self.slow = 0

    def __repr__(self) -> str:
        return f"<CallWatch methods={len(self._methods)} slow={self.slow}>"

    def statistics(self) -> CallWatchStatistics:
        methods = (*self._methods.values(), self._other)
        return CallWatchStatistics(tuple(one for method in methods for one in method.statistics()), self.slow)

    def add_method(self, path: str, *, is_stream: bool) -> None:
        """Calls of this path are counted by it; all others are counted together."""
        self._methods[path] = MethodWatch(path, is_stream=is_stream, is_counting=self._is_counting)

    def begin(self, path: str, context: Context) -> "WatchedCall":
        """A call has come."""
        method = self._methods.get(path, self._other)
        watched = context.watched = WatchedCall(self, method)
        if self._traces is not None:
            watched.trace = self._traces.begin(method.path.removeprefix("/"), context)
        return watched


class WatchedCall:
    """A call under way."""

    __slots__ = ("_began_s", "_is_told", "_method", "_watch", "asked", "trace")

    def __init__(self, watch: CallWatch, method: MethodWatch) -> None:
        self._watch = watch
        self._method = method
        self._began_s = watch.clock_s()
        self.asked: Any = None  # the request, or its ids
        self._is_told = False
        self.trace: CallTrace | None = None

    def __repr__(self) -> str:
        return f"<WatchedCall {self._method.path}>"

    def told(self, context: Context) -> dict[str, object]:
        """What the log says of whose call it is, and how long it has taken."""
        took_s = self._watch.clock_s() - self._began_s
        return {**ids_of(self.asked).told(context), "took_ms": round(took_s * 1_000)}

    def problem_of(self, path: str, error: Exception, context: Context) -> Problem:
        """What the caller is told of an error, which the log is told too."""
        self._is_told = True
        return self._watch.log.problem_of(path, error, partial(self.told, context))

    def refused(self, path: str, problem: Problem, context: Context) -> None:
        """It is about to be refused."""
        self._watch.log.refused(path, problem, partial(self.told, context))

    def ended(self, code: int, context: Context) -> None:
        """It has its answer or a status, or its caller is gone."""
        watch, method = self._watch, self._method
        took_s = watch.clock_s() - self._began_s
        if method.by_code is not None:
            method.add(code, took_s)
        if took_s >= watch.slow_call_s and not method.is_stream:
            watch.slow += 1
            if not self._is_told:
                watch.log.slow(method.path, CODES.get(code, "UNKNOWN"), partial(self.told, context))
        if self.trace is not None:
            self.trace.ended(code, ids_of(self.asked))
        self.asked = None
