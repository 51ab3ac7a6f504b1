"""What happened to each organization, wherever it was: the entries of all cells' journals, as they came to the disks.

A cell counts its own entries, and those that an organization brings get other numbers. Here each organization has a
journal of its own, counted from 1, to which nothing is copied. So it is judged like the journal of one database, and
what a cell has of an organization in the end must say the same.

Only entries of one organization are compared: those of two have no order but that of their answers.
"""

from collections.abc import Sequence

from msgspec.structs import replace

from actors.commands import AnyImport, ImportStaged
from actors.records import Transaction
from simulation.audit.history import Request
from simulation.disks.entry_owners import owners_of


class JointHistory:
    """The journals, by organization; `all` has every entry, in the order in which they came."""

    def __init__(self) -> None:
        self.of: dict[str, list[Transaction]] = {}
        self.all: list[Transaction] = []

    def __repr__(self) -> str:
        return f"<JointHistory entries={len(self.all)} organizations={len(self.of)}>"

    def statistics(self) -> int:
        """Entries of all organizations."""
        return len(self.all)

    def length(self, organization_id: str) -> int:
        """How many entries there are of an organization."""
        return len(self.of.get(organization_id, ()))

    def land(self, transactions: Sequence[Transaction]) -> None:
        """A cell's disk has these now."""
        for one in transactions:
            self.all.append(replace(one, lsn=len(self.all) + 1))
            for organization_id in sorted(owners_of(one) - {""}):
                its = self.of.setdefault(organization_id, [])
                its.append(replace(one, lsn=len(its) + 1))


def organization_of(request: Request) -> str:
    """The one that a request is about. An import is of one in worlds with cells."""
    if isinstance(request, ImportStaged):
        return request.scope
    if isinstance(request, AnyImport):
        return request.lines[0].organization_id
    organization_id: str = request.organization_id  # type: ignore[union-attr]  # all others have one
    return organization_id
