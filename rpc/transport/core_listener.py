"""gRPC's core on its sockets: its options, the thread that waits for it, and its end.

The core tells what happens through a completion queue. A thread waits there for as long as nothing happens. Then the
event loop takes what there is, all of a burst in one turn, and the thread waits again: so they need not pass
Python's lock to and fro for each event, which made a call a sixth dearer. The core reads the sockets in whichever
of the two asks for events (with its event engine off, as `stockkeeper.__main__` has it).

grpc.Server does the same for its thread pool, by the same interface of the package's binding. That is not public; it
has been as it is for years, the versions of grpcio are bounded in pyproject.toml, and tests/rpc/test_call.py would
be the first to tell.
"""

import asyncio
import logging
import threading
from collections.abc import Sequence
from contextvars import copy_context
from typing import Any, NamedTuple, Protocol

import structlog
from grpc._cython import cygrpc  # type: ignore[attr-defined]  # not in the stubs

from rpc.frame import Context
from rpc.transport.addresses import Address, ListenError
from rpc.transport.core_call import Call

MESSAGE_BYTES_MAX = 50 * 1024 * 1024
STREAMS_A_CONNECTION_MAX = 10_000
PENDING_CALLS_MAX = 20_000
REQUESTED_CALLS = 64  # the core hands over so many calls before it is asked for the next
NOW = 0.0  # a deadline that has passed: poll and do not wait
EVENTS_A_TURN = 256  # then the loop serves others

OPTIONS: Sequence[tuple[str, int]] = (
    ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    # Open calls cost memory before they have sent a message, when no handler has seen them yet.
    ("grpc.max_concurrent_streams", STREAMS_A_CONNECTION_MAX),
    # Calls that came while the loop was busy. Beyond 1,000 the core would begin to answer some of them CANCELLED, at
    # random and unseen, and from 3,000 on all.
    ("grpc.server.max_pending_requests", PENDING_CALLS_MAX),
    ("grpc.server.max_pending_requests_hard_limit", PENDING_CALLS_MAX),
    # A client that vanished without closing is found out within 80 s, not after the 2 hours of TCP.
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    # Clients may ping as often as every 10 s, also between calls; by default gRPC closes on them below 5 minutes.
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
)

log = structlog.get_logger(__name__)


class Serves(Protocol):
    """What has the methods: `rpc.frame.Frame`."""

    def serve(self, path: str, context: Context) -> None: ...


class Listener:
    """Serves the frame's methods on addresses, on insecure ports.

    Args:
        addresses: numeric ones with a port each.
        is_shared: whether other processes listen on them too. Otherwise they must not: of two servers that share a port
            by mistake, half of the calls would go to the one without the database.
    """

    def __init__(self, frame: Serves, addresses: Sequence[Address], *, is_shared: bool = False) -> None:
        self._frame = frame
        self._addresses = addresses
        self._server = cygrpc.Server((*OPTIONS, ("grpc.so_reuseport", int(is_shared))), False)
        self._queue = cygrpc.CompletionQueue()
        self._server.register_completion_queue(self._queue)
        self._loop = asyncio.get_running_loop()
        self._context = copy_context()  # says which event loop this is, to those who ask outside of a task
        self._first_event: Any = None
        self._has_taken_all = threading.Semaphore(0)
        self._requested = 0
        self._calls: dict[Call, None] = {}
        self._drains: list[_Drain] = []
        self._thread: threading.Thread | None = None
        self._closing: asyncio.Task[None] | None = None
        self._is_shut = False
        self._has_ended = asyncio.Event()
        self._log_filter = _NoTracebackForCallers()

    def __repr__(self) -> str:
        return f"<Listener {' '.join(map(str, self._addresses))} calls={len(self._calls)}>"

    def open(self) -> None:
        """Begin to accept calls.

        Raises:
            ListenError: somebody took an address.
        """
        for address in self._addresses:
            try:
                port = self._server.add_http2_port(str(address).encode())
            except RuntimeError:
                port = 0
            if not port:
                self._release()
                raise ListenError(f"Cannot listen on {address}: the address is in use.")
        logging.getLogger("grpc._cython.cygrpc").addFilter(self._log_filter)
        self._server.start()
        for _ in range(REQUESTED_CALLS):
            self._request_call()
        self._thread = threading.Thread(target=self._wait_for_events, name="grpc-events", daemon=True)
        self._thread.start()

    async def drain(self, timeout_s: float) -> None:
        """Wait until the calls that run now have ended and their answers are written, at most `timeout_s` seconds."""
        drain = _Drain(set(self._calls), asyncio.Event())
        if drain.calls:
            self._drains.append(drain)
            try:
                async with asyncio.timeout(timeout_s):
                    await drain.done.wait()
            except TimeoutError:
                pass
            finally:
                self._drains.remove(drain)

    async def close(self, grace_s: float) -> None:
        """Accept no more calls, give those that run `grace_s` seconds, then cancel them. May be called twice."""
        if self._thread is None:
            return
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(self._thread, grace_s))
        await asyncio.shield(self._closing)

    async def _close(self, thread: threading.Thread, grace_s: float) -> None:
        self._server.shutdown(self._queue, self._on_shutdown)
        try:
            await asyncio.wait_for(self._has_ended.wait(), grace_s)
        except TimeoutError:
            self._server.cancel_all_calls()
            await self._has_ended.wait()
        self._server.destroy()
        self._queue.shutdown()
        await asyncio.to_thread(thread.join)
        logging.getLogger("grpc._cython.cygrpc").removeFilter(self._log_filter)

    def _release(self) -> None:
        """Give back the addresses that were to be had. The core does it only for a server that was started."""
        self._server.start()
        self._server.shutdown(self._queue, None)
        self._server.cancel_all_calls()  # and with them whoever has connected already
        self._queue.poll()
        self._server.destroy()
        self._queue.shutdown()

    def _request_call(self) -> None:
        self._requested += 1
        self._server.request_call(self._queue, self._queue, self._on_call)

    def _wait_for_events(self) -> None:
        """The thread: it waits for the first event of a burst, and then until the loop has taken all of the burst."""
        while True:
            try:
                event = self._queue.poll()
            except Exception:
                log.exception("grpc_event_lost")
                continue
            if event.completion_type == cygrpc.CompletionType.queue_shutdown:
                return
            self._first_event = event
            event = None  # it keeps a call alive
            try:
                self._loop.call_soon_threadsafe(self._take_events, context=self._context)
            except RuntimeError:
                return  # the loop was closed, and all is over
            self._has_taken_all.acquire()

    def _take_events(self) -> None:
        try:
            is_empty = self._take_burst()
        except BaseException:  # such as memory that is short: go on, or nobody is heard any more
            self._loop.call_soon(self._take_events, context=self._context)
            raise
        if is_empty:
            self._has_taken_all.release()
        else:
            self._loop.call_soon(self._take_events, context=self._context)

    def _take_burst(self) -> bool:
        """Take what events there are, at most EVENTS_A_TURN. Returns whether those were all, for now or for ever."""
        first, self._first_event = self._first_event, None
        for _ in range(EVENTS_A_TURN):
            event = self._queue.poll(NOW) if first is None else first
            first = None
            if event.completion_type != cygrpc.CompletionType.operation_complete:
                return True
            try:
                event.tag(event)
            except Exception:
                log.exception("grpc_event_failed")
        return False

    def _on_call(self, event: Any) -> None:
        self._requested -= 1
        if not event.success:  # the server ends, and this was a request for one call more
            self._end_if_quiet()
            return
        if self._closing is None:
            self._request_call()
        call = Call(event.call, event.invocation_metadata, self._on_call_end)
        self._calls[call] = None
        try:
            self._frame.serve(event.call_details.method.decode(errors="replace"), call)
        except BaseException:
            event.call.cancel()  # or the caller would wait for ever
            raise

    def _on_call_end(self, call: Call) -> None:
        del self._calls[call]
        for drain in self._drains:
            drain.calls.discard(call)
            if not drain.calls:
                drain.done.set()
        if self._is_shut:
            self._end_if_quiet()

    def _on_shutdown(self, event: Any) -> None:
        self._is_shut = True
        self._end_if_quiet()

    def _end_if_quiet(self) -> None:
        """The core may say that it is shut before it tells the last of the calls. They must have ended too: an
        operation on a call whose queue was shut down aborts the process."""
        if self._is_shut and not self._requested and not self._calls:
            self._has_ended.set()


class _Drain(NamedTuple):
    calls: set[Call]  # that have not ended
    done: asyncio.Event


class _NoTracebackForCallers(logging.Filter):
    """One line will do for what any caller can do: send metadata that is not UTF-8."""

    def filter(self, record: logging.LogRecord) -> bool:
        if str(record.msg).startswith("Invalid encoding"):
            record.exc_info = record.exc_text = None
        return True
