"""A channel of grpc that is closed for the moment of a fork, and goes on afterwards in the parent and in the child."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, TypeVar
from weakref import finalize

import grpc

from stockkeeper_client.sync.fork_gate import FORK_GATE, FORK_PATIENCE_S, Turnstile, follows_forks

Made = TypeVar("Made")


class ForkSafeChannel(grpc.Channel):
    """Opens a channel by its first call, and another by the first one after each fork. Any thread may use it.

    A fork waits until the calls under way are done. Stubs that were made with it stay as they are.
    """

    def __init__(self, open_channel: Callable[[], grpc.Channel], cut_endless: Callable[[], None]) -> None:
        self._open_channel = open_channel
        self._cut_endless = cut_endless
        self._under_way = Turnstile()
        self._opening = threading.Lock()
        self._channel: grpc.Channel | None = None
        self._is_closed = False
        self._inherited: list[grpc.Channel] = []  # the parent's: to close or to finalize one here could hang
        FORK_GATE.add(self)

    def __repr__(self) -> str:
        state = "closed" if self._is_closed else "idle" if self._channel is None else "open"
        return f"<ForkSafeChannel {state} calls={self.statistics()}>"

    def statistics(self) -> int:
        """How many calls are under way."""
        return self._under_way.statistics()

    @contextmanager
    def in_use(self) -> Iterator[grpc.Channel]:
        """The channel, for a call that ends in the body. Raises RuntimeError where gRPC cannot be used."""
        with self._under_way.inside():
            yield self._usable()

    def enter(self) -> grpc.Channel:
        """The channel, for a call that begins now and at whose end `leave` is called. Raises as `in_use`."""
        self._under_way.enter()
        try:
            return self._usable()
        except BaseException:
            self.leave()
            raise

    def leave(self) -> None:
        self._under_way.leave()

    def _usable(self) -> grpc.Channel:
        with self._opening:
            if self._is_closed:
                raise RuntimeError("The channel is closed")
            if self._channel is None:
                FORK_GATE.require_grpc()
                self._channel = self._open_channel()
            return self._channel

    def close(self, grace_s: float | None = None) -> None:
        """Lets calls run for `grace_s` seconds more, then cancels them."""
        self._is_closed = True
        self._under_way.wait_until_empty(grace_s or 0)
        self._close_channel()

    def _close_channel(self) -> None:
        with self._opening:
            channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()

    def before_fork(self) -> None:
        self._under_way.hold()
        self._cut_endless()
        if self._under_way.wait_until_empty(FORK_PATIENCE_S) and not follows_forks():
            self._close_channel()

    def after_fork_in_parent(self) -> None:
        self._under_way.release()

    def after_fork_in_child(self) -> None:
        # Threads that do not exist here may have been inside of either.
        self._under_way, self._opening = Turnstile(), threading.Lock()
        if self._channel is not None:
            self._inherited.append(self._channel)
            self._channel = None

    # What stubs are made of. A method finds the channel that there is when it is called.

    def unary_unary(self, *args: Any, **named: Any) -> Any:
        return _Unary(self, lambda channel: channel.unary_unary(*args, **named))

    def stream_unary(self, *args: Any, **named: Any) -> Any:
        return _Unary(self, lambda channel: channel.stream_unary(*args, **named))

    def unary_stream(self, *args: Any, **named: Any) -> Any:
        return _Streaming(self, lambda channel: channel.unary_stream(*args, **named))

    def stream_stream(self, *args: Any, **named: Any) -> Any:
        return _Streaming(self, lambda channel: channel.stream_stream(*args, **named))

    def subscribe(self, callback: Callable[[grpc.ChannelConnectivity], None], try_to_connect: bool = False) -> None:
        """Until the next fork."""
        with self.in_use() as channel:
            channel.subscribe(callback, try_to_connect)

    def unsubscribe(self, callback: Callable[[grpc.ChannelConnectivity], None]) -> None:
        with self.in_use() as channel:
            channel.unsubscribe(callback)


class _Method(Generic[Made]):
    """A method of a stub, made anew for each channel."""

    def __init__(self, channel: ForkSafeChannel, make: Callable[[grpc.Channel], Made]) -> None:
        self._channel = channel
        self._make = make
        self._made: tuple[grpc.Channel, Made] | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._channel}>"

    def _on(self, channel: grpc.Channel) -> Made:
        made = self._made
        if made is None or made[0] is not channel:
            self._made = made = (channel, self._make(channel))
        return made[1]

    def _begin(self, start: Callable[[Made], Any]) -> Any:
        """Starts a call that goes on by itself."""
        method = self._on(self._channel.enter())
        try:
            call = start(method)
        except BaseException:
            self._channel.leave()
            raise
        # A caller that loses interest lets go of the call, whose end gRPC may then tell to nothing.
        over = finalize(call, self._channel.leave)
        if not call.add_callback(over):
            over()
        return call


class _Unary(_Method[Any]):
    """One whose caller waits for the answer, or takes a future."""

    def __call__(self, *args: Any, **named: Any) -> Any:
        with self._channel.in_use() as channel:
            return self._on(channel)(*args, **named)

    def with_call(self, *args: Any, **named: Any) -> Any:
        with self._channel.in_use() as channel:
            return self._on(channel).with_call(*args, **named)

    def future(self, *args: Any, **named: Any) -> Any:
        return self._begin(lambda method: method.future(*args, **named))


class _Streaming(_Method[Any]):
    """One that answers with a stream."""

    def __call__(self, *args: Any, **named: Any) -> Any:
        return self._begin(lambda method: method(*args, **named))
