"""A man in the middle: it ends a client's TLS with a certificate of its own, and opens another one to the server."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from rpc.transport.tls_files import TlsFiles

ASKS_FOR_TLS = (8).to_bytes(4) + (80877103).to_bytes(4)


class Middle:
    """Stands there.

    Args:
        server: the port of localhost where Postgres is.
        tls: what it shows to clients.
        is_direct: clients begin with TLS, without having asked for it.
    """

    def __init__(self, server: int, tls: TlsFiles, *, is_direct: bool = False) -> None:
        self._server = server
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(tls.certificate, tls.key)
        self._tls.set_alpn_protocols(["postgresql"])
        self._is_direct = is_direct
        self.heard = b""  # from clients, in clear
        self.port = 0
        self._relays: list[asyncio.Task[None]] = []
        self._writers: list[asyncio.StreamWriter] = []

    @asynccontextmanager
    async def standing(self) -> AsyncIterator[None]:
        """For the length of a block."""
        context = self._tls if self._is_direct else None
        listening = await asyncio.start_server(self._enter, "localhost", 0, ssl=context)
        self.port = listening.sockets[0].getsockname()[1]
        async with listening:
            yield
        for relay in self._relays:
            relay.cancel()
        await asyncio.gather(*self._relays, return_exceptions=True)
        for writer in self._writers:
            writer.transport.abort()
        for _ in range(5):  # turns of the loop, in which the transports end
            await asyncio.sleep(0)

    def url(self, url: str) -> str:
        """The URL of the server, by this way."""
        return url.replace(f":{self._server}/", f":{self.port}/")

    def _enter(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # As a task of ours: one of asyncio's own that is cancelled at the end is told as an error by Python 3.11.
        self._writers.append(writer)
        self._relays.append(asyncio.create_task(self._relay(reader, writer)))

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if not self._is_direct:
                assert await reader.readexactly(8) == ASKS_FOR_TLS
                writer.write(b"S")
                await writer.start_tls(self._tls)
            to_server, from_server = await self._reach_server()
            await asyncio.gather(self._pass_on(reader, to_server, is_heard=True), self._pass_on(from_server, writer))
        finally:
            writer.close()

    async def _reach_server(self) -> tuple[asyncio.StreamWriter, asyncio.StreamReader]:
        reader, writer = await asyncio.open_connection("localhost", self._server)
        self._writers.append(writer)
        writer.write(ASKS_FOR_TLS)
        assert await reader.readexactly(1) == b"S"
        trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        await writer.start_tls(trusting)
        return writer, reader

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_heard: bool = False
    ) -> None:
        try:
            while said := await reader.read(65_536):
                self.heard += said if is_heard else b""
                writer.write(said)
        except ConnectionError:
            pass
        finally:
            writer.close()
