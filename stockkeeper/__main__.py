"""The `stockkeeper` command, also as `python -m stockkeeper`."""

from stockkeeper.command_line.cli import main as run_command_line
from stockkeeper.serving.grpc_settings import apply_grpc_settings


def main() -> None:
    """The entry point of the `stockkeeper` program."""
    apply_grpc_settings()
    run_command_line()


if __name__ == "__main__":
    main()
