"""The gRPC server's sockets, its options, and a guard for its accept loop.

grpc.aio decodes a call's path in the loop that accepts calls, so that one call whose path is not UTF-8 ends the
loop and with it the server, for good. There is no hook before that. So the loop is watched, and where it fails
a new server opens on the same addresses within milliseconds, while the calls of the old one run to their end.
Callers who meet the gap see UNAVAILABLE.
"""

import asyncio
import logging
from collections.abc import Sequence

import grpc
import grpc.aio
import structlog

from rpc.addresses import Address, ListenError

MESSAGE_BYTES_MAX = 50 * 1024 * 1024
STREAMS_A_CONNECTION_MAX = 10_000
RETIRED_GRACE_S = 30.0
REOPEN_DELAY_S, REOPEN_DELAY_S_MAX = 0.005, 1.0

OPTIONS: Sequence[tuple[str, int]] = (
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    # Open calls cost memory before they have sent a message, when no handler has seen them yet.
    ("grpc.max_concurrent_streams", STREAMS_A_CONNECTION_MAX),
    # A client that vanished without closing is found out within 80 s, not after the 2 hours of TCP.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    # Clients may ping as often as every 10 s, also between calls; by default gRPC closes on them below 5 minutes.
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
)

log = structlog.get_logger(__name__)


class Listener:
    """Serves `handler` on addresses, on insecure ports.

    Args:
        addresses: numeric ones with a port each.
        is_shared: whether other processes listen on them too. Otherwise they must not: of two servers that share a port
            by mistake, half of the calls would go to the one without the database.
    """

    def __init__(
        self, handler: grpc.GenericRpcHandler, addresses: Sequence[Address], *, is_shared: bool = False
    ) -> None:
        self._handler = handler
        self._addresses = addresses
        self._options = (*OPTIONS, ("grpc.so_reuseport", int(is_shared)))
        self._server: grpc.aio.Server | None = None
        self._retired: dict[grpc.aio.Server, asyncio.Task[None]] = {}
        self._reopening: asyncio.Task[None] | None = None
        self._reopened = 0
        self._log_filter = _NoTracebackForCallers()

    def __repr__(self) -> str:
        return f"<Listener {' '.join(map(str, self._addresses))} open={self._server is not None}>"

    @property
    def reopened(self) -> int:
        """How often the accept loop had to be replaced."""
        return self._reopened

    async def open(self) -> None:
        """Begin to accept calls.

        Raises:
            ListenError: somebody took an address.
        """
        server = grpc.aio.server(handlers=[self._handler], options=self._options)
        for address in self._addresses:
            try:
                server.add_insecure_port(str(address))
            except RuntimeError as error:
                raise ListenError(f"Cannot listen on {address}: the address is in use.") from error
        tasks_before = asyncio.all_tasks()
        await server.start()
        self._server = server
        logging.getLogger("grpc._cython.cygrpc").addFilter(self._log_filter)
        for task in _tasks_running("_server_main_loop") - tasks_before:
            task.add_done_callback(self._accept_loop_ended)

    async def drain(self, timeout_s: float) -> None:
        """Wait until the calls that run now have ended and their answers are written, at most `timeout_s` seconds."""
        if calls := _tasks_running("_schedule_rpc_coro"):
            await asyncio.wait(calls, timeout=timeout_s)

    async def close(self, grace_s: float) -> None:
        """Accept no more calls, give those that run `grace_s` seconds, then cancel them. May be called twice."""
        server, self._server = self._server, None
        if self._reopening is not None:
            self._reopening.cancel()
        servers = [*self._retired, *([server] if server is not None else [])]
        await asyncio.gather(*(_stop(each, grace_s) for each in servers), *self._retired.values())
        logging.getLogger("grpc._cython.cygrpc").removeFilter(self._log_filter)

    def _accept_loop_ended(self, accept_loop: asyncio.Task[object]) -> None:
        if accept_loop.cancelled() or accept_loop.exception() is None or self._server is None:
            return
        log.warning("accept_loop_failed", error=repr(accept_loop.exception()))
        # gRPC's own shutdown of the server trips over the same exception, which asyncio would report with a traceback.
        for shutdown in _tasks_running("AioServer.shutdown"):
            shutdown.add_done_callback(_retrieve_exception)
        failed = self._server
        self._retired[failed] = asyncio.create_task(self._retire(failed))
        self._reopening = asyncio.create_task(self._reopen())

    async def _retire(self, server: grpc.aio.Server) -> None:
        await _stop(server, RETIRED_GRACE_S)
        self._retired.pop(server, None)

    async def _reopen(self) -> None:
        delay_s = REOPEN_DELAY_S
        while True:
            await asyncio.sleep(delay_s)  # the old sockets are closed by a thread of gRPC, which does not say when
            try:
                await self.open()
            except ListenError as error:
                log.warning("reopening_failed", error=str(error))
                delay_s = min(2 * delay_s, REOPEN_DELAY_S_MAX)
            else:
                self._reopened += 1
                return


class _NoTracebackForCallers(logging.Filter):
    """One line will do for what any caller can do: send metadata that is not UTF-8, be gone when it is answered."""

    def filter(self, record: logging.LogRecord) -> bool:
        if str(record.msg).startswith(("Invalid encoding", "ExecuteBatchError")):
            record.exc_info = record.exc_text = None
        return True


def _tasks_running(name: str) -> set[asyncio.Task[object]]:
    """The tasks whose coroutine has a name that ends so. gRPC keeps its own tasks private."""
    return {task for task in asyncio.all_tasks() if getattr(task.get_coro(), "__qualname__", "").endswith(name)}


def _retrieve_exception(task: asyncio.Task[object]) -> None:
    if not task.cancelled():
        task.exception()


async def _stop(server: grpc.aio.Server, grace_s: float) -> None:
    try:
        await server.stop(grace_s)
    except Exception:  # noqa: BLE001 - the accept loop's failure, reported already; told a second time, gRPC stops
        await server.stop(grace_s)
