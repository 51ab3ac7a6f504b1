"""Counts what the database alone knows: reservations by state, and rows that are low.

No request keeps such counts up, and nothing can drift. All are looked at once a minute, ten thousand rows at a time
with a rest after each part, so that a database of millions is asked for a few milliseconds at once.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import NamedTuple

import anyio
from prometheus_client.metrics_core import Metric

from actors.queries import CountRows
from actors.row_counts import Counted, CountKey
from actors.unavailable import Unavailable
from rpc.inventory_port import Inventory
from stockkeeper.metrics.metric_families import gauge, gauges

EVERY_S = 60.0
REST_S = 0.05
ROWS_A_PART = 10_000
ORGANIZATIONS_MAX = 20
OTHER = "other"

Counts = Mapping[tuple[str, str], int]
"""By organization and name."""


class CensusStatistics(NamedTuple):
    """The last whole count; None: there was none yet."""

    reservations: Mapping[str, int]
    low_rows: Mapping[tuple[str, ...], int]
    counted_at_s: float | None


class Census:
    """Counts until it is cancelled.

    Args:
        inventory: knows.
        every_s: how long from the end of a count to the next one, in seconds.
        rest_s: between two parts of it.
    """

    def __init__(self, inventory: Inventory, every_s: float = EVERY_S, rest_s: float = REST_S) -> None:
        self._inventory = inventory
        self._every_s = every_s
        self._rest_s = rest_s
        self._found = CensusStatistics({}, {}, None)

    def __repr__(self) -> str:
        return f"<Census {self._found}>"

    def statistics(self) -> CensusStatistics:
        return self._found

    async def run(self) -> None:
        while True:
            with suppress(Unavailable):  # the last count stays, and tells its age
                await self.count()
            await anyio.sleep(self._every_s)

    async def count(self) -> None:
        """Count all once. Raises `Unavailable`."""
        states: Counter[str] = Counter({"active": 0, "confirmed": 0})  # shown also where there are none
        for (_, state), count in (await self._all("reservations")).items():
            states[state] += count
        self._found = CensusStatistics(states, bounded(await self._all("low_stock")), anyio.current_time())

    async def _all(self, counted: Counted) -> Counts:
        found: Counter[tuple[str, str]] = Counter()
        after: CountKey | None = None
        while True:
            part = await self._inventory.answer(CountRows("", counted, after, ROWS_A_PART)).wait()
            for one in part.counts:
                found[one.organization_id, one.name] += one.count
            after = part.next_key
            if after is None:
                return found
            await anyio.sleep(self._rest_s)


def bounded(counts: Counts, organizations_max: int = ORGANIZATIONS_MAX) -> dict[tuple[str, ...], int]:
    """The same of the organizations that have most; all others are counted together."""
    totals: Counter[str] = Counter()
    for (organization_id, _), count in counts.items():
        totals[organization_id] += count
    first = sorted(totals, key=lambda one: (-totals[one], one))[:organizations_max]
    found: Counter[tuple[str, ...]] = Counter()
    for (organization_id, name), count in counts.items():
        found[organization_id if organization_id in first else OTHER, name] += count
    return dict(found)


def census_metrics(found: CensusStatistics, now_s: float) -> Iterable[Metric]:
    if found.counted_at_s is None:
        return
    yield gauges(
        "stockkeeper_reservations",
        "Reservations by state, counted once a minute; housekeeping moves out those that ended.",
        ["state"],
        [((state,), count) for state, count in found.reservations.items()],
    )
    yield gauges(
        "stockkeeper_low_stock_rows",
        "Rows at their minimum (critical) or their reorder point (warning), of the organizations that have most.",
        ["organization_id", "alert_level"],
        found.low_rows.items(),
    )
    yield gauge("stockkeeper_census_age_seconds", "How old these counts are.", now_s - found.counted_at_s)
