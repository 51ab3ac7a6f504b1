"""The file of preshared keys: a table for each key, with what its caller may do.

    [[key]]
    name = "order-service"
    sha256 = "0c2e…"
    organizations = ["shop"]
    scopes = ["inventory.stock.read", "inventory.stock.reserve"]

The file has the keys' hashes and not the keys, so that a reader of it cannot call. A key is 256 random bits: there is
nothing to guess, and a plain hash is enough. Several keys may have one name, so that one can be put in another's place
while both are good. `organizations = ["*"]` are all, and what belongs to no organization.
"""

import hashlib
import re
import secrets
import tomllib
from pathlib import Path
from typing import Any, get_args

import msgspec

from rpc.authorization.callers import Caller
from rpc.authorization.scopes import Scope

PREFIX = "sk_"  # so that a key is found where it should not be, as in a repository
_SHA256 = re.compile(r"[0-9a-f]{64}")


class KeyFileError(Exception):
    """The file cannot be used. Its text is one sentence for the operator, and has nothing secret in it."""


def new_key() -> str:
    """A key that no caller has."""
    return PREFIX + secrets.token_urlsafe(32)


def hash_of(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def read_keys(path: str) -> dict[str, Caller]:
    """The callers by the hashes of their keys.

    Raises:
        KeyFileError: the file cannot be read, or says something that is not understood.
    """
    try:
        content = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise KeyFileError(f"The file {path} cannot be read: {error.strerror}.") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise KeyFileError(f"The file {path} is not TOML: {error}.") from None
    if unknown := sorted(set(content) - {"key"}):
        raise KeyFileError(f"The file {path} has {unknown[0]!r}, which is not known: it is made of [[key]] tables.")
    callers: dict[str, Caller] = {}
    tables = content.get("key", [])
    for number, table in enumerate(tables if isinstance(tables, list) else [tables], 1):
        digest, caller = _caller_of(table, f"Key {number} of {path}")
        if digest in callers:
            raise KeyFileError(f"Key {number} of {path} is there twice.")
        callers[digest] = caller
    return callers


def _caller_of(table: Any, which: str) -> tuple[str, Caller]:
    names = {"name", "sha256", "organizations", "scopes"}
    if not isinstance(table, dict) or set(table) != names:
        raise KeyFileError(f"{which} must have exactly name, sha256, organizations and scopes.")
    digest = table["sha256"]
    if not isinstance(digest, str) or not _SHA256.fullmatch(digest):
        raise KeyFileError(f"{which}: sha256 must be 64 hexadecimal digits in lower case.")
    try:
        caller = msgspec.convert({name: table[name] for name in names - {"sha256"}}, Caller)
    except msgspec.ValidationError:
        scopes = ", ".join(get_args(Scope))
        raise KeyFileError(
            f"{which}: name must be a text, organizations a list of ids, and scopes a list of {scopes}."
        ) from None
    if not caller.name.isprintable():
        raise KeyFileError(f"{which}: name must be of printable characters.")
    return digest, caller
