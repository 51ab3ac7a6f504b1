"""The messages of a client's stream, as a servicer reads them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Generic, Self

import anyio

from rpc.messages.parsing import M, parse_in_turns
from rpc.messages.problems import StreamStalled
from rpc.transport.transport_port import Context


class Requests(AsyncIterator[M], Generic[M]):
    """The messages of a client's stream.

    Args:
        turn: waits for the turn of a part of a large message.
        whole: whether the answer is about all of the stream, so that a stream that broke off must not pass for it.
        levels: how deep a large message's fields are counted; see `rpc.messages.parsing`.
        stall_timeout_s: how long to wait for progress, in seconds. None: as long as the call may last.
        progress: the field that a message has to have for progress; what else it says does not renew the wait, or a
            place could be held by saying the same again and again.
    """

    def __init__(
        self,
        kind: type[M],
        context: Context,
        turn: Callable[[int], Awaitable[None]],
        *,
        whole: bool,
        levels: int = 1,
        stall_timeout_s: float | None = None,
        progress: str = "",
    ) -> None:
        self._kind = kind
        self._context = context
        self._turn = turn
        self._whole = whole
        self._levels = levels
        self._stall_timeout_s = stall_timeout_s
        self._progress = progress
        self._patience_s = stall_timeout_s or 0.0

    def __repr__(self) -> str:
        return f"<Requests {self._kind.DESCRIPTOR.name} whole={self._whole} of {self._context}>"

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> M:
        """The next message. Where a whole stream broke off, it waits to be cancelled.

        Raises:
            Invalid: what came is no message of the kind.
            StreamStalled: no progress was made for too long.
        """
        raw = await self._read()
        if raw is None:
            if self._whole:
                # The stream looks the same when the caller gave up, its deadline passed, the connection was lost or a
                # message was too long; the cancellation comes only afterwards. Headers tell them apart: they can be
                # sent to a caller that has ended its stream and waits for the answer, and to none of the others.
                await self._context.confirm()
            raise StopAsyncIteration
        message = await parse_in_turns(self._kind, raw, self._levels, self._turn)
        if self._progress and getattr(message, self._progress):
            self._patience_s = self._stall_timeout_s or 0.0
        return message

    async def _read(self) -> bytes | None:
        if self._stall_timeout_s is None:
            return await self._context.read()
        began_s = anyio.current_time()
        with anyio.move_on_after(self._patience_s):
            raw = await self._context.read()
            self._patience_s -= anyio.current_time() - began_s  # only the wait counts, and not what is done with it
            return raw
        raise StreamStalled(self._stall_timeout_s)
