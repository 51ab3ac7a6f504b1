"""Which rows change most: the changes of the last minute, as a stream of changes tells them."""

from collections import Counter, deque
from typing import NamedTuple

from msgspec import Struct
from stockkeeper_client.v1.stock_pb2 import WatchChangesResponse

WINDOW_S = 60.0

Row = tuple[str, str]  # variant and warehouse


class HotRow(NamedTuple):
    variant_id: str
    warehouse_id: str
    changes: int
    available: int
    reserved: int


class RowHeatStatistics(Struct, frozen=True):
    """Changes of the last minute, and rows that they were of."""

    changes: int
    rows: int


class RowHeat:
    """Counts changes by row."""

    def __init__(self) -> None:
        self._heard: deque[tuple[float, Row]] = deque()
        self._counts: Counter[Row] = Counter()
        self._figures: dict[Row, tuple[int, int]] = {}

    def __repr__(self) -> str:
        return f"<RowHeat changes={len(self._heard)} rows={len(self._counts)}>"

    def statistics(self) -> RowHeatStatistics:
        return RowHeatStatistics(len(self._heard), len(self._counts))

    def hear(self, message: WatchChangesResponse, now_s: float) -> None:
        """Something changed."""
        for change in message.rows:
            row = (change.variant_id, change.warehouse_id)
            self._heard.append((now_s, row))
            self._counts[row] += 1
            self._figures[row] = (change.after.available, change.after.reserved)

    def hottest(self, rows: int, now_s: float) -> list[HotRow]:
        """Those with the most changes within the last minute, the most first."""
        while self._heard and self._heard[0][0] <= now_s - WINDOW_S:
            _, row = self._heard.popleft()
            self._counts[row] -= 1
            if not self._counts[row]:
                del self._counts[row], self._figures[row]
        return [HotRow(*row, changes, *self._figures[row]) for row, changes in self._counts.most_common(rows)]
