"""Keeps a password out of `ps`: other users of a machine see a program's arguments, and not its environment."""

import os
import sys
from collections.abc import Sequence

OPTION, VARIABLE = "--database-url", "DATABASE_URL"
OPTIONS = {
    OPTION: VARIABLE,
    "--events-to": "EVENTS_TO",
    "--consume": "EVENTS_FROM",
    "--token-jwks": "GRPC_TOKEN_JWKS",
    **dict.fromkeys(("--to", "--from", "--broker"), "RABBITMQ_URL"),
}
OF_MOVE = {"--from": "MOVE_FROM_URL", "--to": "MOVE_TO_URL"}
SIGNS = ("@", "password=")  # libpq takes it as a parameter too


def hide_password() -> None:
    """If the command line has a URL with a password, start the program anew with the URL in its environment.

    It is the same process afterwards. The password was to be seen for the moment that Python takes to start.
    """
    rest, hidden = list(sys.orig_argv), dict[str, str]()
    options = OF_MOVE if "move" in rest else OPTIONS
    for option, variable in options.items():
        url, others = split(rest, option)
        if any(sign in url for sign in SIGNS):
            rest, hidden = others, {**hidden, variable: url}
    if hidden:
        os.execve(sys.executable, rest, {**os.environ, **hidden})


def split(arguments: Sequence[str], option: str = OPTION) -> tuple[str, list[str]]:
    """The URL that the arguments name last, empty if none, and the other arguments.

    >>> split(["python", "-m", "stockkeeper", "serve", "--database-url=postgresql://u:s3cret@h/d"])
    ('postgresql://u:s3cret@h/d', ['python', '-m', 'stockkeeper', 'serve'])
    """
    url, rest, is_value = "", [], False
    for argument in arguments:
        name, _, value = argument.partition("=")
        if is_value or (name == option and value):
            url = argument if is_value else value
            is_value = False
        elif argument == option:
            is_value = True
        else:
            rest.append(argument)
    return url, rest
