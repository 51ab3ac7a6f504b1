"""Where routers reach the owner of a cell: a Unix socket with a name, for processes of the same user."""

import asyncio
import logging
import os
import socket
import stat
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

from rpc.frontends.frontend_session import FrontendSession
from rpc.frontends.link_greeting import OtherVersion, greet
from rpc.inventory_port import Inventory
from rpc.transport.addresses import ListenError

log = logging.getLogger(__name__)

BACKLOG = 100


class LinkListener:
    """The owner's side of its routers' links.

    Args:
        path: of the socket. One that a killed owner left is taken over: the database has one owner, and it is us.
        inventory: the core.
    """

    def __init__(self, path: str, inventory: Inventory) -> None:
        self._path = path
        self._inventory = inventory
        self._socket: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._sessions: dict[FrontendSession, asyncio.Event] = {}

    def __repr__(self) -> str:
        return f"<LinkListener {self._path} routers={len(self._sessions)}>"

    def statistics(self) -> int:
        """How many routers are connected."""
        return len(self._sessions)

    def start(self) -> None:
        """Listen.

        Raises:
            ListenError: the socket cannot be had.
        """
        try:
            self._socket = _bound(self._path)
        except OSError as error:
            raise ListenError(f"The socket {self._path} cannot be had: {error.strerror or error}.") from None
        self._accepting = self._begin(self._accept(self._socket))

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
        """The event loop lets go of the socket first: another one may get its number as soon as it is closed."""
        if self._accepting is not None and self._socket is not None:
            self._accepting.cancel()
            await asyncio.wait([self._accepting])
            self._socket.close()
            _remove(self._path)
            self._accepting = None

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _accept(self, listening: socket.socket) -> None:
        while True:
            router, _ = await asyncio.get_running_loop().sock_accept(listening)
            self._begin(self._serve(router))

    async def _serve(self, router: socket.socket) -> None:
        """Begin with a router, and keep its session until it is lost."""
        try:
            await greet(router)
        except (OSError, OtherVersion) as error:
            log.warning("router_refused", extra={"reason": str(error) or type(error).__name__})
            router.close()
            return
        session, gone = FrontendSession(self._inventory, lambda: None), asyncio.Event()
        session.on_lost = gone.set
        self._sessions[session] = gone
        try:
            await session.begin(router)
            await gone.wait()
        finally:
            del self._sessions[session]
            session.close()


def _remove(path: str) -> None:
    with suppress(OSError):
        if stat.S_ISSOCK(Path(path).stat().st_mode):
            Path(path).unlink()


def _bound(path: str) -> socket.socket:
    _remove(path)
    listening = socket.socket(socket.AF_UNIX)
    before = os.umask(0o177)  # no process of another user may connect, from the first moment on
    try:
        listening.bind(path)
    except OSError:
        listening.close()
        raise
    finally:
        os.umask(before)
    listening.setblocking(False)
    listening.listen(BACKLOG)
    return listening
