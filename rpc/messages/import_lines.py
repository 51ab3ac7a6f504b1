"""The lines of an import, checked as they stream in. All bad ones are named, not only the first."""

from collections.abc import Iterator, Sequence

from msgspec import UNSET
from stockkeeper_client.v1 import stock_pb2

from actors.bounds import IMPORT_LINES_MAX, LINE_ERRORS_MAX
from actors.commands import CountedLine
from actors.outcomes import ImportRejected, Refused, RefusedLine
from actors.staged_rows import Repeat
from rpc.messages.rules import (
    FIGURE_RULE,
    ID_RULE,
    NEW_ID_RULE,
    NOTE_RULE,
    Invalid,
    Violation,
    is_id,
    is_new_id,
    is_note,
)

LINES_A_TURN = 125  # about 0.5 ms of work


class ImportLines:
    """Makes lines of the messages of a stream, at most IMPORT_LINES_MAX, and holds them until they are taken."""

    def __init__(self) -> None:
        self.request_id = ""
        self._lines: list[CountedLine] = []
        self._line_numbers: dict[tuple[str, str, str], int] = {}  # of the lines that are held
        self._errors: list[RefusedLine] = []
        self._errors_total = 0
        self._place = 0
        self._lines_total: int | None = None

    def __repr__(self) -> str:
        return f"<ImportLines {self.request_id} lines={self._place} bad={self._errors_total}>"

    def add(self, request: stock_pb2.ImportStockRequest) -> Iterator[None]:
        """Take in one message of the stream, LINES_A_TURN lines with each step of the iterator that it returns.

        Raises:
            Invalid: the request id is missing or not that of the first message, there are too many lines, or the
                stream had said that it was over.
        """
        self._take_request_id(request.request_id)
        if self._lines_total is not None:
            raise Invalid([Violation("lines_total", "must be given in the last message alone")])
        if request.HasField("lines_total"):
            self._lines_total = request.lines_total
        if self._place + len(request.lines) > IMPORT_LINES_MAX:
            raise Invalid([Violation("lines", f"an import must have at most {IMPORT_LINES_MAX} lines")])
        for line in request.lines:
            self._place += 1
            self._take_line(line)
            if self._place % LINES_A_TURN == 0:
                yield

    @property
    def held(self) -> int:
        """How many good lines were not taken yet."""
        return len(self._lines)

    def taken(self) -> tuple[CountedLine, ...]:
        """The good lines that have come since the last time."""
        lines, self._lines = tuple(self._lines), []
        self._line_numbers = {}
        return lines

    def refuse_repeats(self, repeats: Sequence[Repeat]) -> None:
        """Of lines that were taken, these name rows that earlier ones have named."""
        for one in repeats:
            self._refuse(one.line_number, _repeated(one.earlier_line_number))

    def check(self) -> None:
        """See that all is well, once the stream has ended.

        Raises:
            Invalid: there was not one message, or not all of them came.
            Refused: some lines are bad.
        """
        if not self.request_id:
            raise Invalid([Violation("request_id", ID_RULE)])
        if self._lines_total != self._place:
            said = "did not come" if self._lines_total is None else f"is {self._lines_total}"
            text = f"must be given in the last message; {self._place} lines came, and it {said}"
            raise Invalid([Violation("lines_total", text)], "IMPORT_INCOMPLETE")
        if self._errors:
            errors = sorted(self._errors, key=lambda error: error.line_number)
            raise Refused(ImportRejected(tuple(errors), self._errors_total))

    def _take_request_id(self, request_id: str) -> None:
        if not self.request_id:
            if not is_id(request_id):
                raise Invalid([Violation("request_id", ID_RULE)])
            self.request_id = request_id
        elif request_id not in ("", self.request_id):
            raise Invalid([Violation("request_id", "must be that of the stream's first message, or empty")])

    def _take_line(self, line: stock_pb2.ImportLine) -> None:
        line_number = line.line_number if line.line_number > 0 else self._place
        faults = list(_faults(line))
        key = (line.organization_id, line.variant_id, line.warehouse_id)
        if key in self._line_numbers:
            faults.append(_repeated(self._line_numbers[key]))
        else:
            self._line_numbers[key] = line_number
        if faults:
            self._refuse(line_number, "; ".join(faults))
            return
        self._lines.append(counted_line(line, line_number))

    def _refuse(self, line_number: int, reason: str) -> None:
        self._errors_total += 1
        if len(self._errors) < LINE_ERRORS_MAX:
            self._errors.append(RefusedLine(line_number, reason))


def _repeated(earlier_line_number: int) -> str:
    return f"is the same row as line {earlier_line_number}"


def counted_line(line: stock_pb2.ImportLine, line_number: int) -> CountedLine:
    """The line as the core takes it: a figure that is not given is None."""
    return CountedLine(
        line.organization_id,
        line.variant_id,
        line.warehouse_id,
        line.warehouse_name,
        line.total_quantity if line.HasField("total_quantity") else None,
        line.damaged_quantity if line.HasField("damaged_quantity") else None,
        line.in_transit_quantity if line.HasField("in_transit_quantity") else None,
        line.min_stock if line.HasField("min_stock") else None,
        line.max_stock if line.HasField("max_stock") else None,
        line_number,
        line.reorder_point if line.HasField("reorder_point") else UNSET,
    )


def _faults(line: stock_pb2.ImportLine) -> Iterator[str]:
    if not is_new_id(line.organization_id):
        yield f"organization_id {NEW_ID_RULE}"
    if not is_new_id(line.variant_id):
        yield f"variant_id {NEW_ID_RULE}"
    if not is_new_id(line.warehouse_id):
        yield f"warehouse_id {NEW_ID_RULE}"
    if not is_note(line.warehouse_name):
        yield f"warehouse_name {NOTE_RULE}"
    yield from _figure_faults(line)


def _figure_faults(line: stock_pb2.ImportLine) -> Iterator[str]:
    """What is wrong with the figures that are given. The row judges them together with those that it has."""
    damaged, in_transit = line.damaged_quantity, line.in_transit_quantity  # 0 where they are not given
    if line.total_quantity < 0:
        yield f"total_quantity {FIGURE_RULE}"
    if damaged < 0:
        yield f"damaged_quantity {FIGURE_RULE}"
    if in_transit < 0:
        yield f"in_transit_quantity {FIGURE_RULE}"
    away = max(damaged, 0) + max(in_transit, 0)
    if line.HasField("total_quantity") and 0 <= line.total_quantity < away:
        yield "damaged_quantity and in_transit_quantity must not exceed total_quantity together"
    if line.min_stock < 0:
        yield f"min_stock {FIGURE_RULE}"
    if line.max_stock < 0:
        yield f"max_stock {FIGURE_RULE}"
    if line.reorder_point < 0:
        yield f"reorder_point {FIGURE_RULE}"
    if 0 < line.max_stock < line.min_stock:
        yield "min_stock must not exceed max_stock"
