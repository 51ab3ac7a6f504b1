"""Packing: lines of one variant into the warehouses that have it.

Several lines of one variant that no warehouse can serve alone are a packing problem: the largest line is placed first,
where the most is left, and the search backs up where that leads nowhere. It is bounded, since packing is NP-hard.
"""

from bisect import bisect_left, insort
from collections.abc import Callable, Mapping
from typing import TypeVar

from actors.maxima import Maxima
from actors.turn import OTHERS_FIRST, Turn

PACKING_STEPS_MAX = 20_000
PACKING_STEPS_A_TURN = 250  # about 1.5 ms, and several callers' searches share a turn of the event loop
ROWS_A_TURN = 4_000  # to look at, which takes 1 to 4 ms
FEW = 8  # an eighth of these rows are not counted, as those of most baskets

Free = Mapping[str, Mapping[str, int]]
"""Pieces free by variant id and warehouse id. A row that does not exist is not in it."""

Wish = tuple[int, int]
"""How many pieces, and which line of the basket."""


class Search:
    """What a basket's packing may still take, and whether it let others have their turn."""

    __slots__ = ("_rows", "has_waited", "steps_left")

    def __init__(self) -> None:
        self.steps_left = PACKING_STEPS_MAX
        self.has_waited = False
        self._rows = 0  # since others had their turn

    def __repr__(self) -> str:
        return f"<Search steps_left={self.steps_left} has_waited={self.has_waited}>"

    def spend(self) -> bool:
        """Count a step. False: the bound was reached before."""
        self.steps_left -= 1
        return self.steps_left >= 0

    def is_due(self, rows: int) -> bool:
        """Whether others are to have their turn before this number of rows is looked at."""
        self._rows += rows
        return self._rows > ROWS_A_TURN

    def others_first(self) -> Turn[None]:
        self.has_waited = True
        self._rows = 0
        yield OTHERS_FIRST


def are_few(rows: int) -> bool:
    """Whether these are looked at at once, and not counted."""
    return rows * FEW <= ROWS_A_TURN


V = TypeVar("V")


def of_each(
    rows: Mapping[str, Mapping[str, int]], make: Callable[[str, Mapping[str, int]], V], search: Search
) -> Turn[dict[str, V]]:
    """What is made of the rows of each variant, in steps where they are very many."""
    made = {}
    for variant_id, its in rows.items():
        if search.is_due(len(its)):
            yield from search.others_first()
        made[variant_id] = make(variant_id, its)
    return made


def one_warehouse_for_all(wanted: Mapping[str, int], left: Free, search: Search) -> Turn[str | None]:
    """The warehouse that can serve everything wanted and has the most of it."""
    fewest = left[next(iter(wanted))]
    are_many = not are_few(sum([len(left[variant_id]) for variant_id in wanted]))
    for variant_id, pieces in wanted.items():
        rows = left[variant_id]
        if are_many and search.is_due(len(rows)):
            yield from search.others_first()
        if not rows or max(rows.values()) < pieces:
            return None  # as a look at ten thousand warehouses one by one would say
        fewest = min(fewest, rows, key=len)
    best, best_left = None, -1
    for warehouse_id in sorted(fewest):
        if are_many and search.is_due(len(wanted)):
            yield from search.others_first()
        all_left = 0
        for variant_id, pieces in wanted.items():
            there = left[variant_id].get(warehouse_id, -1)
            if there < pieces:
                break
            all_left += there
        else:
            if all_left > best_left:
                best, best_left = warehouse_id, all_left
    return best


def pack(
    wishes: list[Wish], left: Mapping[str, int], search: Search, priorities: Mapping[str, int] | None = None
) -> Turn[dict[int, str]]:
    """Place wishes of one variant into its warehouses, all or none.

    Args:
        priorities: with these, the warehouse with the highest comes before the one with the most.
    """
    wishes = sorted(wishes, key=lambda wish: (-wish[0], wish[1]))
    if sum(quantity for quantity, _ in wishes) > sum(max(0, pieces) for pieces in left.values()):
        return {}
    if search.is_due(len(left) + len(wishes)):
        yield from search.others_first()
    space = Space(left) if priorities is None else RankedSpace(left, priorities)
    placed: list[tuple[str, int]] = []  # the warehouse of each wish so far, and what it had before
    below: int | None = None  # warehouses with as much or more were tried for the next wish
    steps = -len(wishes)  # one step a wish is not counted: a basket that packs straight away never meets the bound
    while len(placed) < len(wishes):
        if steps > search.steps_left:
            search.steps_left = 0
            return {}
        if steps % PACKING_STEPS_A_TURN == 0:
            yield from search.others_first()
        steps += 1
        quantity = wishes[len(placed)][0]
        pieces = space.most(below, quantity)
        if pieces is not None:
            placed.append((space.take(pieces, quantity), pieces))
            below = None
        elif not placed:
            break
        else:
            warehouse_id, below = placed.pop()
            space.put_back(warehouse_id, below, wishes[len(placed)][0])
    search.steps_left -= max(0, steps)
    if not placed:
        return {}
    return {line: warehouse_id for (_, line), (warehouse_id, _) in zip(wishes, placed, strict=True)}


class Space:
    """What the warehouses of one variant have left, by how much that is.

    Of warehouses with equally much left, the one with the smallest id stands for all. A step costs the same beside
    ten thousand warehouses as beside ten.

    Args:
        left: pieces by warehouse.
    """

    def __init__(self, left: Mapping[str, int]) -> None:
        self._ids: dict[int, list[str]] = {}
        for warehouse_id in sorted(left):
            self._ids.setdefault(left[warehouse_id], []).append(warehouse_id)
        self._pieces = sorted(self._ids)

    def __repr__(self) -> str:
        return f"<Space {self._ids}>"

    def most(self, below: int | None, quantity: int) -> int | None:
        """The most that a warehouse has left, of those that have less than `below` (None: of all); None if that is less
        than this quantity.
        """
        place = len(self._pieces) if below is None else bisect_left(self._pieces, below)
        return self._pieces[place - 1] if place and self._pieces[place - 1] >= quantity else None

    @property
    def fullest(self) -> int:
        """The most that a warehouse has left; there must be one."""
        return self._pieces[-1]

    def take_from(self, warehouse_id: str, pieces: int, quantity: int) -> None:
        """Take this much from this warehouse, which has these pieces."""
        self._move(warehouse_id, pieces, pieces - quantity)

    def take(self, pieces: int, quantity: int) -> str:
        """Take this much from the warehouse that stands for all that have these pieces. Returns its id."""
        warehouse_id = self._ids[pieces][0]
        self._move(warehouse_id, pieces, pieces - quantity)
        return warehouse_id

    def put_back(self, warehouse_id: str, pieces: int, quantity: int) -> None:
        """Undo a `take`: the warehouse has this many pieces again."""
        self._move(warehouse_id, pieces - quantity, pieces)

    def _move(self, warehouse_id: str, before: int, after: int) -> None:
        ids = self._ids[before]
        del ids[bisect_left(ids, warehouse_id)]
        if not ids:
            del self._ids[before]
            del self._pieces[bisect_left(self._pieces, before)]
        if after not in self._ids:
            self._ids[after] = []
            insort(self._pieces, after)
        insort(self._ids[after], warehouse_id)


RANK = 1 << 33  # more than twice what a warehouse can have, or lack


class RankedSpace(Space):
    """The same, with the warehouses of a higher priority first.

    A warehouse's place is its priority and its pieces in one number, so that taking pieces moves it as it does there.

    Args:
        left: pieces by warehouse.
        priorities: by warehouse; 0 where none is given.
    """

    def __init__(self, left: Mapping[str, int], priorities: Mapping[str, int]) -> None:
        super().__init__({one: RANK * priorities.get(one, 0) + pieces for one, pieces in left.items()})
        fullest = {_priority_at(place): _pieces_at(place) for place in self._pieces}  # the last of each is its most
        self._priorities = list(fullest)
        self._fullest = Maxima(list(fullest.values()))
        self._ranks = priorities

    @property
    def fullest(self) -> int:
        return self._fullest.largest

    def most(self, below: int | None, quantity: int) -> int | None:
        """The first place that has this quantity, of those behind `below` (None: of all)."""
        rank = len(self._priorities)
        if below is not None:
            priority = _priority_at(below)
            rank = bisect_left(self._priorities, priority)
            index = bisect_left(self._pieces, below)
            place = self._pieces[index - 1] if index else below
            if place != below and _priority_at(place) == priority and _pieces_at(place) >= quantity:
                return place
        found = self._fullest.last(rank, quantity)
        return None if found is None else RANK * self._priorities[found] + self._fullest[found]

    def take_from(self, warehouse_id: str, pieces: int, quantity: int) -> None:
        super().take_from(warehouse_id, RANK * self._ranks.get(warehouse_id, 0) + pieces, quantity)

    def _move(self, warehouse_id: str, before: int, after: int) -> None:
        super()._move(warehouse_id, before, after)
        priority = _priority_at(before)
        place = self._pieces[bisect_left(self._pieces, RANK * priority + RANK // 2) - 1]
        self._fullest[bisect_left(self._priorities, priority)] = _pieces_at(place)


def _priority_at(place: int) -> int:
    return (place + RANK // 2) // RANK


def _pieces_at(place: int) -> int:
    """Pieces may be fewer than none, where lines that name a warehouse ask too much of it."""
    return (place + RANK // 2) % RANK - RANK // 2
