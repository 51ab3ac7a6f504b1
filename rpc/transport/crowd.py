"""Calls that come faster than they can be served, which then have turns by the address that they come from.

gRPC's core hands over calls in the order in which they came, so that a call waits for all that came before it: 20,000
that one address sends in a moment take the event loop for more than a second. To take a call from the core costs a
tenth of what it costs to serve or to refuse it. So when the loop is behind, calls are taken at once and stand here, and
each address has one of them served by turns, and of an address each connection. An address may have most of the places,
and never all: see `rpc.shares`.

A call keeps 17 KB of memory, and an address may have a bounded number of connections. The thread that watches
connections finds out that there are more when it looks the next time. In a crowd that is too late, so that those whose
calls stand here are counted as well.
"""

from collections import deque
from enum import Enum
from typing import Generic, NamedTuple, TypeVar

from msgspec import Struct, field

from rpc.peer_address import address_of
from rpc.shares import may_have

C = TypeVar("C")


class Reception(Enum):
    """What becomes of a call that has come."""

    GIVEN = 1
    NONE = 2
    SURPLUS_CONNECTION = 3
    """Its address has more connections than it may have, and this is one of those beyond."""


class CrowdStatistics(NamedTuple):
    """Calls that stand in it, and those for which it had no place."""

    waiting: int
    turned_away: int


class _Standing(Struct, Generic[C]):
    """The calls of an address by its connections, of which the first is next, and how many they are."""

    connections: dict[str, deque[C]] = field(default_factory=dict)
    calls: int = 0


class Crowd(Generic[C]):
    """Belongs to one thread.

    Args:
        calls_max: how many places it has.
        connections_max: on how many connections the calls of an address may come.
    """

    def __init__(self, calls_max: int, connections_max: int) -> None:
        self._calls_max = calls_max
        self._connections_max = connections_max
        self._by_address: dict[str, _Standing[C]] = {}  # the first is next; each has calls
        self._waiting = 0
        self._turned_away = 0

    def __repr__(self) -> str:
        return f"<Crowd {self._waiting}/{self._calls_max} of {len(self._by_address)} addresses>"

    def __len__(self) -> int:
        return self._waiting

    def statistics(self) -> CrowdStatistics:
        return CrowdStatistics(self._waiting, self._turned_away)

    def add(self, peer: str, call: C) -> Reception:
        """A call has come.

        Args:
            peer: the connection that it came on, as gRPC writes it.
        """
        address = address_of(peer)
        standing = self._by_address.get(address)
        if standing is None:
            standing = _Standing()
        of_connection = standing.connections.get(peer)
        if of_connection is None and len(standing.connections) >= self._connections_max:
            self._turned_away += 1
            return Reception.SURPLUS_CONNECTION
        if not may_have(1, standing.calls, self._waiting, self._calls_max):
            self._turned_away += 1
            return Reception.NONE
        if of_connection is None:
            of_connection = standing.connections[peer] = deque()
        of_connection.append(call)
        standing.calls += 1
        self._by_address[address] = standing
        self._waiting += 1
        return Reception.GIVEN

    def take(self) -> C:
        """The oldest call of the connection whose turn it is, of the address whose turn it is. There must be one."""
        address = next(iter(self._by_address))
        standing = self._by_address.pop(address)
        peer = next(iter(standing.connections))
        of_connection = standing.connections.pop(peer)
        call = of_connection.popleft()
        standing.calls -= 1
        self._waiting -= 1
        if of_connection:
            standing.connections[peer] = of_connection  # to the end
        if standing.calls:
            self._by_address[address] = standing  # likewise
        return call
