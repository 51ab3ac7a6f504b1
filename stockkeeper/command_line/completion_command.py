"""`stockkeeper completion`: what makes a shell complete the program's commands and options."""

from typing import Literal

from stockkeeper.command_line.cli import app
from stockkeeper.command_line.output import say


def completion(shell: Literal["bash", "zsh", "fish"], /) -> int:
    """Print the script that completes commands and options in a shell.

    For bash it belongs into ~/.local/share/bash-completion/completions/stockkeeper, for fish into
    ~/.config/fish/completions/stockkeeper.fish, and for zsh into a file _stockkeeper in a directory of $fpath.

    Parameters
    ----------
    shell
        bash, zsh or fish.
    """
    say(app.generate_completion(shell=shell).rstrip("\n"))
    return 0
