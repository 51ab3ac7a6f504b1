"""The ownership row: taking the database over from its last owner, and the fence that keeps that one out.

The epoch is a number that each takeover raises. In one history of a database no two owners have the same. A failover of
Postgres begins another history: a standby that is promoted without the last commits of its primary does not know the
newest takeover, and the next one gets the same number a second time. Then the owner of the lost takeover, whose new
connections lead to the new primary, would find its own epoch there. So each takeover also has a *generation*, which is
drawn and not counted, and whatever writes or proves ownership looks at both.

Why that is enough. A generation is drawn once, so a database that has it has the takeover that drew it, and all that
was committed before that one. An owner writes and answers only where it finds its own: in the history in which it took
over, and in which no other has since. In another history it finds another generation, whatever the epochs are, and
ends. Two owners may be there at the same time if two primaries are: what the old one acknowledges is lost with it.
Nothing here can help that; it is what synchronous replication is for (`replication_risk.py`).

Turned down: an epoch that begins with a clock's time, which a clock that is set back repeats; Postgres' timeline, which
a failover raises, but which a pooler or a restored dump does not show.
"""

from uuid import uuid4

from sqlalchemy import Connection, select, update

from actors.cell_records import CellRecord
from storage.sql.schema import ownership
from storage.store import Ownership, OwnershipLost

HANDED_OVER = ("epoch", "last_lsn", "last_at", "database_id", "cell", "map_version", "map_digest")


def read_epoch(connection: Connection) -> tuple[int, str, str]:
    """The epoch in force, its generation, and the owner that began it."""
    epoch, generation, owner = connection.execute(
        select(ownership.c.epoch, ownership.c.generation, ownership.c.owner)
    ).one()
    return epoch, generation, owner


def raise_epoch(connection: Connection, owner: str) -> Ownership:
    """Fence off every earlier owner, then say where the journal ends. The caller commits before it reads anything else.

    Args:
        owner: the new owner, as a person who looks at the database sees it.
    """
    *_, previous_owner = read_epoch(connection)
    generation = uuid4().hex
    statement = (
        update(ownership)
        .values(epoch=ownership.c.epoch + 1, owner=owner, generation=generation)
        .returning(*(ownership.c[name] for name in HANDED_OVER))
    )
    epoch, last_lsn, last_at_ms, database_id, *cell = connection.execute(statement).one()
    record = CellRecord(*cell) if cell[0] else None
    return Ownership(epoch, last_lsn, last_at_ms, database_id, previous_owner, generation, record)


def pass_fence(connection: Connection, epoch: int, generation: str | None = None) -> None:
    """Make sure that the transaction commits under this epoch. A takeover waits from here on until it ends.

    The fence may come last in a transaction, since nothing is visible before the commit. On Postgres it should come
    last: the journal's batches wait for the same row.

    Args:
        generation: of the epoch; None where a database has one history, as a file has.

    Raises:
        OwnershipLost: the epoch in force is another one.
    """
    statement = update(ownership).where(ownership.c.epoch == epoch).values(epoch=epoch)
    if generation is not None:
        statement = statement.where(ownership.c.generation == generation)
    if connection.execute(statement).rowcount != 1:
        epoch_found, _, owner = read_epoch(connection)
        raise lost_to(owner, epoch_found, epoch)


def lost_to(owner: str, epoch_found: int, epoch: int) -> OwnershipLost:
    """Says who owns the database now."""
    ours = "a failover has lost ours of the same number" if epoch_found == epoch else f"ours was {epoch}"
    return OwnershipLost(f"{owner or 'another server'} owns the database since epoch {epoch_found}; {ours}")
