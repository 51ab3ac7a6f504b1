"""The database that a command is given to look at: whether it can be, and why not."""

import sqlite3
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from stockkeeper.bootstrap import build_store
from stockkeeper.config import ConfigurationError
from storage.schema_errors import SchemaTooNew, SchemaTooOld
from storage.sql.database_url import parse_url
from storage.sql.lock_file import last_owner

FAILURES = (SQLAlchemyError, sqlite3.Error, OSError, SchemaTooNew, SchemaTooOld)


def require_database(database_url: str) -> None:
    """Raise ConfigurationError where the URL names no database that is supported, or no file that exists."""
    build_store(database_url)  # says what is wrong with the URL
    url = parse_url(database_url)
    if url.get_backend_name() == "sqlite" and not (path := Path(str(url.database)).resolve()).exists():
        last = last_owner(path)
        lost = f", though a server had it in epoch {last.epoch}: put it back, or restore a backup" if last.epoch else ""
        raise ConfigurationError(f"{path} does not exist{lost}.")


def cause_of(error: Exception) -> str:
    """The first line of what the database said, without the statement that met it."""
    cause = getattr(error, "orig", None) or error
    return (str(cause).splitlines() or [type(cause).__name__])[0].rstrip(".")
