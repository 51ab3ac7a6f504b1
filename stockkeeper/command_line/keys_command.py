"""`stockkeeper keys`: makes a key or a token for a caller."""

from collections.abc import Sequence
from functools import partial
from json import dumps
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from stockkeeper.command_line.output import fail, say
from stockkeeper.command_line.parameters import Json, whole
from stockkeeper.config import ConfigurationError

to_text = partial(dumps, ensure_ascii=False)
MINUTES_MAX = 366 * 24 * 60


def keys(
    file: str,
    name: str,
    /,
    *,
    organization: Annotated[tuple[str, ...], Parameter(negative="")] = (),
    scope: Annotated[tuple[Literal["read", "reserve", "manage"], ...], Parameter(negative="")] = (),
    token: Annotated[bool, Parameter(negative="")] = False,
    minutes: Annotated[int, whole(1, MINUTES_MAX)] = 60,
    json: Json = False,
) -> int:
    """Make a key, note its hash and what it allows in a file for `serve --keys-file`, and print the key, once.

    Parameters
    ----------
    file
        Gets one more key; it is made if it is not there.
    name
        What the log and the ledger call the caller. Several keys may have the same.
    organization
        Whose stock the caller may see and change; "*" for all. May be given several times.
    scope
        What the caller may do there: read, reserve, manage. May be given several times.
    token
        Make a token (JWT) for development instead, signed with the private key in the file, which is made if it is not
        there, and is then for `serve --token-jwks`.
    minutes
        How long the token is good.
    """
    if not organization or not scope:
        raise ConfigurationError("A key needs at least one --organization and one --scope.")
    scopes = [f"inventory.stock.{one}" for one in scope]
    try:
        made = _token(file, name, organization, scopes, minutes) if token else _key(file, name, organization, scopes)
    except OSError as error:
        return fail(f"The file {file} cannot be written: {error.strerror}.")
    say(to_text({"name": name, "token" if token else "key": made}) if json else made)
    return 0


def _token(file: str, name: str, organizations: Sequence[str], scopes: Sequence[str], minutes: int) -> str:
    from stockkeeper.command_line.development_token import development_token

    return development_token(Path(file), name, organizations, scopes, minutes)


def _key(file: str, name: str, organizations: Sequence[str], scopes: Sequence[str]) -> str:
    from rpc.authorization.key_file import KeyFileError, hash_of, new_key, read_keys

    try:
        if Path(file).exists():
            read_keys(file)  # or the server would not take it, and the key that is printed would be good for nothing
    except KeyFileError as error:
        raise ConfigurationError(str(error)) from None
    key = new_key()
    table = {"name": name, "sha256": hash_of(key), "organizations": list(organizations), "scopes": list(scopes)}
    # A text or a list of texts is written in TOML as in JSON.
    lines = ["[[key]]", *(f"{field} = {to_text(value)}" for field, value in table.items()), ""]
    Path(file).touch(mode=0o600)
    with Path(file).open("a", encoding="utf-8") as opened:
        opened.write("\n".join(lines))
    return key
