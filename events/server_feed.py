"""The inventory as a relay has it: a server, over gRPC."""

from typing import Any

import grpc
import grpc.aio
from stockkeeper_client.bearer import GivesToken
from stockkeeper_client.channel import open_channel
from stockkeeper_client.connection import Metadata
from stockkeeper_client.errors import error_details
from stockkeeper_client.v1 import events_pb2 as pb
from stockkeeper_client.v1.events_pb2_grpc import EventsServiceStub

from actors.changes import Point
from actors.feed_entries import FeedRows
from actors.history_feed import FeedPage
from events.feed_port import CursorLost, FeedAway, FeedRefused, Held, Progress

TIMEOUT_S = 5.0
AWAY = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.INTERNAL,
    grpc.StatusCode.UNKNOWN,
)


class ServerFeed:
    """`HistoryFeed` by way of `inventory.v1.EventsService`. It belongs to the running asyncio loop.

    Args:
        target: the server, as host:port. It need not be there.
        credentials: for TLS; None connects without encryption.
        token: gives the key or token of now, which is sent with every call.
    """

    def __init__(
        self, target: str, credentials: grpc.ChannelCredentials | None = None, token: GivesToken | None = None
    ) -> None:
        self.target = target
        self._token = token
        self._channel = open_channel(target, retry=None, credentials=credentials, options=())
        self._stub = EventsServiceStub(self._channel)

    def __repr__(self) -> str:
        return f"<ServerFeed of {self.target}>"

    @property
    def _metadata(self) -> Metadata:
        return () if self._token is None else (("authorization", f"Bearer {self._token()}"),)

    async def take(self, name: str, begin: str) -> Held:
        token, from_time = ("", begin) if ":" in begin else (begin, "")  # a token has no colon, and a time has two
        request = pb.TakeCursorRequest(name=name, from_token=token, from_time=from_time)
        answer = await self._call(self._stub.TakeCursor(request, timeout=TIMEOUT_S, metadata=self._metadata))
        cursor = answer.cursor
        return Held(cursor.name, cursor.fence, _point(cursor.place), answer.lease_ms / 1_000, answer.database_id)

    async def move(self, held: Held, progress: Progress) -> None:
        request = pb.MoveCursorRequest(
            name=held.name,
            fence=held.fence,
            place=None if progress.point is None else _place(progress.point),
            published=progress.published,
            unroutable=progress.unroutable,
            rate=progress.rate,
            problem=printable(progress.problem),
            release=progress.is_release,
        )
        await self._call(self._stub.MoveCursor(request, timeout=TIMEOUT_S, metadata=self._metadata))

    async def read(self, after: Point, rows_max: int, wait_ms: int) -> FeedPage:
        return await self._read(pb.ReadFeedRequest(after=_place(after), rows_max=rows_max, wait_ms=wait_ms))

    async def begin(self, begin: str) -> FeedPage:
        """The first page from a token or a time on; without one an empty page that ends where the history does."""
        token, from_time = ("", begin) if ":" in begin else (begin, "")
        return await self._read(pb.ReadFeedRequest(token=token, from_time=from_time))

    async def cursors(self) -> pb.ListCursorsResponse:
        """All cursors, and how their relays fare."""
        listing = self._stub.ListCursors(pb.ListCursorsRequest(), timeout=TIMEOUT_S, metadata=self._metadata)
        answer: pb.ListCursorsResponse = await self._call(listing)
        return answer

    async def drop(self, name: str) -> pb.DropCursorResponse:
        """Forget a cursor. Raises `CursorLost` if a relay has it."""
        request = pb.DropCursorRequest(name=name)
        answer: pb.DropCursorResponse = await self._call(
            self._stub.DropCursor(request, timeout=TIMEOUT_S, metadata=self._metadata)
        )
        return answer

    async def close(self) -> None:
        await self._channel.close()

    async def _read(self, request: pb.ReadFeedRequest) -> FeedPage:
        timeout_s = TIMEOUT_S + request.wait_ms / 1_000
        answer = await self._call(self._stub.ReadFeed(request, timeout=timeout_s, metadata=self._metadata))
        rows = FeedRows(answer.entries, answer.lines)
        return FeedPage(rows, _point(answer.after), _point(answer.upto), answer.durable_lsn, 0, answer.database_id)

    async def _call(self, call: Any) -> Any:
        try:
            return await call
        except grpc.aio.AioRpcError as error:
            details = error_details(error)
            if details.reason in ("CURSOR_NOT_HELD", "CURSOR_UNKNOWN"):
                raise CursorLost(error.details() or "") from error
            sentence = error.details() or error.code().name
            if error.code() in AWAY:
                raise FeedAway(f"{self.target}: {sentence}") from error
            raise FeedRefused(sentence) from error


def printable(text: str) -> str:
    """Without control characters, which no field takes."""
    return "".join(one if one.isprintable() else " " for one in text)


def _point(place: pb.FeedPlace) -> Point:
    return Point(place.lsn, place.position)


def _place(point: Point) -> pb.FeedPlace:
    return pb.FeedPlace(lsn=point.lsn, position=point.position)
