"""The ownership row: taking the database over from its last owner."""

from sqlalchemy import Connection, select, update

from actors.cell_records import CellRecord
from storage.sql.schema import ownership
from storage.store import Ownership, OwnershipLost

HANDED_OVER = ("epoch", "last_lsn", "last_at", "database_id", "cell", "map_version", "map_digest")


def read_epoch(connection: Connection) -> tuple[int, str]:
    """The epoch in force, and the owner that began it."""
    epoch, owner = connection.execute(select(ownership.c.epoch, ownership.c.owner)).one()
    return epoch, owner


def raise_epoch(connection: Connection, owner: str) -> Ownership:
    """Fence off every earlier owner, then say where the journal ends. The caller commits before it reads anything else.

    Args:
        owner: the new owner, as a person who looks at the database sees it.
    """
    _, previous_owner = read_epoch(connection)
    statement = (
        update(ownership)
        .values(epoch=ownership.c.epoch + 1, owner=owner)
        .returning(*(ownership.c[name] for name in HANDED_OVER))
    )
    epoch, last_lsn, last_at_ms, database_id, *cell = connection.execute(statement).one()
    return Ownership(epoch, last_lsn, last_at_ms, database_id, previous_owner, CellRecord(*cell) if cell[0] else None)


def pass_fence(connection: Connection, epoch: int) -> None:
    """Make sure that the transaction commits under this epoch. A takeover waits from here on until it ends.

    The fence may come last in a transaction, since nothing is visible before the commit. On Postgres it should come
    last: the journal's batches wait for the same row.

    Raises:
        OwnershipLost: the epoch in force is another one.
    """
    statement = update(ownership).where(ownership.c.epoch == epoch).values(epoch=epoch)
    if connection.execute(statement).rowcount != 1:
        epoch_found, owner = read_epoch(connection)
        raise OwnershipLost(
            f"{owner or 'another server'} owns the database since epoch {epoch_found}; ours was {epoch}"
        )
