"""`stockkeeper check`: an audit of a database, whether or not a server uses it."""

import sys
from pathlib import Path
from typing import Annotated

import anyio
import msgspec
from cyclopts import Parameter
from sqlalchemy import Connection

from stockkeeper.command_line.database_options import DEFAULT_DATABASE, Database
from stockkeeper.command_line.given_database import FAILURES, cause_of, require_database
from stockkeeper.command_line.output import say
from stockkeeper.command_line.parameters import ConfigFile, Json
from stockkeeper.command_line.progress import working
from storage.sql.audit import Audit, audit
from storage.sql.database_url import parse_url
from storage.sql.file_state import FileState, JournalEnd, journal_end, look_at_file
from storage.sql.snapshot import read_snapshot


def check(
    *,
    database: Database = DEFAULT_DATABASE,
    cells_map: Annotated[str, Parameter(env_var="STOCKKEEPER_CELLS_MAP")] = "",
    config: ConfigFile = "",
    json: Json = False,
) -> int:
    """Audit a database: do stock, ledger and reservations agree? A server may be using it meanwhile.

    Parameters
    ----------
    cells_map
        Audit all cells of this map, one after another, and whether one organization is in two of them. Where the map
        does not say their databases, they are those that `serve --cells` makes of the one that is named.
    """
    if cells_map:
        from stockkeeper.command_line.check_cells import check_cells

        return check_cells(cells_map, database.url, json=json)
    require_database(database.url)
    try:
        state = _state_of(database.url)
        if state is not None and state.kind in ("lost", "suspect"):
            sys.stderr.write(f"{state.found}. {state.advice}\n")
            return 1
        with working("Checking"):
            found, end = anyio.run(
                read_snapshot, database.url, lambda connection: (audit(connection), journal_end(connection))
            )
    except FAILURES as error:
        sys.stderr.write(f"The database cannot be checked: {cause_of(error)}.\n")
        return 1
    if json:
        say(msgspec.json.encode(found).decode())
        return 1 if found.disagreements else 0
    if found.disagreements:
        report(found)
        return 1
    is_empty = end.last_lsn == 0
    sys.stdout.write(
        "The database is empty: nothing was ever written to it.\n" if is_empty else f"All agrees: {found.summary}.\n"
    )
    if state is not None and state.kind == "older":
        sys.stdout.write(f"{state.found}. {state.advice}\n")
    return 0


def _read(connection: Connection) -> tuple[Audit, JournalEnd]:
    return audit(connection), journal_end(connection)


def _state_of(database_url: str) -> FileState | None:
    """What a SQLite file is, beside what stands in it."""
    url = parse_url(database_url)
    return look_at_file(Path(str(url.database)).resolve()) if url.get_backend_name() == "sqlite" else None


def report(found: Audit) -> None:
    """Say on stderr what does not agree."""
    for disagreement in found.disagreements:
        sys.stderr.write(f"{disagreement.check}: {disagreement.sentence}\n")
    sys.stderr.write(f"{len(found.disagreements)} checks failed on {found.summary}.\n")
