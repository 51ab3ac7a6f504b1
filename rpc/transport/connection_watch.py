"""Cuts off connections that bring much and no messages: floods of frames, for which gRPC has no bound.

PINGs, SETTINGS, blocks of headers that never end, frames of unknown kinds: gRPC reads them as fast as they come, and
tells a server nothing of connections. So the operating system is asked how many bytes each has received. One that
receives much is compared with what its calls bring, and is cut off when the difference is more than all its calls may
have on their way. An address whose connection was cut off has no such allowance for some time: what it opens anew and
floods is cut off at the first look. One that comes again and again is not heard for some seconds, by a filter in the
kernel: what was read until a connection is cut off costs as well (gRPC makes metadata of a block of headers without an
end once its connection is over). And no address may have more connections than a bound, which gRPC does not have
either.

A call pays nothing for it but a look at whether any connection is compared just now. A thread looks at a few
connections at a time, and more seldom the more there are: the event loop polls gRPC too, and a flood may keep it. It
works on Linux, and does nothing elsewhere.

Turned down: a proxy of our own before gRPC, which would read and write everything twice.
"""

import logging
import socket
import sys
import threading
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from contextlib import suppress
from time import monotonic, thread_time
from typing import NamedTuple, Protocol

from msgspec import Struct

from rpc.network_bounds import DEFAULT_BOUNDS, MIB, NetworkBounds
from rpc.peer_address import address_of
from rpc.transport.address_filter import drop_from
from rpc.transport.addresses import Address
from rpc.transport.socket_facts import SocketCalls, SocketFacts
from rpc.transport.surplus_connections import peer_of

LOOK_EVERY_S = 0.03  # every 50 ms, a flood of headers holds the event loop for 100 ms
COUNT_EVERY_S = 1.0
FREE_IN_A_ROW = 64  # what is opened gets the lowest number that is free
LOOKED_AT_ONCE, GAP_S = 50, 0.001  # then others have Python's lock
PART = 50  # the thread takes a fiftieth of the time at most
LOOK_AT_SUSPECTS_EVERY_S = 0.004  # while there are any
PART_FOR_SUSPECTS = 10
KEEN_S = 0.1  # looks are as frequent since one is compared: a flood brings 0.5 MB a ms
SUSPECT_BYTES = 256 * 1024
SUSPECT_BYTES_A_SECOND = 4 * MIB
ALLOWED_BYTES = MIB  # beside what its calls may have on their way
ALLOWED_BYTES_OF_SUSPECTS = 64 * 1024
UNREAD_BYTES_OF_A_CALL = 64 * 1024  # what gRPC lets each call send ahead
HEADERS_BYTES = 16 * 1024  # what a message may have had before it
HARMLESS_BYTES_A_SECOND = MIB
CALM_S = 5.0
BARRED_AFTER, BARRED_S = 3, 10.0  # cut off so often while suspect
SUSPECT_ADDRESS_S = 30.0
CROWDED_S = 1.0  # as long as that, an address that had too many connections opens none
ADDRESSES_MAX = 10_000
HAS_TCP_INFO = sys.platform == "linux"

log = logging.getLogger(__name__)


class ConnectedCall(Protocol):
    """A call, as far as its connection goes."""

    def peer(self) -> str:
        """The connection that it came on."""
        ...


class ConnectionWatchStatistics(NamedTuple):
    """Connections at the last look, those that are compared with their calls, how many were cut off, and addresses that
    are not heard now."""

    connections: int
    compared: int
    cut_off: int
    barred: int


class Suspect(Struct):
    """An address whose connection was cut off."""

    until_s: float
    cut_off: int = 0
    barred_until_s: float = 0.0


class WatchedConnection(Struct):
    """A connection that is open.

    Args:
        cookie: tells whether the descriptor is still this connection's.
        peer: as gRPC writes it.
        brought_bytes: by messages, since it is compared. The loop's thread alone counts them, and all else here is the
            watch's.
        surplus_bytes: what has come beside that; None: it is not compared.
    """

    cookie: int
    peer: str
    address: str
    looked_at_s: float
    received_bytes: int = 0
    brought_bytes: int = 0
    forgiven_bytes: int = 0  # of those that were brought
    calm_since_s: float = 0.0
    surplus_bytes: float | None = None
    is_cut: bool = False


class ConnectionWatch:
    """Watches from `start` to `stop`.

    Args:
        calls: gives those under way, in any thread.
        addresses: where the server listens; other connections of the process are left alone.
        message_bytes_max: how long a message may be.
    """

    def __init__(
        self,
        calls: Callable[[], Iterable[ConnectedCall]],
        addresses: Sequence[Address],
        message_bytes_max: int,
        bounds: NetworkBounds = DEFAULT_BOUNDS,
    ) -> None:
        self._calls = calls
        self._ports = frozenset(address.port for address in addresses)
        self._message_bytes_max = message_bytes_max
        self._messages_max = bounds.imports_max
        self._of_address_max = bounds.connections_an_address_max
        self._connections: dict[int, WatchedConnection] = {}  # by descriptor
        self._compared: dict[str, WatchedConnection] = {}  # by peer
        self.is_comparing = False
        self._suspects: dict[str, Suspect] = {}  # by address
        self._crowded: dict[str, float] = {}  # until when, by address
        self._barred: frozenset[str] = frozenset()
        self._wary_until_s = 0.0
        self._surplus: dict[str, float] = {}  # of the connections of an address, in this look so far
        self._listening: dict[int, int] = {}  # the cookies of sockets that listen, by descriptor
        self._others: dict[int, int] = {}  # likewise, of those behind which there is no caller
        self._sockets = SocketCalls()
        self._tell_from_s = 0.0
        self._told: list[tuple[int, str, dict[str, object]]] = []
        self._counted_s = -COUNT_EVERY_S
        self._cut_off = 0
        self._stopping = threading.Event()

    def __repr__(self) -> str:
        return f"<ConnectionWatch connections={len(self._connections)} cut_off={self._cut_off}>"

    def statistics(self) -> ConnectionWatchStatistics:
        return ConnectionWatchStatistics(len(self._connections), len(self._compared), self._cut_off, len(self._barred))

    def start(self) -> None:
        """Look from now on."""
        if HAS_TCP_INFO:
            threading.Thread(target=self._watch, name="connection-watch", daemon=True).start()

    def stop(self) -> None:
        self._stopping.set()

    def brought(self, call: ConnectedCall, size_bytes: int) -> None:
        """A message came, of this size."""
        if (connection := self._compared.get(call.peer())) is not None:
            connection.brought_bytes += size_bytes + HEADERS_BYTES

    def _watch(self) -> None:
        took_s = 0.0
        while not self._rest(self._pause_s(took_s)):
            began_s = thread_time()
            try:
                cut_off = -1
                while cut_off != self._cut_off:  # its address is suspect now, and the others of it are judged by that
                    cut_off = self._cut_off
                    self._look_at_all()
                if monotonic() >= self._tell_from_s:
                    self._tell()
            except Exception:
                log.exception("connections_not_watched")
                self._rest(CALM_S)
            took_s = thread_time() - began_s
        self._tell()

    def _pause_s(self, took_s: float) -> float:
        """How long to rest after a look that took as much of a processor."""
        if self._is_wary:
            return max(LOOK_AT_SUSPECTS_EVERY_S, PART_FOR_SUSPECTS * took_s)
        return max(LOOK_EVERY_S, PART * took_s)

    @property
    def _is_wary(self) -> bool:
        """Whether more of what came lately may come at any moment: those that were not heard try again together."""
        return bool(self._suspects) or monotonic() < self._wary_until_s

    def _rest(self, pause_s: float) -> bool:
        return self._stopping.wait(pause_s)

    def _look_at_all(self) -> None:
        seen: dict[int, WatchedConnection] = {}
        of_address: dict[str, int] = {}
        self._surplus = {}
        for number, fd in enumerate(self._descriptors(seen), 1):
            if (facts := self._sockets.of(fd)) is not None:
                self._look_at(fd, facts, seen, of_address)
            if number % LOOKED_AT_ONCE == 0 and self._rest(GAP_S):
                return
        cookies = {connection.cookie for connection in seen.values()}
        self._compared = {peer: one for peer, one in self._compared.items() if one.cookie in cookies}
        self._connections = seen
        self.is_comparing = bool(self._compared)
        crowded = [address for address, connections in of_address.items() if connections >= self._of_address_max]
        if crowded or self._suspects or self._barred:
            self._bar(crowded)

    def _descriptors(self, seen: Container[int]) -> Iterator[int]:
        """Those of connections that are known, and those that new ones may have; once a second all that there are."""
        if (now_s := monotonic()) - self._counted_s >= COUNT_EVERY_S:
            self._counted_s = now_s
            yield from self._sockets.descriptors()
            return
        known = self._connections
        yield from known
        fd = free = 0
        while free < FREE_IN_A_ROW:
            if fd not in known:
                yield fd
                free = 0 if fd in seen else free + 1
            fd += 1

    def _bar(self, crowded: Sequence[str]) -> None:
        """Have those barred that are to be, and no others."""
        now_s = monotonic()
        if crowded:
            self._wary_until_s = now_s + SUSPECT_ADDRESS_S
        until_s = {**self._crowded, **dict.fromkeys(crowded, now_s + CROWDED_S)}
        self._crowded = {address: ends_s for address, ends_s in until_s.items() if ends_s > now_s}
        self._suspects = {address: one for address, one in self._suspects.items() if one.until_s > now_s}
        flooding = [address for address, one in self._suspects.items() if one.barred_until_s > now_s]
        barred = frozenset([*self._crowded, *flooding])
        if barred == self._barred:
            return
        for fd, cookie in self._listening.items():
            with self._sockets.held(fd, cookie) as own:
                if own is not None:
                    _drop_from(own, sorted(barred))
        if more := barred - self._barred:
            self._tell_later(logging.WARNING, "addresses_not_heard", {"addresses": sorted(more)})
        self._barred = barred

    def _tell_later(self, level: int, event: str, what: dict[str, object]) -> None:
        if not self._told:
            self._tell_from_s = monotonic() + KEEN_S
        self._told.append((level, event, what))

    def _tell(self) -> None:
        """Write down what was done. Not while more is to be done: beside a busy loop each line takes 5 ms, in which
        what is left of a flood goes on."""
        told, self._told = self._told, []
        for level, event, what in told:
            log.log(level, event, extra=what)

    def _look_at(
        self, fd: int, facts: SocketFacts, seen: dict[int, WatchedConnection], of_address: dict[str, int]
    ) -> None:
        known = self._connections.get(fd)
        if known is None or known.cookie != facts.cookie:
            known = None if self._others.get(fd) == facts.cookie else self._met(fd, facts)
        if known is None:
            return
        seen[fd] = known
        if known.is_cut:  # gRPC is about to close it
            return
        of_address[known.address] = of_address.get(known.address, 0) + 1
        self._compare(facts.received_bytes, known)
        if of_address[known.address] > self._of_address_max:
            self._cut(fd, known)
            if known.address not in self._barred:
                self._bar([known.address])  # at once: hundreds more may come until the end of this look
            return
        if known.surplus_bytes is not None and known.surplus_bytes > 0:
            self._surplus[known.address] = self._surplus.get(known.address, 0.0) + known.surplus_bytes
        if self._is_too_much(known):
            self._cut(fd, known)
            self._suspect(known.address)

    def _met(self, fd: int, facts: SocketFacts) -> WatchedConnection | None:
        """A socket that was not there at the last look; None if no caller is behind it."""
        with self._sockets.held(fd, facts.cookie) as own:
            if own is None or (ends := self._sockets.ends_of(own)) is None:
                return None
        is_ours = ends.own_port in self._ports
        if is_ours and facts.is_listening:
            self._listening[fd] = facts.cookie
        if not is_ours or facts.is_listening:
            self._others[fd] = facts.cookie
            return None
        if not ends.host:  # it is over
            return None
        peer = peer_of(ends.host, ends.port)
        return WatchedConnection(facts.cookie, peer, ends.host.removeprefix("::ffff:"), monotonic())

    def _compare(self, received_bytes: int, connection: WatchedConnection) -> None:
        """Look at what has come since the last look."""
        now_s = monotonic()
        more_bytes, took_s = received_bytes - connection.received_bytes, now_s - connection.looked_at_s
        connection.received_bytes, connection.looked_at_s = received_bytes, now_s
        is_suspect = connection.address in self._suspects
        much_bytes = ALLOWED_BYTES_OF_SUSPECTS if is_suspect else SUSPECT_BYTES
        if more_bytes > max(much_bytes, SUSPECT_BYTES_A_SECOND * took_s):
            connection.calm_since_s = now_s
            if connection.surplus_bytes is None:
                # Whatever came before was not counted, so what comes now is not either.
                connection.surplus_bytes = more_bytes if is_suspect else 0.0
                connection.forgiven_bytes = connection.brought_bytes
                self._compared[connection.peer] = connection
                self.is_comparing = True
                self._wary_until_s = max(self._wary_until_s, now_s + KEEN_S)
                return
        if connection.surplus_bytes is not None:
            brought_bytes = connection.brought_bytes
            more_bytes -= brought_bytes - connection.forgiven_bytes
            connection.forgiven_bytes = brought_bytes
            surplus_bytes = connection.surplus_bytes + more_bytes - HARMLESS_BYTES_A_SECOND * took_s
            connection.surplus_bytes = max(surplus_bytes, -float(ALLOWED_BYTES))
            if now_s - connection.calm_since_s > CALM_S:
                connection.surplus_bytes = None
                self._compared.pop(connection.peer, None)

    def _is_too_much(self, connection: WatchedConnection) -> bool:
        """Whether it has brought too much, or its address has on all its connections: a dozen that share what gRPC
        reads would otherwise have a dozen times as long.
        """
        if connection.surplus_bytes is None or connection.surplus_bytes <= 0:
            return False
        is_suspect = connection.address in self._suspects
        allowance_bytes = ALLOWED_BYTES_OF_SUSPECTS if is_suspect else ALLOWED_BYTES
        of_address_bytes = self._surplus[connection.address]
        if of_address_bytes <= allowance_bytes:
            return False
        peers = [call.peer() for call in list(self._calls())]
        if connection.surplus_bytes > allowance_bytes + self._on_their_way(peers.count(connection.peer)):
            return True
        of_address = sum(address_of(peer) == address_of(connection.peer) for peer in peers)
        return of_address_bytes > allowance_bytes + self._on_their_way(of_address)

    def _on_their_way(self, calls: int) -> int:
        """How many bytes of these calls may have come and not be read."""
        return UNREAD_BYTES_OF_A_CALL * calls + self._message_bytes_max * min(calls, self._messages_max)

    def _cut(self, fd: int, connection: WatchedConnection) -> None:
        """End it, unless the descriptor is another's by now."""
        connection.is_cut = True
        self._cut_off += 1  # before its caller can see it
        with self._sockets.held(fd, connection.cookie) as own:
            if own is not None:
                self._sockets.end(own)
        told = {"address": connection.address, "received_bytes": connection.received_bytes}
        self._tell_later(logging.INFO, "connection_cut_off", told)

    def _suspect(self, address: str) -> None:
        if len(self._suspects) >= ADDRESSES_MAX:
            self._suspects.clear()
        now_s = monotonic()
        suspect = self._suspects.setdefault(address, Suspect(now_s))
        suspect.until_s = now_s + SUSPECT_ADDRESS_S
        suspect.cut_off += 1
        if suspect.cut_off >= BARRED_AFTER:
            suspect.cut_off, suspect.barred_until_s = 0, now_s + BARRED_S
            self._bar(())  # at once: it would open others until the end of this look


def _drop_from(own: int, addresses: Sequence[str]) -> None:
    listening = socket.socket(fileno=own)
    try:
        with suppress(OSError):
            drop_from(listening, addresses)
    finally:
        listening.detach()
