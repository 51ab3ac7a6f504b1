"""The port between gRPC and the rest of the server: what a call is, what serves it, and what listens for it.

Two adapters stand behind it. `rpc.transport.core_listener` uses gRPC's core by the binding of the grpcio package,
which is fast and not public. `rpc.transport.aio_listener` uses `grpc.aio`, which is public and slower. Callers see
the same of both: tests/rpc/transport holds them to it. `rpc.transport.transport_choice` says which one is taken.
"""

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, NamedTuple, Protocol, TypeAlias

import grpc

Metadata: TypeAlias = Sequence[tuple[str, str | bytes]]


class TracedCall(Protocol):
    """The span of a call."""

    def checked(self) -> str:
        """Its request was checked, and goes to the core. Returns the `traceparent` of what happens there."""
        ...


class CallEnd(Protocol):
    """What watches a call: `rpc.call_watch.WatchedCall`."""

    asked: Any
    """The caller's request, or its ids."""

    @property
    def trace(self) -> TracedCall | None:
        """Its span, if it is traced."""
        ...

    def ended(self, code: int, context: "Context") -> None:
        """The call is over; its caller is told this code, or would be if it were not gone."""
        ...


class Context(Protocol):
    """One RPC, as the frame and the servicers see it. The first word that ends it counts, and no other."""

    watched: "CallEnd | None"
    """Told how the call ends."""

    caller: str
    """Whose key or token it came with; empty where none is asked for."""

    @property
    def is_over(self) -> bool:
        """Whether the response or a status was given, or the caller is gone."""
        ...

    def invocation_metadata(self) -> Metadata:
        """What the caller sent with it."""
        ...

    def peer(self) -> str:
        """The connection that it came on, as gRPC writes it."""
        ...

    def time_left_s(self) -> float:
        """In how many seconds the caller gives up; infinitely many if never."""
        ...

    def when_over(self, listener: Callable[[], None]) -> None:
        """Have `listener` called once, when the call is over. A call has one listener."""
        ...

    def when_gone(self, listener: Callable[[], None]) -> None:
        """Have `listener` called once, when the last word is written or the caller is gone. A call has one listener."""
        ...

    def run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run it in a task, which is cancelled when the caller is gone."""
        ...

    def receive(self, on_message: Callable[[bytes | None], None]) -> None:
        """Have `on_message` called with the caller's first message; with None if the caller sends none."""
        ...

    async def read(self) -> bytes | None:
        """The caller's next message; None when its stream has ended, or the caller is gone, or the message too long."""
        ...

    async def confirm(self) -> None:
        """Send the headers. Returns if the caller is there to take them; otherwise it waits to be cancelled."""
        ...

    async def write(self, message: bytes) -> None:
        """Send a response of several; returns when the caller has room for the next. It waits as `confirm` does."""
        ...

    def answer(self, message: bytes) -> None:
        """End with the one response."""
        ...

    def end(self) -> None:
        """End after the last response of several."""
        ...

    def abort(self, status: grpc.Status) -> None:
        """End with an error."""
        ...

    def cancel(self) -> None:
        """End as CANCELLED: the last resort, where no other status can be given."""
        ...


class CallHandler(Protocol):
    """What serves the calls: `rpc.frame.Frame`."""

    def serve(self, path: str, context: Context) -> None:
        """Serve a call that has just come. It is answered by way of its context, now or later."""
        ...


class ListenerStatistics(NamedTuple):
    """Calls are counted from their arrival until their last word is written or their caller is gone."""

    calls_under_way: int
    calls_begun: int


class Listener(Protocol):
    """Takes the calls that come to its addresses. It belongs to the running asyncio loop."""

    def statistics(self) -> ListenerStatistics: ...

    async def open(self) -> None:
        """Begin to accept calls.

        Raises:
            ListenError: an address is in use.
        """
        ...

    async def drain(self, timeout_s: float) -> None:
        """Wait until the calls that run now have ended and their answers are written, at most `timeout_s` seconds."""
        ...

    async def close(self, grace_s: float) -> None:
        """Accept no more calls, give those that run `grace_s` seconds, then cancel them.

        May be called twice. Cancelled, it goes on closing.
        """
        ...
