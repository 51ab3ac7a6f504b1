"""Where an organization's history has been: its LSNs in each database that had it, and where they are here.

Each database counts its own transactions, so an LSN means something only beside the database that gave it. When an
organization is moved, the history that it brings keeps its order and its distances: every LSN of it is shifted by one
number, into a block below all that the database has (so LSNs below 0 are of transactions that were carried out
elsewhere). What the database itself numbers goes on as before: no block is ever where another one is or was, and no
relay, which passes on what follows its cursor, meets history that another one has passed on.

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


def moved_in(stays: Iterable[Stay], database_id: str, floor_lsn: int, room: int = 0) -> list[Stay]:
    """The stays of a history that comes to a database, all of whose blocks lie above `floor_lsn`.

    Args:
        room: how many LSNs it may grow by.

    >>> for stay in moved_in([Stay("a", 0, 10, 0, 1, 3)], "b", -5):
    ...     print(stay)
    Stay(database_id='a', from_lsn=0, upto_lsn=10, shift=-15, first_lsn=1, oldest_lsn=3)
    Stay(database_id='b', from_lsn=-15, upto_lsn=-5, shift=0, first_lsn=0, oldest_lsn=0)
    """
    came = list(stays)
    shift = floor_lsn - room - max(stay.upto_lsn + stay.shift for stay in came)
    bottom_lsn = shift + min(stay.from_lsn + stay.shift for stay in came)
    return [*_shifted(came, shift), Stay(database_id, bottom_lsn, floor_lsn)]


def grown(known: Iterable[Stay], stays: Sequence[Stay], database_id: str) -> list[Stay] | None:
    """The same once the history has grown: in the place that it was given. None: there is not enough room.

    >>> known = moved_in([Stay("a", 0, 10)], "b", -5, room=7)
    >>> grown(known, [Stay("a", 0, 17)], "b")[0].shift, grown(known, [Stay("a", 0, 18)], "b")
    (-22, None)
    """
    had = list(known)
    first = stays[0]
    shifts = [one.shift - first.shift for one in had if _begin(one) == _begin(first)]
    blocks = [one for one in had if one.database_id == database_id and one.shift == 0]
    if len(shifts) != 1 or len(blocks) != 1:
        return None
    came = _shifted(stays, shifts[0])
    is_enough = max(one.upto_lsn + one.shift for one in came) <= blocks[0].upto_lsn
    return [*came, blocks[0]] if is_enough else None


def _begin(stay: Stay) -> tuple[str, int]:
    return stay.database_id, stay.from_lsn


def _shifted(stays: Iterable[Stay], shift: int) -> list[Stay]:
    return [
        Stay(one.database_id, one.from_lsn, one.upto_lsn, one.shift + shift, one.first_lsn, one.oldest_lsn)
        for one in stays
    ]
