"""Connections of asyncpg's whose login is bound to their TLS connection.

asyncpg takes an event loop and a class of connections, and this gives it both. The loop puts a transport of ours before
each TLS connection. That one speaks until the login is over (`storage.sql.bound_login`), and then steps aside: what the
server says goes to asyncpg at once, and what asyncpg says to the loop's own transport.

A release of asyncpg that goes another way makes no connection at all: one whose login was not bound is refused.
"""

import asyncio
from typing import Any

import asyncpg  # type: ignore[import-untyped]

from storage.sql.bound_login import BoundLogin, LoginRefused, refusal, take_message


class BoundConnection(asyncpg.Connection):  # type: ignore[misc]
    """A connection whose login was bound."""

    __slots__ = ()

    def __new__(cls, protocol: Any, transport: Any, *rest: Any) -> "BoundConnection":
        if not (isinstance(transport, LoginTransport) and transport.is_bound):
            transport.abort()
            raise asyncpg.InterfaceError("this version of asyncpg cannot do what channel_binding=require asks for")
        return super().__new__(cls)  # type: ignore[no-any-return]

    def __init__(self, protocol: Any, transport: Any, loop: Any, *rest: Any) -> None:
        super().__init__(protocol, transport.beneath, loop.beneath, *rest)


class LoginLoop:
    """The event loop for asyncpg's making of a connection.

    Args:
        beneath: the real one.
    """

    def __init__(self, beneath: asyncio.AbstractEventLoop) -> None:
        self.beneath = beneath

    def __repr__(self) -> str:
        return f"<LoginLoop {self.beneath!r}>"

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.beneath, name)
        setattr(self, name, found)  # asyncpg asks for the time and for a timer with every statement
        return found

    async def start_tls(self, *arguments: Any, **options: Any) -> "LoginTransport":
        """As a loop does it after the server has agreed to TLS."""
        return LoginTransport(await self.beneath.start_tls(*arguments, **options))

    async def create_connection(self, factory: Any, *where: Any, ssl: Any = None, **options: Any) -> Any:
        """As a loop does it; with TLS from the first byte (`sslnegotiation=direct`) as `start_tls`."""
        if ssl is None:
            return await self.beneath.create_connection(factory, *where, **options)
        made, _ = await self.beneath.create_connection(asyncio.Protocol, *where, ssl=ssl, **options)
        transport, protocol = LoginTransport(made), factory()
        protocol.connection_made(transport)
        transport.set_protocol(protocol)
        return transport, protocol

    async def create_unix_connection(self, factory: Any, path: str, **options: Any) -> Any:
        """Refuse it."""
        raise ConnectionError(f"{path} has no TLS, which channel_binding=require needs")


class LoginTransport(asyncio.Protocol):
    """Stands between a TLS connection and asyncpg's protocol until the login is over.

    Args:
        beneath: the loop's transport.
    """

    def __init__(self, beneath: Any) -> None:
        self.beneath = beneath
        self._login = BoundLogin(beneath.get_extra_info("ssl_object"))
        self._heard = bytearray()
        self._driver: Any = None

    def __repr__(self) -> str:
        return f"<LoginTransport {self._login!r}>"

    def __getattr__(self, name: str) -> Any:
        return getattr(self.beneath, name)

    @property
    def is_bound(self) -> bool:
        """The login is over, and was bound."""
        return self._login.is_over

    # ---- asyncpg's side

    def set_protocol(self, driver: Any) -> None:
        """Take the place before it."""
        self._driver = driver
        self.beneath.set_protocol(self)

    def write(self, data: Any) -> None:
        """Send what asyncpg says, unless it is the password."""
        said = bytes(data)
        if not (self._login.wants_password and said[:1] == b"p"):
            self.beneath.write(said)
            return
        try:
            self.beneath.write(self._login.give_password(said[5:-1].decode()))
        except LoginRefused as refused:
            self._refuse(refused)

    # ---- the server's side

    def data_received(self, data: bytes) -> None:
        self._heard += data
        try:
            while not self._login.is_over and (heard := take_message(self._heard)):
                said = self._login.hear(*heard)
                if said.to_server:
                    self.beneath.write(said.to_server)
                if said.to_driver:
                    self._driver.data_received(said.to_driver)
        except LoginRefused as refused:
            self._refuse(refused)
        if self._login.is_over:
            self._step_aside()

    def connection_lost(self, error: Exception | None) -> None:
        self._driver.connection_lost(error)

    def pause_writing(self) -> None:
        self._driver.pause_writing()

    def resume_writing(self) -> None:
        self._driver.resume_writing()

    def _step_aside(self) -> None:
        self.write, self.writelines = self.beneath.write, self.beneath.writelines  # type: ignore[method-assign]
        self.beneath.set_protocol(self._driver)
        if self._heard:
            self._driver.data_received(bytes(self._heard))

    def _refuse(self, refused: LoginRefused) -> None:
        self._heard.clear()
        self._driver.data_received(refusal(str(refused)))
        self.beneath.abort()
