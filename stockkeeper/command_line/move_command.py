"""`stockkeeper move`: everything from one database to another."""

import sys
from typing import Annotated

import anyio
import msgspec
from cyclopts import Parameter

from stockkeeper.bootstrap import build_store
from stockkeeper.command_line.database_options import DatabaseOptions
from stockkeeper.command_line.exit_status import EXIT_FAILURE, EXIT_OWNERSHIP
from stockkeeper.command_line.given_database import FAILURES, cause_of
from stockkeeper.command_line.output import say
from stockkeeper.command_line.parameters import Json
from stockkeeper.command_line.progress import working
from stockkeeper.config import ConfigurationError
from storage.sql.database_url import parse_url, show_url
from storage.sql.move import Moved, MoveRefused, move_all
from storage.sql.move_sides import opened_side
from storage.store import OwnershipLost, StorageError


def move(
    *,
    from_: Annotated[str, Parameter(name="--from", env_var="MOVE_FROM_URL")] = "",
    to: Annotated[str, Parameter(env_var="MOVE_TO_URL")] = "",
    from_password_file: str = "",
    to_password_file: str = "",
    json: Json = False,
) -> int:
    """Move everything from one database to another: SQLite to Postgres, back, or to one of the same kind.

    No server may run on either. The target must be empty, or have half of a move that was cut off, which begins anew.
    The source keeps what it has; do not start a server on it again once one has run on the target.

    Parameters
    ----------
    from_
        The database that has everything.
    to
        The database that gets it.
    from_password_file
        A file with the password of the first, if it is Postgres.
    to_password_file
        A file with the password of the second, if it is Postgres.
    """
    if not from_ or not to:
        raise ConfigurationError("Say from where to where: --from URL --to URL.")
    source, target = (
        DatabaseOptions(database_url=url, database_password_file=file).url
        for url, file in ((from_, from_password_file), (to, to_password_file))
    )
    for url in (source, target):
        build_store(url)  # says what is wrong with it
    if parse_url(source) == parse_url(target):
        raise ConfigurationError("Both are the same database.")
    try:
        with working("Moving and checking"):
            moved = anyio.run(_moved, source, target)
    except OwnershipLost as error:
        return _fail(str(error), EXIT_OWNERSHIP)
    except (MoveRefused, StorageError, *FAILURES) as error:
        return _fail(cause_of(error))
    for name, digest in moved.tables.items():
        as_json = {"table": str(name), "rows": digest.rows, "digest": str(digest.digest)}
        say(msgspec.json.encode(as_json).decode() if json else f"{name}\t{digest.rows}\t{digest.digest}")
    if json:
        say(msgspec.json.encode({"to": show_url(target), "rows": moved.rows, "audit": moved.audit}).decode())
        return 0
    say(f"{moved.rows} rows are in {show_url(target)}, the same as before. All agrees: {moved.audit.summary}.")
    return 0


async def _moved(source_url: str, target_url: str) -> Moved:
    async with opened_side(source_url, is_source=True) as source, opened_side(target_url, is_source=False) as target:
        return await move_all(source, target)


def _fail(cause: str, status: int = EXIT_FAILURE) -> int:
    sys.stderr.write(f"Nothing was moved: {cause}.\n")
    return status
