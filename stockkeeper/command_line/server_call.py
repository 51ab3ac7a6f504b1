"""Calls the server for a command, and turns what it refuses into a sentence and an exit status."""

import sys
from collections.abc import Awaitable, Callable, Sequence

import anyio
import grpc
from stockkeeper_client import InventoryClient
from stockkeeper_client.channel import is_on_this_machine
from stockkeeper_client.errors import ErrorDetails, LineError, error_details

from actors.bounds import LINE_ERRORS_MAX
from stockkeeper.command_line.exit_status import EXIT_INTERRUPTED
from stockkeeper.command_line.output import counted, fail
from stockkeeper.server_address import HTTPS, ServerAddress

TIMEOUT_S = 10.0
CONNECT_TIMEOUT_S = 5.0

MAY_BE_DONE = "It may have been done all the same. To find out, run it again"
REPEATABLE = f"{MAY_BE_DONE}: it changes nothing twice."

# What gRPC itself says when no answer came.
NO_ANSWER = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED)
FAILURES = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.INTERNAL)  # of the server, which may come after the change

Call = Callable[[InventoryClient], Awaitable[int]]


def call(target: str, run: Call, *, again: str = "") -> int:
    """Run a command against the server. Returns its exit status, or 1 with a sentence on stderr.

    Args:
        target: the server, as host:port, or https://host:port with TLS.
        run: makes the calls and prints their answers.
        again: of a command that changes something: how to find out whether it did.

    Raises:
        ConfigurationError: the target is none.
    """
    server = ServerAddress(target)
    doubt = ""  # what is to be said if the answer is lost

    async def connected() -> int:
        nonlocal doubt
        async with server.client(TIMEOUT_S) as client:
            if await _connects(client.channel):
                doubt = again
            return await run(client)

    try:
        return anyio.run(connected)
    except grpc.aio.AioRpcError as error:
        return explain(error, target, doubt)
    except KeyboardInterrupt:
        if doubt:
            sys.stderr.write(f"Interrupted. {doubt}\n")
        return EXIT_INTERRUPTED


async def _connects(channel: grpc.aio.Channel) -> bool:
    """Whether the first attempt to connect succeeds: if it does not, nothing was sent."""
    state = channel.get_state(try_to_connect=True)
    with anyio.move_on_after(CONNECT_TIMEOUT_S):
        while state in (grpc.ChannelConnectivity.IDLE, grpc.ChannelConnectivity.CONNECTING):
            await channel.wait_for_state_change(state)
            state = channel.get_state(try_to_connect=True)
    return state is grpc.ChannelConnectivity.READY


def explain(error: grpc.aio.AioRpcError, target: str, doubt: str = "") -> int:
    """Say on stderr why there is no answer, or an unwelcome one. Returns the exit status 1.

    Args:
        error: how the call ended.
        target: the server that was called.
        doubt: what is said if the call may have been carried out all the same.
    """
    details = error_details(error)
    if details.line_errors:
        cells = details.metadata.get("imported_cells", "").split()
        return refuse_lines(details.line_errors, details.line_errors_total, cells)
    if error.code() in NO_ANSWER and not details.reason:
        return fail(_no_answer(error, target, doubt))
    in_doubt = [doubt] if doubt and error.code() in FAILURES and details.reason != "OVERLOADED" else []
    return fail("\n".join([*_sentences(error, details), *in_doubt]))


def _no_answer(error: grpc.aio.AioRpcError, target: str, doubt: str) -> str:
    if doubt:
        return f"The server at {target} does not answer any more. {doubt}"
    if is_on_this_machine(target) and not target.startswith(HTTPS):
        return f"No server answers at {target}. Start one with: stockkeeper serve"
    return f"No server answers at {target}: {error.details() or error.code().name}"


def _sentences(error: grpc.aio.AioRpcError, details: ErrorDetails) -> list[str]:
    if details.field_violations:  # the status has the first of them as its message
        return [f"{violation.field}: {violation.description}" for violation in details.field_violations]
    conditions = [f"  {it.subject}: {it.description}" for it in details.precondition_violations]
    return [error.details() or error.code().name, *conditions]


def refuse_lines(errors: Sequence[LineError], errors_total: int, imported_cells: Sequence[str] = ()) -> int:
    """Name the bad lines of an import on stderr. Returns the exit status 1.

    Args:
        imported_cells: have imported their lines all the same.
    """
    for error in errors[:LINE_ERRORS_MAX]:
        place = f"line {error.line_number}: " if error.line_number else ""
        sys.stderr.write(f"{place}{error.reason}\n")
    more = errors_total - min(len(errors), LINE_ERRORS_MAX)
    if more > 0:
        sys.stderr.write(f"… and {more} more\n")
    cells = " and ".join(imported_cells)
    done = f"Only what is in {cells} was imported" if cells else "Nothing was imported"
    return fail(f"{done}: {counted(errors_total, 'bad line')}.")


def under_request_id(request_id: str) -> str:
    """How to find out about a change that carries a request id."""
    return f"{MAY_BE_DONE}, with --request-id {request_id}: it changes nothing twice."
