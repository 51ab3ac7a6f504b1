"""Reads a database URL, and shows it without its passwords. No error here repeats a part of the URL that may be one."""

import re
from urllib.parse import quote

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

POSTGRES_PORT = "5432"
SEVERAL_HOSTS = re.compile(
    r"(?P<begin>postgres[a-z0-9+]*://(?:[^@/?]*@)?)(?P<hosts>[^@/?]*,[^@/?]*)(?P<path>(?:/[^?]*)?)(?P<query>(?:\?.*)?)"
)
SECRETS = ("password", "sslpassword")  # as parameters, which libpq allows


def parse_url(text: str) -> URL:
    """A database URL in its parts.

    >>> parse_url("postgresql://app:s3cret@db.example/stock?connect_timeout=5").host
    'db.example'

    Args:
        text: of SQLAlchemy's kind, or of libpq's.

    Raises:
        ValueError: it cannot be read, in a sentence for the person who wrote it.
    """
    if text.count("@") > 1:
        raise ValueError(
            "the database URL has more than one @: within a user, a password or a parameter write it as %40"
        )
    try:
        return make_url(_with_hosts_as_parameters(text))
    except (ArgumentError, ValueError):
        raise ValueError("the database URL cannot be read; sqlite+aiosqlite:///stockkeeper.db is one") from None


def _with_hosts_as_parameters(text: str) -> str:
    """Several hosts with ports of their own, which libpq takes between `//` and `/`, where SQLAlchemy takes them."""
    found = SEVERAL_HOSTS.fullmatch(text)
    if found is None or ":" not in re.sub(r"\[[^\]]*\]", "", found["hosts"]):
        return text
    hosts, ports = zip(*(_host_and_port(one) for one in found["hosts"].split(",")), strict=True)
    parameters = f"host={quote(','.join(hosts))}&port={','.join(ports)}"
    return f"{found['begin']}{found['path']}?{parameters}{found['query'].replace('?', '&', 1)}"


def _host_and_port(text: str) -> tuple[str, str]:
    host, colon, port = text.rpartition(":")
    if not colon or port.endswith("]"):
        host, port = text, POSTGRES_PORT
    return host.removeprefix("[").removesuffix("]"), port


def complete_url(text: str, password: str, schema: str) -> str:
    """A URL of Postgres with a password and a schema, where they are given.

    >>> complete_url("postgresql://app@db.example/stock", "s3cret", "")
    'postgresql://app:s3cret@db.example/stock'

    Raises:
        ValueError: it is another database's, or has one already, or the schema's name is none.
    """
    url = parse_url(text)
    if url.get_backend_name() not in ("postgresql", "postgres"):
        raise ValueError("a password file and a schema are for Postgres")
    if password and (url.password is not None or "password" in url.query):
        raise ValueError("the database URL has a password already, beside the password file")
    if schema and "options" in url.query:
        raise ValueError("the database URL has options already: name the schema there, as -csearch_path")
    if schema and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,62}", schema):
        raise ValueError("the database schema's name must be letters, digits and _")
    if password:
        url = url.set(password=password)
    if schema:
        url = url.update_query_dict({"options": f'-csearch_path="{schema}"'})
    return url.render_as_string(hide_password=False)


def show_url(text: str) -> str:
    """A readable database URL as a person may see it.

    >>> show_url("postgresql://app:s3cret@db.example/stock?sslpassword=123")
    'postgresql://app:***@db.example/stock'
    """
    url = parse_url(text)
    if url.get_backend_name() == "sqlite":
        return text
    return url.difference_update_query(SECRETS).render_as_string(hide_password=True)
