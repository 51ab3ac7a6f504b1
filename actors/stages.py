"""The port to what follows commands on their way, for traces. Where nothing does, each place that tells it asks
`is None` and no more.
"""

from collections.abc import Sequence
from typing import Protocol

from actors.records import Transaction


class Stages(Protocol):
    """Told where a command is. What is not traced it ignores. Times are in seconds, on the core's monotonic clock."""

    def submitted(self, command: object) -> None:
        """It was handed to the core."""
        ...

    def begun(self, command: object) -> None:
        """Its turn has come in its order's mailbox."""
        ...

    def waited(self, transaction_id: int, began_s: float, ended_s: float) -> None:
        """A transaction has waited for a rival's decision."""
        ...

    def decided(self, transaction_id: int, transaction: Transaction) -> None:
        """It has its place in the journal."""
        ...

    def written(self, batch: Sequence[Transaction], began_s: float, ended_s: float) -> None:
        """These were made durable together."""
        ...
