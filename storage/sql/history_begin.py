"""From where on a history is whole: the database's own, or that of an organization that came from elsewhere.

What came from elsewhere has LSNs below 0 (`actors/organization_stays.py`), and is none of the database's own history.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, Table, func, select

from actors.organization_stays import Stay
from storage.sql.move_schema import organization_stay
from storage.sql.schema import journal_entry, journal_entry_archive, ownership

ENTRIES: Sequence[Table] = (journal_entry_archive, journal_entry)  # the older ones first


def stays_of(connection: Connection, organization_id: str) -> list[Stay]:
    """Where the organization's history has been; empty: nowhere else."""
    table = organization_stay
    columns = [table.c[name] for name in Stay.__struct_fields__]
    rows = connection.execute(select(*columns).where(table.c.organization_id == organization_id))
    return [Stay(*row) for row in rows]


def first_lsn(connection: Connection) -> int:
    """From where on the database's own history is whole: what is older was never written, or is not kept."""
    from_lsn: int = connection.execute(select(ownership.c.entries_from_lsn)).scalar_one()
    for entry in ENTRIES:
        oldest = connection.execute(select(func.min(entry.c.lsn)).where(entry.c.lsn > 0)).scalar()
        if oldest is not None:
            return max(from_lsn, int(oldest))
    return from_lsn


def time_of(connection: Connection, lsn: int) -> int | None:
    """When a transaction of the database's own happened; None: that was never written, or is not kept.

    No move of an organization changes it, and two histories that a failover has parted hardly have the same.
    """
    for entry in ENTRIES:
        if (at_ms := connection.execute(select(entry.c.at).where(entry.c.lsn == lsn).limit(1)).scalar()) is not None:
            return int(at_ms)
    return None


def first_lsn_of(connection: Connection, organization_id: str) -> int:
    """The same of what is here of an organization."""
    begins = [stay for stay in stays_of(connection, organization_id) if stay.first_lsn]
    if not begins:
        return first_lsn(connection)
    begin = min(begins, key=lambda stay: stay.from_lsn + stay.shift)
    oldest = oldest_lsn_of(connection, organization_id)
    if begin.oldest_lsn and oldest != begin.oldest_lsn + begin.shift:
        return oldest  # the archive was emptied since
    return begin.first_lsn + begin.shift


def oldest_lsn_of(connection: Connection, organization_id: str) -> int:
    """Of the organization's oldest transaction that is kept; 0: there is none."""
    for entry in ENTRIES:
        mine = select(func.min(entry.c.lsn)).where(entry.c.organization_id == organization_id)
        oldest = connection.execute(mine).scalar()
        if oldest is not None:
            return int(oldest)
    return 0


def floor_lsn_of(connection: Connection, organization_id: str) -> int:
    """Nothing of the organization is at this LSN or below it."""
    return min((stay.from_lsn + stay.shift for stay in stays_of(connection, organization_id)), default=0)


def newest_at_of(connection: Connection, organization_id: str) -> int:
    """When the organization's newest transaction was, in milliseconds; 0: there is none."""
    for entry in reversed(ENTRIES):
        mine = select(entry.c.at).where(entry.c.organization_id == organization_id)
        newest = connection.execute(mine.order_by(entry.c.lsn.desc()).limit(1)).scalar()
        if newest is not None:
            return int(newest)
    return 0
