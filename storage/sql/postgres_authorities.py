"""Whose certificates a Postgres may have: those of a file's authorities, or with `sslrootcert=system` the system's.

asyncpg takes `system` for a file's name, and of a file that is missing it does not say which.
"""

import os
import ssl
from collections.abc import Mapping, MutableMapping
from pathlib import Path

from storage.sql.libpq_defaults import find_parameter

FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl")
# asyncpg reads these for a context that it makes itself, which trusts a file.
WITH_A_FILE = ("sslcert", "sslkey", "sslpassword", "sslcrl", "ssl_min_protocol_version", "ssl_max_protocol_version")


def take_system(query: MutableMapping[str, str]) -> bool:
    """Say whether the system's authorities are trusted, and take the parameters that say so out of the others.

    Raises:
        ValueError: not every certificate would be verified, or a parameter cannot be kept with it.
    """
    if find_parameter(query, "sslrootcert", "PGSSLROOTCERT", "") != "system":
        return False
    if find_parameter(query, "sslmode", "PGSSLMODE", "verify-full") != "verify-full":
        raise ValueError("the database URL's sslrootcert=system needs sslmode=verify-full")
    for name in WITH_A_FILE:
        if name in query:
            raise ValueError(
                f"the database URL's parameter {name} cannot go with sslrootcert=system: name a file of authorities"
            )
    query.pop("sslrootcert", None)
    query["sslmode"] = "verify-full"
    return True


def system_context() -> ssl.SSLContext:
    """What trusts the system's authorities, and verifies the server's name."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["postgresql"])
    return context


def files_of(query: Mapping[str, str]) -> Mapping[str, str]:
    """The files that have to be there, by the names of their parameters."""
    return {name: query[name] for name in FILES if query.get(name)}


def check_files(files: Mapping[str, str]) -> None:
    """See that they are.

    Raises:
        OSError: one cannot be read, in a sentence that names it.
    """
    for name, path in files.items():
        if not (Path(path).is_file() and os.access(path, os.R_OK)):
            raise OSError(f"the file {path} of {name} cannot be read")
