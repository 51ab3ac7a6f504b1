"""How an order lets another change decide about its reservation.

A loss of goods (`supervisor/transactions/losses.py`) changes rows and releases reservations of several orders in one
step. Whatever becomes of a reservation is the business of its order's actor, so that one is asked to stand by: it says
what its reservation is, and takes no other message until the change is decided. Confirm, release, amend and expiry of
the reservation meet in the mailbox as always, and find it as the change has left it.
"""

from msgspec import Struct

from actors.commands import OrderCommand
from actors.records import Transaction
from actors.reply import Reply


class StandBy(Struct, frozen=True):
    """Say what the reservation is, and wait until it is decided.

    Args:
        decided: the transaction that released the reservation; None if it stays as it is. It must come.
    """

    organization_id: str
    order_id: str
    reservation_id: str
    decided: Reply[Transaction | None]


OrderMessage = OrderCommand | StandBy
"""What an order's actor is asked."""
