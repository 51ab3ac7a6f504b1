"""The feed: what happened in all organizations, as those are told that pass it on.

It is what `actors.changes` is for one organization, with what an event says besides: which row it was by its id, what a
warehouse was before, and the items of a basket that was changed.

A *cursor* is how far a relay of a name has passed the feed on. It is no part of the inventory: no row, no reservation
and no entry of the journal has to do with it.
"""

from msgspec import Struct

from actors.changes import Point
from actors.feed_entries import FeedEntry, FeedRows, entries_told


class FeedPart(Struct, frozen=True):
    """What happened behind a place, and up to where that is all there is; None: to the end of what was durable."""

    rows: FeedRows
    after: Point
    upto: Point | None

    def entries(self) -> tuple[FeedEntry, ...]:
        """In their order. They are made anew at each call."""
        return entries_told(self.rows, self.after, self.upto)


class FeedPage(Struct, frozen=True, tag=True):
    """What happened behind a place: see `actors.changes.ChangesPage`."""

    rows: FeedRows
    after: Point
    upto: Point
    durable_lsn: int
    first_lsn: int
    database_id: str

    def entries(self) -> tuple[FeedEntry, ...]:
        """In their order. They are made anew at each call."""
        return entries_told(self.rows, self.after, self.upto)


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
        is_known: whether there is such a cursor; there is none to have where there are too many already.
    """

    cursor: CursorRecord | None
    lease_ms: int = 0
    is_known: bool = True
    database_id: str = ""
