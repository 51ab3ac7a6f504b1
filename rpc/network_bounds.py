"""The bounds of the network that an operator may move. What each is for stands with it: `stockkeeper serve --help`, the
configuration's schema and docs/configuration.md are made of these lines.
"""

from typing import Annotated

from msgspec import Meta, Struct

from actors.bounds import INT32_MAX, TTL_MINUTES_DEFAULT, TTL_MINUTES_MAX

DAY_S = 86_400
MIB = 1024 * 1024


class NetworkBounds(Struct, frozen=True, kw_only=True):
    """Counts, sizes in bytes, and times in seconds. They hold for each process that ends gRPC."""

    imports_max: Annotated[
        int, Meta(ge=1, le=1_000, description="How many imports are received at once; one organization has fewer.")
    ] = 4
    imports_a_caller_max: Annotated[
        int,
        Meta(
            ge=0,
            le=1_000,
            description="How many of them one caller has, by its key or else its address; 0: half of what is free.",
        ),
    ] = 0  # behind a proxy all that have no key are one caller
    import_stall_s: Annotated[
        float, Meta(ge=1, le=DAY_S, description="How many seconds an import may send no line before it is ended.")
    ] = 30.0
    streams_max: Annotated[int, Meta(ge=1, le=1_000_000, description="How many ReservationStreams are open.")] = 1_000
    requests_a_stream_max: Annotated[
        int, Meta(ge=1, le=100_000, description="How many requests of one ReservationStream are under way.")
    ] = 256
    lines_a_stream_max: Annotated[
        int, Meta(ge=1, le=INT32_MAX, description="How many lines these requests have together.")
    ] = 4_096
    stream_lines_max: Annotated[
        int,
        Meta(ge=1, le=INT32_MAX, description="How many lines the requests of all ReservationStreams have together."),
    ] = 100_000
    stream_idle_s: Annotated[
        float, Meta(ge=1, le=DAY_S, description="How many seconds a ReservationStream may have no request.")
    ] = 900.0
    stream_unread_s: Annotated[
        float, Meta(ge=1, le=DAY_S, description="How many seconds a ReservationStream's replies may stay unread.")
    ] = 30.0
    watches_max: Annotated[
        int, Meta(ge=1, le=1_000_000, description="How many watches, exports and conversations of reflection are open.")
    ] = 2_000
    waiting_bytes_max: Annotated[
        int, Meta(ge=MIB, le=1024 * 1024 * MIB, description="How many bytes of large requests wait for their turn.")
    ] = 64 * MIB
    answers_bytes_max: Annotated[
        int, Meta(ge=MIB, le=1024 * 1024 * MIB, description="How many bytes of answers may stay untaken by callers.")
    ] = 256 * MIB
    answers_bytes_a_connection_max: Annotated[
        int,
        Meta(ge=MIB, le=1024 * 1024 * MIB, description="How many bytes of answers may stay untaken on a connection."),
    ] = 32 * MIB
    answer_untaken_s: Annotated[
        int, Meta(ge=5, le=DAY_S, description="How many seconds a large answer may stay untaken; it is seen within 5.")
    ] = 60
    request_arrival_s: Annotated[
        int, Meta(ge=5, le=DAY_S, description="How many seconds a request may take to come; it is seen within 5.")
    ] = 30
    connections_max: Annotated[
        int, Meta(ge=1, le=1_000_000, description="How many connections are open; each takes a file descriptor.")
    ] = 10_000
    connections_an_address_max: Annotated[
        int,
        Meta(
            ge=1,
            le=1_000_000,
            description="How many of them come from one address, where the system is Linux.",
        ),
    ] = 16  # with 100 calls each, of 8 KB of metadata, that come at one moment, they hold others up for 0.1 s at most
    calls_a_connection_max: Annotated[
        int,
        Meta(
            ge=1,
            le=100_000,
            description="How many calls a connection has at once; gRPC advises 100. A fifth of it on grpc-aio.",
        ),
    ] = 100
    pending_calls_max: Annotated[
        int,
        Meta(ge=1, le=1_000_000, description="How many calls gRPC keeps while the server is too busy to take them."),
    ] = 50_000
    metadata_bytes_soft_max: Annotated[
        int, Meta(ge=1_024, le=MIB, description="From how many bytes of metadata on gRPC refuses some calls.")
    ] = 8 * 1024
    metadata_bytes_max: Annotated[
        int, Meta(ge=1_024, le=MIB, description="From how many bytes of metadata on gRPC refuses all calls.")
    ] = 16 * 1024
    handshake_timeout_s: Annotated[
        int, Meta(ge=1, le=3_600, description="After how many seconds a connection that says nothing is closed.")
    ] = 10
    connection_idle_s: Annotated[
        int, Meta(ge=1, le=DAY_S, description="After how many seconds a connection without calls is closed.")
    ] = 900
    connection_age_s: Annotated[
        int, Meta(ge=1, le=365 * DAY_S, description="After how many seconds any connection is closed.")
    ] = 6 * 3_600
    connection_age_grace_s: Annotated[
        int, Meta(ge=1, le=DAY_S, description="How many seconds its calls then have to end.")
    ] = 600
    keepalive_s: Annotated[
        int, Meta(ge=1, le=DAY_S, description="After how many silent seconds a client is asked whether it is there.")
    ] = 60
    keepalive_timeout_s: Annotated[int, Meta(ge=1, le=3_600, description="How many seconds it has to answer that.")] = (
        20
    )
    ping_interval_min_s: Annotated[
        int, Meta(ge=1, le=3_600, description="How many seconds must lie between two pings of a client without calls.")
    ] = 10
    ping_strikes_max: Annotated[
        int,
        Meta(ge=0, le=1_000, description="How many pings too early a client may send before it is sent away; 0: any."),
    ] = 0
    reservation_ttl_minutes: Annotated[
        int, Meta(ge=1, le=TTL_MINUTES_MAX, description="How many minutes a reservation holds that says 0.")
    ] = TTL_MINUTES_DEFAULT

    @property
    def own_ttl_minutes(self) -> int:
        """What 0 minutes mean, where that is not what they mean anyway; otherwise 0."""
        return self.reservation_ttl_minutes if self.reservation_ttl_minutes != TTL_MINUTES_DEFAULT else 0


DEFAULT_BOUNDS = NetworkBounds()
