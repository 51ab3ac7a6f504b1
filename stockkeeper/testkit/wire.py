"""The wire between clients and servers: what goes wrong with a call, and what gRPC makes of that.

An attempt of a call is a task at the server's side, and is cancelled when its caller is gone.
What a caller sees is gRPC's: a connection that breaks is UNAVAILABLE, which the client's retry policy repeats, and
silence is DEADLINE_EXCEEDED, which it does not.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import suppress
from itertools import count
from random import Random
from typing import NamedTuple

import anyio
import grpc
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectSendStream
from stockkeeper_client.channel import RetryPolicy

from simulation.world.simulated_server import SimulatedServer
from stockkeeper.testkit.front import Front, Metadata, WireReply
from stockkeeper.testkit.requested_faults import SLOW_NETWORK_S, Fault, Rates

UNREACHABLE = WireReply(grpc.StatusCode.UNAVAILABLE, details="failed to connect to all addresses")
CONNECTION_LOST = WireReply(grpc.StatusCode.UNAVAILABLE, details="Socket closed")
DEADLINE_EXCEEDED = WireReply(grpc.StatusCode.DEADLINE_EXCEEDED, details="Deadline Exceeded")

_PUSHBACK = "grpc-retry-pushback-ms"
_LATE_DUPLICATE_S_MAX = 40.0
_CRASH_STEPS_MAX = 60  # a call takes some 10 to 30 steps at the server


class WireCall(NamedTuple):
    """A call of a client, with all its attempts.

    Args:
        name: what people are told of it.
        deadline_s: when its client gives up, on the virtual clock.
    """

    number: int
    name: str
    path: str
    messages: Sequence[bytes]
    metadata: Metadata
    deadline_s: float | None


class _Plan(NamedTuple):
    """What will go wrong with one attempt."""

    delay_s: float
    reply_delay_s: float = 0.0
    is_request_lost: bool = False
    is_reply_lost: bool = False
    breaks: bool = False  # what is lost is lost with its connection, and not in silence
    duplicate_after_s: float | None = None
    crash_after_steps: int | None = None


class _Exchange:
    """Where an attempt's reply arrives."""

    def __init__(self) -> None:
        self.arrived = anyio.Event()
        self.reply = CONNECTION_LOST
        self.scope = anyio.CancelScope()

    def __repr__(self) -> str:
        return f"<_Exchange {self.reply.code.name if self.arrived.is_set() else 'waits'}>"


class Wire:
    """Carries calls.

    Args:
        seed: names the streams of decisions.
        rates: what may go wrong, and how often.
        is_calm: whether nothing may go wrong now.
        server: the server that serves now; None while there is none.
        front: the front of a server.
        crash: kills a server, after a number of steps, if it still serves then.
        tasks: where the servers' side of calls runs.
        note: told of everything that happens to a call.
    """

    def __init__(
        self,
        seed: str,
        rates: Rates,
        is_calm: Callable[[], bool],
        server: Callable[[], SimulatedServer | None],
        front: Callable[[SimulatedServer], Front],
        crash: Callable[[SimulatedServer, int], None],
        tasks: TaskGroup,
        note: Callable[[str], None],
    ) -> None:
        self._seed = seed
        self._rates = rates
        self._is_calm = is_calm
        self._server = server
        self._front = front
        self._crash = crash
        self._tasks = tasks
        self._note = note
        self._numbers = count(1)
        self.under_way = 0

    def __repr__(self) -> str:
        return f"<Wire under_way={self.under_way}>"

    def random_of(self, name: str) -> Random:
        """A stream of random numbers of that name, which the seed decides."""
        return Random(f"{self._seed}/{name}")

    async def call(
        self,
        client: str,
        path: str,
        messages: Sequence[bytes],
        *,
        timeout_s: float | None,
        metadata: Metadata,
        retry: RetryPolicy | None,
        gives_up_s: float | None = None,
    ) -> bytes:
        """Send a request and return the answer. Cancelling it leaves open whether the server has carried it out.

        Args:
            timeout_s: for all attempts together; None: whatever it takes.
            retry: when UNAVAILABLE is sent again.
            gives_up_s: when a caller without a timeout cancels it, on the virtual clock.

        Raises:
            AioRpcError: the answer is an error, or there was none.
        """
        deadline_s = gives_up_s if timeout_s is None else anyio.current_time() + timeout_s
        number = next(self._numbers)
        call = WireCall(
            number, f"{client} {path.rpartition('/')[2]} #{number}", path, tuple(messages), metadata, deadline_s
        )
        self._note(f"{call.name} is sent")
        reply = DEADLINE_EXCEEDED
        with anyio.move_on_after(timeout_s):
            reply = await self._attempts(call, retry)
        text = reply.code.name if reply.code is grpc.StatusCode.OK else f"{reply.code.name}: {reply.details}"
        self._note(f"{call.name} gets {text}")
        if reply.code is not grpc.StatusCode.OK:
            raise reply.error()
        return reply.body

    async def stream(self, client: str, path: str, message: bytes, metadata: Metadata) -> AsyncGenerator[bytes, None]:
        """Send a request and return what comes, until the server says that it is over, or dies.

        Raises:
            AioRpcError: it ends with an error.
        """
        name = f"{client} {path.rpartition('/')[2]} #{next(self._numbers)}"
        server = self._server()
        if server is None:
            raise UNREACHABLE.error()
        self._note(f"{name} is opened")
        send, receive = anyio.create_memory_object_stream[bytes](0)
        exchange = _Exchange()
        self._tasks.start_soon(self._serve_stream, server, path, message, metadata, send, exchange)
        try:
            async for body in receive:
                if server.is_dead:
                    break
                yield body
        finally:
            exchange.scope.cancel()
            receive.close()
        reply = CONNECTION_LOST if server.is_dead else exchange.reply
        self._note(f"{name} ends with {reply.code.name}")
        if reply.code is not grpc.StatusCode.OK:
            raise reply.error()

    async def _serve_stream(
        self,
        server: SimulatedServer,
        path: str,
        message: bytes,
        metadata: Metadata,
        send: MemoryObjectSendStream[bytes],
        exchange: _Exchange,
    ) -> None:
        with exchange.scope, send, suppress(anyio.BrokenResourceError):  # the caller listens no more
            exchange.reply = await self._front(server).stream(path, message, metadata, send)

    async def _attempts(self, call: WireCall, retry: RetryPolicy | None) -> WireReply:
        for attempt in count(1):
            random = Random(f"{self._seed}/call/{call.number}/{attempt}")
            reply = await self._attempt(call, self._plan(call, random))
            is_last = retry is None or attempt >= retry.attempts_max
            if reply.code is not grpc.StatusCode.UNAVAILABLE or is_last:
                break
            assert retry is not None
            pushback_ms = int(dict(reply.trailers).get(_PUSHBACK, 0))
            backoff_s = min(retry.backoff_s * retry.backoff_factor ** (attempt - 1), retry.backoff_s_max)
            await anyio.sleep(pushback_ms / 1_000 or backoff_s * (0.8 + 0.4 * random.random()))
            self._note(f"{call.name} is sent again after UNAVAILABLE: {reply.details}")
        return reply

    def _plan(self, call: WireCall, random: Random) -> _Plan:
        coin = random.random
        delay_s = coin() * 0.001
        if self._is_calm():
            return _Plan(delay_s)
        # Every coin is tossed whatever the others say: so switching one fault off leaves the others where they were.
        happens = {fault: coin() < self._rates.get(fault, 0.0) for fault in Fault}
        slow_s, breaks, late_s, at_once, steps = coin(), coin() < 0.5, coin(), coin() < 0.5, random.randrange(1, 1_000)
        reply_delay_s = 0.0
        if happens[Fault.SLOW_NETWORK]:
            delay_s += slow_s * SLOW_NETWORK_S
        if happens[Fault.CLIENT_TIMEOUT] and call.deadline_s is not None:
            # It arrives at the last moment, and its answer after the deadline.
            delay_s = max(0.0, call.deadline_s - anyio.current_time() - late_s * 0.02)
            reply_delay_s = 0.02
        return _Plan(
            delay_s,
            reply_delay_s,
            happens[Fault.REQUEST_LOST],
            happens[Fault.REPLY_LOST],
            breaks,
            (0.0 if at_once else late_s * _LATE_DUPLICATE_S_MAX) if happens[Fault.REQUEST_DUPLICATED] else None,
            1 + steps % _CRASH_STEPS_MAX if happens[Fault.SERVER_CRASH] else None,
        )

    async def _attempt(self, call: WireCall, plan: _Plan) -> WireReply:
        if plan.is_request_lost:
            self._note(f"{call.name}: the request is lost{' with its connection' if plan.breaks else ''}")
            return await self._nothing(plan)
        if plan.duplicate_after_s is not None:
            self._tasks.start_soon(self._deliver, call, _Exchange(), plan.delay_s + plan.duplicate_after_s, None, True)
        exchange = _Exchange()
        self._tasks.start_soon(self._deliver, call, exchange, plan.delay_s, plan.crash_after_steps, False)
        try:
            await exchange.arrived.wait()
            if plan.is_reply_lost:
                self._note(f"{call.name}: the reply {exchange.reply.code.name} is lost")
                return await self._nothing(plan)
            if plan.reply_delay_s:
                await anyio.sleep(plan.reply_delay_s)
            return exchange.reply
        finally:
            exchange.scope.cancel()  # the server gives up a call whose caller is gone

    async def _nothing(self, plan: _Plan) -> WireReply:
        """What comes when nothing comes."""
        if not plan.breaks:
            await anyio.sleep_forever()
        await anyio.sleep(plan.delay_s)
        return CONNECTION_LOST

    async def _deliver(
        self, call: WireCall, exchange: _Exchange, delay_s: float, crash_after_steps: int | None, is_duplicate: bool
    ) -> None:
        self.under_way += 1
        try:
            with exchange.scope:
                await anyio.sleep(delay_s)
                if is_duplicate:
                    self._note(f"{call.name} arrives a second time")
                exchange.reply = await self._serve(call, crash_after_steps)
                exchange.arrived.set()
        finally:
            self.under_way -= 1

    async def _serve(self, call: WireCall, crash_after_steps: int | None) -> WireReply:
        server = self._server()
        if server is None:
            return UNREACHABLE
        if crash_after_steps is not None:
            self._crash(server, crash_after_steps)
        reply = await self._front(server).serve(call.path, call.messages, call.metadata)
        return CONNECTION_LOST if server.is_dead else reply
