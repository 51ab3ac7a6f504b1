"""The CSV files that `stockkeeper import` reads, as spreadsheets write them.

The columns `organization_id, variant_id, warehouse_id, total_quantity` are needed, in any order; `warehouse_name,
damaged_quantity, in_transit_quantity, min_stock, max_stock, reorder_point` may be missing or empty, and leave the row
then as it is.
Values are separated by commas, semicolons or tabs. A record may have quoted line breaks and is named by its first line;
blank records and empty values behind the last column are skipped. Every bad record is found, not only the first.
"""

import csv
from collections.abc import Iterable, Iterator, Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from itertools import chain
from typing import NamedTuple

from stockkeeper_client.v1 import stock_pb2 as pb

from actors.bounds import IMPORT_LINES_MAX, LINE_ERRORS_MAX
from actors.outcomes import ImportRejected, Refused, RefusedLine
from rpc.messages.import_lines import ImportLines
from stockkeeper.whole_number import whole_number

NEEDED = ("organization_id", "variant_id", "warehouse_id", "total_quantity")
TEXTS = ("organization_id", "variant_id", "warehouse_id", "warehouse_name")
FIGURES = ("total_quantity", "damaged_quantity", "in_transit_quantity", "min_stock", "max_stock", "reorder_point")
SEPARATORS = ",;\t"

SAMPLE_ORGANIZATION = "demo"


class CountedLines(NamedTuple):
    """The good lines of a file, and what is wrong with the others, of which not all may be in `errors`."""

    lines: list[pb.ImportLine]
    errors: Sequence[RefusedLine]
    errors_total: int


class BadFile(Exception):
    """The file as a whole is no stock file. The text is one sentence for the user."""


class Record(NamedTuple):
    """A record of the file, the line on which it begins, and what is wrong with all that follows there, if anything."""

    line_number: int
    values: list[str]
    fault: str = ""


def sample_file() -> Traversable:
    """The stock that `make run` begins with."""
    return files("stockkeeper") / "sample_stock.csv"


def read_counted_lines(file: Iterable[str]) -> CountedLines:
    """Read a file and check all that can be checked without the stock.

    Args:
        file: its lines, with their ends as they are (`open(…, newline="")`).

    Raises:
        BadFile: columns are missing or unknown, it is not CSV, or it has too many records.
    """
    records = _records(file)
    header = _header(next(records, Record(1, [])))
    lines: list[pb.ImportLine] = []
    errors: list[RefusedLine] = []
    for number, record in enumerate(records, 1):
        if number > IMPORT_LINES_MAX:
            raise BadFile(f"The file has more than {IMPORT_LINES_MAX:,} records, which is the most for one import.")
        line, reasons = _parse(header, record)
        if reasons:
            errors.append(RefusedLine(record.line_number, "; ".join(reasons)))
        else:
            lines.append(line)
    faults, faults_total = _faults_of(lines)
    named = sorted([*errors, *faults], key=lambda error: error.line_number)[:LINE_ERRORS_MAX]
    return CountedLines(lines, named, len(errors) + faults_total)


def _records(file: Iterable[str]) -> Iterator[Record]:
    """All records but the blank ones. Behind what is not CSV, nothing can be read."""
    lines = iter(file)
    first = next(lines, "").removeprefix("\ufeff")
    reader = csv.reader(chain([first], lines), delimiter=_separator(first), strict=True)
    begins_at = 1
    try:
        for values in reader:
            if any(map(str.strip, values)):
                yield Record(begins_at, values)
            begins_at = reader.line_num + 1
    except csv.Error as error:
        yield Record(begins_at, [], _csv_fault(error))


def _separator(first_line: str) -> str:
    """The separator that finds the most columns in the header; a comma if none does."""

    def columns(separator: str) -> int:
        return len(set(NEEDED) & {name.strip(' \r\n"') for name in first_line.split(separator)})

    return max(SEPARATORS, key=columns)


def _csv_fault(error: csv.Error) -> str:
    if "unexpected end of data" in str(error):
        return "a quote is opened in this record and never closed"
    if "field larger than field limit" in str(error):
        return f"a value has more than {csv.field_size_limit():,} characters; a quote may not be closed"
    return f"the record is not CSV: {error}"


def _header(record: Record) -> list[str]:
    if record.fault:
        raise BadFile(f"line {record.line_number}: {record.fault}.")
    header = _without_empty_end([name.strip() for name in record.values], 0)
    missing = [name for name in NEEDED if name not in header]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        raise BadFile(f"The file's first line must name its columns; {', '.join(missing)} {verb} missing.")
    unknown = [name for name in header if name not in (*TEXTS, *FIGURES)]
    if unknown:
        raise BadFile(f"The file has columns that are not known: {', '.join(map(repr, unknown))}.")
    if len(set(header)) < len(header):
        raise BadFile("The file names a column twice.")
    return header


def _without_empty_end(values: list[str], length: int) -> list[str]:
    """The values without the empty ones behind the first `length`."""
    end = len(values)
    while end > length and not values[end - 1].strip():
        end -= 1
    return values[:end]


def _parse(header: list[str], record: Record) -> tuple[pb.ImportLine, list[str]]:
    line = pb.ImportLine(line_number=record.line_number)
    if record.fault:
        return line, [record.fault]
    values = _without_empty_end(record.values, len(header))
    if len(values) != len(header):
        return line, [f"has {len(values)} values and not {len(header)}"]
    reasons = []
    for name, value in zip(header, values, strict=True):
        text = value.strip()
        if name in TEXTS:
            setattr(line, name, text)
        elif text or name in NEEDED:
            try:
                setattr(line, name, whole_number(text))
            except ValueError as error:
                reasons.append(f"{name} {error}")
    return line, reasons


def _faults_of(lines: list[pb.ImportLine]) -> tuple[Sequence[RefusedLine], int]:
    """What the server would find wrong with these lines, and with how many: the same code looks at them here."""
    checker = ImportLines()
    for _ in checker.add(pb.ImportStockRequest(request_id="check", lines=lines, lines_total=len(lines))):
        pass
    try:
        checker.check()
    except Refused as refused:
        assert isinstance(refused.refusal, ImportRejected), refused
        return refused.refusal.errors, refused.refusal.errors_total
    return (), 0
