"""Where routers reach the owner of a cell."""

import asyncio
import logging
import socket
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from typing import Any

from rpc.frontends.frontend_session import FrontendSession
from rpc.frontends.link_doors import LinkDoor, watch_peer
from rpc.frontends.link_greeting import LinkGreeting, OtherProtocol, greet
from rpc.inventory_port import Inventory

log = logging.getLogger(__name__)

GREETINGS_MAX = 100  # at once: a handshake takes 1 ms of the loop's time, and strangers may come to a port


class LinkListener:
    """The owner's side of its routers' links.

    Args:
        door: where they come in.
        inventory: the core.
    """

    def __init__(self, door: LinkDoor, inventory: Inventory) -> None:
        self._door = door
        self._inventory = inventory
        self._sockets: Sequence[socket.socket] = ()
        self._accepting: list[asyncio.Task[None]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._sessions: dict[FrontendSession, asyncio.Event] = {}

    def __repr__(self) -> str:
        return f"<LinkListener {self._door} routers={len(self._sessions)}>"

    def statistics(self) -> int:
        """How many routers are connected."""
        return len(self._sessions)

    def start(self) -> None:
        """Listen.

        Raises:
            ListenError: the socket cannot be had.
        """
        self._sockets = self._door.open()
        self._accepting = [self._begin(self._accept(one)) for one in self._sockets]

    async def start_again(self) -> None:
        """Listen anew: another server may have listened there meanwhile. Raises `ListenError`."""
        await self._close_door()
        self.start()

    def set_serving(self, serving: bool) -> None:
        for session in self._sessions:
            session.set_serving(serving)

    async def drain(self, timeout_s: float) -> None:
        """Let the routers go, once they have what was answered, and listen no more."""
        for session in self._sessions:
            session.ask_to_stop()
        await self._close_door()
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                for gone in list(self._sessions.values()):
                    await gone.wait()
        for session in list(self._sessions):
            session.close()
        for task in self._tasks:
            task.cancel()

    async def _close_door(self) -> None:
        """The event loop lets go of the sockets first: another one may get its number as soon as it is closed."""
        if not self._accepting:
            return
        for task in self._accepting:
            task.cancel()
        await asyncio.wait(self._accepting)
        for one in self._sockets:
            one.close()
        self._door.close()
        self._sockets, self._accepting = (), []

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _accept(self, listening: socket.socket) -> None:
        while True:
            router, _ = await asyncio.get_running_loop().sock_accept(listening)
            if len(self._tasks) - len(self._sessions) - len(self._accepting) >= GREETINGS_MAX:
                router.close()
            else:
                self._begin(self._serve(router))

    async def _serve(self, router: socket.socket) -> None:
        """Begin with a router, and keep its session until it is lost."""
        session, gone = FrontendSession(self._inventory, lambda: None), asyncio.Event()
        session.on_lost = gone.set
        try:
            await self._greeted(router, session)
        except (OSError, OtherProtocol) as error:
            log.warning("router_refused", extra={"reason": str(error) or type(error).__name__})
            return
        self._sessions[session] = gone
        try:
            session.set_serving(self._inventory.serving)
            await gone.wait()
        finally:
            del self._sessions[session]
            session.close()

    async def _greeted(self, router: socket.socket, session: FrontendSession) -> None:
        watch_peer(router)
        tls = self._door.tls
        greeting = LinkGreeting(session.protocol, tls.check_name) if tls else LinkGreeting(session.protocol)
        context = tls.of_owner() if tls else None
        loop = asyncio.get_running_loop()
        await greet(greeting, loop.connect_accepted_socket(lambda: greeting, router, ssl=context))
