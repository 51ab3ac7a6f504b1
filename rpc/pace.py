"""How much of one organization's work goes before another's call, for each transport.

A call that comes while a large request is carried out waits for turns of the event loop, and then for a batch of its
own, whose thread shares Python's lock with whatever the loop does: beside the next large request one row takes 8 ms
to write instead of 1. So between two large requests others have the loop for a moment, if there are others. With
grpc.aio a call has ten turns of the loop itself where it has three with gRPC's core, and waits for others in each: it
needs a longer moment, and fewer calls of others that are begun. And whatever comes before it is taken from gRPC
before it, which takes grpc.aio 0.15 ms a call, so that fewer may come from one address at one moment.
"""

from msgspec import Struct
from msgspec.structs import replace

from rpc.network_bounds import NetworkBounds


class Pace(Struct, frozen=True):
    """How much is begun before others have their turn.

    Args:
        begun_of_one_max: calls of one organization that are begun at a time while others call too.
        begun_of_source_max: calls from one source, whatever its organizations, that are begun while others call too. It
            may be a program that calls for all organizations, so it has twice as many as one of them.
        pause_s: after a large request, while others call too, in seconds.
        calls: the part of the bound on a connection's calls that the transport can serve.
    """

    begun_of_one_max: int
    begun_of_source_max: int
    pause_s: float
    calls: float = 1.0

    def bounds(self, bounds: NetworkBounds) -> NetworkBounds:
        """The bounds that hold with this transport.

        >>> from rpc.network_bounds import DEFAULT_BOUNDS
        >>> AIO_PACE.bounds(DEFAULT_BOUNDS).calls_a_connection_max
        20
        """
        return replace(bounds, calls_a_connection_max=max(1, int(bounds.calls_a_connection_max * self.calls)))


CORE_PACE = Pace(24, 48, 0.003)  # with more than 24, a batch of the journal takes longer than others should wait for it
AIO_PACE = Pace(8, 16, 0.005, calls=1 / 5)
PACES = {"core": CORE_PACE, "grpc-aio": AIO_PACE}  # by transport
