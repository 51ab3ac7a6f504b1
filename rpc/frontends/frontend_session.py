"""The owner's end of a link: a front-end's requests, carried out by the core.

A command has no task here: it enters the core on the reader's stack, and its answer goes into the link on the stack
of who gives it, so that a batch which the journal made durable goes back in one write. A front-end that is gone
leaves its commands with the core, which finishes them as it does a call that was given up.
"""

import asyncio
import socket
from collections.abc import Callable
from functools import partial
from typing import Self, assert_never

import structlog

from actors.commands import Command, CountedLine, Import
from actors.outcomes import ActorCrashed, Fact, Refused, Unavailable
from actors.reply import Reply
from rpc.frontends import link_messages as say
from rpc.frontends.link import Link
from rpc.inventory_port import Inventory

log = structlog.get_logger(__name__)


class FrontendSession:
    """One front-end, as the owner sees it. Made by `connect`.

    Args:
        inventory: the core.
        on_listening: told when clients can connect to the front-end.
    """

    def __init__(self, inventory: Inventory, on_listening: Callable[[], None]) -> None:
        self._inventory = inventory
        self._on_listening = on_listening
        # Who does not read answers gets no more of them: then its requests are not read either.
        self._link: Link[say.FromFrontend] = Link(say.FromFrontend, self._hear, self._on_lost, waits_for_reader=True)
        self._queries: set[asyncio.Task[None]] = set()
        self._imports: dict[int, list[CountedLine]] = {}

    def __repr__(self) -> str:
        return f"<FrontendSession queries={len(self._queries)} imports={len(self._imports)} {self._link}>"

    @classmethod
    async def connect(cls, frontend: socket.socket, inventory: Inventory, on_listening: Callable[[], None]) -> Self:
        """Begin on a socket that is connected to the front-end."""
        session = cls(inventory, on_listening)
        await asyncio.get_running_loop().create_unix_connection(lambda: session._link, sock=frontend)
        session.set_serving(inventory.serving)
        return session

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
            case say.AskReserve() | say.AskConfirm() | say.AskRelease() | say.AskFulfill() | say.AskReceive():
                self._submit(message.number, message.command)
            case say.ImportPart(number=number, lines=lines):
                self._imports.setdefault(number, []).extend(lines)
            case say.AskImport(number=number, request_id=request_id):
                self._submit(number, Import(tuple(self._imports.pop(number, ())), request_id))
            case say.DropImport(number=number):
                self._imports.pop(number, None)
            case say.AskCheck() | say.AskStockInfo() | say.AskStockPage() | say.AskReservationPage():
                query = asyncio.create_task(self._answer(message))
                self._queries.add(query)
                query.add_done_callback(self._queries.discard)
            case _:
                assert_never(message)

    def _submit(self, number: int, command: Command) -> None:
        try:
            reply = self._inventory.submit(command)
        except Exception as error:  # noqa: BLE001 - it is the request's, and not the link's
            self._link.send(_failure(number, error))
        else:
            reply.when_done(partial(self._on_answer, number, reply))

    def _on_answer(self, number: int, reply: Reply[Fact]) -> None:
        try:
            self._link.send(say.FactGiven(number, reply.result()))
        except Exception as error:  # noqa: BLE001 - as above
            self._link.send(_failure(number, error))

    async def _answer(self, query: say.Query) -> None:
        try:
            self._link.send(await self._look(query))
        except Exception as error:  # noqa: BLE001 - as above
            self._link.send(_failure(query.number, error))

    async def _look(self, query: say.Query) -> say.Answer:
        inventory = self._inventory
        match query:
            case say.AskCheck():
                return say.BasketChecked(query.number, await inventory.check(query.organization_id, query.lines))
            case say.AskStockInfo():
                views = await inventory.stock_info(query.organization_id, query.variant_id, query.warehouse_id)
                return say.StockShown(query.number, tuple(views))
            case say.AskStockPage():
                stock = await inventory.list_stock(
                    query.organization_id,
                    variant_id=query.variant_id,
                    warehouse_id=query.warehouse_id,
                    after=query.after,
                    limit=query.limit,
                )
                return say.StockListed(query.number, stock)
            case say.AskReservationPage():
                reservations = await inventory.list_reservations(
                    query.organization_id,
                    state=query.state,
                    order_id=query.order_id,
                    before=query.before,
                    limit=query.limit,
                )
                return say.ReservationsListed(query.number, reservations)
            case _:
                assert_never(query)

    def _on_lost(self) -> None:
        self._imports.clear()
        for query in self._queries:
            query.cancel()


def _failure(number: int, error: Exception) -> say.Answer:
    match error:
        case Refused(refusal=refusal):
            return say.RefusalGiven(number, refusal)
        case Unavailable():
            return say.NotNow(number, error.reason, error.message, error.retry_after_ms)
        case ActorCrashed():
            return say.Crashed(number)
    log.error("request_failed", exc_info=error)
    return say.Crashed(number)
