"""The frame around every method: bytes in, bytes out. How a call is answered then stands in `rpc.call_answers`.

Where callers need keys, it is looked at the call's key before its message is read, and at what the message names before
it counts for anybody: a caller without a key takes no turn, no place and no share, least of all another's.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass

from rpc.authorization.guard import Guard
from rpc.authorization.scopes import OPEN
from rpc.call_answers import Behaviour, abort, respond_many, respond_once, start
from rpc.call_deadlines import CallDeadlines
from rpc.call_source import source_of
from rpc.call_watch import CallWatch, WatchedCall
from rpc.company import Company
from rpc.fair_turns import LARGE_BYTES, PAGE_BYTES, UNNAMED, FairTurns, LargeTurn, organization_of
from rpc.held_calls import HeldCalls
from rpc.in_flight import InFlightLimit
from rpc.messages.call_ids import ids_of
from rpc.messages.descriptors import find_service
from rpc.messages.parsing import parse
from rpc.messages.problems import NotAuthenticated
from rpc.messages.rules import Invalid, Violation
from rpc.network_bounds import DEFAULT_BOUNDS, NetworkBounds
from rpc.pace import CORE_PACE, Pace
from rpc.request_stream import Requests
from rpc.said_often import METHOD_UNKNOWN, NO_KEY, TOO_MANY_WATCHES
from rpc.small_turns import SmallTurns
from rpc.transport.transport_port import Context

CALLS_MAX = 10_000
BATCH_LEVELS = 3  # a message of a stream holds requests in envelopes, and each of those its lines

Method = Callable[[Context], None]
Begin = Callable[[LargeTurn], None]


class FrameStatistics(NamedTuple):
    calls_under_way: int
    calls_turned_away: int


class Frame:
    """All methods of a server, each inside of the frame.

    A call is counted until its answer is written or its caller gone. A stream that a client holds open is not: each
    of its requests counts as a call (see `calls`). Uploads and streams have limits of their own. At a limit one more is
    answered UNAVAILABLE, to be retried.

    Args:
        calls_max: how many calls may be under way.
        bounds: the others. Uploads, streams with one answer at their end, are imports.
        turns: of large requests.
        guard: says who may call; None: everybody may.
        watch: times the calls.
        deadlines: is told of each call; None: nothing waits that would have to know.
        company: knows whether several organizations call.
        pace: of the transport.
    """

    def __init__(
        self,
        calls_max: int,
        *,
        bounds: NetworkBounds = DEFAULT_BOUNDS,
        turns: FairTurns | None = None,
        guard: Guard | None = None,
        watch: CallWatch | None = None,
        deadlines: CallDeadlines | None = None,
        company: Company | None = None,
        pace: Pace = CORE_PACE,
    ) -> None:
        self._guard = guard
        self._deadlines = deadlines
        self.watch = watch or CallWatch()
        self.calls = InFlightLimit(calls_max, "calls")
        company = company or Company()
        self.held = HeldCalls(self.calls, company, pace)
        self.turns = turns or FairTurns(bounds.waiting_bytes_max, company, pace)
        self.small_turns = SmallTurns(company, pace)
        # Counted by caller from the first moment, since one that never says whose it is would have all four.
        self._uploads = InFlightLimit(bounds.imports_max, "imports", share=1, of_caller_max=bounds.imports_a_caller_max)
        # Entered by their servicer, when it knows whose they are: of four, one organization has three at most.
        self.imports = InFlightLimit(bounds.imports_max, "imports of this organization", share=2)
        self.streams = InFlightLimit(bounds.streams_max, "streams")  # entered by their servicer, which can make room
        self._uncounted = InFlightLimit(None, "questions")
        self._watches = InFlightLimit(bounds.watches_max, "watches")
        self._upload_stall_timeout_s = bounds.import_stall_s
        self._ttl_minutes = bounds.own_ttl_minutes
        self._methods: dict[str, Method] = {}
        self._turned_away = 0

    def __repr__(self) -> str:
        return f"<Frame methods={len(self._methods)} {self.calls}>"

    def statistics(self) -> FrameStatistics:
        counted = (self.calls, self._uploads)
        return FrameStatistics(
            sum(limit.under_way for limit in counted),
            sum((self._turned_away, *(limit.turned_away for limit in (*counted, self.streams, self._watches)))),
        )

    @property
    def methods(self) -> Sequence[str]:
        """Their paths."""
        return list(self._methods)

    def add_service(self, name: str, servicer: object, serve_as: str = "", *, is_counted: bool = True) -> None:
        """Serve every method of a service by the servicer's method of that name.

        Args:
            name: the service's full name; its generated code has been imported.
            serve_as: what callers call it; its own name by default.
            is_counted: whether its calls have limits. Health has none: it answers during an overload too. What it, or
                reflection, keeps open has one of its own.
        """
        for method in find_service(name).methods:
            path = f"/{serve_as or name}/{method.name}"
            if is_counted:
                limit = self._limit_of(method)
            else:
                limit = self._watches if method.server_streaming else self._uncounted
            behaviour = getattr(servicer, method.name)
            guard = self._guard if name not in OPEN else None
            if guard is not None:
                behaviour = guard.method(path, method, behaviour)
            if self._deadlines is not None:
                behaviour = self._deadlines.method(behaviour)
            serve = self._method(path, method, behaviour, limit, guard)
            if guard is not None:
                serve = _known_first(path, guard, serve)
            is_open_watch = limit is self._watches and not is_counted
            self._methods[path] = self._refused_early(path, serve) if is_open_watch else serve
            self.watch.add_method(path, is_stream=method.client_streaming or method.server_streaming)

    def serve(self, path: str, context: Context) -> None:
        """Serve a call that has just come. It is answered by way of its context, now or later."""
        watched = self.watch.begin(path, context)
        method = self._methods.get(path)
        if method is None:
            METHOD_UNKNOWN.say(path, context, watched)
        else:
            method(context)

    def _queue(self, path: str, context: Context, whose: str, size_bytes: int, begin: Begin) -> None:
        source = source_of(context)

        def begin_or_end() -> None:
            turn = LargeTurn(self.turns, whose, size_bytes, source)
            if context.is_over:
                turn.end()
            else:
                begin(turn)

        try:
            self.turns.post(whose, size_bytes, begin_or_end, source)
        except Exception as error:  # noqa: BLE001 - as in `_begin`
            abort(path, error, context)

    def _limit_of(self, method: MethodDescriptor) -> InFlightLimit:
        if method.server_streaming:
            return self._uncounted if method.client_streaming else self._watches
        return self._uploads if method.client_streaming else self.calls

    def _refused_early(self, path: str, method: Method) -> Method:
        """A watch, refused before its message is read, so that a flood of them costs half as much."""

        def serve(context: Context) -> None:
            if self._watches.has_room(source_of(context)):
                method(context)
            else:
                self._turned_away += 1
                assert isinstance(context.watched, WatchedCall)
                TOO_MANY_WATCHES.say(path, context, context.watched)

        return serve

    def _method(
        self, path: str, method: MethodDescriptor, behaviour: Behaviour, limit: InFlightLimit, guard: Guard | None
    ) -> Method:
        kind = GetMessageClass(method.input_type)
        respond = respond_many if method.server_streaming else respond_once
        has_organization = "organization_id" in method.input_type.fields_by_name
        is_list = method.name.startswith("List") or "page_size" in method.input_type.fields_by_name
        is_held, held = limit is self.calls, self.held
        gone = held.leave if is_held else limit.leave
        whose = held.source_of if is_held else source_of
        start_it = partial(start, path, behaviour, respond)
        ttl_minutes = self._ttl_minutes if "ttl_minutes" in method.input_type.fields_by_name else 0

        def serve_one(context: Context) -> None:
            context.receive(partial(take, context))

        def take(context: Context, raw: bytes | None) -> None:
            if context.is_over:
                return
            if raw is not None and (is_list or len(raw) > LARGE_BYTES):
                its_turn = _whose_turn(raw, context, guard)
                self._queue(path, context, its_turn, PAGE_BYTES if is_list else len(raw), partial(begin, context, raw))
            else:
                begin(context, raw)

        def begin(context: Context, raw: bytes | None, turn: LargeTurn | None = None) -> None:
            try:
                limit.check()  # before anything is done for the call
                request = _one(kind, raw)
                if context.watched is not None:  # a large one is not kept for the sake of its ids
                    context.watched.asked = request if turn is None else ids_of(request)
                if guard is not None:  # before it counts for those that it names
                    guard.admit(path, context, request)
                if ttl_minutes and not request.ttl_minutes:
                    request.ttl_minutes = ttl_minutes
                organization_id = request.organization_id if has_organization else ""
                caller = whose(context)
                under_way = limit.enter(organization_id, caller)
                leave = partial(gone, organization_id, caller)
                if under_way and turn is None and is_held and held.must_wait(organization_id, caller, under_way):
                    held.hold(organization_id, caller, context, partial(start_it, context, request, leave))
                else:
                    start_it(context, request, leave, turn)
            except Exception as error:  # noqa: BLE001 - answered, and logged if it is a bug
                abort(path, error, context)
                if turn is not None:
                    turn.end()

        def serve_many(context: Context) -> None:
            if method.server_streaming:
                requests = Requests(kind, context, self.turns.part, whole=False, levels=BATCH_LEVELS)
            else:
                stall_timeout_s = self._upload_stall_timeout_s
                requests = Requests(
                    kind, context, self.turns.part, whole=True, stall_timeout_s=stall_timeout_s, progress="lines"
                )
            caller = source_of(context)
            _begin(path, context, limit, lambda: respond(path, context, behaviour(requests, context)), caller)

        return serve_many if method.client_streaming else serve_one


def _known_first(path: str, guard: Guard, method: Method) -> Method:
    """A method whose callers are looked at before anything of theirs is read, or waits."""

    def serve(context: Context) -> None:
        try:
            guard.identify(path, context)
        except NotAuthenticated as error:
            assert isinstance(context.watched, WatchedCall)
            context.watched.problem_of(path, error, context)  # for the log, which alone is told why
            context.abort(NO_KEY.status)
        except Exception as error:  # noqa: BLE001 - answered, and logged if it is a bug
            abort(path, error, context)
        else:
            method(context)

    return serve


def _whose_turn(raw: bytes, context: Context, guard: Guard | None) -> str:
    """Whose a large request is, as far as turns go: its organization, if its caller may act for that."""
    organization_id = organization_of(raw)
    if organization_id and (guard is None or guard.may_act_for(context, organization_id)):
        return organization_id
    return f"{UNNAMED}{context.caller}"  # which is no organization's id


def _one(kind: Any, raw: bytes | None) -> Any:
    if raw is None:
        raise Invalid([Violation("", "There was no request in the call")], "MALFORMED_REQUEST")
    return parse(kind, raw)


def _begin(path: str, context: Context, limit: InFlightLimit, respond: Callable[[], None], caller: str = "") -> None:
    try:
        limit.enter("", caller)
        context.when_gone(partial(limit.leave, "", caller))
        respond()
    except Exception as error:  # noqa: BLE001 - answered, and logged if it is a bug
        abort(path, error, context)
