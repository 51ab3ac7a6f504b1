"""The owner's end of a link: a front-end's requests, carried out by the core.

A request has no task here: it enters the core on the reader's stack, and its answer goes into the link when it is
given, so that a batch which the journal made durable goes back in one write. A front-end that is gone leaves its
requests with the core, which finishes them as it does a call that was given up.
"""

import asyncio
import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple, Self, assert_never

from msgspec.structs import replace

from actors.commands import Command, CountedLine, DropStaged, Import, StageLines
from actors.outcomes import ActorCrashed, Refused
from actors.queries import AnyQuery, Query
from actors.reply import Reply
from actors.unavailable import Unavailable
from rpc.frontends import link_messages as say
from rpc.frontends.link import Link
from rpc.inventory_port import Inventory

log = logging.getLogger(__name__)


class FrontendSessionStatistics(NamedTuple):
    """Imports of which only some parts have come, and the lines of these."""

    imports: int
    lines: int


class FrontendSession:
    """One front-end, as the owner sees it. Made by `connect`.

    Args:
        inventory: the core.
        on_listening: told when clients can connect to the front-end.
    """

    def __init__(self, inventory: Inventory, on_listening: Callable[[], None]) -> None:
        self._inventory = inventory
        self._on_listening = on_listening
        # A front-end that does not read answers gets no more of them: then its requests are not read either.
        self._link: Link[say.FromFrontend] = Link(say.FromFrontend, self._hear, self._on_lost, waits_for_reader=True)
        self._imports: dict[int, list[CountedLine]] = {}
        self._uploads: set[str] = set()  # of large imports
        self.on_lost: Callable[[], None] = lambda: None

    def __repr__(self) -> str:
        return f"<FrontendSession imports={len(self._imports)} {self._link}>"

    def statistics(self) -> FrontendSessionStatistics:
        return FrontendSessionStatistics(len(self._imports), sum(map(len, self._imports.values())))

    @classmethod
    async def connect(cls, frontend: socket.socket, inventory: Inventory, on_listening: Callable[[], None]) -> Self:
        """Begin on a socket that is connected to the front-end."""
        session = cls(inventory, on_listening)
        await asyncio.get_running_loop().create_unix_connection(lambda: session._link, sock=frontend)
        session.set_serving(inventory.serving)
        return session

    @property
    def protocol(self) -> asyncio.Protocol:
        """What a connection is given to that is made otherwise; then the first word, `set_serving`, is to be said."""
        return self._link

    def set_serving(self, serving: bool) -> None:
        self._link.send(say.Serving(serving))

    def ask_to_stop(self) -> None:
        """Let the front-end tell its last callers that the service stops, and end."""
        self._link.send(say.Stop())

    def close(self) -> None:
        """Let the front-end go, which ends it at once. May be called twice."""
        self._link.close()

    def _hear(self, message: say.FromFrontend) -> None:
        match message:
            case say.Listening():
                self._on_listening()
            case say.Ask(number=number, request=request):
                self._carry_out(number, request)
            case say.ImportPart(number=number, lines=lines):
                self._imports.setdefault(number, []).extend(lines)
            case say.DropImport(number=number):
                self._imports.pop(number, None)
            case say.Ping():
                self._link.send(say.Pong())
            case _:
                assert_never(message)

    def _carry_out(self, number: int, request: Command | AnyQuery) -> None:
        if isinstance(request, StageLines):
            self._uploads.add(request.import_id)
        elif isinstance(request, DropStaged):
            self._uploads.discard(request.import_id)
        elif isinstance(request, Import):
            request = replace(request, lines=tuple(self._imports.pop(number, ())))
        try:
            reply = self._reply_to(request)
        except Exception as error:  # noqa: BLE001 - it is the request's, and not the link's
            self._link.send(_failure(number, error))
        else:
            reply.when_done(partial(self._on_answer, number, reply))

    def _reply_to(self, request: Command | AnyQuery) -> Reply[Any]:
        return self._inventory.answer(request) if isinstance(request, Query) else self._inventory.submit(request)

    def _on_answer(self, number: int, reply: Reply[Any]) -> None:
        try:
            self._link.send(say.Given(number, reply.result()))
        except Exception as error:  # noqa: BLE001 - as above
            self._link.send(_failure(number, error))

    def _on_lost(self) -> None:
        self._imports.clear()
        for import_id in self._uploads:
            with suppress(Unavailable):  # then its lines go with the incarnation
                self._inventory.submit(DropStaged(import_id))
        self._uploads.clear()
        self.on_lost()


def _failure(number: int, error: Exception) -> say.Answer:
    match error:
        case Refused(refusal=refusal):
            return say.Given(number, refusal)
        case Unavailable():
            return say.NotNow(number, error.reason, error.message, error.retry_after_ms)
        case ActorCrashed():
            return say.Crashed(number)
    log.error("request_failed", exc_info=error)
    return say.Crashed(number)
