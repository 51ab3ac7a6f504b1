"""The journal, replayed by LSN: is every entry legal, and what was the state after each?

It shares nothing but the records with the code that makes the entries.
"""

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from actors.records import (
    Delta,
    OrderKey,
    RequestKey,
    RequestRecord,
    ReservationRecord,
    StockKey,
    StockRecord,
    Transaction,
    VariantKey,
)
from actors.row_changes import Levels
from simulation.audit.amendments import why_no_rebooking
from simulation.audit.guarantee_violation import GuaranteeViolation
from simulation.audit.legal_goods import is_legal, levels_of, why_no_deletion, why_no_successor
from simulation.audit.legal_moves import deltas_of, why_no_move
from simulation.audit.replayed_transfers import ReplayedTransfers
from simulation.audit.replayed_warehouses import ReplayedWarehouses
from simulation.audit.sites import Sites
from simulation.audit.timeline import Timeline
from simulation.disks.watched_disk import Move

EXPIRED_WITHIN_MS = 1_000


class ReplayStatistics(Struct, frozen=True):
    """Counts of what the journal made."""

    transactions: int
    rows: int
    reservations: int
    requests: int
    moved: int
    violations: int


class Replay:
    """Every state that the service was ever in.

    Args:
        transactions: the journal.
        quiet_since_ms: from this service time on nothing went wrong, so expiry has no excuse.
        kept_ms: for how long what is over may be taken again; None: for ever.
        moves: what housekeeping took away. The states stay whole: an actor in memory may answer with what is gone.
        levels: those of a row that is made without a word about them.
    """

    def __init__(
        self,
        transactions: Sequence[Transaction],
        quiet_since_ms: int,
        moves: Sequence[Move] = (),
        kept_ms: int | None = None,
        levels: Levels = Levels(),  # noqa: B008 - immutable
    ) -> None:
        self.transactions = transactions
        self.levels = levels
        self.rows: dict[StockKey, Timeline[StockRecord]] = {}
        self.rows_of_variant: dict[VariantKey, list[StockKey]] = {}
        self.rows_of_organization: dict[str, list[StockKey]] = {}
        self.reservations: dict[tuple[str, str], Timeline[ReservationRecord]] = {}
        self.reservation_ids: dict[str, list[str]] = {}
        self.reservations_of_row: dict[StockKey, dict[str, None]] = {}
        self.warehouses = ReplayedWarehouses()
        self.transfers = ReplayedTransfers()
        self.latest: dict[OrderKey, Timeline[str]] = {}
        self.requests: dict[RequestKey, list[tuple[int, RequestRecord]]] = {}  # again where one was forgotten
        self.moves = moves
        self.kept_ms = kept_ms
        self.moved: dict[tuple[str, str], int] = {}  # by which move a reservation went, counted from 1
        self._forgotten: dict[RequestKey, None] = {}
        self._moves_replayed = 0
        self.stock_lsns: dict[str, list[int]] = {}
        self.reservation_lsns: dict[str, list[int]] = {}
        self.violations: list[GuaranteeViolation] = []
        self._quiet_since_ms = quiet_since_ms
        at_ms = 0
        for place, transaction in enumerate(transactions, 1):
            self._apply_moves(place - 1)
            self._lsn = transaction.lsn
            if transaction.lsn != place:
                self._wrong("G3", f"LSN {transaction.lsn} stands where {place} should be")
            if transaction.at_ms < at_ms:
                self._wrong("G7", f"service time goes back by {at_ms - transaction.at_ms} ms")
            at_ms = transaction.at_ms
            self._apply(transaction)
        self._apply_moves(len(transactions))
        for lists in (*self.rows_of_variant.values(), *self.rows_of_organization.values()):
            lists.sort()
        for ids in self.reservation_ids.values():
            ids.sort()

    def __repr__(self) -> str:
        return f"<Replay last_lsn={self.last_lsn} rows={len(self.rows)} violations={len(self.violations)}>"

    def statistics(self) -> ReplayStatistics:
        counted = (self.transactions, self.rows, self.reservations, self.requests, self.moved, self.violations)
        return ReplayStatistics(*map(len, counted))

    @property
    def last_lsn(self) -> int:
        return len(self.transactions)

    def free_at(self, organization_id: str, variant_ids: Sequence[str], lsn: int) -> dict[str, dict[str, int]]:
        """Available pieces by variant and warehouse, as the planner takes them."""
        free: dict[str, dict[str, int]] = {}
        for variant_id in variant_ids:
            rows = {}
            for key in self.rows_of_variant.get(VariantKey(organization_id, variant_id), ()):
                record = self.rows[key].at(lsn)
                if record is not None and record.exists:
                    rows[key.warehouse_id] = record.available
            free[variant_id] = rows
        return free

    def open_at(
        self, organization_id: str, variant_ids: Sequence[str], lsn: int
    ) -> tuple[dict[str, dict[str, int]], Sites]:
        """The same, and from which warehouses it may be taken, and which go first."""
        return self.free_at(organization_id, variant_ids, lsn), self.warehouses.sites_at(organization_id, lsn)

    def begins_at(self, organization_id: str) -> int:
        """The LSN of the organization's first row or warehouse; 0 if it has none."""
        return min(
            (lsns[organization_id][0] for lsns in (self.stock_lsns, self.warehouses.lsns) if organization_id in lsns),
            default=0,
        )

    def row_at(self, key: StockKey, lsn: int) -> StockRecord | None:
        """The row as it stood then; None if there was none."""
        timeline = self.rows.get(key)
        return timeline.at(lsn) if timeline is not None else None

    def holders_at(self, key: StockKey, lsn: int) -> list[ReservationRecord]:
        """The reservations that held pieces of the row then, and perhaps others that had."""
        ids = self.reservations_of_row.get(key, ())
        stood = [self.reservations[key.organization_id, reservation_id].at(lsn) for reservation_id in ids]
        return [one for one in stood if one is not None and one.state in ("active", "confirmed")]

    def latest_at(self, order: OrderKey, lsn: int) -> ReservationRecord | None:
        """The order's latest reservation, as it stood then."""
        timeline = self.latest.get(order)
        reservation_id = timeline.at(lsn) if timeline is not None else None
        if reservation_id is None:
            return None
        return self.reservations[order.organization_id, reservation_id].at(lsn)

    # ---- one entry ------------------------------------------------------------------------------------------------

    def _wrong(self, guarantee: str, sentence: str) -> None:
        self.violations.append(GuaranteeViolation(guarantee, f"LSN {self._lsn}: {sentence}", self._lsn))

    def _apply(self, transaction: Transaction) -> None:
        deltas = self._apply_changes(transaction)
        match transaction.kind:
            case "reserve" | "confirm" | "release" | "expire" | "fulfill" | "extend" | "amend" | "reacquire":
                self._apply_reservation(transaction, deltas)
            case "receive" | "announce" | "deduct" | "adjust" | "levels":
                if not is_legal(transaction.kind, list(deltas.values())):
                    self._wrong("G8", f"{transaction.kind} changes {deltas}")
            case "delete":
                if why := why_no_deletion(transaction.changes, self.levels):
                    self._wrong("G8", why)
            case "import":
                if any(delta.reserved for delta in deltas.values()):
                    self._wrong("G8", "a count changes what is reserved")
                written = [change for change in transaction.changes if change.before.exists]
                if any(replace(change.before, version=change.after.version) == change.after for change in written):
                    self._wrong("G8", "a count writes a row that it leaves as it was")
            case "ship_transfer" | "receive_transfer" | "cancel_transfer":
                pass  # `ReplayedTransfers` judges it
            case "warehouse":
                if deltas or len(transaction.warehouses) != 1:
                    self._wrong("G8", "a change of a warehouse changes stock, or not one warehouse")
            case "sourcing":
                if deltas or transaction.sourcing is None or transaction.warehouses:
                    self._wrong("G8", "a change of a policy changes stock or a warehouse, or no policy")
            case "remember":
                if deltas or transaction.request is None:
                    self._wrong("G8", "a remembered answer changes stock")
        for sentence in (*self.warehouses.apply(transaction), *self.transfers.apply(transaction)):
            self._wrong("G8", sentence)
        request = transaction.request
        if request is not None:
            earlier = self.requests.setdefault(request.key, [])
            if earlier and request.key not in self._forgotten:
                self._wrong("G6", f"request {request.key} is carried out twice, before at {earlier[-1][0]}")
            self._forgotten.pop(request.key, None)
            earlier.append((self._lsn, request))

    def _apply_changes(self, transaction: Transaction) -> dict[StockKey, Delta]:
        deltas: dict[StockKey, Delta] = {}
        for change in transaction.changes:
            before, after = change.before, change.after
            key = after.key
            timeline = self.rows.get(key)
            why = why_no_successor(before, timeline.values[-1] if timeline is not None else None, self.levels)
            if why:
                self._wrong("G8", why)
            if timeline is None:
                timeline = self.rows[key] = Timeline()
                self.rows_of_variant.setdefault(key.variant, []).append(key)
                self.rows_of_organization.setdefault(key.organization_id, []).append(key)
            if transaction.kind != "delete":
                if (before.key, before.stock_id, before.version + 1) != (key, after.stock_id, after.version):
                    self._wrong("G8", f"{after} does not follow {before}")
                if levels_of(after) != levels_of(before) and transaction.kind not in ("import", "levels"):
                    self._wrong("G8", f"{transaction.kind} changes the levels of {key}")
                if not after.exists:
                    self._wrong("G8", f"{transaction.kind} leaves {after}")
            if min(after.available, after.reserved, after.damaged, after.in_transit) < 0:
                self._wrong("G1", f"oversold: {after}")
            if key in deltas:
                self._wrong("G8", f"{key} is changed twice")
            deltas[key] = change.delta
            timeline.put(self._lsn, after)
            self.stock_lsns.setdefault(key.organization_id, []).append(self._lsn)
        return deltas

    def _apply_reservation(self, transaction: Transaction, deltas: dict[StockKey, Delta]) -> None:
        reservation = transaction.reservation
        if reservation is None:
            self._wrong("G8", f"{transaction.kind} without a reservation")
            return
        key = (reservation.organization_id, reservation.reservation_id)
        timeline = self.reservations.get(key)
        before = timeline.values[-1] if timeline is not None else None
        if transaction.kind == "reserve":
            self._begin(transaction, reservation, before, deltas)
        else:
            self._move(transaction, reservation, before, deltas)
        if timeline is None:
            timeline = self.reservations[key] = Timeline()
            self.reservation_ids.setdefault(key[0], []).append(key[1])
        timeline.put(self._lsn, reservation)
        self.reservation_lsns.setdefault(key[0], []).append(self._lsn)

    def _begin(
        self,
        transaction: Transaction,
        reservation: ReservationRecord,
        before: ReservationRecord | None,
        deltas: dict[StockKey, Delta],
    ) -> None:
        if before is not None or reservation.state != "active" or reservation.created_at_ms != transaction.at_ms:
            self._wrong("G8", f"{reservation.reservation_id} does not begin as it should")
        earlier = self.latest_at(reservation.order, self._lsn)
        if earlier is not None and earlier.holds_stock:
            self._wrong("G6", f"{reservation.order} holds {earlier.reservation_id} and reserves again")
        if (
            earlier is not None
            and earlier.state == "fulfilled"
            and basket_of(earlier) == basket_of(reservation)
            and (earlier.organization_id, earlier.reservation_id) not in self.moved
        ):
            self._wrong("G6", f"{reservation.order} was shipped as {earlier.reservation_id} and reserves again")
        if deltas != deltas_of(reservation, -1, 1):
            self._wrong("G2", f"{reservation.reservation_id} takes {deltas}, not what its items say")
        left: dict[StockKey, int] = {change.before.key: change.before.available for change in transaction.changes}
        for item in reservation.items:
            key = StockKey(reservation.organization_id, item.variant_id, item.warehouse_id)
            if item.stock_before != left.get(key) or item.stock_after != item.stock_before - item.quantity:
                self._wrong("G4", f"an item says {item.stock_before} → {item.stock_after}, the row had {left.get(key)}")
            left[key] = item.stock_after
            self.reservations_of_row.setdefault(key, {})[reservation.reservation_id] = None
            if item.stock_id != self.rows[key].values[-1].stock_id:
                self._wrong("G8", f"an item of {reservation.reservation_id} names the row {item.stock_id}")
        self.latest.setdefault(reservation.order, Timeline()).put(self._lsn, reservation.reservation_id)

    def _move(
        self,
        transaction: Transaction,
        reservation: ReservationRecord,
        before: ReservationRecord | None,
        deltas: dict[StockKey, Delta],
    ) -> None:
        if before is None:
            self._wrong("G8", f"{reservation.reservation_id} was never made")
            return
        if transaction.kind in ("amend", "reacquire"):
            self._rebook(transaction, before, reservation, deltas)
            return
        for why in why_no_move(transaction, before, reservation, deltas):
            self._wrong("G8", why)
        self._check_time(transaction, before)

    def _rebook(
        self,
        transaction: Transaction,
        before: ReservationRecord,
        after: ReservationRecord,
        deltas: dict[StockKey, Delta],
    ) -> None:
        def stood(key: StockKey) -> StockRecord | None:
            return self.rows[key].at(self._lsn - 1) if key in self.rows else None

        for guarantee, why in why_no_rebooking(transaction, before, after, deltas, stood):
            self._wrong(guarantee, why)
        for item in after.items:
            key = StockKey(after.organization_id, item.variant_id, item.warehouse_id)
            self.reservations_of_row.setdefault(key, {})[after.reservation_id] = None
        if transaction.kind == "amend":
            self._check_time(transaction, before)
            return
        earlier = self.latest_at(after.order, self._lsn)
        if earlier is not None and earlier.holds_stock:
            self._wrong("G6", f"{after.order} holds {earlier.reservation_id} and takes {after.reservation_id} again")
        if (after.organization_id, after.reservation_id) in self.moved:
            self._wrong("G3", f"{after.reservation_id} is taken again after it was moved out")
        self.latest.setdefault(after.order, Timeline()).put(self._lsn, after.reservation_id)

    def _check_time(self, transaction: Transaction, before: ReservationRecord) -> None:
        late_ms = transaction.at_ms - before.expires_at_ms
        if transaction.kind == "expire":
            if late_ms < 0:
                self._wrong("G7", f"{before.reservation_id} expires {-late_ms} ms early")
            elif late_ms > EXPIRED_WITHIN_MS and before.expires_at_ms >= self._quiet_since_ms > 0:
                self._wrong("G7", f"{before.reservation_id} gives its stock back {late_ms} ms late")
        elif before.state == "active" and late_ms >= 0:
            self._wrong("G7", f"{transaction.kind} of {before.reservation_id} {late_ms} ms after its time was over")

    # ---- housekeeping -----------------------------------------------------------------------------------------------

    def _apply_moves(self, lsn: int) -> None:
        """Apply the moves that housekeeping made while this was the last durable LSN."""
        while self._moves_replayed < len(self.moves) and self.moves[self._moves_replayed].lsn <= lsn:
            move = self.moves[self._moves_replayed]
            self._moves_replayed += 1
            for key in move.requests:
                self._forget(key, move)
            for reservation in move.reservations:
                self._move_out(reservation, move)

    def _forget(self, key: RequestKey, move: Move) -> None:
        answered = self.requests.get(key)
        if answered is None or key in self._forgotten:
            self._wrong("G6", f"request {key} is forgotten, of which nothing was kept")
            return
        self._check_age("G6", f"request {key} is forgotten", answered[-1][0], move)
        self._forgotten[key] = None

    def _move_out(self, reservation: ReservationRecord, move: Move) -> None:
        key = (reservation.organization_id, reservation.reservation_id)
        timeline = self.reservations.get(key)
        if timeline is None or key in self.moved or timeline.values[-1] != reservation:
            self._wrong("G3", f"{reservation} is moved out, and the journal has no such reservation then")
            return
        if reservation.holds_stock:
            self._wrong("G3", f"{reservation.reservation_id} is moved out though it is {reservation.state}")
        self._check_age("G3", f"{reservation.reservation_id} is moved out", timeline.lsns[-1], move)
        self.moved[key] = self._moves_replayed

    def _check_age(self, guarantee: str, what: str, lsn: int, move: Move) -> None:
        early_ms = self.transactions[lsn - 1].at_ms - move.old_ms
        if early_ms >= 0:
            self._wrong(guarantee, f"{what} {early_ms} ms too early: it is of LSN {lsn}")


def items_asked(reservation: ReservationRecord) -> list[tuple[str, str, int]]:
    """What a reservation was asked for, sorted."""
    return sorted((item.variant_id, item.requested_warehouse_id, item.quantity) for item in reservation.items)


def basket_of(reservation: ReservationRecord) -> object:
    """The same, also where its items do not say it."""
    return reservation.asked or items_asked(reservation)
