"""`stockkeeper backup`: a checked copy of a SQLite database, whether or not a server uses it."""

import sys
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from stockkeeper.command_line.check_command import report
from stockkeeper.command_line.database_options import DEFAULT_DATABASE, Database
from stockkeeper.command_line.given_database import FAILURES, cause_of, require_database
from stockkeeper.command_line.output import say
from stockkeeper.command_line.parameters import ConfigFile, Json
from stockkeeper.command_line.progress import working
from stockkeeper.config import ConfigurationError
from storage.sql.backup import BackupFailed, back_up
from storage.sql.database_url import parse_url
from storage.sql.lock_file import is_in_use
from storage.sql.sqlite_files import files_of


def backup(
    file: Path,
    /,
    *,
    database: Database = DEFAULT_DATABASE,
    config: ConfigFile = "",
    replace: Annotated[bool, Parameter(negative="")] = False,
    json: Json = False,
) -> int:
    """Copy a SQLite database into one file and check the copy. A server may be using the database meanwhile.

    Parameters
    ----------
    file
        Where the copy goes.
    replace
        Replace the file if it exists.
    """
    require_database(database.url)
    url = parse_url(database.url)
    if url.get_backend_name() != "sqlite":
        raise ConfigurationError("This backs up SQLite files only; use pg_dump for a Postgres database.")
    source = Path(str(url.database)).resolve()
    if file.is_dir() or not file.parent.is_dir():
        raise ConfigurationError(f"{file} must be a file in a directory that exists.")
    if file.exists() and any(path.exists() and file.samefile(path) for path in files_of(source)):
        raise ConfigurationError(f"{file} is the database itself, or belongs to it.")
    if is_in_use(file):
        raise ConfigurationError(f"{file} is a database that a server uses.")
    try:
        with working("Copying and checking"):
            done = back_up(source, file, replace=replace)
    except FileExistsError:
        raise ConfigurationError(f"{file} exists; --replace would replace it.") from None
    except BackupFailed as failed:
        if len(failed.args) > 1:
            report(failed.args[1])
        return _fail(str(failed.args[0]))
    except FAILURES as error:
        return _fail(cause_of(error))
    if json:
        say(msgspec.json.encode(done).decode())
        return 0
    size = f"{done.size_bytes / 1_000_000:.1f} MB"
    checked = f"All agrees: {done.audit.summary}" if done.audit else "An older version wrote it: only SQLite checked it"
    sys.stdout.write(f"{file} has {size}, up to LSN {done.last_lsn}. {checked}.\n")
    return 0


def _fail(cause: str) -> int:
    sys.stderr.write(f"Nothing was backed up: {cause}.\n")
    return 1
