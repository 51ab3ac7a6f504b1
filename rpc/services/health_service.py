"""grpc.health.v1: whether the inventory takes commands.

It is not the servicer of grpcio-health-checking, whose watches live until the caller ends them, so that one
watcher makes every graceful stop take its full grace, and whose `List` raises NotImplementedError.
"""

import asyncio
from collections.abc import AsyncGenerator

from grpc_health.v1 import health_pb2 as pb

from rpc.messages.descriptors import Message
from rpc.messages.problems import UnknownService
from rpc.transport.transport_port import Context

SERVICES = (
    "",
    "InventoryService",
    "inventory.v1.InventoryService",
    "inventory.v1.StockService",
    "inventory.v1.ReservationStream",
)

_Status = pb.HealthCheckResponse


class HealthServicer:
    """All services are served or none, since there is one inventory behind them. At first none is."""

    def __init__(self) -> None:
        self._serving = False
        self._ending = False
        self._changed = asyncio.Event()

    def __repr__(self) -> str:
        return f"<HealthServicer serving={self._serving} ending={self._ending}>"

    def set_serving(self, serving: bool) -> None:
        """Tell the watchers, and from now on every caller that asks."""
        if not self._ending and serving != self._serving:
            self._serving = serving
            self._wake_watchers()

    def end(self) -> None:
        """NOT_SERVING for good; watches are told and then end."""
        self._serving = False
        self._ending = True
        self._wake_watchers()

    def Check(self, request: pb.HealthCheckRequest, context: Context) -> pb.HealthCheckResponse:
        """Raises `UnknownService`, which becomes NOT_FOUND as the health protocol asks."""
        if request.service not in SERVICES:
            raise UnknownService
        return self._response()

    def List(self, request: Message, context: Context) -> Message:
        statuses = {service: self._response() for service in SERVICES}
        response: Message = pb.HealthListResponse(statuses=statuses)  # type: ignore[attr-defined]  # not in the stubs
        return response

    async def Watch(
        self, request: pb.HealthCheckRequest, context: Context
    ) -> AsyncGenerator[pb.HealthCheckResponse, None]:
        """The status now and after each change. A change that is undone before a watcher wakes is not told."""
        known = request.service in SERVICES
        while True:
            changed, ending = self._changed, self._ending  # as of what is told: more may happen while it is written
            yield self._response() if known else pb.HealthCheckResponse(status=_Status.SERVICE_UNKNOWN)
            if ending:
                return
            await changed.wait()

    def _response(self) -> pb.HealthCheckResponse:
        return pb.HealthCheckResponse(status=_Status.SERVING if self._serving else _Status.NOT_SERVING)

    def _wake_watchers(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
