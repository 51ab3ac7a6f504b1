"""The page that Prometheus reads: HTTP on a port of its own, and threads of its own.

What there is to tell is copied in the event loop, in a moment, and made into text in the thread of the request. A few
requests may be under way at once, and each may take a few seconds: a caller that reaches the port can hold up this page
and nothing else.
"""

import asyncio
import logging
import socket
import threading
from collections.abc import Awaitable, Callable, Iterable, Sequence
from socketserver import TCPServer, ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import CollectorRegistry, GCCollector, ProcessCollector, make_wsgi_app
from prometheus_client.metrics_core import Metric

from rpc.transport.addresses import Address, ListenError, free_addresses
from stockkeeper.metrics.metrics_settings import MetricsSettings

REQUESTS_MAX = 8
PEER_TIMEOUT_S = 5.0
LOOK_TIMEOUT_S = 5.0

log = logging.getLogger(__name__)

Families = Callable[[], Iterable[Metric]]
Look = Callable[[], Awaitable[Families]]
"""Copies figures in the event loop, and gives what makes metrics of them elsewhere."""


class MetricsEndpoint:
    """Shows metrics until the process ends, or `stop`. It belongs to the running event loop.

    Args:
        settings: where.
        looks: at what.
    """

    def __init__(self, settings: MetricsSettings, looks: Sequence[Look]) -> None:
        self._settings = settings
        self._looks = looks
        self._loop = asyncio.get_running_loop()
        self._servers: list[MetricsServer] = []
        registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        GCCollector(registry=registry)
        registry.register(self)
        self._page = make_wsgi_app(registry)

    def __repr__(self) -> str:
        return f"<MetricsEndpoint {self._settings} listening={len(self._servers)}>"

    async def start(self) -> Sequence[Address]:
        """Listen, and say where.

        Raises:
            ListenError: the host or the port cannot be had; the text says why.
        """
        addresses = await asyncio.to_thread(free_addresses, self._settings.host, self._settings.port)
        for address in addresses:
            try:
                server = MetricsServer(address, self._answer)
            except OSError as error:
                raise ListenError(f"Metrics cannot be shown on {address}: {error.strerror}.") from None
            self._servers.append(server)
            threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
        return addresses

    async def stop(self) -> None:
        servers, self._servers = self._servers, []
        for server in servers:
            await asyncio.to_thread(server.shutdown)
            server.server_close()

    def collect(self) -> Iterable[Metric]:
        """All metrics, for the thread of a request. Raises `TimeoutError`."""
        looking = asyncio.run_coroutine_threadsafe(self._look(), self._loop)
        try:
            found = looking.result(LOOK_TIMEOUT_S)
        finally:
            looking.cancel()
        for families in found:
            yield from families()

    async def _look(self) -> list[Families]:
        return [await look() for look in self._looks]

    def _answer(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"] != self._settings.path:
            start_response("404 Not Found", [("Content-Type", "text/plain")])
            return [f"Metrics are at {self._settings.path}\n".encode()]
        try:
            return list(self._page(environ, start_response))
        except TimeoutError:
            start_response("503 Service Unavailable", [("Content-Type", "text/plain")])
            return [b"The server is too busy to tell\n"]
        except Exception:
            log.exception("metrics_failed")
            start_response("500 Internal Server Error", [("Content-Type", "text/plain")])
            return [b"The log says what failed\n"]


class MetricsServer(ThreadingMixIn, WSGIServer):
    """One address."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, address: Address, answer: Callable[..., Iterable[bytes]]) -> None:
        self.address_family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        self._places = threading.BoundedSemaphore(REQUESTS_MAX)
        super().__init__((address.host, address.port), MetricsRequest)
        self.set_app(answer)

    def __repr__(self) -> str:
        return f"<MetricsServer {self.server_address!r}>"

    def server_bind(self) -> None:
        TCPServer.server_bind(self)  # HTTPServer's would ask a name server
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def process_request(self, request: Any, client_address: Any) -> None:
        if self._places.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A peer that went away is no event, and anything else is answered above."""


class MetricsRequest(WSGIRequestHandler):
    timeout = PEER_TIMEOUT_S

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name
        """No line a request."""
