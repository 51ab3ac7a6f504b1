"""Splits the wishes of one variant over its warehouses, as many pieces as there are.

Wishes that say from which warehouses they may come are served first, each in turn; a later one never takes pieces from
an earlier one, but may make it take others: that is a maximum flow, found by augmenting paths (Ford and Fulkerson,
1956). The others take what is left, wherever it is. So nothing is found short that could be served.
"""

from bisect import insort
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from heapq import heapify, heappop, heappush
from typing import NamedTuple

from actors.packing import Search
from actors.turn import Turn

SEARCHES_A_TURN = 25  # of at most as many looks as a basket has lines
TAKES_A_TURN = 1_000  # 2 ms

Rank = Callable[[str, int], tuple[bool | int, int, str]]
"""From a warehouse and what it has left to its place in the order in which warehouses are asked."""


class SplitWish(NamedTuple):
    """A wish for pieces of the variant, from these warehouses; none: from any."""

    place: int
    quantity: int
    warehouse_ids: tuple[str, ...]


class Flow:
    """What each wish gets from each warehouse.

    Args:
        rows: pieces by warehouse.
    """

    def __init__(self, rows: Mapping[str, int]) -> None:
        self.left = dict(rows)
        self.given: dict[int, dict[str, int]] = {}
        self.users: dict[str, list[int]] = {}
        """The wishes that get something from a warehouse, in their order."""
        self.hopeless: set[str] = set()
        """Warehouses from which a search found no way on: all is taken, by wishes that can do without none of it."""

    def __repr__(self) -> str:
        return f"<Flow {self.given} left={self.left}>"

    def take(self, place: int, warehouse_id: str, quantity: int) -> None:
        its = self.given.setdefault(place, {})
        if warehouse_id not in its:
            insort(self.users.setdefault(warehouse_id, []), place)
        its[warehouse_id] = its.get(warehouse_id, 0) + quantity
        self.left[warehouse_id] -= quantity

    def move(self, place: int, source: str, target: str, quantity: int) -> None:
        """This wish takes pieces from another warehouse than before."""
        its = self.given[place]
        its[source] -= quantity
        if not its[source]:
            del its[source]
            self.users[source].remove(place)
        self.left[source] += quantity
        self.take(place, target, quantity)


def spread(wishes: Sequence[SplitWish], rows: Mapping[str, int], rank: Rank, search: Search) -> Turn[Flow]:
    """Serve as much of the wishes as can be."""
    flow = Flow({warehouse_id: pieces for warehouse_id, pieces in rows.items() if pieces > 0})
    choosy = {wish.place: wish for wish in wishes if wish.warehouse_ids}
    searches = 0
    for wish in choosy.values():
        lacking = wish.quantity
        while lacking:
            searches += 1
            if searches % SEARCHES_A_TURN == 0:
                yield from search.others_first()
            path = _path(flow, choosy, wish, lacking)
            if not path:
                break
            lacking -= _augment(flow, path, wish.place)
    yield from _take_anywhere(flow, [wish for wish in wishes if not wish.warehouse_ids], rank, search)
    return flow


def _take_anywhere(flow: Flow, wishes: Sequence[SplitWish], rank: Rank, search: Search) -> Turn[None]:
    """Serve these from what is left, each from the warehouse that is first when it takes."""
    waiting = [(rank(one, pieces), one) for one, pieces in flow.left.items() if pieces] if wishes else []
    heapify(waiting)
    takes = 0
    for wish in wishes:
        lacking = wish.quantity
        while lacking and waiting:
            _, warehouse_id = heappop(waiting)
            quantity = min(lacking, flow.left[warehouse_id])
            flow.take(wish.place, warehouse_id, quantity)
            lacking -= quantity
            if flow.left[warehouse_id]:  # the wish has all that it lacked
                heappush(waiting, (rank(warehouse_id, flow.left[warehouse_id]), warehouse_id))
            takes += 1
            if takes % TAKES_A_TURN == 0:
                yield from search.others_first()


class Step(NamedTuple):
    """Pieces that a wish takes at most from `target`, in exchange for pieces of `source`; empty: in addition."""

    place: int
    source: str
    target: str
    quantity: int


def _path(flow: Flow, choosy: Mapping[int, SplitWish], wish: SplitWish, lacking: int) -> list[Step]:
    """How the wish gets more: from what is left or, where others have it all, from what they can do without."""
    came: dict[str, Step] = {}
    waiting = deque([(wish.place, "", lacking)])
    while waiting:
        place, source, quantity = waiting.popleft()
        for target in choosy[place].warehouse_ids:
            if target in came or target in flow.hopeless or target not in flow.left:
                continue
            came[target] = Step(place, source, target, quantity)
            if flow.left[target]:
                return _back(came, target)
            for other in flow.users.get(target, ()):
                waiting.append((other, target, min(quantity, flow.given[other][target])))
    flow.hopeless.update(came)  # nothing ever leads out of them: no later search need look there
    return []


def _back(came: Mapping[str, Step], target: str) -> list[Step]:
    steps = []
    while target:
        steps.append(came[target])
        target = came[target].source
    return steps


def _augment(flow: Flow, path: Sequence[Step], place: int) -> int:
    """Let pieces go along the path, from its end on. Returns how many."""
    quantity = min(path[0].quantity, flow.left[path[0].target])
    for step in path:
        if step.source:
            flow.move(step.place, step.source, step.target, quantity)
        else:
            assert step.place == place
            flow.take(place, step.target, quantity)
    return quantity
