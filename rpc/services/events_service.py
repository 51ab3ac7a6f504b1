"""What relays ask, as thin as `rpc.services.inventory_service`."""

from functools import partial

from stockkeeper_client.v1 import events_pb2 as pb

from actors.queries import ReadFeed
from rpc.call_answers import Deferred
from rpc.inventory_port import Inventory
from rpc.messages import feed_messages as feed
from rpc.transport.transport_port import Context


class EventsServicer:
    """`inventory.v1.EventsService`."""

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory

    def __repr__(self) -> str:
        return f"<EventsServicer of {self._inventory!r}>"

    def ReadFeed(self, request: pb.ReadFeedRequest, context: Context) -> Deferred:
        query, token = feed.read_feed(request)
        return Deferred(self._inventory.answer(query), partial(feed.feed_page, query, token))

    async def TakeCursor(self, request: pb.TakeCursorRequest, context: Context) -> pb.TakeCursorResponse:
        query, token = feed.take_cursor(request)
        if token is not None:
            end = await self._inventory.answer(ReadFeed("")).wait()
            feed.check_database(token, end.database_id, end.durable_lsn)
        return feed.cursor_taken(await self._inventory.answer(query).wait())

    def MoveCursor(self, request: pb.MoveCursorRequest, context: Context) -> Deferred:
        return Deferred(self._inventory.answer(feed.move_cursor(request)), feed.cursor_moved)

    def DropCursor(self, request: pb.DropCursorRequest, context: Context) -> Deferred:
        return Deferred(self._inventory.answer(feed.drop_cursor(request)), feed.cursor_dropped)

    def ListCursors(self, request: pb.ListCursorsRequest, context: Context) -> Deferred:
        return Deferred(self._inventory.answer(feed.list_cursors(request)), feed.cursor_list)
