"""`stockkeeper import`: counted totals from a CSV file, all of it or nothing.

What an interrupt leaves behind depends on the phase. Until all lines are sent the server has not what it needs, and
discards what it has; after that it checks and writes, whether or not its caller waits for the answer.
"""

import io
import shlex
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Annotated, TextIO
from uuid import uuid4

import anyio
import grpc
from cyclopts import Parameter
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from stockkeeper_client.errors import LineError, error_details
from stockkeeper_client.v1 import stock_pb2 as pb

from stockkeeper.command_line.exit_status import EXIT_INTERRUPTED
from stockkeeper.command_line.output import counted, fail, show
from stockkeeper.command_line.parameters import DEFAULT_TARGET, Json, RequestId, Target
from stockkeeper.command_line.server_call import explain, refuse_lines
from stockkeeper.server_address import ServerAddress
from stockkeeper.stock_csv import BadFile, CountedLines, read_counted_lines

CONNECT_TIMEOUT_S = 10.0
TIMEOUT_S = 600.0
LINES_A_STEP = 500

_UNAVAILABLE = grpc.StatusCode.UNAVAILABLE  # the server's own word for it may still mean "perhaps"

CsvFile = Annotated[str, Parameter(allow_leading_hyphen=True)]  # - is stdin


class Phase(Enum):
    """What an import is doing. `DECIDING` is the server's part: it checks the lines against the stock and writes."""

    READING = "Reading"
    SENDING = "Sending"
    DECIDING = "Checking and writing"


def import_(
    file: CsvFile, /, *, target: Target = DEFAULT_TARGET, request_id: RequestId = "", json: Json = False
) -> int:
    """Set stock to counted totals from a CSV file, all of it or nothing; by a router, all or nothing in each cell.

    Parameters
    ----------
    file
        Columns organization_id, variant_id, warehouse_id, total_quantity and, if you like, warehouse_name,
        damaged_quantity, in_transit_quantity, min_stock, max_stock; what is absent or empty stays as it is. A file
        called - is what comes through the pipe.
    """
    work = Work(file, target, request_id or str(uuid4()))
    try:
        counted_lines = work.read()
        if isinstance(counted_lines, int):
            return counted_lines
        answer = anyio.run(work.send, counted_lines.lines)
    except KeyboardInterrupt:
        sys.stderr.write(f"Interrupted. {work.outlook()}\n")
        return EXIT_INTERRUPTED
    except grpc.aio.AioRpcError as error:
        return work.explain(error)
    rows = f"{counted(answer.rows_created, 'row')} created, {answer.rows_changed} changed"
    sentences = [f"{counted(answer.lines, 'line')}: {rows}, {answer.rows_unchanged} unchanged."]
    sentences += [_told(cell) for cell in answer.cells]
    sentences += [f"This is a new organization: {name} had no stock." for name in answer.new_organizations]
    return show(answer, sentences, as_json=json)


class Work:
    """One import, and how far it has come.

    Args:
        file: the path of the file, or - for stdin.
        target: the server.
        request_id: makes it safe to import again.
    """

    def __init__(self, file: str, target: str, request_id: str) -> None:
        self.phase = Phase.READING
        self._file = file
        self._name = "The input" if file == "-" else file
        self._target = target
        self._server = ServerAddress(target)
        self._request_id = request_id
        self._progress = _progress()
        self._bar = self._progress.add_task(self.phase.value, total=None, done="")

    def __repr__(self) -> str:
        return f"<Work {self._file} {self.phase.name} request_id={self._request_id}>"

    def read(self) -> CountedLines | int:
        """The file's lines; the exit status if they are not good, which is said on stderr."""
        try:
            with self._progress, self._opened() as opened:
                lines = read_counted_lines(opened)
        except BadFile as error:
            return fail(str(error))
        except UnicodeDecodeError:
            return fail(f"{self._name} is not UTF-8 text.")
        except OSError as error:
            return fail(f"{self._name} cannot be read: {error.strerror}.")
        if lines.errors:
            return refuse_lines([LineError(it.line_number, it.reason) for it in lines.errors], lines.errors_total)
        return lines

    async def send(self, lines: Sequence[pb.ImportLine]) -> pb.ImportStockResponse:
        """Import these lines.

        Raises:
            grpc.aio.AioRpcError: the server refused them, or its answer did not come; see `explain`.
        """
        with self._progress:
            async with self._server.client(CONNECT_TIMEOUT_S) as client:
                if lines:  # is anybody there? Without an answer to this, nothing was sent
                    await anext(client.stock.list_stock(lines[0].organization_id, page_size=1), None)
                return await client.stock.import_stock(
                    self._each(lines), request_id=self._request_id, timeout_s=TIMEOUT_S
                )

    def explain(self, error: grpc.aio.AioRpcError) -> int:
        """Say on stderr why there is no import, or that it is not known. Returns the exit status 1."""
        if self.phase is Phase.READING or (error_details(error).reason and error.code() is not _UNAVAILABLE):
            return explain(error, self._target)
        what = error.details() if error_details(error).reason else "The server does not answer any more"
        return fail(f"{what}. {self.outlook()}")

    def outlook(self) -> str:
        """What becomes of the import if its caller stops waiting."""
        if self.phase is Phase.READING:
            return "Nothing was imported."
        if self.phase is Phase.SENDING:
            return "Nothing was imported: not all lines were sent."
        target = "" if self._target == DEFAULT_TARGET else f" --target {self._target}"
        return (
            "All lines were sent: the server may have imported them, or may still do so. To find out, run it again "
            "under the same request id, which changes nothing twice:\n"
            f"  stockkeeper import {shlex.quote(self._file)} --request-id {self._request_id}{target}"
        )

    async def _each(self, lines: Sequence[pb.ImportLine]) -> AsyncIterator[pb.ImportLine]:
        self._enter(Phase.SENDING, f"0 of {len(lines):,} lines", len(lines))
        for number, line in enumerate(lines, 1):
            yield line
            if number % LINES_A_STEP == 0:
                self._progress.update(self._bar, completed=number, done=f"{number:,} of {len(lines):,} lines")
        self._enter(Phase.DECIDING, f"{len(lines):,} of {len(lines):,} lines", None)

    def _enter(self, phase: Phase, done: str, total: int | None) -> None:
        self.phase = phase
        self._progress.reset(self._bar, total=total, description=phase.value, done=done)
        self._progress.refresh()

    @contextmanager
    def _opened(self) -> Iterator[TextIO]:
        if self._file == "-":
            yield io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8", newline="")
        else:
            with Path(self._file).open(newline="", encoding="utf-8") as opened:
                yield opened


def _told(cell: pb.CellImport) -> str:
    rows = f"{counted(cell.rows_created, 'row')} created, {cell.rows_changed} changed"
    return f"Cell {cell.cell}: {counted(cell.lines, 'line')}, {rows}, {cell.rows_unchanged} unchanged."


def _progress() -> Progress:
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[done]}"),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
    )
