"""The `stockkeeper` program: its commands, and how it ends.

Exit status: 0 done; 1 failure, or what was named is not there; 2 usage or configuration; 3 ownership refused or lost;
130 interrupted; 141 the reader of the output is gone.
"""

import errno
import os
import sys
from collections.abc import Callable

from cyclopts import App, CoercionError, CycloptsError, UnusedCliTokensError

from stockkeeper.command_line.exit_status import EXIT_BROKEN_PIPE, EXIT_FAILURE, EXIT_INTERRUPTED, EXIT_USAGE
from stockkeeper.command_line.settings_file import SettingsFile
from stockkeeper.config import ConfigurationError

# Each command is imported when it runs: `serve` and `--version` do without the client and its tables.
COMMANDS = {
    "serve": "serve_command:serve",
    "import": "import_command:import_",
    "export": "export_command:export",
    "stock": "stock_commands:stock",
    "receive": "goods_commands:receive",
    "announce": "goods_commands:announce",
    "deduct": "goods_commands:deduct",
    "adjust": "goods_commands:adjust",
    "delete": "goods_commands:delete",
    "explain": "explain_command:explain",
    "transfer": "moving_commands:transfer",
    "transfer-receive": "moving_commands:transfer_receive",
    "transfer-cancel": "moving_commands:transfer_cancel",
    "transfers": "moving_commands:transfers",
    "levels": "level_commands:levels",
    "warehouses": "site_commands:warehouses",
    "warehouse": "site_commands:warehouse",
    "sourcing": "sourcing_command:sourcing",
    "movements": "history_commands:movements",
    "watch": "history_commands:watch",
    "top": "top_command:top",
    "reservations": "order_commands:reservations",
    "reserve": "order_commands:reserve",
    "reserve-basket": "basket_command:reserve_basket",
    "confirm": "order_commands:confirm",
    "release": "order_commands:release",
    "reservation": "reservation_commands:reservation",
    "extend": "reservation_commands:extend",
    "amend": "reservation_commands:amend",
    "reacquire": "reservation_commands:reacquire",
    "fulfill": "reservation_commands:fulfill",
    "relay": "relay_command:relay",
    "consume": "consume_command:consume",
    "events": "events_command:events",
    "route": "route_command:route",
    "cells": "cells_command:cells",
    "keys": "keys_command:keys",
    "config": "config_command:config",
    "health": "health_command:health",
    "check": "check_command:check",
    "doctor": "doctor_command:doctor",
    "backup": "backup_command:backup",
    "move": "move_command:move",
    "simulate": "simulate_command:simulate",
    "completion": "completion_command:completion",
}


def build_app(*sources: Callable[..., None]) -> App:
    """The program, with what gives its options values beside flags and variables."""
    built = App(
        name="stockkeeper",
        help="Keeps stock counts true while many orders want the same goods.",
        version_flags=["--version"],
        config=sources,
    )
    for name, place in COMMANDS.items():
        built.command(f"stockkeeper.command_line.{place}", name=name)
    return built


app = build_app(SettingsFile())


def main() -> None:
    """Run the command that the arguments name, and exit with its status."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # it was closed by the caller
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))
    try:
        status = _run()
        sys.stdout.flush()
    except OSError as error:
        status = _explain_output(error)
    sys.exit(status)


def _run() -> int:
    if sys.argv[1:2] in ([], ["--help"], ["-h"]):
        for name in COMMANDS:
            app[name]  # imports it, so that its summary is listed
    try:
        status = app(exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        return _refuse(_sentence(error))
    except ConfigurationError as error:
        return _refuse(str(error))
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    return status if isinstance(status, int) else 0


def _refuse(sentence: str) -> int:
    sys.stderr.write(f"{sentence}\n")
    return EXIT_USAGE


def _sentence(error: CycloptsError) -> str:
    """What is wrong with the arguments. A positional one is named too, and a file, which the
    library leaves out."""
    if isinstance(error, UnusedCliTokensError):
        return f"There is one argument too many: {(error.unused_tokens or ['?'])[0]!r}. --help shows those there are."
    token = error.token if isinstance(error, CoercionError) else None
    if token is not None and token.source not in ("", "cli", "env"):
        return f"{token.source}: {error}"
    is_nameless = isinstance(error, CoercionError) and error.token is not None and error.token.keyword is None
    name = f"{error.argument.name} " if is_nameless and error.argument is not None else ""
    return f"{name}{error}"


def _explain_output(error: OSError) -> int:
    """Say that stdout takes nothing more, and see to it that the interpreter does not try again at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    if error.errno == errno.EPIPE:
        return EXIT_BROKEN_PIPE
    sys.stderr.write(f"The output cannot be written: {error.strerror}.\n")
    return EXIT_FAILURE
