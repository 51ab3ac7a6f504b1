"""grpc.aio's server as a transport: only its public interface is used.

It is slower than gRPC's core alone. And it has a weakness: with grpcio 1.85 a call whose path is not UTF-8 ends the
server's accept loop. (With 1.82 such a call is never answered, and does no harm.) The server takes no more calls then,
and says so only when it is asked. So it is asked twice a second. After its end another server is started on the same
addresses, and the log says so. The calls under way are lost, and so are those that come until then: gRPC ends them with
CANCELLED or UNAVAILABLE.
"""

import asyncio
import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import grpc
import grpc.aio

from rpc.network_bounds import DEFAULT_BOUNDS, NetworkBounds
from rpc.transport.active_calls import ActiveCalls
from rpc.transport.addresses import Address, ListenError
from rpc.transport.aio_call import AioCall
from rpc.transport.binding_log import shorten_binding_log
from rpc.transport.certificates import Certificates
from rpc.transport.connection_watch import ConnectionWatch
from rpc.transport.read_turns import ReadTurns
from rpc.transport.server_options import Options
from rpc.transport.slow_callers import SlowCallers
from rpc.transport.tls_files import TlsFiles
from rpc.transport.transport_port import CallHandler, ListenerStatistics, Metadata

ENDING_S = 5.0  # for calls that were cancelled
LOOK_EVERY_S = 0.5
READERS = 8  # threads that read sockets beside grpc.aio's one

log = logging.getLogger(__name__)


class AioListener:
    """`rpc.transport.transport_port.Listener` on grpc.aio.

    Args:
        handler: what serves the calls.
        addresses: numeric ones with a port each.
        options: gRPC's; see `rpc.transport.server_options`.
        tls: what its ports show callers; None: they are insecure.
        bounds: on answers that callers do not take.
    """

    def __init__(
        self,
        handler: CallHandler,
        addresses: Sequence[Address],
        options: Options,
        tls: TlsFiles | None = None,
        bounds: NetworkBounds = DEFAULT_BOUNDS,
    ) -> None:
        self._addresses = addresses
        self._tls = tls
        self._options = options
        self._calls: ActiveCalls[AioCall] = ActiveCalls()
        self._slow: SlowCallers[AioCall] = SlowCallers(self._calls.all, bounds)
        message_bytes_max = dict(options)["grpc.max_receive_message_length"]
        self._connections = ConnectionWatch(self._calls.all, addresses, message_bytes_max, bounds)
        self._methods = _AnyMethod(handler, self._calls, self._slow, self._connections)
        self._server: grpc.aio.Server | None = None
        self._serving: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._readers: list[grpc.Server] = []

    def __repr__(self) -> str:
        return f"<AioListener {' '.join(map(str, self._addresses))} calls={len(self._calls)}>"

    def statistics(self) -> ListenerStatistics:
        return self._calls.statistics()

    async def open(self) -> None:
        shorten_binding_log()
        self._server = await self._start_server()
        self._serving = asyncio.create_task(self._keep_serving(self._server))
        for _ in range(READERS):
            self._readers.append(grpc.server(ThreadPoolExecutor(1)))
            self._readers[-1].start()
        self._slow.start()
        self._connections.start()

    async def drain(self, timeout_s: float) -> None:
        await self._calls.drain(timeout_s)

    async def close(self, grace_s: float) -> None:
        if self._server is None:
            return
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(grace_s))
        await asyncio.shield(self._closing)

    async def _start_server(self) -> grpc.aio.Server:
        server = grpc.aio.server(handlers=(self._methods,), options=self._options)
        for address in self._addresses:
            try:
                port = self._add_port(server, str(address))
            except RuntimeError:
                port = 0
            if not port:
                await server.start()  # or it does not give back the addresses that it has bound
                await server.stop(None)
                raise ListenError(f"Cannot listen on {address}: the address is in use.")
        await server.start()
        return server

    def _add_port(self, server: grpc.aio.Server, address: str) -> int:
        if self._tls is None:
            return server.add_insecure_port(address)
        return server.add_secure_port(address, Certificates(self._tls).credentials())

    async def _keep_serving(self, server: grpc.aio.Server) -> None:
        while self._closing is None:
            try:
                await server.wait_for_termination(LOOK_EVERY_S)
            except Exception as error:  # noqa: BLE001 - whatever has ended its accept loop
                lost = {"error": str(error), "calls_lost": len(self._calls)}
                log.warning("grpc_aio_server_ended", extra=lost)
                await server.stop(None)
                self._server = server = await self._start_another_server()
                log.info("grpc_aio_server_started_again")

    async def _start_another_server(self) -> grpc.aio.Server:
        while True:
            try:
                return await self._start_server()
            except ListenError as error:
                log.warning("grpc_aio_server_not_started", extra={"error": str(error)})
                await asyncio.sleep(LOOK_EVERY_S)

    async def _close(self, grace_s: float) -> None:
        self._slow.stop()
        self._connections.stop()
        assert self._server is not None
        assert self._serving is not None
        await self._server.stop(grace_s)
        await self._serving  # it may have just started another one
        await self._server.stop(None)
        await self._calls.drain(ENDING_S)
        for reader in self._readers:
            reader.stop(None)


class _AnyMethod(grpc.GenericRpcHandler):
    """Hands every call to the handler, whatever its path."""

    def __init__(
        self,
        handler: CallHandler,
        calls: ActiveCalls[AioCall],
        slow: SlowCallers[AioCall],
        connections: ConnectionWatch,
    ) -> None:
        self._handler = handler
        self._connections = connections
        self._calls = calls
        self._slow = slow
        self._reads = ReadTurns()

    def __repr__(self) -> str:
        return f"<_AnyMethod {self._handler} {self._calls}>"

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Any:
        path, metadata = handler_call_details.method, handler_call_details.invocation_metadata
        return grpc.stream_stream_rpc_method_handler(partial(self._serve, path, metadata))

    async def _serve(self, path: str, metadata: Metadata, _: object, context: Any) -> None:
        call = AioCall(context, metadata, self._slow, self._connections, self._reads)
        self._calls.add(call)
        task = asyncio.current_task()  # of grpc.aio; it ends when the status is written
        assert task is not None
        task.add_done_callback(lambda _: self._calls.remove(call))  # the context's own callbacks would keep it alive
        await call.live(partial(self._handler.serve, path))
