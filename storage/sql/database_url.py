"""Reads a database URL, and shows it without its passwords. No error here repeats a part of the URL that may be one."""

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

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
        return make_url(text)
    except (ArgumentError, ValueError):
        raise ValueError("the database URL cannot be read; sqlite+aiosqlite:///stockkeeper.db is one") from None


def show_url(text: str) -> str:
    """A readable database URL as a person may see it.

    >>> show_url("postgresql://app:s3cret@db.example/stock?sslpassword=123")
    'postgresql://app:***@db.example/stock'
    """
    url = parse_url(text)
    if url.get_backend_name() == "sqlite":
        return text
    return url.difference_update_query(SECRETS).render_as_string(hide_password=True)
