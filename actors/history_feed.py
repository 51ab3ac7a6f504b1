"""The feed: what happened in all organizations, as those are told that pass it on.

It is what `actors.changes` is for one organization, with what an event says besides: which row it was by its id, what a
warehouse was before, and the items of a basket that was changed.

A *cursor* is how far a relay of a name has passed the feed on. It is no part of the inventory: no row, no reservation
and no entry of the journal has to do with it.
"""

from msgspec import Struct

from actors.changes import Change, Point
from actors.records import ReservationItem, WarehouseRecord


class FeedEntry(Struct, frozen=True):
    """A transaction in one organization that it touches, or as many of its rows as a page has room for.

    Args:
        change: what happened. Its rows have their stock ids.
        warehouses_before: those of its warehouses that there were before, as they were.
        items: of a reservation whose basket is another one after it, the whole basket.
        is_first: its first row is here, or it has none; what belongs to no row is told with that one.
    """

    organization_id: str
    change: Change
    warehouses_before: tuple[WarehouseRecord, ...] = ()
    items: tuple[ReservationItem, ...] = ()
    is_first: bool = True


class FeedPart(Struct, frozen=True):
    """Some entries in their order, and up to where they are all there are; None: to the end of what was durable."""

    entries: tuple[FeedEntry, ...]
    upto: Point | None


class FeedPage(Struct, frozen=True, tag=True):
    """What happened behind a place: see `actors.changes.ChangesPage`."""

    entries: tuple[FeedEntry, ...]
    upto: Point
    durable_lsn: int
    first_lsn: int
    database_id: str


class CursorRecord(Struct, frozen=True):
    """A cursor as the database has it.

    Args:
        fence: counts the relays that have had it; only the last one may move it.
        point: all up to here was confirmed by the broker.
        published: how many events were, since the cursor was made.
        unroutable: how many of these nothing was bound for.
        moved_at_ms: when it last moved.
        is_released: the relay that had it gave it up.
    """

    name: str
    fence: int
    point: Point
    published: int = 0
    unroutable: int = 0
    moved_at_ms: int = 0
    is_released: bool = True


class CursorView(Struct, frozen=True):
    """A cursor as a person asks for it.

    Args:
        is_held: a relay has it now.
        behind: how many transactions are not passed on.
        waiting_since_ms: when the first of them happened; 0: there is none.
        rate: events a second, as the relay said last.
        problem: what keeps it from passing on, as the relay said last; empty: nothing.
    """

    record: CursorRecord
    is_held: bool
    behind: int
    waiting_since_ms: int
    rate: float
    problem: str


class CursorList(Struct, frozen=True, tag=True):
    """All cursors by name."""

    cursors: tuple[CursorView, ...]
    database_id: str


class CursorAnswer(Struct, frozen=True, tag=True):
    """What became of a wish to have, to move or to drop a cursor.

    Args:
        cursor: as it stands after it; None: another relay has it, or there is none.
        lease_ms: how long from the asking on the relay may publish.
        is_known: whether there is such a cursor.
    """

    cursor: CursorRecord | None
    lease_ms: int = 0
    is_known: bool = True
    database_id: str = ""
