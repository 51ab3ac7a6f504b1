"""Counts on a simulated disk: the rule of `storage.sql.row_counts_reads`."""

from collections import Counter

from actors.queries import CountRows
from actors.row_counts import CountKey, RowCount, RowCounts
from actors.stock_alerts import alert_of
from storage.memory_disk import Disk


def counted_in(disk: Disk, query: CountRows) -> RowCounts:
    names = _states(disk) if query.counted == "reservations" else _alerts(disk)
    keys = [key for key in sorted(names) if query.after is None or key > query.after]
    looked_at = keys[: query.rows_max]
    counts = Counter((key[0], name) for key in looked_at if (name := names[key]))
    found = tuple([RowCount(*of, count) for of, count in sorted(counts.items())])
    return RowCounts(found, looked_at[-1] if len(looked_at) == query.rows_max else None)


def _states(disk: Disk) -> dict[CountKey, str]:
    return {(one.organization_id, one.state, one.reservation_id): one.state for one in disk.reservations.values()}


def _alerts(disk: Disk) -> dict[CountKey, str]:
    return {(*key,): alert_of(record) or "" for key, record in disk.stock.items()}
