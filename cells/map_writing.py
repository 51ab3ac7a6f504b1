"""Writes a map down: as the file that `cells.cell_map` reads."""

import json

from cells.cell_map import Cell, CellMap


def text_of(there: CellMap) -> str:
    """The map in TOML.

    >>> from cells.cell_map import parse_map
    >>> print(text_of(parse_map('version = 1\\n[cells.a]\\naddress = "unix:/a"')), end="")
    version = 1
    <BLANKLINE>
    [cells.a]
    address = "unix:/a"
    """
    parts = [f"version = {there.version}\n", *(_table(cell) for cell in there.cells.values())]
    if there.organizations:
        lines = (f"{_quoted(one)} = {_quoted(name)}\n" for one, name in sorted(there.organizations.items()))
        parts.append("[organizations]\n" + "".join(lines))
    return "\n".join(parts)


def _table(cell: Cell) -> str:
    database = f"database = {_quoted(cell.database)}\n" if cell.database else ""
    return f"[cells.{cell.name}]\naddress = {_quoted(cell.address)}\n{database}"


def _quoted(text: str) -> str:
    """A string of JSON is one of TOML, for texts without control characters."""
    return json.dumps(text, ensure_ascii=False)
