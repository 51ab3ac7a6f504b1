"""What goes wrong in a world with cells, beside what may go wrong in any: the seed draws it."""

from random import Random

from msgspec import Struct

STEPS_OF_A_MOVE = 70  # messages between a program that moves an organization and the owners, about


class CellFaults(Struct, frozen=True):
    """Rates are probabilities, of a message between programs.

    Args:
        lost: that it does not arrive, or its answer.
        slow: that it takes up to `slow_s`.
        movers: programs that move organizations at the same time.
        moves: how often each of them does.
        move_pause_s: how long it waits between, at most.
        killed: of a try, that its program is killed.
        old_map_s: how long a program goes by the map of before, at most.
        maps: how often the map changes.
        routers: how often a router is killed.
    """

    lost: float
    slow: float
    slow_s: float
    movers: int
    moves: int
    move_pause_s: float
    killed: float
    old_map_s: float
    maps: int
    routers: int


def cell_faults(seed: str) -> CellFaults:
    random = Random(f"{seed}/cells")
    return CellFaults(
        lost=random.choice((0.0, 0.0, 0.01, 0.05)),
        slow=random.choice((0.0, 0.1, 0.4)),
        slow_s=random.choice((0.01, 0.1, 0.5)),
        movers=random.choice((1, 1, 2, 2, 3)),
        moves=random.choice((2, 4, 8)),
        move_pause_s=random.choice((0.1, 0.5, 2.0, 20.0)),
        killed=random.choice((0.0, 0.4, 0.8)),
        old_map_s=random.choice((0.0, 2.0, 1_000_000.0)),
        maps=random.choice((0, 2, 4)),
        routers=random.choice((0, 0, 2)),
    )
