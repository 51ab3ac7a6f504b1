"""The ownership row: taking the database over from whoever had it."""

from sqlalchemy import Connection, select, update

from storage.sql.schema import ownership
from storage.store import Ownership


def read_epoch(connection: Connection) -> tuple[int, str]:
    """The epoch in force, and who began it."""
    epoch, owner = connection.execute(select(ownership.c.epoch, ownership.c.owner)).one()
    return epoch, owner


def raise_epoch(connection: Connection, owner: str) -> Ownership:
    """Fence off every earlier owner, then say where the journal ends. The caller commits before it reads anything else.

    Args:
        owner: who takes over, for a person who looks at the database.
    """
    statement = (
        update(ownership)
        .values(epoch=ownership.c.epoch + 1, owner=owner)
        .returning(ownership.c.epoch, ownership.c.last_lsn, ownership.c.last_at)
    )
    epoch, last_lsn, last_at_ms = connection.execute(statement).one()
    return Ownership(epoch=epoch, last_lsn=last_lsn, last_at_ms=last_at_ms)
