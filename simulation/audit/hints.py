"""When a refused order may try again: the contract's sentence written a second time, over the replayed journal.

"The smallest time at which the expiry of active reservations has given enough back to every row that is short."
"""

from collections.abc import Sequence

from actors.outcomes import Shortage
from actors.records import StockKey
from simulation.audit.replay import Replay


def freed_at_ms(
    replay: Replay, organization_id: str, shortages: Sequence[Shortage], lsn: int, without: str = ""
) -> int | None:
    """When expiries will have freed enough for every shortage, in service time, as the state after that LSN says.

    Args:
        without: a reservation whose expiry does not count.

    Returns:
        None where no expiry will free enough.
    """
    latest_ms = 0
    for short in shortages:
        key = StockKey(organization_id, short.variant_id, short.warehouse_id)
        freed_ms = _freed_at_ms(replay, key, short.requested - short.available, lsn, without)
        if freed_ms is None:
            return None
        latest_ms = max(latest_ms, freed_ms)
    return latest_ms


def _freed_at_ms(replay: Replay, key: StockKey, pieces: int, lsn: int, without: str) -> int | None:
    given_back: dict[int, int] = {}
    for reservation_id in replay.reservations_of_row.get(key, ()):
        reservation = replay.reservations[key.organization_id, reservation_id].at(lsn)
        if reservation is not None and reservation.state == "active" and reservation_id != without:
            of_row = [item.quantity for item in reservation.items if (item.variant_id, item.warehouse_id) == key[1:]]
            given_back[reservation.expires_at_ms] = given_back.get(reservation.expires_at_ms, 0) + sum(of_row)
    for at_ms in sorted(given_back):
        pieces -= given_back[at_ms]
        if pieces <= 0:
            return at_ms
    return None
