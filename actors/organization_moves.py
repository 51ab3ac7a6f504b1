"""What cells and the program that moves an organization between them say to each other: see `supervisor/moving.py`."""

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from actors.organization_stays import Stay

Value = int | str | None
Place = Sequence[Value]
Cleared = Literal["some", "all", "needed"]
"""Some rows were deleted; there are none left; or a relay still needs them."""


MoveStep = Literal["freeze", "receive", "clear", "leave", "serve", "drop", "thaw"]
"""See `supervisor/moving.py`."""


class MoveRecord(Struct, frozen=True):
    """A move that is under way.

    Args:
        move_id: of this try.
        way: of the organization, seen from here.
        cell: the other one.
    """

    move_id: str
    way: Literal["leaving", "arriving"]
    cell: str


class OrganizationRows(Struct, frozen=True, tag=True):
    """Rows of a table, their values in the order of its columns, and the place where the next ones begin; None: these
    were the last.
    """

    rows: Sequence[Sequence[Value]]
    next: Place | None = None


class OrganizationAudit(Struct, frozen=True, tag=True):
    """What one part of the audit of an organization finds.

    Args:
        parts: of the whole audit.
        disagreement: one sentence; empty: there is none.
        figures: that were counted; of the last part alone.
    """

    parts: int
    disagreement: str = ""
    figures: Sequence[int] = ()


class MoveAnswer(Struct, frozen=True, tag=True):
    """What came of a step.

    Args:
        is_done: whether the step was carried out, or had been.
        stays: of an organization that is frozen now.
        shift: of the LSNs of one that arrives now.
        cleared: how far rows were deleted.
    """

    is_done: bool
    stays: Sequence[Stay] = ()
    shift: int = 0
    cleared: Cleared = "some"
