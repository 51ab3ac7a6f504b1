"""gRPC's core on its sockets: its options, the thread that waits for it, and its end.

The core tells what happens through a completion queue. A thread waits there for as long as nothing happens. Then the
event loop takes what there is, all of a burst in one turn, and the thread waits again. So the two do not hand Python's
lock to each other for each event, which takes a sixth of a call's CPU time. The core reads the sockets in whichever
thread asks for events (with its event engine off, as `stockkeeper.serving.grpc_settings` has it), and reads on from one
socket for as long as more comes. Four connections that send PINGs or SETTINGS faster than they are read kept both of
these threads, and no other caller was heard. So a few more threads wait, on a queue of which nothing comes: one that is
not kept by a flood reads for all others. They wake five times a second, and take nothing from a call that was measured.
And the loop looks by itself now and then, for when the thread that waits for its events is kept.

When calls come faster than they are served, they are taken all the same, and have turns by address: see
`rpc.transport.crowd`.

grpc.Server does the same for its thread pool, by the same interface of the package's binding. That is not public. It
has been the same for years; `rpc.transport.transport_choice` uses it only with versions of grpcio that were tried.
"""

import asyncio
import logging
import threading
from collections.abc import Sequence
from contextvars import copy_context
from time import monotonic
from typing import Any, NamedTuple

from grpc._cython import cygrpc  # type: ignore[attr-defined]  # not in the stubs

from actors.unavailable import too_many
from rpc.network_bounds import DEFAULT_BOUNDS, NetworkBounds
from rpc.transport.active_calls import ActiveCalls
from rpc.transport.addresses import Address, ListenError
from rpc.transport.binding_log import shorten_binding_log
from rpc.transport.binding_metadata import lighten_metadata
from rpc.transport.certificates import Certificates
from rpc.transport.connection_watch import ConnectionWatch
from rpc.transport.core_call import CoreCall
from rpc.transport.crowd import Crowd, Reception
from rpc.transport.kept_metadata import kept
from rpc.transport.server_options import Options
from rpc.transport.slow_callers import SlowCallers
from rpc.transport.surplus_connections import cut_off as cut_off_connections
from rpc.transport.tls_files import TlsFiles
from rpc.transport.transport_port import CallHandler, ListenerStatistics, Metadata

REQUESTED_CALLS = 64  # that the core may hand over before it is asked for more
NOW = 0.0  # a deadline that has passed: poll and do not wait
EVENTS_A_TURN = 512
TURN_S = 0.005  # likewise
READERS = 8  # threads beside the two
LOOK_EVERY_S = 0.02
CROWD_MAX = 20_000  # calls, of 17 KB each
CROWD_CALLS = 256  # that came since all events were taken: from there on calls have turns by address
UNAVAILABLE, TOO_MANY = 14, too_many("calls").message
TURN_OF_A_CROWD_S = 0.002  # an answer takes several turns
SERVED_A_TURN = 8  # of them at least

log = logging.getLogger(__name__)


class _Arrived(NamedTuple):
    """A call that has come, as gRPC's core has it."""

    core: Any
    metadata: Metadata
    details: Any


class CoreListener:
    """`rpc.transport.transport_port.Listener` on gRPC's core.

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
        self._handler = handler
        self._addresses = addresses
        self._tls = tls
        self._server = cygrpc.Server(options, False)
        self._queue = cygrpc.CompletionQueue()
        self._server.register_completion_queue(self._queue)
        self._nothing_comes = cygrpc.CompletionQueue()
        self._server.register_completion_queue(self._nothing_comes)
        self._readers: list[threading.Thread] = []
        self._loop = asyncio.get_running_loop()
        self._context = copy_context()  # tells code that runs outside of a task which event loop this is
        self._first_event: Any = None
        self._takes = threading.Lock()  # a semaphore is of Python, and took a tenth of a lone call
        self._takes.acquire()
        self._requested = 0
        self._calls: ActiveCalls[CoreCall] = ActiveCalls()
        self._slow: SlowCallers[CoreCall] = SlowCallers(self._calls.all, bounds)
        message_bytes_max = dict(options)["grpc.max_receive_message_length"]
        self._connections = ConnectionWatch(self._calls.all, addresses, message_bytes_max, bounds)
        self._crowd: Crowd[_Arrived] = Crowd(CROWD_MAX, bounds.connections_an_address_max)
        self._surplus: dict[str, list[Any]] = {}  # calls by connections that are to be cut off
        self._cutting: asyncio.Task[None] | None = None
        self._is_crowded = False
        self._begun_before = 0  # calls, when all events were taken the last time
        self._looking: asyncio.TimerHandle | None = None
        self._thread: threading.Thread | None = None
        self._closing: asyncio.Task[None] | None = None
        self._is_shut = False
        self._has_ended = asyncio.Event()

    def __repr__(self) -> str:
        return f"<CoreListener {' '.join(map(str, self._addresses))} calls={len(self._calls)}>"

    def statistics(self) -> ListenerStatistics:
        return self._calls.statistics()

    async def open(self) -> None:
        for address in self._addresses:
            try:
                port = self._server.add_http2_port(str(address).encode(), self._shown())
            except RuntimeError:
                port = 0
            if not port:
                self._release()
                raise ListenError(f"Cannot listen on {address}: the address is in use.")
        shorten_binding_log()
        lighten_metadata()
        self._server.start()
        for _ in range(REQUESTED_CALLS):
            self._request_call()
        self._thread = threading.Thread(target=self._wait_for_events, name="grpc-events", daemon=True)
        self._thread.start()
        for _ in range(READERS):
            self._readers.append(threading.Thread(target=self._nothing_comes.poll, name="grpc-reader", daemon=True))
            self._readers[-1].start()
        self._look()
        self._slow.start()
        self._connections.start()

    def _shown(self) -> Any:
        # The wrapper's content, as grpc.Server takes it.
        return None if self._tls is None else Certificates(self._tls).credentials()._credentials  # type: ignore[attr-defined]

    async def drain(self, timeout_s: float) -> None:
        await self._calls.drain(timeout_s)

    async def close(self, grace_s: float) -> None:
        if self._thread is None:
            return
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(self._thread, grace_s))
        await asyncio.shield(self._closing)

    async def _close(self, thread: threading.Thread, grace_s: float) -> None:
        self._slow.stop()
        self._connections.stop()
        self._server.shutdown(self._queue, self._on_shutdown)
        try:
            await asyncio.wait_for(self._has_ended.wait(), grace_s)
        except TimeoutError:
            self._server.cancel_all_calls()
            await self._has_ended.wait()
        if self._cutting is not None:
            await self._cutting
        if self._looking is not None:
            self._looking.cancel()
        self._server.destroy()
        self._queue.shutdown()
        self._nothing_comes.shutdown()
        for one in (thread, *self._readers):
            await asyncio.to_thread(one.join)

    def _release(self) -> None:
        """Give back the addresses that were bound. The core does it only for a server that was started."""
        self._server.start()
        self._server.shutdown(self._queue, None)
        self._server.cancel_all_calls()  # and with them those of clients that have connected already
        self._queue.poll()
        self._server.destroy()
        self._queue.shutdown()
        self._nothing_comes.shutdown()

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
            self._takes.acquire()

    def _take_events(self) -> None:
        try:
            is_empty = self._take_burst()
        except BaseException:  # such as MemoryError: go on, or no call is heard any more
            self._loop.call_soon(self._take_events, context=self._context)
            raise
        if is_empty:
            self._takes.release()
        else:
            self._loop.call_soon(self._take_events, context=self._context)

    def _look(self) -> None:
        is_empty = True
        try:
            is_empty = self._take_burst()
        finally:
            pause_s = LOOK_EVERY_S if is_empty else 0.0
            self._looking = asyncio.get_running_loop().call_later(pause_s, self._look, context=self._context)

    def _take_burst(self) -> bool:
        """Take the events that are there, for a turn at most. Returns whether these were all, and no call waits."""
        ends_s = monotonic() + (TURN_OF_A_CROWD_S if self._is_crowded else TURN_S)
        is_empty = self._take_events_until(ends_s)
        if self._is_crowded:
            self._serve_crowd(ends_s)
        elif not is_empty:
            self._is_crowded = self._calls.begun - self._begun_before > CROWD_CALLS
        if not is_empty or self._crowd:
            return False
        self._is_crowded, self._begun_before = False, self._calls.begun
        return True

    def _take_events_until(self, ends_s: float) -> bool:
        first, self._first_event = self._first_event, None
        for number in range(EVENTS_A_TURN):
            event = self._queue.poll(NOW) if first is None else first
            first = None
            if event.completion_type != cygrpc.CompletionType.operation_complete:
                return True
            try:
                event.tag(event)
            except Exception:
                log.exception("grpc_event_failed")
            if number % 4 == 3 and monotonic() > ends_s:
                break
        return False

    def _on_call(self, event: Any) -> None:
        self._requested -= 1
        if not event.success:  # the server ends, and this was a request for one call more
            self._end_if_quiet()
            return
        if self._closing is None:
            self._request_call()
        if self._is_crowded:
            self._give_place(event)
        else:
            self._serve(_Arrived(event.call, event.invocation_metadata, event.call_details))

    def _give_place(self, event: Any) -> None:
        peer = bytes(event.call.peer()).decode()
        # Not the event, which has all the fields that were sent.
        reception = self._crowd.add(peer, _Arrived(event.call, kept(event.invocation_metadata), event.call_details))
        if reception is Reception.NONE:
            event.call.cancel(UNAVAILABLE, TOO_MANY)  # it costs a fifth of a status with details
        elif reception is Reception.SURPLUS_CONNECTION:
            self._surplus.setdefault(peer, []).append(event)  # to end it costs less when its connection is gone
            if self._cutting is None:
                self._cutting = self._loop.create_task(self._cut_off_surplus(), name="surplus-connections")

    async def _cut_off_surplus(self) -> None:
        while self._surplus:
            surplus, self._surplus = self._surplus, {}
            cut_off = await cut_off_connections(surplus)
            log.info("connections_cut_off", extra={"connections": cut_off})
            for calls in surplus.values():
                calls.clear()
                await asyncio.sleep(0)
        self._cutting = None

    def _serve_crowd(self, ends_s: float) -> None:
        served = 0
        while self._crowd and (served < SERVED_A_TURN or monotonic() < ends_s):
            served += 1
            try:
                self._serve(self._crowd.take())
            except Exception:
                log.exception("grpc_event_failed")

    def _serve(self, arrived: "_Arrived") -> None:
        core, metadata, details = arrived
        call = CoreCall(core, metadata, self._on_call_end, self._slow, self._connections, details)
        self._calls.add(call)
        try:
            self._handler.serve(details.method.decode(errors="replace"), call)
        except BaseException:
            core.cancel()  # or the caller would wait for ever
            raise

    def _on_call_end(self, call: CoreCall) -> None:
        self._calls.remove(call)
        if self._is_shut:
            self._end_if_quiet()

    def _on_shutdown(self, event: Any) -> None:
        self._is_shut = True
        self._end_if_quiet()

    def _end_if_quiet(self) -> None:
        """The core may say that it is shut before it tells of the last calls. They must have ended too: an operation
        on a call whose queue was shut down aborts the process."""
        if self._is_shut and not self._requested and not self._calls and not self._crowd:
            self._has_ended.set()
