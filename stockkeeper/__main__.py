"""The `stockkeeper` command, also as `python -m stockkeeper`."""

import gc
import sys

from stockkeeper.command_line.exit_status import EXIT_INTERRUPTED, EXIT_USAGE
from stockkeeper.command_line.hidden_arguments import hide_password

EXTRAS = {
    "trio": "simulation",
    "apsw": "power-cut",
    "asyncpg": "postgres",
    "scramp": "postgres",
    "aio_pika": "events",
    "nats": "events",
    "joserfc": "tokens",
}  # all else belongs to `server`
# What modules make while they load stays, and a server makes 180,000 objects of that kind: with Python's own threshold
# of 700 the collector walks through them 250 times, which takes a tenth of a second of each start.
YOUNG_OBJECTS_MAX = 250_000
OURS = ("stockkeeper", "actors", "cells", "storage", "supervisor", "rpc", "events", "simulation")


def main() -> None:
    """The entry point of the `stockkeeper` program."""
    gc.set_threshold(YOUNG_OBJECTS_MAX)
    hide_password()
    try:
        _run()
    except KeyboardInterrupt:  # while modules load; the commands have their own ends
        sys.exit(EXIT_INTERRUPTED)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if not missing or missing in OURS:
            raise
        extra = EXTRAS.get(missing, "server")
        sys.stderr.write(f"stockkeeper needs {missing} for this: install stockkeeper[{extra}]\n")
        sys.exit(EXIT_USAGE)


def _run() -> None:
    from stockkeeper.serving.grpc_settings import apply_grpc_settings

    apply_grpc_settings()  # before anything imports grpc
    # Only now, since it takes time: until here `ps` may show a password.
    from stockkeeper.command_line.cli import main as run_command_line

    run_command_line()


if __name__ == "__main__":
    main()
