"""`stockkeeper keys`: makes a key for a caller."""

import json
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from stockkeeper.command_line.output import fail
from stockkeeper.config import ConfigurationError


def keys(
    file: str,
    name: str,
    /,
    *,
    organization: Annotated[tuple[str, ...], Parameter(negative="")] = (),
    scope: Annotated[tuple[Literal["read", "reserve", "manage"], ...], Parameter(negative="")] = (),
) -> int:
    """Make a key, note its hash and what it allows in a file for `serve --keys-file`, and print the key, once.

    Parameters
    ----------
    file
        Gets one more key; it is made if it is not there.
    name
        What the log calls the caller. Several keys may have the same.
    organization
        Whose stock the caller may see and change; "*" for all. May be given several times.
    scope
        What the caller may do there: read, reserve, manage. May be given several times.
    """
    from rpc.authorization.key_file import KeyFileError, hash_of, new_key, read_keys

    if not organization or not scope:
        raise ConfigurationError("A key needs at least one --organization and one --scope.")
    try:
        if Path(file).exists():
            read_keys(file)  # or the server would not take it, and the key that is printed would be good for nothing
    except KeyFileError as error:
        raise ConfigurationError(str(error)) from None
    key = new_key()
    table = {
        "name": name,
        "sha256": hash_of(key),
        "organizations": list(organization),
        "scopes": [f"inventory.stock.{one}" for one in scope],
    }
    # A text or a list of texts is written in TOML as in JSON.
    lines = ["[[key]]", *(f"{field} = {json.dumps(value, ensure_ascii=False)}" for field, value in table.items()), ""]
    try:
        Path(file).touch(mode=0o600)
        with Path(file).open("a", encoding="utf-8") as opened:
            opened.write("\n".join(lines))
    except OSError as error:
        return fail(f"The file {file} cannot be written: {error.strerror}.")
    print(key)  # noqa: T201 - the one thing that is asked for
    return 0
