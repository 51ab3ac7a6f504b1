"""The CSV files that `stockkeeper export` writes: those that `stockkeeper.stock_csv` reads.

Reading takes blanks away at the ends of every value. So the name of a warehouse that has some is left out, which leaves
it as it is, and a row whose id has some, as an older version made them, cannot be written: it would be read as another.
"""

import csv
from typing import TextIO

from stockkeeper_client.v1 import stock_pb2 as pb

from stockkeeper.stock_csv import FIGURES, TEXTS

COLUMNS = (*TEXTS, *FIGURES)


class CountedLinesFile:
    """Writes lines into a file that was opened with `newline=""`, the names of the columns before the first."""

    def __init__(self, file: TextIO) -> None:
        self._writer = csv.writer(file, lineterminator="\n")
        self.lines = 0

    def __repr__(self) -> str:
        return f"<CountedLinesFile lines={self.lines}>"

    def write(self, line: pb.ImportLine) -> bool:
        """Write a line. Returns whether it could be written."""
        ids = line.organization_id, line.variant_id, line.warehouse_id
        if any(value != value.strip() for value in ids):
            return False
        if not self.lines:
            self._writer.writerow(COLUMNS)
        name = line.warehouse_name if line.warehouse_name == line.warehouse_name.strip() else ""
        self._writer.writerow([*ids, name, *(getattr(line, figure) for figure in FIGURES)])
        self.lines += 1
        return True
