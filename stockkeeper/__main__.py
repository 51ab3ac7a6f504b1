"""The `stockkeeper` command, also as `python -m stockkeeper`."""

import sys

from stockkeeper.command_line.exit_status import EXIT_USAGE
from stockkeeper.command_line.hidden_arguments import hide_password

EXTRAS = {
    "trio": "simulation",
    "apsw": "power-cut",
    "asyncpg": "postgres",
    "aio_pika": "events",
    "nats": "events",
    "joserfc": "tokens",
}  # all else belongs to `server`
OURS = ("stockkeeper", "actors", "storage", "supervisor", "rpc", "events", "simulation")


def main() -> None:
    """The entry point of the `stockkeeper` program."""
    hide_password()
    try:
        _run()
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
