"""The bounds that an operator may move. Everything has a limit, and a full thing says so to the caller."""

from msgspec import Struct

from actors.row_changes import Levels


class Limits(Struct, frozen=True):
    """Counts of things in memory, and times in seconds.

    Args:
        calls_max: calls being served at once; more are answered UNAVAILABLE.
        undurable_entries_max: decided transactions that wait for the disk; more are answered UNAVAILABLE.
        mailbox_messages_max: messages waiting for one order, row or idempotency key.
        variants_max: variants in memory, with all their rows.
        orders_max: orders in memory.
        order_lines_max: lines of the reservations of these orders; a quarter of a KB each.
        requests_max: idempotency keys in memory.
        idle_timeout_s: an activation unused for once to twice this long is dropped. Orders come back to their rows in a
            reservation's life, by default as long as this: a shorter time would have the rows read again each time.
        heartbeat_s: the database is asked at least this often, so that its loss is noticed within a second when there
            are no calls.
        stall_s: when the database has not answered a batch or a heartbeat for so long, calls are turned away.
        gather_s: how long the journal waits at most for a crowd to come together.
        keep_days: reservations that ended, movements and idempotency keys older than this are moved out; 0 keeps all.
        levels: those of a row that is made without a word about them.
    """

    calls_max: int = 10_000
    undurable_entries_max: int = 20_000
    mailbox_messages_max: int = 1_000
    variants_max: int = 100_000
    orders_max: int = 20_000
    order_lines_max: int = 400_000
    requests_max: int = 10_000
    idle_timeout_s: float = 900.0
    heartbeat_s: float = 0.8
    stall_s: float = 10.0
    gather_s: float = 0.02
    keep_days: int = 0
    levels: Levels = Levels()
