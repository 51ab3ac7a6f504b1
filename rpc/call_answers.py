"""How a call that was begun gets its responses, and the one place where an exception becomes a status.

A servicer's method answers in one of three ways. It returns the response, if all that it needs is in memory. It returns
the core's reply, from which the response is made later (`Deferred`); that takes no task. Or it is a coroutine or an
async generator of responses, which runs in a task that is cancelled when the caller is gone.
"""

import logging
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from functools import partial
from typing import Any

from msgspec import Struct

from actors.reply import Reply
from rpc.call_watch import WatchedCall
from rpc.fair_turns import LargeTurn
from rpc.messages.descriptors import Message
from rpc.messages.status import details_bytes_max, to_status
from rpc.transport.transport_port import Context

Behaviour = Callable[..., Any]  # a servicer's method: its types are checked where the servicer is written

log = logging.getLogger(__name__)


class Deferred(Struct, frozen=True):
    """A response that is made of the core's reply as soon as the core gives it.

    The turn of a large request ends then, whether or not the caller is still there.
    """

    reply: Reply[Any]
    response: Callable[[Any], Message]
    turn: LargeTurn | None = None


def start(
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
        abort(path, error, context)
        if turn is not None:
            turn.end()


def respond_once(path: str, context: Context, outcome: Any) -> None:
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
        abort(path, error, context)


async def _respond_in_task(path: str, context: Context, outcome: Coroutine[Any, Any, Message]) -> None:
    try:
        context.answer((await outcome).SerializeToString())
    except Exception as error:  # noqa: BLE001 - as above; a cancellation passes
        abort(path, error, context)


def respond_many(path: str, context: Context, outcome: Any) -> None:
    context.run(_write_all(path, context, outcome))


async def _write_all(path: str, context: Context, outcome: Any) -> None:
    try:
        async with aclosing(outcome) as responses:
            async for response in responses:
                await context.write(response.SerializeToString())
    except Exception as error:  # noqa: BLE001 - as above
        abort(path, error, context)
    else:
        context.end()


def abort(path: str, error: Exception, context: Context) -> None:
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
