"""`stockkeeper check`: an audit of a database, whether or not a server uses it."""

import sqlite3
import sys
from pathlib import Path

import anyio
from sqlalchemy.exc import SQLAlchemyError

from stockkeeper.bootstrap import build_store
from stockkeeper.command_line.database_options import DEFAULT_DATABASE, Database
from stockkeeper.command_line.parameters import ConfigFile
from stockkeeper.config import ConfigurationError
from storage.sql.audit import Audit, audit
from storage.sql.database_url import parse_url
from storage.sql.snapshot import read_snapshot
from storage.store import SchemaTooNew, SchemaTooOld

FAILURES = (SQLAlchemyError, sqlite3.Error, OSError, SchemaTooNew, SchemaTooOld)


def check(*, database: Database = DEFAULT_DATABASE, config: ConfigFile = "") -> int:
    """Audit a database: do stock, ledger and reservations agree? A server may be using it meanwhile."""
    require_database(database.url)
    try:
        found = anyio.run(read_snapshot, database.url, audit)
    except FAILURES as error:
        sys.stderr.write(f"The database cannot be checked: {cause_of(error)}.\n")
        return 1
    if found.disagreements:
        report(found)
        return 1
    sys.stdout.write(f"All agrees: {found.summary}.\n")
    return 0


def require_database(database_url: str) -> None:
    """Raise ConfigurationError where the URL names no database that is supported, or no file that exists."""
    build_store(database_url)  # says what is wrong with the URL
    url = parse_url(database_url)
    if url.get_backend_name() == "sqlite" and not (path := Path(str(url.database)).resolve()).exists():
        raise ConfigurationError(f"{path} does not exist.")


def report(found: Audit) -> None:
    """Say on stderr what does not agree."""
    for disagreement in found.disagreements:
        sys.stderr.write(f"{disagreement.check}: {disagreement.sentence}\n")
    sys.stderr.write(f"{len(found.disagreements)} checks failed on {found.summary}.\n")


def cause_of(error: Exception) -> str:
    """The first line of what the database said, without the statement that met it."""
    cause = getattr(error, "orig", None) or error
    return (str(cause).splitlines() or [type(cause).__name__])[0].rstrip(".")
