"""Transfers at every place of the journal, and whether each entry is legal: written without `actors.transfer`."""

from collections.abc import Iterator

from actors.records import Delta, StockKey, Transaction
from actors.transfer_records import TransferKey, TransferRecord
from simulation.audit.timeline import Timeline

Pieces = dict[str, tuple[int, int, int, int]]
"""Of each variant: sent, received, damaged, missing."""


class ReplayedTransfers:
    """Follows the journal entry by entry."""

    def __init__(self) -> None:
        self.timelines: dict[TransferKey, Timeline[TransferRecord]] = {}
        self.lsns: dict[str, list[int]] = {}  # by organization

    def __repr__(self) -> str:
        return f"<ReplayedTransfers {len(self.timelines)}>"

    def at(self, key: TransferKey, lsn: int) -> TransferRecord | None:
        """The transfer as it stood then."""
        timeline = self.timelines.get(key)
        return timeline.at(lsn) if timeline is not None else None

    def of(self, organization_id: str, lsn: int) -> list[TransferRecord]:
        """The organization's transfers as they stood then, those shipped last first."""
        found = [self.at(key, lsn) for key in self.timelines if key.organization_id == organization_id]
        there = [one for one in found if one is not None]
        return sorted(there, key=lambda one: (one.shipped_at_ms, one.transfer_id), reverse=True)

    def apply(self, transaction: Transaction) -> Iterator[str]:
        """Follow an entry that has a transfer. Gives what is wrong with it."""
        transfer = transaction.transfer
        if transfer is None:
            if transaction.kind.endswith("_transfer"):
                yield f"{transaction.kind} without a transfer"
            return
        timeline = self.timelines.setdefault(transfer.key, Timeline())
        before = timeline.values[-1] if timeline.values else None
        if why := _why_illegal(transaction, before, transfer):
            yield why
        timeline.put(transaction.lsn, transfer)
        self.lsns.setdefault(transfer.organization_id, []).append(transaction.lsn)


def _why_illegal(transaction: Transaction, before: TransferRecord | None, after: TransferRecord) -> str:
    was, now = _pieces(before), _pieces(after)
    rows = {change.after.key: change for change in transaction.changes}
    ends = (after.from_warehouse_id, after.to_warehouse_id)
    if transaction.kind == "ship_transfer":
        if before is not None or after.state != "in_transit" or after.shipped_at_ms != transaction.at_ms:
            return f"{after.transfer_id} does not begin as it should"
        if any(sent < 1 or any(rest) for sent, *rest in now.values()) or ends[0] == ends[1]:
            return f"{after} is no shipment"
    elif before is None or before.state != "in_transit":
        return f"{transaction.kind} of what is {before and before.state}"
    elif (before.from_warehouse_id, before.to_warehouse_id, before.shipped_at_ms) != (*ends, after.shipped_at_ms):
        return f"{transaction.kind} makes another transfer of {before}"
    elif [(v, p[0]) for v, p in was.items()] != [(v, p[0]) for v, p in now.items()]:
        return f"{transaction.kind} changes what was sent"
    elif why := _why_no_step(transaction, was, now, after):
        return why
    found = {key: change.delta for key, change in rows.items()}
    wanted = _deltas(transaction, was, now, after)
    return "" if found == wanted else f"{transaction.kind} of {after.transfer_id} moves {found}, not {wanted}"


def _why_no_step(transaction: Transaction, was: Pieces, now: Pieces, after: TransferRecord) -> str:
    if transaction.kind == "cancel_transfer":
        is_right = was == now and after.state == "cancelled" and after.ended_at_ms == transaction.at_ms
        return "" if is_right else f"{after} is no cancellation"
    if any(now[v][n] < was[v][n] for v in was for n in range(4)):
        return f"{after.transfer_id} takes back what had come"
    left = [_open(pieces) for pieces in now.values()]
    if min(left) < 0:
        return f"more of {after.transfer_id} came than was sent"
    state, ended = ("in_transit", 0) if any(left) else ("received", transaction.at_ms)
    return "" if (after.state, after.ended_at_ms) == (state, ended) else f"{after} should be {state}"


def _deltas(transaction: Transaction, was: Pieces, now: Pieces, after: TransferRecord) -> dict[StockKey, Delta]:
    befores = {change.before.key: change.before for change in transaction.changes}
    wanted: dict[StockKey, Delta] = {}
    for variant, pieces in now.items():
        sender = StockKey(after.organization_id, variant, after.from_warehouse_id)
        there = StockKey(after.organization_id, variant, after.to_warehouse_id)
        if transaction.kind == "ship_transfer":
            wanted[sender], wanted[there] = Delta(-pieces[0]), Delta(in_transit=pieces[0])
            continue
        row = befores.get(there)
        on_way = row.in_transit if row is not None else 0
        if transaction.kind == "cancel_transfer":
            wanted[sender] = Delta(_open(pieces))
            wanted[there] = Delta(in_transit=-min(_open(pieces), on_way))
        else:
            gone = _open(was[variant]) - _open(pieces)
            good, bad = pieces[1] - was[variant][1], pieces[2] - was[variant][2]
            wanted[there] = Delta(good, 0, bad, -min(gone, on_way))
    return {key: delta for key, delta in wanted.items() if delta != Delta()}


def _pieces(transfer: TransferRecord | None) -> Pieces:
    lines = transfer.lines if transfer is not None else ()
    return {line.variant_id: (line.sent, line.received, line.damaged, line.missing) for line in lines}


def _open(pieces: tuple[int, int, int, int]) -> int:
    return pieces[0] - sum(pieces[1:])
