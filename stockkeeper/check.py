"""`stockkeeper check`: an audit of a database, whether or not a server uses it."""

import sys
from pathlib import Path

import anyio
from sqlalchemy import URL, make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from stockkeeper.bootstrap import build_store
from stockkeeper.config import ConfigurationError
from storage.sql.audit import Audit, audit


def check(database_url: str) -> int:
    """Print what was found. Returns 0 if all agrees, 1 if something does not or the database cannot be read.

    Raises:
        ConfigurationError: the URL is not one of a database that is supported.
    """
    build_store(database_url)  # says what is wrong with the URL
    try:
        found = anyio.run(_audit, _read_only(database_url))
    except SQLAlchemyError as error:
        cause = getattr(error, "orig", None) or error
        sys.stderr.write(f"The database cannot be read: {cause}.\n")
        return 1
    for disagreement in found.disagreements:
        sys.stderr.write(f"{disagreement.check}: {disagreement.sentence}\n")
    seen = f"{found.stock_rows} stock rows, {found.movements} movements, {found.reservations} reservations"
    if found.disagreements:
        sys.stderr.write(f"{len(found.disagreements)} checks failed on {seen}.\n")
        return 1
    sys.stdout.write(f"All agrees: {seen}.\n")
    return 0


def _read_only(database_url: str) -> URL:
    url = make_url(database_url)
    if url.get_backend_name() != "sqlite":
        return url
    path = Path(str(url.database)).resolve()
    if not path.exists():
        raise ConfigurationError(f"{path} does not exist.")
    # A second connection that may write could checkpoint beside the server's.
    return url.set(database=f"file:{path}", query={"mode": "ro", "uri": "true"})


async def _audit(url: URL) -> Audit:
    engine = create_async_engine(url, poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            return await connection.run_sync(audit)
    finally:
        await engine.dispose()
