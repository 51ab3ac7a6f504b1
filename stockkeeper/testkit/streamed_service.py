"""ReservationStream in a simulated world: each request and its reply as `rpc.services.reservation_stream` has them.

That servicer shares a stream among its requests with tasks and events of asyncio. A world runs on trio too, and its
wire carries one request at a time, so nothing is left here to share; what a reply says is the servicer's own.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress

from stockkeeper_client.v1 import stream_pb2 as pb

from actors.outcomes import Fact
from actors.records import From
from actors.reply import Reply
from rpc.call_log import CallLog
from rpc.inventory_port import Inventory
from rpc.messages import validation
from rpc.messages.origins import attributed, origin_of
from rpc.messages.status import details_bytes_max
from rpc.services.reservation_stream import Answered, Telling, fill
from rpc.transport.transport_port import Context


class StreamedServicer:
    """Answers the requests of a stream one after another."""

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory

    def __repr__(self) -> str:
        return f"<StreamedServicer of {self._inventory}>"

    async def ReserveStock(
        self, request_iterator: AsyncIterator[pb.ReserveStockRequests], context: Context
    ) -> AsyncGenerator[pb.ReserveStockReplies, None]:
        metadata = context.invocation_metadata()
        telling = Telling(details_bytes_max(metadata), origin_of(metadata), CallLog())
        async for message in request_iterator:
            for streamed in message.requests:
                reply = self._submit(streamed, telling.origin)
                with suppress(Exception):  # the reply keeps it, and says it in its words
                    await reply.wait()
                replies = pb.ReserveStockReplies()
                fill(replies.replies.add(), Answered.to(streamed, reply), telling)
                yield replies

    def _submit(self, streamed: pb.StreamedRequest, origin: From) -> Reply[Fact]:
        try:
            return self._inventory.submit(attributed(validation.reserve_streamed(streamed), origin))
        except Exception as error:  # noqa: BLE001 - the request's, not the stream's
            refused: Reply[Fact] = Reply()
            refused.fail(error)
            return refused
