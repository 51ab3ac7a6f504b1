"""The server as the application sees it: start, tell it whether the inventory serves, stop."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import NamedTuple

from rpc.authorization.guard import Guard
from rpc.authorization.token_settings import TokenSettings
from rpc.call_deadlines import CallDeadlines
from rpc.call_watch import CallWatch, CallWatchStatistics
from rpc.fair_turns import FairTurnsStatistics
from rpc.frame import CALLS_MAX, Frame
from rpc.held_calls import HeldCallsStatistics
from rpc.inventory_port import Inventory
from rpc.network_bounds import DEFAULT_BOUNDS, NetworkBounds
from rpc.pace import PACES
from rpc.service_names import (
    EVENTS,
    HEALTH,
    INVENTORY,
    OPERATIONS,
    REFLECTION_V1,
    REFLECTION_V1ALPHA,
    STOCK,
    STREAM,
)
from rpc.services.events_service import EventsServicer
from rpc.services.health_service import HealthServicer
from rpc.services.inventory_service import InventoryServicer
from rpc.services.open_streams import OpenStreams, OpenStreamsStatistics
from rpc.services.operations_service import OperationsServicer
from rpc.services.reflection_service import reflection_servicer
from rpc.services.reservation_stream import ReservationStreamServicer
from rpc.services.stock_service import StockServicer
from rpc.transport.addresses import PORT_ATTEMPTS, Address, ListenError, free_addresses
from rpc.transport.server_options import MESSAGE_BYTES_MAX, server_options
from rpc.transport.tls_files import TlsFiles
from rpc.transport.transport_choice import build_listener, choose_transport
from rpc.transport.transport_name import TransportName
from rpc.transport.transport_port import Listener

LINGER_S = 0.2  # at the end, for the last answers to be written


class RpcServerStatistics(NamedTuple):
    """What callers do, since the start or now."""

    calls_under_way: int
    calls_turned_away: int
    streams: OpenStreamsStatistics
    large_requests: FairTurnsStatistics
    held: HeldCallsStatistics
    watched: CallWatchStatistics


class RpcServer:
    """All services, health and reflection on one port.

    It belongs to the running asyncio loop.

    Args:
        inventory: the core. Its `serving` is asked once, by `start`; after that call `set_serving`.
        host: a name or an address. `localhost` listens on 127.0.0.1 and, where there is IPv6, on ::1.
        port: 0 chooses a free one, the same for all addresses.
        calls_max: how many calls, and requests of streams, may be under way; see `rpc.frame.Frame`.
        bounds: the others.
        transport: None chooses it by the installed grpcio.
        message_bytes_max: how long a caller's message may be, also after it was decompressed.
        tls: what its ports show callers; None: they are insecure.
        keys_file: of the keys that callers need; empty: they need none. See `rpc.authorization`.
        tokens: that callers may have instead; None: there are none.
        has_reflection: whether callers may ask what services and messages there are.
        watch: times the calls, and tells the log of some.
        deadlines: is told of each call, where the inventory may wait.

    Raises:
        KeyFileError, TokenError: the keys, or those of the tokens, cannot be used.
    """

    def __init__(
        self,
        inventory: Inventory,
        *,
        host: str,
        port: int,
        calls_max: int = CALLS_MAX,
        bounds: NetworkBounds = DEFAULT_BOUNDS,
        transport: TransportName | None = None,
        message_bytes_max: int = MESSAGE_BYTES_MAX,
        tls: TlsFiles | None = None,
        keys_file: str = "",
        tokens: TokenSettings | None = None,
        has_reflection: bool = True,
        watch: CallWatch | None = None,
        deadlines: CallDeadlines | None = None,
    ) -> None:
        self._tls = tls
        self._message_bytes_max = message_bytes_max
        self._transport = choose_transport(transport)
        self._host = host
        self._port = port
        self._inventory = inventory
        self._health = HealthServicer()
        pace = PACES[self._transport]
        self._bounds = bounds = pace.bounds(bounds)
        guard = Guard(keys_file, tokens) if keys_file or tokens is not None else None
        self._frame = Frame(calls_max, bounds=bounds, guard=guard, watch=watch, deadlines=deadlines, pace=pace)
        streams = OpenStreams(
            self._frame.streams,
            idle_s=bounds.stream_idle_s,
            unread_s=bounds.stream_unread_s,
            lines_max=bounds.stream_lines_max,
        )
        self._streams = ReservationStreamServicer(
            inventory, self._frame.held, self._frame.turns, streams, bounds, self._frame.watch.log
        )
        self._add_services(has_reflection)
        self._listener: Listener | None = None
        self._addresses: Sequence[Address] = ()

    def __repr__(self) -> str:
        return f"<RpcServer {self._listener or 'not started'} {self._frame}>"

    def statistics(self) -> RpcServerStatistics:
        return RpcServerStatistics(
            *self._frame.statistics(),
            self._streams.statistics(),
            self._frame.turns.statistics(),
            self._frame.held.statistics(),
            self._frame.watch.statistics(),
        )

    @property
    def methods(self) -> Sequence[str]:
        """The paths of all methods."""
        return self._frame.methods

    @property
    def addresses(self) -> Sequence[Address]:
        """Where it listens, with the port that was chosen; none before it was started."""
        return self._addresses

    async def start(self, shared: Sequence[Address] = ()) -> Sequence[Address]:
        """Listen, and say where.

        Args:
            shared: listen there instead of on host and port, as other processes do too; see `shared_addresses`.

        Raises:
            ListenError: the host or the port cannot be had; the text says why.
            TlsError: so with the certificate or its key.
        """
        self._health.set_serving(self._inventory.serving)
        if shared:
            await self._listen(shared, is_shared=True)
            return shared
        for _ in range(0 if self._port else PORT_ATTEMPTS):
            with suppress(ListenError):  # another program took the port just now
                return await self._listen_where_it_is_free()
        return await self._listen_where_it_is_free()

    def set_serving(self, serving: bool) -> None:
        """What the health service answers from now on. Call it in the loop's thread; after `stop` it does nothing."""
        self._health.set_serving(serving)

    async def drain(self, timeout_s: float) -> None:
        """Health says NOT_SERVING, streams end, and the calls under way may finish. New ones are still taken.

        Args:
            timeout_s: how long to wait for the calls, in seconds.
        """
        self._health.end()
        self._streams.end()
        if self._listener is not None:
            await self._listener.drain(timeout_s)

    async def stop(self, grace_s: float) -> None:
        """Health says NOT_SERVING, no more calls are accepted, and those under way may finish. Streams end then.

        Cancelled, it leaves the server stopping; call it again. A second call does nothing.

        Args:
            grace_s: how long the calls may go on, in seconds; then they are cancelled.
        """
        self._health.end()
        self._streams.end()
        if self._listener is not None:
            await self._listener.close(grace_s)

    async def _listen_where_it_is_free(self) -> Sequence[Address]:
        addresses = await asyncio.to_thread(free_addresses, self._host, self._port)
        await self._listen(addresses, is_shared=False)
        return addresses

    async def _listen(self, addresses: Sequence[Address], *, is_shared: bool) -> None:
        listener = build_listener(
            self._transport,
            self._frame,
            addresses,
            server_options(is_shared=is_shared, message_bytes_max=self._message_bytes_max, bounds=self._bounds),
            self._tls,
            self._bounds,
        )
        await listener.open()
        self._listener, self._addresses = listener, addresses

    def _add_services(self, has_reflection: bool) -> None:
        frame = self._frame
        frame.add_service(INVENTORY, InventoryServicer(self._inventory))
        frame.add_service(STOCK, StockServicer(self._inventory, frame.imports, frame.turns, frame.small_turns))
        frame.add_service(STREAM, self._streams)
        frame.add_service(EVENTS, EventsServicer(self._inventory))
        frame.add_service(OPERATIONS, OperationsServicer(self._inventory))
        frame.add_service(HEALTH, self._health, is_counted=False)
        if not has_reflection:
            return
        reflector = reflection_servicer([INVENTORY, STOCK, STREAM, EVENTS, OPERATIONS, HEALTH])
        frame.add_service(REFLECTION_V1ALPHA, reflector, is_counted=False)
        frame.add_service(REFLECTION_V1ALPHA, reflector, serve_as=REFLECTION_V1, is_counted=False)
