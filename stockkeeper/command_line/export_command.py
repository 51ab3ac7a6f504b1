"""`stockkeeper export`: an organization's stock as a CSV file that `stockkeeper import` reads."""

import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import NamedTuple, TextIO

from stockkeeper_client import InventoryClient
from stockkeeper_client.v1.stock_pb2 import ImportLine

from actors.bounds import IMPORT_LINES_MAX
from stockkeeper.command_line.output import counted, fail, to_json
from stockkeeper.command_line.parameters import DEFAULT_TARGET, Json, Target
from stockkeeper.command_line.progress import Counting
from stockkeeper.command_line.server_call import call
from stockkeeper.stock_csv_writing import CountedLinesFile
from stockkeeper.whole_file import whole_file

TIMEOUT_S = 3_600.0


class Exported(NamedTuple):
    """How many rows were written, and how many could not be."""

    written: int
    left_out: int


def export(
    organization_id: str,
    file: Path | None = None,
    /,
    *,
    prefix: str = "",
    warehouse: str = "",
    json: Json = False,
    target: Target = DEFAULT_TARGET,
) -> int:
    """Write an organization's stock as the CSV that import reads.

    Importing it at once changes nothing.

    Parameters
    ----------
    file
        Where it goes; stdout by default. A file that is there is replaced once the new one is whole.
    prefix
        Only variants whose id begins so.
    warehouse
        Only this warehouse.
    """

    async def run(client: InventoryClient) -> int:
        write = _write_json if json else _write_csv
        lines = client.stock.export_stock(
            organization_id, variant_prefix=prefix, warehouse_id=warehouse, timeout_s=TIMEOUT_S
        )
        is_out_of_sight = file is not None or not sys.stdout.isatty()
        async with aclosing(lines):
            with _opened(file) as opened, Counting("rows", is_shown=is_out_of_sight) as counting:
                exported = await write(opened, counting.counted(lines))
                if not exported.written:
                    raise _Nothing  # a file that is there stays
        return _report(file, exported, as_json=json)

    try:
        return call(target, run)
    except _Nothing:
        return fail(f"{organization_id} has no such stock.")
    except OSError as error:
        if file is None:
            raise
        return fail(f"{file} cannot be written: {error.strerror}.")


class _Nothing(Exception):
    """There is nothing to write."""


@contextmanager
def _opened(file: Path | None) -> Iterator[TextIO]:
    if file is not None:
        with whole_file(file) as opened:
            yield opened
        return
    sys.stdout.reconfigure(encoding="utf-8", newline="")  # type: ignore[union-attr] # it is a TextIOWrapper
    yield sys.stdout
    sys.stdout.flush()


async def _write_csv(opened: TextIO, lines: AsyncIterator[ImportLine]) -> Exported:
    file, left_out = CountedLinesFile(opened), 0
    async for line in lines:
        if not file.write(line):
            left_out += 1
            fail(f"Left out: {line.variant_id!r}@{line.warehouse_id!r}, since import takes blanks off the ends of ids.")
    return Exported(file.lines, left_out)


async def _write_json(opened: TextIO, lines: AsyncIterator[ImportLine]) -> Exported:
    written = 0
    async for line in lines:
        opened.write(f"{to_json(line)}\n")
        written += 1
    return Exported(written, 0)


def _report(file: Path | None, exported: Exported, *, as_json: bool) -> int:
    """Say on stderr what became of it. Returns the exit status."""
    if exported.written > IMPORT_LINES_MAX and not as_json:
        fail(f"One import takes {IMPORT_LINES_MAX:,} rows, and this has more: export by --warehouse or --prefix.")
    if file is not None:
        sys.stderr.write(f"{file} has {counted(exported.written, 'row')}.\n")
    return 1 if exported.left_out else 0
