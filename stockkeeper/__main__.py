"""The `stockkeeper` command, also as `python -m stockkeeper`."""

from stockkeeper.command_line.hidden_arguments import hide_password


def main() -> None:
    """The entry point of the `stockkeeper` program."""
    hide_password()
    # Only now, since it takes time: until here `ps` may show a password.
    from stockkeeper.command_line.cli import main as run_command_line
    from stockkeeper.serving.grpc_settings import apply_grpc_settings

    apply_grpc_settings()
    run_command_line()


if __name__ == "__main__":
    main()
