"""What the commands print: a table for a person, lines of tab-separated values in a pipe, or JSON Lines.

A table never cuts what it shows. Where the terminal is too narrow it leaves out whole columns, those it can do
without first, and says so; then it wraps. Rows are printed as they come, but for the first thousand on a terminal:
a table needs them to know its widths. Longer lists go on without it, since rich takes 0.7 ms for a row.
"""

import errno
import os
import select
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Literal, NamedTuple, TypeVar, cast

import msgspec
from google.protobuf import message as protobuf
from google.protobuf.json_format import MessageToDict
from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from stockkeeper_client.v1.protobuf import Message

from stockkeeper.command_line.exit_status import EXIT_FAILURE

STDOUT = 1
TABLE_ROWS_MAX = 1_000
LINES_A_WRITE = 500
SPACES_BETWEEN = 2  # columns, as the table below has it

Row = TypeVar("Row", bound=Message)


class Column(NamedTuple):
    """A column of a list. `need` 0 is always shown; of the others, those with the highest number go first.

    Args:
        heading: for a person; in a pipe it is in lower case, with underscores.
        need: how easily it is left out.
        justify: where its values stand.
        width_min: how narrow it may become before it is left out; 0: its values are not wrapped.
    """

    heading: str
    need: int = 0
    justify: Literal["left", "right"] = "left"
    width_min: int = 0


def say(line: str) -> None:
    """Print a line."""
    sys.stdout.write(f"{line}\n")


def flush() -> None:
    """Let a reader see what was printed. One that is gone shows itself here."""
    sys.stdout.flush()


def end_without_a_reader() -> None:
    """End as a write would whose reader is gone, though there is nothing to write: a watch may say nothing for hours.

    Raises:
        BrokenPipeError: the reader of stdout is gone.
    """
    looked = select.poll()
    looked.register(STDOUT, 0)  # that the other end is closed is told without being asked for
    if any(told & select.POLLERR for _, told in looked.poll(0)):
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


def fail(sentence: str) -> int:
    """Say on stderr what went wrong. Returns the exit status 1."""
    sys.stderr.write(f"{sentence}\n")
    return EXIT_FAILURE


def counted(number: int, noun: str) -> str:
    """`1 line`, `2 lines`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def show(answer: Message, lines: Iterable[str], *, as_json: bool) -> int:
    """Print an answer as JSON, or else these lines. Returns the exit status 0."""
    for line in [to_json(answer)] if as_json else lines:
        say(line)
    return 0


def to_json(message: Message) -> str:
    """The message on one line, with the names of the contract and what is empty too."""
    same = cast(protobuf.Message, message)  # for the type checker it is another
    fields = MessageToDict(same, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
    in_order = {field.name: fields[field.name] for field in same.DESCRIPTOR.fields if field.name in fields}
    return msgspec.json.encode(in_order).decode()


async def print_list(
    rows: AsyncIterator[Row],
    columns: Sequence[Column],
    to_cells: Callable[[Row], Sequence[str]],
    rows_max: int,
    *,
    as_json: bool,
    if_empty: str,
) -> int:
    """Print rows as they come. Returns how many there were; that there were none is said on stderr.

    Args:
        rows: what the server has.
        columns: what is shown of a row.
        to_cells: a row's values, one for each column.
        rows_max: how many rows are shown.
        as_json: whether each row is printed as JSON.
        if_empty: what is said if there are no rows.
    """
    first = _First(rows, rows_max)
    console = Console()
    if as_json:
        await _write(to_json(row) async for row in first)
    elif console.is_terminal:
        await _print_for_a_person(console, columns, (to_cells(row) async for row in first))
    else:
        await _write(_tab_separated(columns, (to_cells(row) async for row in first)))
    if first.is_more:
        sys.stderr.write(f"These are the first {rows_max}; --rows shows more.\n")
    if not first.rows:
        sys.stderr.write(f"{if_empty}\n")
    return first.rows


class _First(AsyncIterator[Row]):
    """The first rows, and whether there are more."""

    def __init__(self, rows: AsyncIterator[Row], rows_max: int) -> None:
        self._rows = rows
        self._rows_max = rows_max
        self.rows = 0
        self.is_more = False

    def __repr__(self) -> str:
        return f"<_First rows={self.rows} of at most {self._rows_max}{' and more' if self.is_more else ''}>"

    async def __anext__(self) -> Row:
        row = await anext(self._rows)
        if self.rows == self._rows_max:
            self.is_more = True
            raise StopAsyncIteration
        self.rows += 1
        return row


async def _print_for_a_person(console: Console, columns: Sequence[Column], rows: AsyncIterator[Sequence[str]]) -> None:
    table: list[Sequence[str]] = []
    async for cells in rows:
        table.append(cells)
        if len(table) > TABLE_ROWS_MAX:
            await _write(_tab_separated(columns, _chained(table, rows)))
            return
    if table:
        sys.stdout.write(render(console, columns, table))


async def _chained(begin: Iterable[Sequence[str]], rest: AsyncIterator[Sequence[str]]) -> AsyncIterator[Sequence[str]]:
    for cells in begin:
        yield cells
    async for cells in rest:
        yield cells


async def _tab_separated(columns: Sequence[Column], rows: AsyncIterator[Sequence[str]]) -> AsyncIterator[str]:
    """No value has a tab: the service takes no control characters."""
    is_first = True
    async for cells in rows:
        if is_first:
            yield "\t".join(column.heading.lower().replace(" ", "_") for column in columns)
            is_first = False
        yield "\t".join(cells)


async def _write(lines: AsyncIterator[str]) -> None:
    some: list[str] = []
    async for line in lines:
        some.append(line)
        if len(some) == LINES_A_WRITE:
            _flush(some)
    _flush(some)


def _flush(lines: list[str]) -> None:
    sys.stdout.writelines([f"{line}\n" for line in lines])
    sys.stdout.flush()  # a reader that is gone shows itself here
    lines.clear()


def render(console: Console, columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> str:
    """A table of these rows that is no wider than the console.

    Example:
        >>> print(render(Console(width=80), [Column("Variant"), Column("Total", justify="right")], [("mug", "12")]))
    """
    widths = [max(map(cell_len, (column.heading, *cells))) for column, *cells in zip(columns, *rows, strict=True)]
    chosen = _columns_that_fit(columns, widths, console.width)
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for place, width in zip(chosen, _shared(columns, widths, chosen, console.width), strict=True):
        column = columns[place]
        table.add_column(column.heading, justify=column.justify, overflow="fold", width=width)
    for cells in rows:
        table.add_row(*[escape(cells[place]) for place in chosen])
    with console.capture() as captured:
        console.print(table)
    left_out = [column.heading for place, column in enumerate(columns) if place not in chosen]
    hint = f"Not shown in {console.width} columns: {', '.join(left_out)}. --json shows all.\n" if left_out else ""
    return captured.get() + hint


def _columns_that_fit(columns: Sequence[Column], widths: Sequence[int], width: int) -> list[int]:
    chosen = list(range(len(columns)))
    while _width(columns, widths, chosen) > width:
        place = max(chosen, key=lambda place: columns[place].need)
        if columns[place].need == 0:
            break
        chosen.remove(place)
    return chosen


def _width(columns: Sequence[Column], widths: Sequence[int], chosen: Sequence[int]) -> int:
    """How wide these columns are at least."""
    return sum(_narrowest(columns, widths, chosen)) + SPACES_BETWEEN * (len(chosen) - 1)


def _narrowest(columns: Sequence[Column], widths: Sequence[int], chosen: Sequence[int]) -> list[int]:
    return [min(widths[place], columns[place].width_min or widths[place]) for place in chosen]


def _shared(columns: Sequence[Column], widths: Sequence[int], chosen: Sequence[int], width: int) -> list[int]:
    """How wide each column is: columns that can be narrow take what is left, and all give way where nothing is."""
    shared = _narrowest(columns, widths, chosen)
    left = width - SPACES_BETWEEN * (len(chosen) - 1) - sum(shared)
    for number, place in enumerate(chosen):
        more = max(0, min(left, widths[place] - shared[number]))
        shared[number] += more
        left -= more
    while left < 0 and max(shared) > 1:
        shared[shared.index(max(shared))] -= 1
        left += 1
    return shared
