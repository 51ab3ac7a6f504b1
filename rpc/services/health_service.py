"""grpc.health.v1: whether the inventory takes commands.

It is not the servicer of grpcio-health-checking. That one's watches live until the caller ends them, so that one
watcher makes every graceful stop take its full grace, and its `List` raises NotImplementedError.
"""

import asyncio
from collections.abc import AsyncGenerator
from typing import NamedTuple

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


class HealthStatistics(NamedTuple):
    watchers: int


class HealthServicer:
    """All services are served or none, since there is one inventory behind them. At first none is."""

    def __init__(self) -> None:
        self._serving = False
        self._ending = False
        self._watchers: dict[asyncio.Event, None] = {}

    def __repr__(self) -> str:
        watchers = len(self._watchers)
        return f"<HealthServicer serving={self._serving} ending={self._ending} watchers={watchers}>"

    def statistics(self) -> HealthStatistics:
        return HealthStatistics(len(self._watchers))

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
        changed = asyncio.Event()  # of its own: 50,000 that leave a shared one at once hold the event loop for 11 s
        self._watchers[changed] = None
        try:
            while True:
                changed.clear()
                ending = self._ending  # as of what is told: more may happen while it is written
                yield self._response() if known else pb.HealthCheckResponse(status=_Status.SERVICE_UNKNOWN)
                if ending:
                    return
                await changed.wait()
        finally:
            del self._watchers[changed]

    def _response(self) -> pb.HealthCheckResponse:
        return pb.HealthCheckResponse(status=_Status.SERVING if self._serving else _Status.NOT_SERVING)

    def _wake_watchers(self) -> None:
        for changed in self._watchers:
            changed.set()
