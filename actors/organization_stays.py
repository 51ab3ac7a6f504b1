"""Where an organization's history has been: its LSNs in each database that had it, and where they are here.

Each database counts its own transactions, so an LSN means something only beside the database that gave it. When an
organization is moved, the history that it brings keeps its order: its LSNs are shifted into a block below all that the
database has (so LSNs below 0 are of transactions that were carried out elsewhere). What the database itself numbers
goes on as before: no block is ever where another one is or was, and no relay, which passes on what follows its cursor,
meets history that another one has passed on.

What an organization brings are two parts: the block that it came with to the database that it leaves, and what it did
there. Each is shifted by a number of its own, so that nothing is left between them. Otherwise a block would be as large
as all the blocks of the other database, and the next block as large as all of these: after a hundred moves there would
be no numbers left.

A *stay* is a range of LSNs of one database in which the organization was there, and the shift that leads from them to
the LSNs here. So a place that a reader was given anywhere, at any time, is found again here, exactly: between the same
two transactions of the organization.
"""

from collections.abc import Iterable, Sequence

from msgspec import Struct

from actors.changes import Point

OPEN_END = 2**62  # of the stay that goes on


class Stay(Struct, frozen=True):
    """A part of an organization's history.

    Args:
        database_id: whose LSNs these are.
        from_lsn: the place where the stay began; nothing of the organization has this LSN.
        upto_lsn: where it ended.
        shift: an LSN of that database is here as the sum of both.
        first_lsn: from where on that database's history was whole; 0 in a stay whose history came from elsewhere.
        oldest_lsn: of the organization's oldest transaction that was kept then; 0: there was none.
    """

    database_id: str
    from_lsn: int
    upto_lsn: int
    shift: int = 0
    first_lsn: int = 0
    oldest_lsn: int = 0


class Shift(Struct, frozen=True):
    """By how much the LSNs of a history change.

    Args:
        from_lsn: where its last stay began.
        older: what is added to LSNs before it.
        newer: what is added to the others.

    >>> Shift(100, -10, -90).of(5), Shift(100, -10, -90).of(101)
    (-5, 11)
    """

    from_lsn: int = 0
    older: int = 0
    newer: int = 0

    def of(self, lsn: int) -> int:
        """The LSN that takes its place."""
        return lsn + (self.newer if lsn >= self.from_lsn else self.older)


NO_SHIFT = Shift()


def place_here(stays: Iterable[Stay], database_id: str, place: Point) -> Point | None:
    """The place here that is between the same transactions as one of that database; None: it is not known.

    A database may say of a place that it is later than the stay's end: others went on, and nothing of the organization
    came between.

    >>> stays = [Stay("a", 0, 10, -10), Stay("b", 7, OPEN_END)]
    >>> place_here(stays, "a", Point(3, 2)), place_here(stays, "a", Point(12)), place_here(stays, "c", Point(1))
    (Point(lsn=-7, position=2), Point(lsn=0, position=2147483647), None)
    """
    begun = [stay for stay in stays if stay.database_id == database_id and stay.from_lsn <= place.lsn]
    if not begun:
        return None
    stay = max(begun, key=lambda one: one.from_lsn)
    if place.lsn > stay.upto_lsn:
        return Point(stay.upto_lsn + stay.shift)
    return Point(place.lsn + stay.shift, place.position)


def moved_in(stays: Sequence[Stay], database_id: str, floor_lsn: int, room: int = 0) -> list[Stay]:
    """The stays of a history that comes to a database, all of whose blocks lie above `floor_lsn`.

    Args:
        stays: the last of them is in the database that it leaves, under that one's own LSNs.
        room: how many LSNs it may grow by.

    >>> for stay in moved_in([Stay("a", 0, 10, 0, 1, 3)], "b", -5):
    ...     print(stay)
    Stay(database_id='a', from_lsn=0, upto_lsn=10, shift=-15, first_lsn=1, oldest_lsn=3)
    Stay(database_id='b', from_lsn=-15, upto_lsn=-5, shift=0, first_lsn=0, oldest_lsn=0)
    """
    *older, last = stays
    newer = floor_lsn - room - last.upto_lsn
    top_lsn = max((stay.upto_lsn + stay.shift for stay in older), default=0)
    # The end of one part and the beginning of the other are different places.
    came = _shifted(stays, Shift(last.from_lsn, last.from_lsn + newer - 1 - top_lsn if older else newer, newer))
    bottom_lsn = min(stay.from_lsn + stay.shift for stay in came)
    return [*came, Stay(database_id, bottom_lsn, floor_lsn)]


def shift_of(stays: Sequence[Stay], came: Sequence[Stay]) -> Shift:
    """By how much LSNs change from where these stays are to where they came to, in the same order.

    >>> there = [Stay("a", 0, 10, -20), Stay("b", -21, -10), Stay("b", 500, 510)]
    >>> shift_of(there, moved_in(there, "c", -1))
    Shift(from_lsn=500, older=-2, newer=-511)
    """
    last = len(stays) - 1
    return Shift(stays[last].from_lsn, came[0].shift - stays[0].shift, came[last].shift - stays[last].shift)


def grown(known: Iterable[Stay], stays: Sequence[Stay], database_id: str) -> list[Stay] | None:
    """The same once the history has grown: in the place that it was given. None: there is not enough room.

    >>> known = moved_in([Stay("a", 0, 10)], "b", -5, room=7)
    >>> grown(known, [Stay("a", 0, 17)], "b")[0].shift, grown(known, [Stay("a", 0, 18)], "b")
    (-22, None)
    """
    had = list(known)
    first, last = stays[0], stays[-1]
    older, newer = _shifts(first, had), _shifts(last, had)
    blocks = [one for one in had if one.database_id == database_id and one.shift == 0]
    if len(older) != 1 or len(newer) != 1 or len(blocks) != 1:
        return None
    came = _shifted(stays, Shift(last.from_lsn, older[0], newer[0]))
    is_enough = max(one.upto_lsn + one.shift for one in came) <= blocks[0].upto_lsn
    return [*came, blocks[0]] if is_enough else None


def _shifts(stay: Stay, came: Iterable[Stay]) -> list[int]:
    return [one.shift - stay.shift for one in came if _begin(one) == _begin(stay)]


def _begin(stay: Stay) -> tuple[str, int]:
    return stay.database_id, stay.from_lsn


def _shifted(stays: Sequence[Stay], shift: Shift) -> list[Stay]:
    *older, last = stays
    return [*(_by(shift.older, one) for one in older), _by(shift.newer, last)]


def _by(shift: int, stay: Stay) -> Stay:
    return Stay(stay.database_id, stay.from_lsn, stay.upto_lsn, stay.shift + shift, stay.first_lsn, stay.oldest_lsn)
