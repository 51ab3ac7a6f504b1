"""Reservations over a stream that stays open: the unary call's path without the unary call's price.

Most of what a call costs is HTTP/2's and gRPC's, not the reservation's: headers, frames, a handful of operations of the
core. So a message of the stream carries as many requests as the client had when it could write, and as many replies as
were there when the last message was written; no request waits for a batch to fill. A request has no task: the reader
hands it to the core, its answer joins a list when it is given, and a batch that the journal made durable wakes each
stream's writer once.

What is under way on a stream is bounded by requests and by their lines, from when a request is read until its reply was
written; so is what is under way on all streams. At the bound nothing more is read, and HTTP/2 holds up the client: a
client that does not read its replies costs that many of them, and no more. In the end it is cut off
(`rpc.services.open_streams`).

A client that is gone leaves its requests with the core, which finishes them as it does a call that was given up.
There is no time limit on a request, as there is none on a call without a deadline: the core answers all of them.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

from stockkeeper_client.v1 import stream_pb2 as pb

from actors.bounds import ID_CHARACTERS_MAX, TTL_MINUTES_DEFAULT
from actors.outcomes import Fact, StockReserved
from actors.records import From
from actors.reply import Reply
from actors.unavailable import Unavailable, shutting_down
from rpc.call_log import CallLog
from rpc.call_source import source_of
from rpc.fair_turns import FairTurns
from rpc.held_calls import HeldCalls
from rpc.in_flight import InFlightLimit
from rpc.inventory_port import Inventory
from rpc.messages import responses, validation
from rpc.messages.call_ids import CallIds
from rpc.messages.origins import attributed, origin_of
from rpc.messages.rules import Invalid, Violation
from rpc.messages.status import details_bytes_max, to_message
from rpc.network_bounds import DEFAULT_BOUNDS, NetworkBounds
from rpc.services.open_streams import OpenStreams, OpenStreamsStatistics
from rpc.transport.transport_port import Context

PATH = "/inventory.v1.ReservationStream/ReserveStock"
REQUESTS_A_MESSAGE_MAX = 256
LINES_A_TURN = 192  # each request counts as one more; about 2 ms of work, then others are served
LINES_A_REPLY = 1_000  # then the message is sent, and others are served
LINES_AT_ONCE = 96  # a request with more is large, and is counted as that until it is answered
LINE_BYTES = 40  # about
REPLIES_BYTES_MAX = 256 * 1024  # a message with more is sent; clients refuse more than 4 MiB


class StreamStatistics(NamedTuple):
    """Requests that were read and whose replies are not written, and how many of these the core has answered."""

    under_way: int
    answered: int


class ReservationStreamServicer:
    """`inventory.v1.ReservationStream`.

    Args:
        calls: counts each request as a call is counted, from when it is read until it is answered.
        turns: gives large messages their turns.
        streams: those that are open.
        bounds: of what may be under way on one stream.
        log: is told of requests that are refused.
    """

    def __init__(
        self,
        inventory: Inventory,
        calls: InFlightLimit | HeldCalls,
        turns: FairTurns,
        streams: OpenStreams,
        bounds: NetworkBounds = DEFAULT_BOUNDS,
        log: CallLog | None = None,
    ) -> None:
        self._log = log or CallLog()
        self._inventory = inventory
        self._calls = calls
        self._turns = turns
        self._bounds = bounds
        self._streams = streams
        self._ending = False

    def __repr__(self) -> str:
        return f"<ReservationStreamServicer {self._streams} ending={self._ending}>"

    def statistics(self) -> OpenStreamsStatistics:
        return self._streams.statistics()

    def end(self) -> None:
        """Let every stream read no more, and end with UNAVAILABLE when what is under way was answered."""
        self._ending = True
        for stream in self._streams.all():
            stream.end(shutting_down())

    async def ReserveStock(
        self, request_iterator: AsyncIterator[pb.ReserveStockRequests], context: Context
    ) -> AsyncGenerator[pb.ReserveStockReplies, None]:
        if self._ending:
            raise shutting_down()
        metadata = context.invocation_metadata()
        # Its requests are not traced one by one: a trace of hours would have a hundred thousand spans.
        telling = Telling(details_bytes_max(metadata), origin_of(metadata, context.caller), self._log)
        source = source_of(context)
        stream = Stream(self._inventory, self._calls, self._turns, self._streams, self._bounds, telling, source)
        self._streams.add(stream, source)
        stream.reading = reading = asyncio.create_task(stream.read(request_iterator))
        stream.writing = asyncio.current_task()
        try:
            while replies := await stream.next_replies():
                yield replies
                stream.written(len(replies.replies))
        finally:
            stream.forget()
            reading.cancel()


class Telling(NamedTuple):
    """How the requests of a stream are told that they are refused.

    Args:
        details_bytes_max: how many bytes of details a status may have.
        origin: who they come from.
        log: is told too.
    """

    details_bytes_max: int
    origin: From
    log: CallLog


class Turn(NamedTuple):
    """What a large request has to end when it is answered; see `rpc.fair_turns`."""

    organization_id: str
    size_bytes: int
    source: str


class Answered(NamedTuple):
    """A request by its ids, and what the core replied. The request itself would keep the message that it came with."""

    sequence: int
    organization_id: str
    order_id: str
    ttl_minutes: int
    lines: int
    reply: Reply[Fact]

    @classmethod
    def to(cls, streamed: pb.StreamedRequest, reply: Reply[Fact]) -> "Answered":
        """The reply to this request. Its ids are cut, because what is no id may be of any length."""
        request = streamed.request
        ids = request.organization_id[:ID_CHARACTERS_MAX], request.order_id[:ID_CHARACTERS_MAX]
        return cls(streamed.sequence, *ids, request.ttl_minutes or TTL_MINUTES_DEFAULT, lines_of(streamed), reply)


def lines_of(streamed: pb.StreamedRequest) -> int:
    return 1 + len(streamed.request.items)


class Stream:
    """The requests under way on one stream.

    Args:
        calls, turns, streams: see ReservationStreamServicer.
        bounds: how many requests and lines may be under way; then nothing is read.
        telling: says of refusals.
        source: whose it is, see `rpc.call_source.source_of`.
    """

    def __init__(
        self,
        inventory: Inventory,
        calls: InFlightLimit | HeldCalls,
        turns: FairTurns,
        streams: OpenStreams,
        bounds: NetworkBounds,
        telling: Telling,
        source: str = "",
    ) -> None:
        self._inventory = inventory
        self._calls = calls
        self._turns = turns
        self._streams = streams
        self._under_way_max, self._lines_max = bounds.requests_a_stream_max, bounds.lines_a_stream_max
        self._ttl_minutes = bounds.own_ttl_minutes
        self._telling = telling
        self._source = source
        self._under_way = 0
        self._lines = 0  # of what is under way
        self._lines_unread = 0  # of these, what is being written
        self._progress_s = asyncio.get_running_loop().time()
        self._answered: list[Answered] = []
        self._has_news = asyncio.Event()
        self._has_room = asyncio.Event()
        self._is_over = False
        self._error: Exception | None = None
        self.reading: asyncio.Task[None] | None = None
        self.writing: asyncio.Task[Any] | None = None

    def __repr__(self) -> str:
        return f"<Stream under_way={self._under_way}/{self._under_way_max} over={self._is_over}>"

    def statistics(self) -> StreamStatistics:
        return StreamStatistics(self._under_way, len(self._answered))

    @property
    def idle_since_s(self) -> float | None:
        return None if self._under_way else self._progress_s

    @property
    def unread_since_s(self) -> float | None:
        return self._progress_s if self._lines_unread else None

    async def read(self, messages: AsyncIterator[pb.ReserveStockRequests]) -> None:
        """Take in requests until the client ends the stream or an error does. Cancelling it loses nothing taken in."""
        try:
            async for message in messages:
                if len(message.requests) > REQUESTS_A_MESSAGE_MAX:
                    text = f"must be at most {REQUESTS_A_MESSAGE_MAX} in a message"
                    raise Invalid([Violation("requests", text)])
                lines = 0
                for request in message.requests:
                    await self._wait_for_room()
                    of_it = lines_of(request)
                    lines += of_it
                    size_bytes = LINE_BYTES * max(of_it, LINES_AT_ONCE)
                    turn = Turn(request.request.organization_id, size_bytes, self._source)
                    if of_it > LINES_AT_ONCE:
                        await self._turns.turn(*turn)
                        self._take(request, turn)
                    else:
                        if lines >= LINES_A_TURN:
                            lines = 0
                            await self._turns.turn(*turn)
                            self._turns.end(*turn)
                        self._take(request, None)
        except Exception as error:  # noqa: BLE001 - the stream ends with it, after what is under way
            self._error = self._error or error
        finally:
            self._is_over = True
            self._has_news.set()

    async def _wait_for_room(self) -> None:
        while self._under_way and self._is_full:
            self._has_room.clear()
            await self._has_room.wait()

    @property
    def _is_full(self) -> bool:
        return self._under_way >= self._under_way_max or self._lines >= self._lines_max or self._streams.are_full

    def end(self, error: Exception) -> None:
        """Read no more, and end with `error` once everything under way was answered."""
        self._error = self._error or error
        self._is_over = True
        self._has_news.set()
        if self.reading is not None:
            self.reading.cancel()

    def cut_off(self) -> None:
        """End at once: the client does not take its replies."""
        if self.writing is not None:
            self.writing.cancel()

    def forget(self) -> None:
        """It has ended. What is under way, the core finishes."""
        self._streams.remove(self)
        self._streams.lines -= self._lines
        self._lines = 0
        self.reading = self.writing = self._error = None  # or they would keep each other, by their tracebacks
        self._answered = []

    async def next_replies(self) -> pb.ReserveStockReplies | None:
        """The replies to write, all that there are; None when the stream is over and all was answered.

        Raises:
            Exception: what the stream ends with.
        """
        while not self._answered:
            if self._is_over and not self._under_way:
                if self._error is not None:
                    raise self._error
                return None
            self._has_news.clear()
            await self._has_news.wait()
        if self._answered[0].lines > LINES_AT_ONCE:
            await self._turn_of_reply(self._answered[0])
        message, size, count = pb.ReserveStockReplies(), 0, 0
        while count < len(self._answered) and size < REPLIES_BYTES_MAX and self._lines_unread < LINES_A_REPLY:
            size += fill(message.replies.add(), self._answered[count], self._telling)
            self._lines_unread += self._answered[count].lines
            count += 1
        self._progress_s = asyncio.get_running_loop().time()
        del self._answered[:count]
        return message

    async def _turn_of_reply(self, answered: Answered) -> None:
        """A refusal names each of its lines, which takes as long to write down as the lines took to read."""
        turn = Turn(answered.organization_id, LINE_BYTES * answered.lines, self._source)
        with suppress(Unavailable):  # 64 MB wait: it makes no difference
            await self._turns.turn(*turn)
            self._turns.end(*turn)

    def written(self, replies: int) -> None:
        """This number of replies is written, which makes room for the same number of requests."""
        self._under_way -= replies
        self._lines -= self._lines_unread
        self._streams.lines -= self._lines_unread
        self._lines_unread = 0
        self._progress_s = asyncio.get_running_loop().time()
        self._has_room.set()

    def _take(self, streamed: pb.StreamedRequest, turn: Turn | None) -> None:
        self._under_way += 1
        if self._ttl_minutes and not streamed.request.ttl_minutes:
            streamed.request.ttl_minutes = self._ttl_minutes
        lines = lines_of(streamed)
        self._lines += lines
        self._streams.lines += lines
        organization_id = streamed.request.organization_id[:ID_CHARACTERS_MAX]
        try:
            self._calls.enter(organization_id, self._source)
            try:
                reply = self._inventory.submit(attributed(validation.reserve_streamed(streamed), self._telling.origin))
            except BaseException:
                self._calls.leave(organization_id, self._source)
                raise
        except Exception as error:  # noqa: BLE001 - the request's, not the stream's
            reply = Reply()
            # Its traceback would keep this step, and so the message, until it is read. A bug's is for the log.
            reply.fail(error.with_traceback(None) if isinstance(error, Invalid | Unavailable) else error)
            self._end_turn(turn)
            self._note(Answered.to(streamed, reply))
            if isinstance(error, Unavailable) and error.reason == shutting_down().reason:
                self.end(error)
        else:
            reply.when_done(partial(self._on_answer, Answered.to(streamed, reply), turn))

    def _on_answer(self, answered: Answered, turn: Turn | None) -> None:
        self._end_turn(turn)
        self._calls.leave(answered.organization_id, self._source)
        self._note(answered)

    def _end_turn(self, turn: Turn | None) -> None:
        if turn is not None:
            self._turns.end(*turn)

    def _note(self, answered: Answered) -> None:
        self._answered.append(answered)
        self._has_news.set()


def fill(message: pb.ReserveStockReply, answered: Answered, telling: Telling) -> int:
    """Put a reply of the core into a reply of the stream. Returns the message's size in bytes."""
    message.sequence, message.organization_id, message.order_id, ttl_minutes, _, reply = answered
    try:
        fact = reply.result()
        assert isinstance(fact, StockReserved), fact
        message.response.CopyFrom(responses.reserved(fact, ttl_minutes))
    except Exception as error:  # noqa: BLE001 - the request's, not the stream's
        # By its bytes: the message in the stream is of the contract's own pool.
        asked = CallIds(answered.organization_id, answered.order_id)
        problem = telling.log.problem_of(PATH, error, partial(asked.told_of, telling.origin))
        message.status.ParseFromString(to_message(problem, telling.details_bytes_max).SerializeToString())
    return message.ByteSize()
