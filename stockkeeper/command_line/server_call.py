"""Calls the server for a command, and turns what it refuses into a sentence and an exit status."""

import re
import sys
from collections.abc import Awaitable, Callable, Sequence

import anyio
import grpc
from stockkeeper_client import InventoryClient
from stockkeeper_client.errors import ErrorDetails, LineError, error_details

from actors.bounds import LINE_ERRORS_MAX
from stockkeeper.command_line.output import counted, fail
from stockkeeper.config import ConfigurationError

TIMEOUT_S = 10.0

Call = Callable[[InventoryClient], Awaitable[int]]


def call(target: str, run: Call) -> int:
    """Run a command against the server. Returns its exit status, or 1 with a sentence on stderr.

    Raises:
        ConfigurationError: the target is none.
    """
    host, port = parse_target(target)

    async def connected() -> int:
        async with InventoryClient(host, port, timeout_s=TIMEOUT_S, breaker=False) as client:
            return await run(client)

    try:
        return anyio.run(connected)
    except grpc.aio.AioRpcError as error:
        return explain(error, target)


def explain(error: grpc.aio.AioRpcError, target: str) -> int:
    """Say on stderr why the server turned a call down. Returns the exit status 1."""
    details = error_details(error)
    if details.line_errors:
        return refuse_lines(details.line_errors, details.line_errors_total)
    if error.code() is grpc.StatusCode.UNAVAILABLE and not details.reason:
        return fail(f"No server answers at {target}. Start one with: stockkeeper serve")
    return fail("\n".join(_sentences(error, details)))


def _sentences(error: grpc.aio.AioRpcError, details: ErrorDetails) -> list[str]:
    if details.field_violations:  # the status has the first of them as its message
        return [f"{violation.field}: {violation.description}" for violation in details.field_violations]
    conditions = [f"  {it.subject}: {it.description}" for it in details.precondition_violations]
    return [error.details() or error.code().name, *conditions]


def refuse_lines(errors: Sequence[LineError], errors_total: int) -> int:
    """Name the bad lines of an import on stderr. Returns the exit status 1."""
    for error in errors[:LINE_ERRORS_MAX]:
        place = f"line {error.line_number}: " if error.line_number else ""
        sys.stderr.write(f"{place}{error.reason}\n")
    more = errors_total - min(len(errors), LINE_ERRORS_MAX)
    if more > 0:
        sys.stderr.write(f"… and {more} more\n")
    return fail(f"Nothing was imported: {counted(errors_total, 'bad line')}.")


def parse_target(target: str) -> tuple[str, int]:
    """The host and the port of `host:port`.

    Raises:
        ConfigurationError: it is none.
    """
    host, _, port = target.rpartition(":")
    if not host or not re.fullmatch("[0-9]{1,5}", port) or not 1 <= int(port) <= 65_535:
        raise ConfigurationError(f"The target must be host:port, with a port from 1 to 65535, not {target!r}.")
    return host.strip("[]"), int(port)
