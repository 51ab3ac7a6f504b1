"""The frame around every method: bytes in, bytes out, and the one place where an exception becomes a status.

A servicer's method answers in one of three ways. It returns the response, if all that it needs is in memory. It returns
the core's reply, from which the response is made later (`Deferred`); that takes no task. Or it is a coroutine or an
async generator of responses, which runs in a task that is cancelled when the caller is gone.
"""

import logging
from collections.abc import Callable, Coroutine, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any, NamedTuple

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass
from msgspec import Struct

from actors.reply import Reply
from rpc.authorization.guard import Guard
from rpc.authorization.scopes import OPEN
from rpc.call_deadlines import CallDeadlines
from rpc.call_watch import CallWatch, WatchedCall
from rpc.company import Company
from rpc.fair_turns import LARGE_BYTES, PAGE_BYTES, UNNAMED, FairTurns, LargeTurn, organization_of
from rpc.held_calls import HeldCalls
from rpc.in_flight import InFlightLimit
from rpc.messages.call_ids import ids_of
from rpc.messages.descriptors import Message, find_service
from rpc.messages.parsing import parse
from rpc.messages.rules import Invalid, Violation
from rpc.messages.status import details_bytes_max, to_status
from rpc.network_bounds import DEFAULT_BOUNDS, NetworkBounds
from rpc.pace import CORE_PACE, Pace
from rpc.peer_address import address_of
from rpc.request_stream import Requests
from rpc.said_often import METHOD_UNKNOWN, TOO_MANY_WATCHES
from rpc.small_turns import SmallTurns
from rpc.transport.transport_port import Context

CALLS_MAX = 10_000
BATCH_LEVELS = 3  # a message of a stream holds requests in envelopes, and each of those its lines

log = logging.getLogger(__name__)


class Deferred(Struct, frozen=True):
    """A response that is made of the core's reply as soon as the core gives it.

    The turn of a large request ends then, whether or not the caller is still there.
    """

    reply: Reply[Any]
    response: Callable[[Any], Message]
    turn: LargeTurn | None = None


Behaviour = Callable[..., Any]  # a servicer's method: its types are checked where the servicer is written
Method = Callable[[Context], None]


class FrameStatistics(NamedTuple):
    calls_under_way: int
    calls_turned_away: int


class Frame:
    """All methods of a server, each inside of the frame.

    A call is counted until its answer is written or its caller gone. A stream that a client holds open is not: each
    of its requests counts as a call (see `calls`). Uploads and streams have limits of their own. At a limit one more is
    answered UNAVAILABLE, to be
    retried.

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
        self._uploads = InFlightLimit(bounds.imports_max, "imports", share=2)
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
            if self._guard is not None and name not in OPEN:
                behaviour = self._guard.method(path, method, behaviour)
            if self._deadlines is not None:
                behaviour = self._deadlines.method(behaviour)
            serve = self._method(path, method, behaviour, limit)
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

    def _queue(self, path: str, context: Context, raw: bytes, size_bytes: int, begin: Callable[..., None]) -> None:
        organization_id = organization_of(raw) or UNNAMED

        def begin_or_end() -> None:
            turn = LargeTurn(self.turns, organization_id, size_bytes)
            if context.is_over:
                turn.end()
            else:
                begin(context, raw, turn)

        try:
            self.turns.post(organization_id, size_bytes, begin_or_end)
        except Exception as error:  # noqa: BLE001 - as in `_begin`
            _abort(path, error, context)

    def _limit_of(self, method: MethodDescriptor) -> InFlightLimit:
        if method.server_streaming:
            return self._uncounted if method.client_streaming else self._watches
        return self._uploads if method.client_streaming else self.calls

    def _namer(self, path: str, limit: InFlightLimit) -> Callable[[Context], str] | None:
        """Says who a call counts for, beside its organization."""
        if path.partition("/")[2].partition("/")[0] not in OPEN:
            return self._guard.name_of if self._guard is not None else None
        return _address_of if limit is self._watches else None

    def _refused_early(self, path: str, method: Method) -> Method:
        """A watch, refused before its message is read, so that a flood of them costs half as much."""

        def serve(context: Context) -> None:
            if self._watches.has_room(_address_of(context)):
                method(context)
            else:
                self._turned_away += 1
                assert isinstance(context.watched, WatchedCall)
                TOO_MANY_WATCHES.say(path, context, context.watched)

        return serve

    def _method(self, path: str, method: MethodDescriptor, behaviour: Behaviour, limit: InFlightLimit) -> Method:
        kind = GetMessageClass(method.input_type)
        name_of = self._namer(path, limit)
        respond = _stream if method.server_streaming else _respond
        has_organization = "organization_id" in method.input_type.fields_by_name
        is_list = method.name.startswith("List") or "page_size" in method.input_type.fields_by_name
        is_held, held = limit is self.calls, self.held
        gone = held.leave if is_held else limit.leave
        start = partial(_start, path, behaviour, respond)
        ttl_minutes = self._ttl_minutes if "ttl_minutes" in method.input_type.fields_by_name else 0

        def serve_one(context: Context) -> None:
            context.receive(partial(take, context))

        def take(context: Context, raw: bytes | None) -> None:
            if context.is_over:
                return
            if raw is not None and (is_list or len(raw) > LARGE_BYTES):
                self._queue(path, context, raw, PAGE_BYTES if is_list else len(raw), begin)
            else:
                begin(context, raw)

        def begin(context: Context, raw: bytes | None, turn: LargeTurn | None = None) -> None:
            try:
                limit.check()  # before anything is done for the call
                request = _one(kind, raw)
                if context.watched is not None:  # a large one is not kept for the sake of its ids
                    context.watched.asked = request if turn is None else ids_of(request)
                if ttl_minutes and not request.ttl_minutes:
                    request.ttl_minutes = ttl_minutes
                organization_id = request.organization_id if has_organization else ""
                caller = name_of(context) if name_of is not None else ""
                under_way = limit.enter(organization_id, caller)
                leave = partial(gone, organization_id, caller)
                if under_way and turn is None and is_held and held.must_wait(organization_id, under_way):
                    held.hold(organization_id, caller, context, partial(start, context, request, leave))
                else:
                    start(context, request, leave, turn)
            except Exception as error:  # noqa: BLE001 - answered, and logged if it is a bug
                _abort(path, error, context)
                if turn is not None:
                    turn.end()

        def serve_many(context: Context) -> None:
            if method.server_streaming:
                requests = Requests(kind, context, self.turns.part, whole=False, levels=BATCH_LEVELS)
            else:
                stall_timeout_s = self._upload_stall_timeout_s
                requests = Requests(kind, context, self.turns.part, whole=True, stall_timeout_s=stall_timeout_s)
            caller = name_of(context) if name_of is not None else ""
            _begin(path, context, limit, lambda: respond(path, context, behaviour(requests, context)), caller)

        return serve_many if method.client_streaming else serve_one


def _address_of(context: Context) -> str:
    return address_of(context.peer())


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
        _abort(path, error, context)


def _start(
    path: str,
    behaviour: Behaviour,
    respond: Callable[[str, Context, Any], None],
    context: Context,
    request: Message,
    leave: Callable[[], None],
    turn: LargeTurn | None = None,
) -> None:
    context.when_gone(leave)
    try:
        outcome = behaviour(request, context)
        if turn is not None:
            if isinstance(outcome, Deferred):  # what a caller gives up, the core finishes all the same
                outcome = Deferred(outcome.reply, outcome.response, turn)
            else:
                context.when_over(turn.end)
            turn = None
        respond(path, context, outcome)
    except Exception as error:  # noqa: BLE001 - answered, and logged if it is a bug
        _abort(path, error, context)
        if turn is not None:
            turn.end()


def _respond(path: str, context: Context, outcome: Any) -> None:
    if isinstance(outcome, Deferred) and outcome.reply.is_done:
        _respond_to_reply(path, context, outcome)
    elif isinstance(outcome, Deferred):
        outcome.reply.when_done(partial(_respond_to_reply, path, context, outcome))
    elif isinstance(outcome, Message):
        context.answer(outcome.SerializeToString())
    else:
        context.run(_respond_in_task(path, context, outcome))


def _respond_to_reply(path: str, context: Context, outcome: Deferred) -> None:
    if outcome.turn is not None:
        outcome.turn.end()
        outcome.turn.answer(partial(_answer, path, context, outcome))
    else:
        _answer(path, context, outcome)


def _answer(path: str, context: Context, outcome: Deferred) -> None:
    if context.is_over:
        return  # the caller is gone, and what was done for it stays done
    try:
        context.answer(outcome.response(outcome.reply.result()).SerializeToString())
    except Exception as error:  # noqa: BLE001 - as above
        _abort(path, error, context)


async def _respond_in_task(path: str, context: Context, outcome: Coroutine[Any, Any, Message]) -> None:
    try:
        context.answer((await outcome).SerializeToString())
    except Exception as error:  # noqa: BLE001 - as above; a cancellation passes
        _abort(path, error, context)


def _stream(path: str, context: Context, outcome: Any) -> None:
    context.run(_write_all(path, context, outcome))


async def _write_all(path: str, context: Context, outcome: Any) -> None:
    try:
        async with aclosing(outcome) as responses:
            async for response in responses:
                await context.write(response.SerializeToString())
    except Exception as error:  # noqa: BLE001 - as above
        _abort(path, error, context)
    else:
        context.end()


def _abort(path: str, error: Exception, context: Context) -> None:
    assert isinstance(context.watched, WatchedCall)
    # A bug is logged even if the caller is gone.
    problem = context.watched.problem_of(path, error, context)
    if context.is_over:
        return
    try:
        context.abort(to_status(problem, details_bytes_max(context.invocation_metadata())))
    except Exception:  # this may run on the journal's stack, which gives the other callers their answers
        log.exception("status_failed", extra={"method": path})
        context.cancel()
