"""One end of the socket between a front-end process and the owner of the database: frames of messages.

A wake-up costs more than what it brings: of a call's CPU the kernel takes half. So what is said within one turn
of the event loop goes out in one write. A front-end's requests arrive at the owner in batches, and the answers
to one batch of the journal, which are given in one turn, come back in one.

A frame is its length in 4 bytes and a list of messages in MessagePack. asyncio reads at most 256 KiB at a time,
which bounds how long the messages of one read can hold up everything else.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Generic, NamedTuple, TypeVar, cast

import msgspec

MESSAGES_A_FRAME_MAX = 256
LENGTH_BYTES = 4

M = TypeVar("M")


class LinkStatistics(NamedTuple):
    """What is held now: messages to be sent at the end of this turn, and the beginning of a frame."""

    messages_unsent: int
    bytes_unread: int


class Link(asyncio.Protocol, Generic[M]):
    """Made by asyncio for a connected socket. It ends with the socket: there is no second connection.

    Args:
        kind: the type of the messages that come in, a union of tagged structs.
        on_message: told each of them, on the reader's stack. If it raises, the connection is closed.
        on_lost: told when the connection is closed, by either side.
        waits_for_reader: read nothing while the other side does not read. One of two sides may do so; if both did,
            they could wait for each other.
    """

    def __init__(
        self, kind: Any, on_message: Callable[[M], None], on_lost: Callable[[], None], *, waits_for_reader: bool
    ) -> None:
        self._decoder = msgspec.msgpack.Decoder(list[kind])
        self._encoder = msgspec.msgpack.Encoder()
        self._on_message = on_message
        self._on_lost = on_lost
        self._waits_for_reader = waits_for_reader
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._outbox: list[object] = []
        self._has_room = asyncio.Event()
        self._has_room.set()

    def __repr__(self) -> str:
        held_up = not self._has_room.is_set()
        return f"<Link open={self.is_open} held_up={held_up} unread_bytes={len(self._received)}>"

    def statistics(self) -> LinkStatistics:
        return LinkStatistics(len(self._outbox), len(self._received))

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def send(self, message: object) -> None:
        """Say it at the end of this turn. It is dropped if the connection is or gets closed."""
        if not self._outbox:
            asyncio.get_running_loop().call_soon(self._flush)
        self._outbox.append(message)

    async def wait_for_room(self) -> None:
        """Return once the other side keeps up with what was sent, or the connection is closed."""
        await self._has_room.wait()

    def close(self) -> None:
        """Send what was said, then close the connection. May be called twice."""
        self._flush()
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close the connection at once, whatever was not sent. May be called twice."""
        if self._transport is not None:
            self._transport.abort()

    # ---- what asyncio tells -----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # a stream's, though uvloop's is no subclass of it

    def data_received(self, data: bytes) -> None:
        received = self._received
        received += data
        begin = 0
        while (body := begin + LENGTH_BYTES) <= len(received):
            end = body + int.from_bytes(received[begin:body], "big")
            if end > len(received):
                break
            with memoryview(received) as view:
                messages = self._decoder.decode(view[body:end])
            for message in messages:
                self._on_message(message)
            begin = end
        del received[:begin]

    def pause_writing(self) -> None:
        self._has_room.clear()
        if self._waits_for_reader and self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._has_room.set()
        if self._waits_for_reader and self._transport is not None:
            self._transport.resume_reading()

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._has_room.set()
        self._on_lost()

    def _flush(self) -> None:
        outbox, self._outbox = self._outbox, []
        if not outbox or self._transport is None or self._transport.is_closing():
            return
        frames: list[bytes] = []
        try:
            for begin in range(0, len(outbox), MESSAGES_A_FRAME_MAX):
                body = self._encoder.encode(outbox[begin : begin + MESSAGES_A_FRAME_MAX])
                frames += (len(body).to_bytes(LENGTH_BYTES, "big"), body)
        except Exception:
            self._transport.abort()  # a bug: it is better that all callers hear of it than that some wait for ever
            raise
        self._transport.write(b"".join(frames))
