"""A large import as its caller sends it: part after part, of which only sums are kept."""

from collections.abc import Sequence

from msgspec import Struct

from actors.commands import CountedLine, DropStaged, ImportStaged, StageLines
from actors.idempotency import LinesDigest, import_scope


class UploadStatistics(Struct, frozen=True):
    """Lines so far, and what they name."""

    lines: int
    organizations: int
    warehouses: int


class Upload:
    """Makes the commands that carry the lines of one import into the database.

    Args:
        import_id: of this upload, and of no other.
    """

    def __init__(self, import_id: str) -> None:
        self.import_id = import_id
        self.lines = 0
        self.organizations: dict[str, None] = {}
        self.warehouses: dict[tuple[str, str], str] = {}
        self._digest = LinesDigest()

    def __repr__(self) -> str:
        return f"<Upload {self.import_id} lines={self.lines}>"

    def statistics(self) -> UploadStatistics:
        return UploadStatistics(self.lines, len(self.organizations), len(self.warehouses))

    def part(self, lines: Sequence[CountedLine]) -> StageLines:
        """The command that stages the next lines."""
        self._digest.add(lines)
        self.organizations.update(dict.fromkeys([line.organization_id for line in lines]))
        note_warehouses(self.warehouses, lines)
        first_place, self.lines = self.lines, self.lines + len(lines)
        return StageLines(self.import_id, first_place, tuple(lines))

    def whole(self, request_id: str) -> ImportStaged:
        """The command that decides the import, once all parts are staged."""
        return ImportStaged(
            self.import_id,
            request_id,
            import_scope(set(self.organizations)),
            self._digest.text(),
            self.lines,
            tuple(sorted(self.organizations)),
            tuple((*key, name) for key, name in self.warehouses.items()),
        )

    def dropped(self) -> DropStaged:
        """The command that forgets what no decision needs any more, sent at the end however it ends."""
        return DropStaged(self.import_id)


def note_warehouses(warehouses: dict[tuple[str, str], str], lines: Sequence[CountedLine]) -> None:
    """The last name that a line gives to a warehouse counts; a line without one takes none away."""
    for line in lines:
        if line.warehouse_name or (line.organization_id, line.warehouse_id) not in warehouses:
            warehouses[line.organization_id, line.warehouse_id] = line.warehouse_name
