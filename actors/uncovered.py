"""Which reservations a loss leaves without their goods.

A loss may be greater than what is available: then pieces are gone that orders hold. The goods that are left cover the
oldest reservations first, since their callers have waited the longest, and what is confirmed before what is active,
since it is paid for. So of those that are not covered any more the newest active ones come first, then the newest
confirmed ones. Ids sort by the time at which they were made.
"""

from collections.abc import Mapping, Sequence

from actors.commands import Adjustment
from actors.goods_changes import adjusted
from actors.records import ReservationRecord, StockKey, StockRecord
from actors.shortfall import Uncovered


def lacking(line: Adjustment, record: StockRecord) -> int:
    """How many reserved pieces would have to be given up for the adjustment; 0 where that is not what is in its way."""
    if line.expected_total not in (None, record.total):
        return 0
    delta = adjusted(line, record)
    lack = -(record.available + delta.available)
    return lack if 0 < lack <= record.reserved and record.damaged + delta.damaged >= 0 else 0


def pieces_in(reservation: ReservationRecord, key: StockKey) -> int:
    """How many pieces of a row the reservation holds."""
    return sum(
        item.unshipped
        for item in reservation.items
        if (item.variant_id, item.warehouse_id) == (key.variant_id, key.warehouse_id)
    )


def uncovered(
    lacks: Mapping[StockKey, int], holders: Mapping[StockKey, Sequence[ReservationRecord]]
) -> tuple[list[Uncovered], list[ReservationRecord]]:
    """What reservations lack, row by row, and those reservations.

    One that is uncovered in a row gives up its pieces in the rows that follow, before others do.

    Args:
        lacks: how many reserved pieces of each row are gone.
        holders: those that hold pieces of the row: the active ones, newest first, then the confirmed ones, newest
            first; as many as hold what is gone.
    """
    found: dict[str, ReservationRecord] = {}
    shortfall = []
    for key, lack in lacks.items():
        for one in [*found.values(), *[one for one in holders[key] if one.reservation_id not in found]]:
            pieces = min(lack, pieces_in(one, key))
            if pieces:
                place = (one.reservation_id, one.order_id, key.variant_id, key.warehouse_id)
                shortfall.append(Uncovered(*place, pieces, one.state == "confirmed"))
                found[one.reservation_id] = one
                lack -= pieces
    return shortfall, list(found.values())
