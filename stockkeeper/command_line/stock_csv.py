"""The CSV files that `stockkeeper import` reads.

The columns `organization_id, variant_id, warehouse_id, total_quantity` are needed, in any order;
`warehouse_name, damaged_quantity, in_transit_quantity, min_stock, max_stock` may be missing or empty. Every bad
line is found, not only the first.
"""

import csv
from collections.abc import Iterable, Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import NamedTuple

from stockkeeper_client.v1 import stock_pb2 as pb

from actors.outcomes import ImportRejected, LineError, Refused
from rpc.messages.import_lines import ImportLines
from rpc.messages.rules import Invalid

NEEDED = ("organization_id", "variant_id", "warehouse_id", "total_quantity")
TEXTS = ("organization_id", "variant_id", "warehouse_id", "warehouse_name")
FIGURES = ("total_quantity", "damaged_quantity", "in_transit_quantity", "min_stock", "max_stock")

SAMPLE_ORGANIZATION = "demo"


class CountedLines(NamedTuple):
    """The good lines of a file, and what is wrong with the others, of which not all may be in `errors`."""

    lines: list[pb.ImportLine]
    errors: list[LineError]
    errors_total: int


class BadHeader(Exception):
    """The file's first line does not name the columns. The text is one sentence for the user."""


def sample_file() -> Traversable:
    """The stock that `make run` begins with."""
    return files("stockkeeper") / "sample_stock.csv"


def read_counted_lines(file: Iterable[str]) -> CountedLines:
    """Read a file and check all that can be checked without the stock.

    Raises:
        BadHeader: columns are missing or unknown.
    """
    reader = csv.reader(file)
    header = [name.strip() for name in next(reader, [])]
    if header:
        header[0] = header[0].removeprefix("\ufeff")
    _check_header(header)
    lines: list[pb.ImportLine] = []
    errors: list[LineError] = []
    try:
        for values in reader:
            if not values:
                continue  # an empty line, which spreadsheets leave at the end
            line, reasons = _parse(header, values, reader.line_num)
            if reasons:
                errors.append(LineError(reader.line_num, "; ".join(reasons)))
            else:
                lines.append(line)
    except csv.Error as error:
        errors.append(LineError(reader.line_num, f"is not CSV: {error}"))
    faults, faults_total = _faults_of(lines)
    errors_total = len(errors) + faults_total
    return CountedLines(lines, sorted([*errors, *faults], key=lambda error: error.line_number), errors_total)


def _check_header(header: list[str]) -> None:
    missing = [name for name in NEEDED if name not in header]
    if missing:
        raise BadHeader(f"The file's first line must name its columns; {', '.join(missing)} is missing.")
    unknown = [name for name in header if name not in (*TEXTS, *FIGURES)]
    if unknown:
        raise BadHeader(f"The file has columns that are not known: {', '.join(map(repr, unknown))}.")
    if len(set(header)) < len(header):
        raise BadHeader("The file names a column twice.")


def _parse(header: list[str], values: list[str], line_number: int) -> tuple[pb.ImportLine, list[str]]:
    line = pb.ImportLine(line_number=line_number)
    if len(values) != len(header):
        return line, [f"has {len(values)} values and not {len(header)}"]
    reasons = []
    for name, value in zip(header, values, strict=True):
        text = value.strip()
        if name in TEXTS:
            setattr(line, name, text)
        elif text or name in NEEDED:
            try:
                setattr(line, name, int(text))
            except ValueError:
                reasons.append(f"{name} must be a whole number up to 2,147,483,647, not {text!r}")
    return line, reasons


def _faults_of(lines: list[pb.ImportLine]) -> tuple[Sequence[LineError], int]:
    """What the server would find wrong with these lines, and with how many: the same code looks at them here."""
    checker = ImportLines()
    try:
        for _ in checker.add(pb.ImportStockRequest(request_id="check", lines=lines, lines_total=len(lines))):
            pass
        checker.command()
    except Refused as refused:
        assert isinstance(refused.refusal, ImportRejected), refused
        return refused.refusal.errors, refused.refusal.errors_total
    except Invalid as invalid:
        return [LineError(0, violation.description) for violation in invalid.violations], len(invalid.violations)
    return (), 0
