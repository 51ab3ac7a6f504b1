"""gRPC's own bounds, the same for both transports: what is held before a call's first message is parsed.

All are documented channel arguments. What a caller holds beyond them is refused or closed by gRPC itself, without a
turn of the event loop.
"""

from collections.abc import Sequence
from typing import TypeAlias

from rpc.network_bounds import DEFAULT_BOUNDS, NetworkBounds

MESSAGE_BYTES_MAX = 50 * 1024 * 1024

Options: TypeAlias = Sequence[tuple[str, int]]


def server_options(
    *, is_shared: bool = False, message_bytes_max: int = MESSAGE_BYTES_MAX, bounds: NetworkBounds = DEFAULT_BOUNDS
) -> Options:
    """The arguments of a server.

    Args:
        is_shared: whether other processes listen on the same port. Otherwise they must not: of two servers that share
            a port by mistake, half of the calls would go to the one without the database.
        message_bytes_max: how long a caller's message may be, also after it was decompressed.
        bounds: what an operator may move.
    """
    return (
        ("grpc.so_reuseport", int(is_shared)),
        ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
        ("grpc.max_receive_message_length", message_bytes_max),
        # gRPC advises 100. A client that opens and resets streams as fast as it can is held up by it too: with 10,000
        # others waited 0.7 s at the median, with 100 they wait 10 ms. A client with more calls opens more connections.
        ("grpc.max_concurrent_streams", bounds.calls_a_connection_max),
        # Otherwise the core counts streams that have ended until it has freed them. With the bound above it then
        # refuses calls of good clients, already those of 64 callers on one connection: UNAVAILABLE, "Stream removed".
        ("grpc.http.overload_protection", 0),
        # Between the two sizes gRPC refuses some calls at random, beyond the second all.
        ("grpc.max_metadata_size", bounds.metadata_bytes_soft_max),
        ("grpc.absolute_max_metadata_size", bounds.metadata_bytes_max),
        ("grpc.server_handshake_timeout_ms", bounds.handshake_timeout_s * 1_000),
        # Each connection takes a descriptor and 20 KB. One without calls is closed in the end, and its client opens
        # another one with its next call.
        ("grpc.max_allowed_incoming_connections", bounds.connections_max),
        ("grpc.max_connection_idle_ms", bounds.connection_idle_s * 1_000),
        # Calls that came while the loop was busy. Beyond 1,000 the core would begin to answer some of them CANCELLED,
        # at random and unseen, and from 3,000 on all.
        ("grpc.server.max_pending_requests", bounds.pending_calls_max),
        ("grpc.server.max_pending_requests_hard_limit", bounds.pending_calls_max),
        # A client that vanished without closing is found out within 80 s, not after the 2 hours of TCP.
        ("grpc.keepalive_time_ms", bounds.keepalive_s * 1_000),
        ("grpc.keepalive_timeout_ms", bounds.keepalive_timeout_s * 1_000),
        # Clients may ping as often as they like, also between calls; by default gRPC closes on them below 5 minutes. A
        # bound would do harm: the core notes every ping beyond it in a list that it copies each time, and closes only
        # when it has written, so that a single connection that goes on takes a core for as long as it likes. Without
        # one a ping costs next to nothing, and a flood is cut off by its bytes (`connection_watch.py`).
        ("grpc.http2.min_ping_interval_without_data_ms", bounds.ping_interval_min_s * 1_000),
        ("grpc.http2.max_ping_strikes", bounds.ping_strikes_max),
        ("grpc.keepalive_permit_without_calls", 1),
        # Otherwise gRPC lets each stream send 20 MB ahead of what is read: 43 streams took 1.1 GB. Now it is 64 KB, so
        # that an upload from afar makes as much in a round trip.
        ("grpc.http2.bdp_probe", 0),
        # A connection ends by age, so that one that is kept busy for no purpose does not stay, and clients spread again
        # over what serves them. Its calls have the grace to end.
        ("grpc.max_connection_age_ms", bounds.connection_age_s * 1_000),
        ("grpc.max_connection_age_grace_ms", bounds.connection_age_grace_s * 1_000),
    )
