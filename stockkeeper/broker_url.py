"""A broker's URL with what does not belong on a command line: a password, and files for TLS.

They come from the environment, and are put where the brokers' adapters look for them. A password is never printed:
adapters name a broker without it (`events/broker_port.py`).
"""

import os
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit

from stockkeeper.config import ConfigurationError

PASSWORD, PASSWORD_FILE = "BROKER_PASSWORD", "BROKER_PASSWORD_FILE"
FILES = {"cafile": "BROKER_TLS_CA", "certfile": "BROKER_TLS_CERT", "keyfile": "BROKER_TLS_KEY"}
ENCRYPTED = ("amqps", "tls", "wss")


def broker_url(text: str) -> str:
    """The URL, with what the environment adds to it; an empty one stays empty.

    Raises:
        ConfigurationError: it is no URL, or a file cannot be read.
    """
    if not text:
        return text
    try:
        url = _with_password(urlsplit(text))
        return (_with_files(url) if url.scheme in ENCRYPTED else url).geturl()
    except ValueError:
        raise ConfigurationError("The broker's URL is none: amqp://user@host/ or nats://user@host.") from None


def _with_password(url: SplitResult) -> SplitResult:
    user, _, place = url.netloc.rpartition("@")
    if not user or ":" in user:
        return url
    password = os.environ.get(PASSWORD) or _first_line(os.environ.get(PASSWORD_FILE, ""))
    return url._replace(netloc=f"{user}:{quote(password, safe='')}@{place}") if password else url


def _first_line(path: str) -> str:
    lines = _content(path).decode(errors="replace").splitlines() if path else []
    return lines[0] if lines else ""


def _with_files(url: SplitResult) -> SplitResult:
    given = dict(parse_qsl(url.query))
    found = {name: path for name, variable in FILES.items() if (path := os.environ.get(variable, ""))}
    query = {**found, **given}
    if ("certfile" in query) != ("keyfile" in query):
        raise ConfigurationError("A certificate and its key go together: BROKER_TLS_CERT and BROKER_TLS_KEY.")
    for name in FILES:
        _content(query.get(name, ""))
    return url._replace(query=urlencode(query, safe="/"))


def _content(path: str) -> bytes:
    try:
        return Path(path).read_bytes() if path else b""
    except OSError as error:
        raise ConfigurationError(f"The file {path} cannot be read: {error.strerror}.") from None
