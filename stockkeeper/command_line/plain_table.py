"""A short table that is there at once: for people on a terminal, and lines of tab-separated values in a pipe."""

from collections.abc import Sequence

from rich.console import Console

from stockkeeper.command_line.output import Column, render, say


def show_table(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under their headings; in a pipe without."""
    console = Console()
    if console.is_terminal:
        say(render(console, columns, rows).rstrip("\n"))
        return
    for row in rows:
        say("\t".join(row))
