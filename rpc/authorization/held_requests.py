"""The requests of a client's stream, for as long as its key or token is good: also while the client sends nothing."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple, Self

from rpc.messages.descriptors import Message
from rpc.transport.transport_port import Context

Admit = Callable[[Message | None], None]


class HeldRequestsStatistics(NamedTuple):
    """How often it was looked at the caller while no request came."""

    looks: int


class HeldRequests(AsyncIterator[Message]):
    """Asks for each request whether its caller may send it, and while none comes, now and then whether it still may.

    One timer a stream looks, so that a request costs no timer of its own.

    Args:
        admit: raises what the stream is to end with; given no request, it asks of the caller alone.
        look_every_s: how often, in seconds.
    """

    def __init__(
        self, requests: AsyncIterator[Message], context: Context, admit: Admit, *, look_every_s: float
    ) -> None:
        self._requests = requests
        self._context = context
        self._admit = admit
        self._look_every_s = look_every_s
        self._waiting: asyncio.Task[Any] | None = None
        self._error: Exception | None = None
        self._looks = 0
        self._look_later()

    def __repr__(self) -> str:
        return f"<HeldRequests waiting={self._waiting is not None} of {self._requests!r}>"

    def statistics(self) -> HeldRequestsStatistics:
        return HeldRequestsStatistics(self._looks)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message:
        self._waiting = asyncio.current_task()
        try:
            request = await anext(self._requests)
        except asyncio.CancelledError:
            if self._error is None or self._waiting is None or self._waiting.uncancel():
                raise
            raise self._error from None
        finally:
            self._waiting = None
        self._admit(request)
        return request

    def _look_later(self) -> None:
        asyncio.get_running_loop().call_later(self._look_every_s, self._look)

    def _look(self) -> None:
        if self._context.is_over or self._error is not None:
            return
        if self._waiting is not None:
            self._looks += 1
            try:
                self._admit(None)
            except Exception as error:  # noqa: BLE001 - raised where the request is waited for
                self._error = error
                self._waiting.cancel()
                return
        self._look_later()
