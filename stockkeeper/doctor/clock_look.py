"""Compares the machine's clock with the database's newest record, and with the database server's clock."""

from stockkeeper.doctor.finding import Finding, advise, ok, problem

AHEAD_MS_MAX = 1_000
APART_MS_MAX = 1_000


def look_at_clock(now_ms: int, last_at_ms: int) -> Finding:
    """Whether the newest record is of the past."""
    if not last_at_ms:
        return ok("clock", "the database has no record to compare the clock with")
    ahead_ms = last_at_ms - now_ms
    if ahead_ms > AHEAD_MS_MAX:
        return problem(
            "clock",
            f"the clock is {ahead_ms / 1_000:,.0f} s behind the database's newest record",
            "Set the clock. Until it has come that far, a server's time stands still and nothing expires.",
        )
    return ok("clock", f"the newest record is {max(-ahead_ms, 0) / 1_000:,.0f} s old")


def look_at_other_clock(now_ms: int, other_ms: int) -> Finding:
    """Whether Postgres has the same time."""
    apart_ms = abs(now_ms - other_ms)
    if apart_ms > APART_MS_MAX:
        return advise(
            "Postgres' clock",
            f"it is {apart_ms / 1_000:,.1f} s from this machine's",
            "Synchronize both. Only this machine's counts for expiry.",
        )
    return ok("Postgres' clock", "it is this machine's")
