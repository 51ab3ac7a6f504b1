"""gRPC's own options, the same for both transports. All are documented channel arguments."""

from collections.abc import Sequence

MESSAGE_BYTES_MAX = 50 * 1024 * 1024
STREAMS_A_CONNECTION_MAX = 10_000
PENDING_CALLS_MAX = 20_000


def server_options(*, is_shared: bool) -> Sequence[tuple[str, int]]:
    """The arguments of a server.

    Args:
        is_shared: whether other processes listen on the same port. Otherwise they must not: of two servers that share
            a port by mistake, half of the calls would go to the one without the database.
    """
    return (
        ("grpc.so_reuseport", int(is_shared)),
        ("grpc.max_send_message_length", MESSAGE_BYTES_MAX),
        ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
        # Open calls cost memory before they have sent a message, when no handler has seen them yet.
        ("grpc.max_concurrent_streams", STREAMS_A_CONNECTION_MAX),
        # Calls that came while the loop was busy. Beyond 1,000 the core would begin to answer some of them CANCELLED,
        # at random and unseen, and from 3,000 on all.
        ("grpc.server.max_pending_requests", PENDING_CALLS_MAX),
        ("grpc.server.max_pending_requests_hard_limit", PENDING_CALLS_MAX),
        # A client that vanished without closing is found out within 80 s, not after the 2 hours of TCP.
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 20_000),
        # Clients may ping as often as every 10 s, also between calls; by default gRPC closes on them below 5 minutes.
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
        ("grpc.keepalive_permit_without_calls", 1),
    )
