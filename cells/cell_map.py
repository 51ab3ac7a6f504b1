"""The map: the cells by name, and which organization belongs to which.

    version = 3

    [cells.north]
    address = "unix:/run/stockkeeper/north.sock"
    database = "postgresql://app@db.example/north"

    [cells.south]
    address = "unix:/run/stockkeeper/south.sock"

    [organizations]
    big-shop = "south"

An organization belongs to the cell that is named for it, and otherwise to the one that `cells.rendezvous` finds. The
map says where an organization is looked for. Whether a cell may serve it is that cell's to know: two processes can have
two versions of the map at any moment, and no file is changed everywhere at once.
"""

import re
import tomllib
from collections.abc import Mapping
from hashlib import blake2b
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from cells.rendezvous import highest

NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
SOCKET_PATH_BYTES_MAX = 100  # a kernel takes 107
HOST_AND_PORT = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+):[0-9]{1,5}")


class CellMapError(Exception):
    """The map cannot be used. Its text is one sentence for the operator, and has nothing secret in it."""


class Cell(Struct, frozen=True):
    """One owner and one database.

    Args:
        name: what it is called, for ever: organizations belong to it by its name.
        address: where its owner listens, as unix:/path or host:port.
        database: its URL; empty: only the owner is told.
    """

    name: str
    address: str
    database: str = ""

    def __repr__(self) -> str:
        return f"<Cell {self.name} at {self.address}>"  # a database's URL may have a password


class CellMap(Struct, frozen=True):
    """The cells, and the organizations that belong to a cell by name."""

    version: int
    cells: Mapping[str, Cell]
    organizations: Mapping[str, str]

    def __repr__(self) -> str:
        return f"<CellMap version={self.version} cells={len(self.cells)} by_name={len(self.organizations)}>"

    def cell_of(self, organization_id: str) -> Cell:
        """Where the organization is looked for.

        >>> there = parse_map('version = 1\\n[cells.a]\\naddress = "unix:/a"')
        >>> there.cell_of("shop").name
        'a'
        """
        name = self.organizations.get(organization_id)
        return self.cells[highest(self.cells, organization_id) if name is None else name]

    @property
    def digest(self) -> str:
        """The same for two maps that place every organization alike, wherever the cells are."""
        placing = (sorted(self.cells), sorted(self.organizations.items()))
        return blake2b(msgspec.json.encode(placing), digest_size=16).hexdigest()


class _CellTable(Struct, frozen=True, forbid_unknown_fields=True):
    """A table [cells.NAME] of the file."""

    address: str
    database: str = ""


class _MapFile(Struct, frozen=True, forbid_unknown_fields=True):
    """The file as it is written."""

    version: Annotated[int, Meta(ge=1, le=2**53)]
    cells: Annotated[dict[str, _CellTable], Meta(min_length=1)]
    organizations: dict[str, Annotated[str, Meta(min_length=1)]] = {}


def parse_map(text: str) -> CellMap:
    """The map that a text in TOML says.

    Raises:
        CellMapError: what is wrong with it, as the rest of a sentence that begins with its name.
    """
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CellMapError(f"is not TOML: {_place_of(error)}") from None
    for name, what in (("version", "version = 1, and one more with each change"), ("cells", "a table [cells.NAME]")):
        if name not in content:
            raise CellMapError(f"has no {name}: it needs {what}")
    try:
        return _checked(msgspec.convert(content, _MapFile))
    except msgspec.ValidationError as error:
        raise CellMapError(f"cannot be used: {_lower(error)}") from None


def _checked(file: _MapFile) -> CellMap:
    for name, table in file.cells.items():
        if not NAME.fullmatch(name):
            raise CellMapError(f"names a cell {name!r}, which must be a letter and then letters, digits and hyphens")
        _check_address(name, table.address)
    _refuse_twice("address", {name: table.address for name, table in file.cells.items()})
    _refuse_twice("database", {name: table.database for name, table in file.cells.items() if table.database})
    for organization_id, name in file.organizations.items():
        if name not in file.cells:
            given = f"gives the organization {organization_id!r} to the cell {name!r}"
            raise CellMapError(f"{given}, which it does not have")
    cells = {name: Cell(name, table.address, table.database) for name, table in file.cells.items()}
    return CellMap(file.version, cells, dict(file.organizations))


def _check_address(name: str, address: str) -> None:
    scheme, _, path = address.partition(":")
    if scheme == "unix":
        if not path.startswith("/"):
            raise CellMapError(f"gives the cell {name} the socket {path!r}, which must be a path from the root on")
        if len(path.encode()) > SOCKET_PATH_BYTES_MAX:
            raise CellMapError(f"gives the cell {name} a socket whose path has over {SOCKET_PATH_BYTES_MAX} bytes")
    elif not HOST_AND_PORT.fullmatch(address) or not 0 < int(address.rpartition(":")[2]) < 65_536:
        raise CellMapError(f"gives the cell {name} the address {address!r}, which must be unix:/path or host:port")


def _refuse_twice(what: str, by_cell: Mapping[str, str]) -> None:
    owners: dict[str, str] = {}
    for name, value in by_cell.items():
        if value in owners:
            raise CellMapError(f"gives the cells {owners[value]} and {name} the same {what}")
        owners[value] = name


def _place_of(error: Exception) -> str:
    """What the parser said, without what it may quote: a database's URL may have a password."""
    text = str(error)
    return text[text.rfind("(at ") :].strip("()") if "(at " in text else "the parser does not say where"


def _lower(error: Any) -> str:
    text = str(error)
    return text[:1].lower() + text[1:]
