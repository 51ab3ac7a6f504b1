"""What libpq adds to a URL's parameters: those of a service's section of a file, and those of the environment.

asyncpg does so too for some of the parameters that it knows, and passes over all others without a word. To pass over
`channel_binding=require`, or a service that is not there, is to connect as the operator has forbidden.
"""

import os
from collections.abc import Mapping
from configparser import ConfigParser, Error
from pathlib import Path

SERVICE_FILE = "~/.pg_service.conf"


def with_service(query: Mapping[str, str]) -> dict[str, str]:
    """The parameters, with what the service that they or PGSERVICE name adds to them.

    Raises:
        ValueError: there is no such service.
    """
    name = query.get("service") or os.environ.get("PGSERVICE")
    if not name:
        return dict(query)
    services = ConfigParser(interpolation=None)
    try:
        services.read(os.environ.get("PGSERVICEFILE") or Path(SERVICE_FILE).expanduser())
    except (Error, UnicodeDecodeError, RuntimeError):  # without a home; the others repeat lines of the file
        raise ValueError("the file of the database URL's service is not as libpq has it") from None
    if not services.has_section(name):
        raise ValueError("the database URL's service is not in ~/.pg_service.conf, nor where PGSERVICEFILE says")
    return {key: value for key, value in {**services[name], **query}.items() if key != "service"}


def find_parameter(query: Mapping[str, str], name: str, variable: str, default: str) -> str:
    """A parameter, or its variable, or what is usual."""
    return query.get(name) or os.environ.get(variable) or default
