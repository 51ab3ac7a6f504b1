"""Lists that are shown again whenever something has changed (`--watch`).

A stream of everything that happens in the organization says when to look again. The list itself is asked for as it is
without `--watch`, so there is one way to make it. A terminal is cleared before each look. In a pipe a list that is the
same as before is not printed again.
"""

import sys
from collections.abc import Awaitable, Callable
from contextlib import aclosing, redirect_stderr, redirect_stdout
from io import StringIO

import anyio
from stockkeeper_client import InventoryClient

from stockkeeper.command_line.output import flush
from stockkeeper.command_line.server_call import Call

PAUSE_S = 0.5  # between two looks, at least: a hot row changes a thousand times a second
CLEAR = "\x1b[H\x1b[2J\x1b[3J"

Look = Callable[[], Awaitable[int]]


def watched(organization_id: str, run: Call) -> Call:
    """The same list again and again, until it is interrupted or the server ends.

    Args:
        run: asks for the list and prints it.
    """

    async def run_again(client: InventoryClient) -> int:
        show = _redraw if sys.stdout.isatty() else _Lines().print_again
        has_changed = anyio.Event()

        async def listen() -> None:
            changes = client.stock.watch_changes(organization_id, resume=False)
            async with aclosing(changes) as messages:
                async for _ in messages:  # the first comes at once, so that nothing is missed before the first look
                    has_changed.set()

        async def look_again() -> None:
            nonlocal has_changed
            while True:
                await has_changed.wait()
                has_changed = anyio.Event()
                await show(lambda: run(client))
                await anyio.sleep(PAUSE_S)

        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(listen)
                await look_again()
        except ExceptionGroup as group:
            raise _first_of(group) from None
        return 0

    return run_again


def _first_of(group: ExceptionGroup[Exception]) -> Exception:
    first = group.exceptions[0]
    return _first_of(first) if isinstance(first, ExceptionGroup) else first


async def _redraw(look: Look) -> None:
    sys.stdout.write(CLEAR)
    await look()
    flush()


class _Lines:
    """What was printed last, so that it is not printed twice."""

    def __init__(self) -> None:
        self._printed = ("", "")

    def __repr__(self) -> str:
        return f"<_Lines {len(self._printed[0])} characters>"

    async def print_again(self, look: Look) -> None:
        out, err = StringIO(), StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            await look()
        said = out.getvalue(), err.getvalue()
        if said != self._printed:
            self._printed = said
            sys.stderr.write(said[1])
            sys.stdout.write(said[0])
            flush()
