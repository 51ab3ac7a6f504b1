"""An import whose lines wait in the database: what its decision says of them, and what is answered while they come."""

from msgspec import Struct

from actors.plain_value import PlainValue


class StagedRows(PlainValue, frozen=True):
    """The part of a decided import whose lines are staged: from its decision on they count as if they were in the rows.

    Args:
        import_id: under which they are staged.
        organizations: those of which at least one row changes by them.
        min_stock, max_stock, reorder_point: the levels of a row that is made without a word about them.
    """

    import_id: str
    organizations: tuple[str, ...]
    min_stock: int = 0
    max_stock: int = 0
    reorder_point: int = 0


class Repeat(PlainValue, frozen=True):
    """A line that counts a row which an earlier line of the import counts too."""

    line_number: int
    earlier_line_number: int


class LinesStaged(Struct, frozen=True, tag=True):
    """These lines are kept, but for those that repeat a row. They count for nothing until they are decided."""

    repeats: tuple[Repeat, ...] = ()


class StagedDropped(Struct, frozen=True, tag=True):
    """These lines will not be decided."""


StagingFact = LinesStaged | StagedDropped
