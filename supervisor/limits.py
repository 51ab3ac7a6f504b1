"""The bounds that an operator may move. Everything has a limit, and a full thing says so to the caller.

What each is for stands with it: `stockkeeper serve --help`, the configuration's schema and docs/configuration.md are
made of these lines.
"""

from typing import Annotated

from msgspec import Meta, Struct

from actors.bounds import INT32_MAX
from actors.row_changes import Levels

DAY_S = 86_400


class Limits(Struct, frozen=True):
    """Counts of things in memory, and times in seconds.

    Orders come back to their rows in a reservation's life, by default as long as `idle_timeout_s`: a shorter time would
    have the rows read again each time.

    Args:
        keep_days: reservations that ended, movements and idempotency keys older than this are moved out; 0 keeps all.
        levels: those of a row that is made without a word about them.
    """

    calls_max: Annotated[
        int, Meta(ge=1, le=INT32_MAX, description="How many calls are served at once; more are UNAVAILABLE.")
    ] = 10_000
    undurable_entries_max: Annotated[
        int,
        Meta(ge=1, le=INT32_MAX, description="How many decided transactions wait for the disk; more are UNAVAILABLE."),
    ] = 20_000
    mailbox_messages_max: Annotated[
        int, Meta(ge=1, le=INT32_MAX, description="How many messages wait for one order, row or idempotency key.")
    ] = 1_000
    variants_max: Annotated[
        int, Meta(ge=1, le=INT32_MAX, description="How many variants are in memory, with all their rows.")
    ] = 100_000
    orders_max: Annotated[int, Meta(ge=1, le=INT32_MAX, description="How many orders are in memory.")] = 10_000
    order_lines_max: Annotated[
        int, Meta(ge=1, le=INT32_MAX, description="How many lines these orders have; a quarter of a KB each.")
    ] = 50_000
    requests_max: Annotated[int, Meta(ge=1, le=INT32_MAX, description="How many idempotency keys are in memory.")] = (
        10_000
    )
    idle_timeout_s: Annotated[
        float, Meta(ge=1, le=DAY_S, description="After how many seconds without use something leaves the memory.")
    ] = 900.0
    heartbeat_s: Annotated[
        float, Meta(ge=0.05, le=3_600, description="After how many seconds at most the database is asked for a sign.")
    ] = 0.8
    stall_s: Annotated[
        float,
        Meta(
            ge=0.1, le=3_600, description="After how many seconds without an answer of the database calls are refused."
        ),
    ] = 10.0
    gather_s: Annotated[
        float, Meta(ge=0, le=1, description="How many seconds the journal waits at most for a crowd to come together.")
    ] = 0.02
    keep_days: int = 0
    levels: Levels = Levels()
