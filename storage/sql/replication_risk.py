"""What a failover of Postgres may lose of that which was acknowledged, as far as Postgres says it."""

import logging

import asyncpg  # type: ignore[import-untyped]

log = logging.getLogger(__name__)

WITHOUT_STANDBYS = ("local", "off")  # values of synchronous_commit with which no commit waits for a standby

FACTS = """
    SELECT current_setting('synchronous_standby_names'), current_setting('synchronous_commit'),
        (SELECT count(*) FROM pg_stat_replication)"""


def risk(standby_names: str, synchronous_commit: str, followers: int) -> str:
    """In a sentence; empty where every commit waits for a standby.

    Args:
        standby_names: Postgres' synchronous_standby_names.
        synchronous_commit: that of the session which writes.
        followers: the connections by which standbys follow now.
    """
    if standby_names and synchronous_commit not in WITHOUT_STANDBYS:
        return ""
    why = f"synchronous_commit is {synchronous_commit}" if standby_names else "synchronous_standby_names is empty"
    if not followers:
        return f"what is acknowledged is on this Postgres alone, and goes with its disk ({why})"
    return f"no commit waits for a standby ({why}): a failover loses what was acknowledged and had not got there"


async def say_what_can_be_lost(writer: asyncpg.Connection) -> None:
    """In the log; a warning where standbys follow, since a failover is meant there."""
    standby_names, synchronous_commit, followers = await writer.fetchrow(FACTS)
    if found := risk(standby_names, synchronous_commit, followers):
        log.log(logging.WARNING if followers else logging.INFO, "acknowledged_may_be_lost", extra={"reason": found})
