"""The disk of a cell, which tells whenever it is said how an organization is held."""

from collections.abc import Callable, Mapping

from actors.cell_records import HeldOrganization
from simulation.disks.watched_disk import WatchedDisk


class WatchedHeld(dict[str, HeldOrganization]):
    """What a cell holds, by organization."""

    def __init__(self, on_change: Callable[[], None]) -> None:
        super().__init__()
        self._on_change = on_change

    def __repr__(self) -> str:
        return f"<WatchedHeld {super().__repr__()}>"

    def statistics(self) -> int:
        """Organizations that are held, or were."""
        return len(self)

    def __setitem__(self, organization_id: str, held: HeldOrganization) -> None:
        super().__setitem__(organization_id, held)
        self._on_change()

    def update(self, others: Mapping[str, HeldOrganization]) -> None:  # type: ignore[override]  # as it is called
        for organization_id, held in others.items():
            self[organization_id] = held


class CellDisk(WatchedDisk):
    """What outlives a cell's processes.

    Args:
        name: of the cell, whose database has an id of its own.
        on_held: called whenever an organization is held otherwise.
    """

    def __init__(self, name: str, on_held: Callable[[], None]) -> None:
        super().__init__()
        self.database_id = f"database-of-{name}"
        self.held = WatchedHeld(on_held)

    def serves(self, organization_id: str) -> bool:
        """Whether changes of the organization may come here."""
        held = self.held.get(organization_id)
        return held is not None and held.state == "serving"

    def has(self, organization_id: str) -> bool:
        """Whether the organization is here: served, or frozen."""
        held = self.held.get(organization_id)
        return held is not None and held.state != "gone"
