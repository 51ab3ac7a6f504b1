"""What cells and the program that moves an organization between them say to each other: see `supervisor/moving.py`."""

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from actors.organization_stays import NO_SHIFT, Shift, Stay

Value = int | str | None
Place = Sequence[Value]
Cleared = Literal["some", "all", "needed"]
"""Some rows were deleted; there are none left; or a relay still needs them."""


MoveStep = Literal["begin", "mark", "freeze", "receive", "clear", "leave", "serve", "drop", "thaw", "renew"]
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


class Span(Struct, frozen=True):
    """A part of a history, and with it the rows that may have changed in it.

    Args:
        after_lsn: where it begins; None: at the beginning, and all rows are meant.
        upto_lsn: where it ends, for what only grows; None: at the end.
    """

    after_lsn: int | None = None
    upto_lsn: int | None = None

    def shifted(self, shift: Shift) -> "Span":
        """The same part where LSNs are others."""
        return Span(*[None if lsn is None else shift.of(lsn) for lsn in (self.after_lsn, self.upto_lsn)])


WHOLE = Span()


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
        of_history: how many of them, the first ones, see what only grows.
        disagreement: one sentence; empty: there is none.
        figures: that were counted; of the last part alone.
    """

    parts: int
    of_history: int = 0
    disagreement: str = ""
    figures: Sequence[int] = ()


class OrganizationTally(Struct, frozen=True, tag=True):
    """What a table has of an organization, in a few figures.

    Args:
        lsns: the sum of its rows' LSNs; None: they have none.
        sums: of the other columns.
    """

    rows: int
    lsns: int | None
    sums: Sequence[int]


class MoveAnswer(Struct, frozen=True, tag=True):
    """What came of a step.

    Args:
        is_done: whether the step was carried out, or had been.
        stays: of an organization that is frozen, or copied, now: up to its newest transaction.
        shift: of the LSNs of one that arrives now.
        cleared: how far rows were deleted.
    """

    is_done: bool
    stays: Sequence[Stay] = ()
    shift: Shift = NO_SHIFT
    cleared: Cleared = "some"
