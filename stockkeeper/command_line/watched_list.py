"""Lists that are shown again whenever something has changed (`--watch`).

A stream of everything that happens in the organization says when to look again. The list itself is asked for as it is
without `--watch`, so there is one way to make it, and it tells whether the server is there. A terminal is cleared
before each look. In a pipe a list that is the same as before is not printed again.
"""

import sys
from collections.abc import Awaitable, Callable
from contextlib import aclosing, redirect_stderr, redirect_stdout
from io import StringIO

import anyio
import grpc
import grpc.aio
from stockkeeper_client import InventoryClient

from actors.exceptions import leaves
from stockkeeper.command_line.output import end_without_a_reader, flush
from stockkeeper.command_line.server_call import Call

PAUSE_S = 0.5  # between two looks, at least: a hot row changes a thousand times a second
COMES_BACK = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.UNAUTHENTICATED)  # the latter with the next token
CLEAR = "\x1b[H\x1b[2J\x1b[3J"

Look = Callable[[], Awaitable[int]]


def watched(organization_id: str, run: Call) -> Call:
    """The same list again and again, until it is interrupted. While the server is away, it is waited for.

    Args:
        run: asks for the list and prints it.
    """

    async def run_again(client: InventoryClient) -> int:
        listener = _ListChanges(client, organization_id)
        show = _redraw if sys.stdout.isatty() else _Lines().print_again
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(listener.listen)
                while True:
                    await listener.change()
                    await _look(lambda: run(client), show, listener)
                    await anyio.sleep(PAUSE_S)
        except ExceptionGroup as group:
            raise next(leaves(group)) from None
        raise AssertionError("it has no end of its own")

    return run_again


class _ListChanges:
    """Hears that something has changed, or that the server was away: then it is looked again too."""

    def __init__(self, client: InventoryClient, organization_id: str) -> None:
        self._client = client
        self._organization_id = organization_id
        self._token = ""
        self._has_changed = anyio.Event()
        self.is_told = False
        """Whether the user knows that the server is away."""

    def __repr__(self) -> str:
        return f"<_ListChanges to {self._organization_id} changed={self._has_changed.is_set()}>"

    def statistics(self) -> bool:
        """Whether there is a change that was not looked at."""
        return self._has_changed.is_set()

    async def change(self) -> None:
        await self._has_changed.wait()
        self._has_changed = anyio.Event()

    def look_again(self) -> None:
        self._has_changed.set()

    async def listen(self) -> None:
        """Raises AioRpcError if there is no server in the beginning."""
        while True:
            try:
                await self._hear()
            except grpc.aio.AioRpcError as error:
                if not self._token or error.code() not in COMES_BACK:
                    raise
            self.look_again()
            await anyio.sleep(PAUSE_S)

    async def _hear(self) -> None:
        changes = self._client.stock.watch_changes(self._organization_id, token=self._token, resume=False)
        async with aclosing(changes) as messages:
            async for message in messages:  # the first comes at once, so that nothing is missed before the first look
                end_without_a_reader()
                self._token = message.token or self._token
                self.look_again()


async def _look(look: Look, show: Callable[[Look], Awaitable[None]], listener: _ListChanges) -> None:
    try:
        await show(look)
    except grpc.aio.AioRpcError as error:
        if error.code() is not grpc.StatusCode.UNAVAILABLE:
            raise
        if not listener.is_told:
            sys.stderr.write("The server does not answer; the list is shown again when it does.\n")
            sys.stderr.flush()
        listener.is_told = True
        listener.look_again()
    else:
        listener.is_told = False


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
