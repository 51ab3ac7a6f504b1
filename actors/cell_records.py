"""What a server keeps that is one of several cells: which organizations it holds, and which map it has joined.

It is no part of the inventory: no row, no reservation and no entry of the journal has to do with it. See
`supervisor/held_organizations.py`.
"""

from typing import Literal

from msgspec import Struct

from actors.organization_moves import MoveRecord

HoldState = Literal["serving", "frozen", "gone"]


class CellRecord(Struct, frozen=True):
    """The cell that a database is.

    Args:
        name: for ever.
        version: of the newest map that it has joined.
        digest: of what that map places where: two maps of one version are not the same map.
    """

    name: str
    version: int
    digest: str


class HeldOrganization(Struct, frozen=True):
    """An organization that a cell has, or had.

    Args:
        state: it is served; nothing of it changes while it is copied; or it has gone to another cell.
        version: of the map under which it came to be so.
        moved_to: the cell that it has gone to.
    """

    organization_id: str
    state: HoldState
    version: int
    moved_to: str = ""


class CellAnswer(Struct, frozen=True, tag=True):
    """What a server is, how it holds the organization that was asked about, and how that moves now; None: it is no
    cell, does not, and does not.
    """

    cell: CellRecord | None
    held: HeldOrganization | None = None
    move: MoveRecord | None = None


class WrongCell(Struct, frozen=True, tag=True):
    """The cell may not serve the organization, and has done nothing.

    Args:
        cell: that was asked.
        version: of the map that it has joined.
        moved_to: where the organization has gone; empty: the cell never had it.
    """

    organization_id: str
    cell: str
    version: int
    moved_to: str = ""


class CellImported(Struct, frozen=True):
    """What one cell has done of an import of several."""

    cell: str
    lines: int
    rows_created: int
    rows_changed: int
    rows_unchanged: int
