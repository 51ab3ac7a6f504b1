"""Splits the wishes of one variant over its warehouses, as many pieces as there are.

Wishes that say from which warehouses they may come are served first, each in turn; a later one never takes pieces from
an earlier one, but may make it take others: that is a maximum flow, found by augmenting paths (Ford and Fulkerson,
1956). The others take what is left, wherever it is. So nothing is found short that could be served.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from actors.packing import Search
from actors.turn import Turn

PATHS_A_TURN = 25

Order = Callable[[Mapping[str, int]], Sequence[str]]
"""From what warehouses have left to the order in which they are asked."""


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

    def __repr__(self) -> str:
        return f"<Flow {self.given} left={self.left}>"

    def take(self, place: int, warehouse_id: str, quantity: int) -> None:
        its = self.given.setdefault(place, {})
        its[warehouse_id] = its.get(warehouse_id, 0) + quantity
        self.left[warehouse_id] -= quantity

    def move(self, place: int, source: str, target: str, quantity: int) -> None:
        """This wish takes pieces from another warehouse than before."""
        its = self.given[place]
        its[source] -= quantity
        if not its[source]:
            del its[source]
        self.left[source] += quantity
        self.take(place, target, quantity)


def spread(wishes: Sequence[SplitWish], rows: Mapping[str, int], order: Order, search: Search) -> Turn[Flow]:
    """Serve as much of the wishes as can be."""
    flow = Flow({warehouse_id: pieces for warehouse_id, pieces in rows.items() if pieces > 0})
    choosy = {wish.place: wish for wish in wishes if wish.warehouse_ids}
    paths = 0
    for wish in choosy.values():
        lacking = wish.quantity
        while lacking and (path := _path(flow, choosy, wish, lacking)):
            lacking -= _augment(flow, path, wish.place)
            paths += 1
            if paths % PATHS_A_TURN == 0:
                yield from search.others_first()
    for wish in wishes:
        lacking = 0 if wish.warehouse_ids else wish.quantity
        for warehouse_id in order(flow.left) if lacking else ():
            quantity = min(lacking, flow.left[warehouse_id])
            if quantity:
                flow.take(wish.place, warehouse_id, quantity)
                lacking -= quantity
    return flow


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
    users: dict[str, list[int]] = {}
    for place, its in flow.given.items():
        for warehouse_id in its:
            users.setdefault(warehouse_id, []).append(place)
    while waiting:
        place, source, quantity = waiting.popleft()
        for target in choosy[place].warehouse_ids:
            if target in came or target not in flow.left:
                continue
            came[target] = Step(place, source, target, quantity)
            if flow.left[target]:
                return _back(came, target)
            for other in users.get(target, ()):
                waiting.append((other, target, min(quantity, flow.given[other][target])))
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
