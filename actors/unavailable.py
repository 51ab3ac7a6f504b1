"""Every way in which the service cannot serve now: one reason, one sentence and one delay for each.

`reason` is for machines: OVERLOADED, RATE_LIMITED, STORAGE_DOWN, SHUTTING_DOWN, STANDING_BY, ACTOR_RESTARTED,
NO_TOKEN_KEYS, ORGANIZATION_MOVING, CELL_AWAY, CELLS_DISAGREE or STOCK_ROW_DAMAGED.
"""

from collections.abc import Sequence

RETRY_SOON_MS = 200  # what is in the way is a matter of moments
RETRY_OVERLOAD_MS = 500
RETRY_RESTART_MS = 1_000  # a database or a server has to come back
ROW_DAMAGED = "STOCK_ROW_DAMAGED"
RATE_LIMITED = "RATE_LIMITED"
MOVING, CELL_AWAY, CELLS_DISAGREE = "ORGANIZATION_MOVING", "CELL_AWAY", "CELLS_DISAGREE"


class Unavailable(Exception):
    """The service cannot serve this now, and changed nothing that the caller may not find again by a retry.

    Args:
        reason: one word in capitals for machines.
        message: one sentence for people.
        retry_after_ms: when to try again, in milliseconds.
    """

    def __init__(self, reason: str, message: str, retry_after_ms: int) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.retry_after_ms = retry_after_ms


def restarting() -> Unavailable:
    """The caller's message met an activation that a crash took away."""
    return Unavailable("ACTOR_RESTARTED", "The service is restarting a part of itself, try again.", RETRY_SOON_MS)


def mailbox_full() -> Unavailable:
    """Too many messages wait for one row, order or idempotency key."""
    return Unavailable("OVERLOADED", "Too many requests wait for the same goods or order, try again.", RETRY_SOON_MS)


def too_many(things: str) -> Unavailable:
    """A limit on what may be under way is reached.

    Args:
        things: what there are too many of, in the plural.
    """
    return Unavailable("OVERLOADED", f"Too many {things} are under way, try again.", RETRY_OVERLOAD_MS)


def too_many_rows(rows_max: int) -> Unavailable:
    """The goods of one request have more rows together than are brought into memory for it."""
    text = f"These goods have more than {rows_max:,} rows of stock together, ask for fewer of them at once."
    return Unavailable("OVERLOADED", text, RETRY_OVERLOAD_MS)


def too_often(per_minute: int, retry_after_ms: int) -> Unavailable:
    """An organization asks more often than the operator allows."""
    text = f"This organization may ask {per_minute} times a minute, try again later."
    return Unavailable(RATE_LIMITED, text, retry_after_ms)


def loss_outrun() -> Unavailable:
    """The rows of a loss have moved each time that its holders were known."""
    return Unavailable("OVERLOADED", "These goods move too fast for their loss to be booked, try again.", RETRY_SOON_MS)


def database_behind() -> Unavailable:
    """Too many decided transactions wait to be written."""
    return Unavailable("OVERLOADED", "The database is behind, try again.", RETRY_OVERLOAD_MS)


def database_down() -> Unavailable:
    """The database failed before anything was begun for the caller, or the caller only asked."""
    return Unavailable("STORAGE_DOWN", "The database is not available, try again.", RETRY_RESTART_MS)


def outcome_unknown() -> Unavailable:
    """The database failed while the caller's command was under way."""
    return Unavailable(
        "STORAGE_DOWN",
        "The database is not available, try again. What was asked may or may not have been done.",
        RETRY_RESTART_MS,
    )


def no_token_keys() -> Unavailable:
    """The keys that tokens are checked with have not come yet."""
    text = "The service has no keys yet to check tokens with, try again."
    return Unavailable("NO_TOKEN_KEYS", text, RETRY_RESTART_MS)


def stream_idle() -> Unavailable:
    """The caller's stream made room for another, or outlived its time."""
    return Unavailable("OVERLOADED", "The stream had no request for a long time, open another one.", RETRY_SOON_MS)


def shutting_down() -> Unavailable:
    """The caller's request met a stop."""
    return Unavailable("SHUTTING_DOWN", "The service is shutting down, try again.", RETRY_RESTART_MS)


def moving() -> Unavailable:
    """The organization is being copied to another cell, and nothing of it may change."""
    return Unavailable(MOVING, "The organization is being moved, try again.", RETRY_SOON_MS)


def cell_away() -> Unavailable:
    """A router does not reach the owner of a cell."""
    return Unavailable(CELL_AWAY, "The cell does not answer, try again.", RETRY_RESTART_MS)


def cells_disagree() -> Unavailable:
    """The cells have not all joined one map: an organization that none of them holds has to wait until they have."""
    return Unavailable(CELLS_DISAGREE, "The cells have not all joined the same map, try again.", RETRY_RESTART_MS)


def partly_imported(cell: str, done: Sequence[str], error: Unavailable) -> Unavailable:
    """An import of several cells is done by some, and cannot be decided by another now.

    Args:
        error: what that one has said.
    """
    has_done = f"{' and '.join(done)} {'has' if len(done) == 1 else 'have'}"
    text = f"Cell {cell} cannot import its lines now, {has_done}: import again under the same request id."
    return Unavailable(error.reason, text, error.retry_after_ms)


def standing_by() -> Unavailable:
    """Another server has the database, and this one waits for its turn."""
    return Unavailable("STANDING_BY", "This server stands by for the one that serves, try again.", RETRY_RESTART_MS)


def row_damaged(organization_id: str, variant_id: str, warehouse_id: str) -> Unavailable:
    """Another program has written figures into a row that are impossible: nothing is decided by them."""
    return Unavailable(
        ROW_DAMAGED,
        f"The stock row of {variant_id} at {warehouse_id} of {organization_id} is damaged in the database;"
        " its goods are served again once it is mended.",
        RETRY_RESTART_MS,
    )
