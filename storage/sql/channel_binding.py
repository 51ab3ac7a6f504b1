"""Whether a login to Postgres has to be bound to its TLS connection, as libpq's `channel_binding` says.

libpq looks for a parameter in the URL, then in the section of a service's file, then in the environment. asyncpg does
so too for those that it knows, and for this one nothing does but this module: to overlook it would be to log in where
the operator has forbidden it.
"""

import os
from collections.abc import Mapping, MutableMapping
from configparser import ConfigParser, Error
from pathlib import Path

VALUES = ("disable", "prefer", "require")
WEAKER_THAN_REQUIRE = ("allow", "prefer")
SERVICE_FILE = "~/.pg_service.conf"


def take_binding(query: MutableMapping[str, str]) -> bool:
    """Take `channel_binding` out of a URL's parameters, and say whether a login has to be bound.

    There is nothing to bind one to without TLS, so `sslmode` then becomes `require` at least.

    Raises:
        ValueError: the parameters contradict each other, or have a value that libpq does not know.
    """
    binding = find_parameter(query, "channel_binding", "PGCHANNELBINDING", "prefer")
    query.pop("channel_binding", None)
    if binding not in VALUES:
        raise ValueError(
            "the database URL's parameter channel_binding (PGCHANNELBINDING) must be disable, prefer or require"
        )
    if binding != "require":
        return False
    mode = find_parameter(query, "sslmode", "PGSSLMODE", "prefer")
    if mode == "disable":
        raise ValueError(
            "the database URL's parameters sslmode=disable and channel_binding=require exclude each other: there is"
            " no TLS connection to bind a login to"
        )
    query["sslmode"] = "require" if mode in WEAKER_THAN_REQUIRE else mode
    return True


def find_parameter(query: Mapping[str, str], name: str, variable: str, default: str) -> str:
    """A parameter of libpq's: from the URL, its service, the environment, in this order."""
    return query.get(name) or _service(query).get(name) or os.environ.get(variable) or default


def _service(query: Mapping[str, str]) -> Mapping[str, str]:
    """What the file of services says of the one that is asked for."""
    name = query.get("service") or os.environ.get("PGSERVICE")
    if not name:
        return {}
    services = ConfigParser(interpolation=None)
    try:
        services.read(os.environ.get("PGSERVICEFILE") or Path(SERVICE_FILE).expanduser())
    except (Error, UnicodeDecodeError, RuntimeError):  # without a home; the others repeat lines of the file
        raise ValueError("the file of the database URL's service is not as libpq has it") from None
    return services[name] if services.has_section(name) else {}
