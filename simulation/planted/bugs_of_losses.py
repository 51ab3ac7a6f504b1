"""Planted bugs of losses that go below what is reserved."""

from typing import Any

import supervisor.transactions.journal
import supervisor.transactions.losses
from actors.uncovered import uncovered
from simulation.planted.planting import Patches, bug
from supervisor.transactions.journal import Journal
from supervisor.transactions.standing_orders import StandingOrders


@bug("a loss releases confirmed reservations too", "G4")
def confirmed_released_by_a_loss() -> Patches:
    def may_release(command: Any, lacks: int, refusal: Any, loss: Any) -> bool:
        return bool(command.release_uncovered) and len(refusal.rows) == lacks and not loss.is_cut

    return [(supervisor.transactions.losses, "_may_release", may_release)]


@bug("a loss leaves the oldest reservations without their goods", "G4", "G5")
def oldest_not_covered() -> Patches:
    def backwards(lacks: Any, holders: Any) -> Any:
        return uncovered(lacks, {key: found[::-1] for key, found in holders.items()})

    return [(supervisor.transactions.losses, "uncovered", backwards)]


@bug("a loss releases reservations whether its caller wants that or not", "G4")
def released_unasked() -> Patches:
    def may_release(command: Any, lacks: int, refusal: Any, loss: Any) -> bool:
        return len(refusal.rows) == lacks and all(one.state == "active" for one in loss.reservations)

    return [(supervisor.transactions.losses, "_may_release", may_release)]


@bug(
    "the orders of what a loss releases are asked, and do not wait for its decision",
    "G2",
    "G4",
    "G8",
    "no bug is met",
)
def orders_do_not_stand_by() -> Patches:
    def stand_by(self: StandingOrders, reservations: Any) -> Any:
        are_same = yield from right(self, reservations)
        self.__exit__()
        return are_same

    right = StandingOrders.stand_by
    return [(StandingOrders, "stand_by", stand_by), (StandingOrders, "decided", lambda self, transactions: None)]


@bug("a loss is decided by rows that have moved since it looked", "G4", "G5", "G8", "no bug is met")
def loss_as_it_was_looked_at() -> Patches:
    return [(supervisor.transactions.losses, "_stand", lambda rows, records: True)]


@bug("a loss and its releases are not written in one batch", "G4")
def loss_in_several_batches() -> Patches:
    right = Journal.append
    return [
        (Journal, "append", lambda self, transaction, *, joins_next=False: right(self, transaction)),
        (supervisor.transactions.journal, "BATCH_ENTRIES_MAX", 1),
    ]
