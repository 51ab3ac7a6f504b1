"""Writes journals for tests: it keeps the state, so that each transaction follows from the one before it."""

import random
from collections.abc import Sequence

from msgspec.structs import replace

from actors.records import (
    Delta,
    RequestRecord,
    ReservationItem,
    ReservationRecord,
    ReservationState,
    RowChange,
    StockKey,
    StockRecord,
    Transaction,
    TransactionKind,
    WarehouseRecord,
)

START_MS = 1_790_000_000_000
MINUTE_MS = 60_000

ORGANIZATION = "org_1"

Basket = Sequence[tuple[str, str, int]]  # variant, warehouse, quantity


class Scribe:
    """Makes legal transactions, one after the other."""

    def __init__(self) -> None:
        self.lsn = 0
        self.at_ms = START_MS
        self.rows: dict[StockKey, StockRecord] = {}
        self.deleted: dict[StockKey, StockRecord] = {}  # those of which the next row begins, as long as memory has them
        self.reservations: dict[tuple[str, str], ReservationRecord] = {}

    def receive(
        self, variant: str = "v", warehouse: str = "w", quantity: int = 10, *, organization: str = ORGANIZATION
    ) -> Transaction:
        key = StockKey(organization, variant, warehouse)
        return self._transaction(
            "receive",
            changes=(self._change(key, Delta(available=quantity)),),
            request=self.request(f"receive-{self.lsn + 1}", organization=organization),
            warehouses=(WarehouseRecord(organization, warehouse, f"Warehouse {warehouse}"),),
            reference="delivery note 7",
            reason="goods in",
        )

    def counted(self, rows: Sequence[tuple[str, str, int]], *, organization: str = ORGANIZATION) -> Transaction:
        """An import: rows set to what was counted, all of it available."""
        changes = []
        for variant, warehouse, total in rows:
            key = StockKey(organization, variant, warehouse)
            available = self.rows[key].available if key in self.rows else 0
            changes.append(self._change(key, Delta(available=total - available), min_stock=1, max_stock=2 * total))
        return self._transaction("import", changes=tuple(changes))

    def reserve(
        self,
        order: str = "order",
        basket: Basket = (("v", "w", 1),),
        *,
        reservation_id: str = "",
        ttl_ms: int = 15 * MINUTE_MS,
        request: RequestRecord | None = None,
        organization: str = ORGANIZATION,
    ) -> Transaction:
        changes, items = [], []
        for variant, warehouse, quantity in basket:
            change = self._change(StockKey(organization, variant, warehouse), Delta(-quantity, quantity))
            before, after = change.before, change.after
            items.append(
                ReservationItem(variant, warehouse, "", after.stock_id, quantity, before.available, after.available)
            )
            changes.append(change)
        reservation = ReservationRecord(
            reservation_id or f"reservation-{self.lsn + 1:06d}",
            organization,
            order,
            "active",
            self.at_ms,
            self.at_ms + ttl_ms,
            tuple(items),
        )
        return self._transaction("reserve", changes=tuple(changes), reservation=reservation, request=request)

    def delete(self, variant: str = "v", warehouse: str = "w", *, organization: str = ORGANIZATION) -> Transaction:
        key = StockKey(organization, variant, warehouse)
        before = self.rows.pop(key)
        after = StockRecord(*key, f"stock-{self.lsn + 1:06d}", version=before.version + 1, is_deleted=True)
        self.deleted[key] = after
        return self._transaction("delete", changes=(RowChange(before, after),), reason="typing error")

    def reserve_after_receiving(self, *, ttl_ms: int = 15 * MINUTE_MS) -> list[Transaction]:
        return [self.receive(), self.reserve(ttl_ms=ttl_ms)]

    def only_reservation(self) -> ReservationRecord:
        (reservation,) = self.reservations.values()
        return reservation

    def confirm(self, reservation: ReservationRecord | None) -> Transaction:
        return self._move("confirm", reservation, "confirmed", None)

    def release(self, reservation: ReservationRecord | None, reason: str = "payment failed") -> Transaction:
        return self._move("release", reservation, "released", Delta(1, -1), reason)

    def expire(self, reservation: ReservationRecord | None) -> Transaction:
        return self._move("expire", reservation, "expired", Delta(1, -1))

    def fulfill(self, reservation: ReservationRecord | None) -> Transaction:
        return self._move("fulfill", reservation, "fulfilled", Delta(0, -1), request="ship", reference="SHIP-1")

    def extend(self, reservation: ReservationRecord | None, more_ms: int = MINUTE_MS) -> Transaction:
        assert reservation is not None
        self.at_ms += 1
        extended = replace(reservation, expires_at_ms=reservation.expires_at_ms + more_ms)
        return self._transaction("extend", reservation=extended)

    def amend(self, reservation: ReservationRecord | None) -> Transaction:
        """One piece more of the first item, and a new item of one piece beside it."""
        assert reservation is not None
        self.at_ms += 1
        first, *rest = reservation.items
        key = StockKey(reservation.organization_id, first.variant_id, first.warehouse_id)
        change = self._change(key, Delta(-2, 2))
        more = replace(first, quantity=first.quantity + 1, stock_after=first.stock_after - 1)
        new = ReservationItem(*key[1:], "", first.stock_id, 1, first.stock_after - 1, first.stock_after - 2)
        amended = replace(reservation, items=(more, *rest, new))
        return self._transaction("amend", changes=(change,), reservation=amended)

    def reacquire(self, reservation: ReservationRecord | None) -> Transaction:
        assert reservation is not None
        self.at_ms += 1
        changes = tuple(self._given_back(reservation, item, Delta(-1, 1)) for item in reservation.items)
        ends_ms = self.at_ms + 15 * MINUTE_MS
        again = replace(reservation, state="active", ended_at_ms=0, expires_at_ms=ends_ms)
        return self._transaction("reacquire", changes=changes, reservation=again)

    def ship_one(self, reservation: ReservationRecord | None) -> Transaction:
        """A piece of the first item that has some left, and not the last piece of all."""
        assert reservation is not None
        self.at_ms += 1
        place, item = next((n, item) for n, item in enumerate(reservation.items) if item.unshipped)
        items = list(reservation.items)
        items[place] = replace(item, fulfilled=item.fulfilled + 1)
        key = StockKey(reservation.organization_id, item.variant_id, item.warehouse_id)
        changes = (self._change(key, Delta(0, -1)),)
        shipped = replace(reservation, items=tuple(items))
        request = self.request(f"part-{self.lsn}", organization=reservation.organization_id)
        return self._transaction("fulfill", changes=changes, reservation=shipped, request=request)

    def remember(self, request_id: str, *, organization: str = ORGANIZATION) -> Transaction:
        return self._transaction("remember", request=self.request(request_id, organization=organization))

    def request(self, request_id: str, *, organization: str = ORGANIZATION) -> RequestRecord:
        return RequestRecord(organization, request_id, "fingerprint", b'{"type":"Fact","text":"\xc3\xa9"}')

    def random_history(self, seed: int, length: int) -> list[Transaction]:
        """A journal over few rows and orders of two organizations, in which everything happens."""
        rng = random.Random(seed)
        return [self._random(rng) for _ in range(length)]

    def _random(self, rng: random.Random) -> Transaction:
        self.at_ms += rng.choice((0, 1, 999, MINUTE_MS))
        organization = rng.choice(("org_1", "org_2"))
        rows = [row for row in self.rows.values() if row.organization_id == organization and row.available > 0]
        open_ones = [r for r in self.reservations.values() if r.organization_id == organization and r.holds_stock]
        empty = [row for row in self.rows.values() if row.organization_id == organization and row.total == 0]
        if empty and rng.randrange(2):
            row = rng.choice(empty)
            deletion = self.delete(row.variant_id, row.warehouse_id, organization=organization)
            if rng.randrange(2):
                self.deleted.clear()
            return deletion
        action = rng.randrange(10)
        if action < 2 or not rows:
            variant, warehouse = f"v{rng.randrange(6)}", f"w{rng.randrange(3)}"
            return self.receive(variant, warehouse, rng.randrange(1, 50), organization=organization)
        if action < 6 or not open_ones:
            chosen = rng.sample(rows, min(len(rows), rng.randrange(1, 4)))
            basket = [(row.variant_id, row.warehouse_id, rng.randrange(1, row.available + 1)) for row in chosen]
            ttl_ms = rng.randrange(1, 10) * MINUTE_MS
            return self.reserve(f"order{rng.randrange(30)}", basket, ttl_ms=ttl_ms, organization=organization)
        if action < 7:
            return self.remember(f"request-{self.lsn}", organization=organization)
        reservation = rng.choice(open_ones)
        if reservation.state == "confirmed" and reservation.quantity - reservation.fulfilled > 1 and self.lsn % 2:
            return self.ship_one(reservation)
        if reservation.state == "active" and self.lsn % 5 == 0:
            return self.extend(reservation)
        if reservation.state == "confirmed":
            return rng.choice((self.fulfill, self.release))(reservation)
        return rng.choice((self.confirm, self.release, self.expire))(reservation)

    def _move(
        self,
        kind: TransactionKind,
        reservation: ReservationRecord | None,
        state: ReservationState,
        sign: Delta | None,
        reason: str = "",
        request: str = "",
        reference: str = "",
    ) -> Transaction:
        assert reservation is not None
        self.at_ms += 1
        left = [] if sign is None else [item for item in reservation.items if item.unshipped]
        changes = [self._given_back(reservation, item, sign or Delta()) for item in left]
        items = reservation.items
        if kind == "fulfill":
            items = tuple(replace(item, fulfilled=item.quantity) for item in items)
        return self._transaction(
            kind,
            changes=tuple(changes),
            reservation=replace(reservation, items=items).moved(state, self.at_ms, reason),
            request=self.request(f"{request}-{self.lsn}", organization=reservation.organization_id)
            if request
            else None,
            reference=reference,
            reason=reason,
        )

    def _given_back(self, reservation: ReservationRecord, item: ReservationItem, sign: Delta) -> RowChange:
        key = StockKey(reservation.organization_id, item.variant_id, item.warehouse_id)
        return self._change(key, Delta(sign.available * item.unshipped, sign.reserved * item.unshipped))

    def _change(
        self, key: StockKey, delta: Delta, *, min_stock: int = 0, max_stock: int = 0, reorder_point: int = 0
    ) -> RowChange:
        fresh = StockRecord(*key, stock_id=f"stock of {'/'.join(key)} at {self.lsn + 1}")
        before = self.rows.get(key) or self.deleted.pop(key, fresh)
        after = replace(
            before,
            available=before.available + delta.available,
            reserved=before.reserved + delta.reserved,
            damaged=before.damaged + delta.damaged,
            in_transit=before.in_transit + delta.in_transit,
            min_stock=min_stock or before.min_stock,
            max_stock=max_stock or before.max_stock,
            reorder_point=reorder_point or before.reorder_point,
            version=before.version + 1,
            is_deleted=False,
        )
        self.rows[key] = after
        return RowChange(before, after)

    def _transaction(
        self,
        kind: TransactionKind,
        *,
        changes: tuple[RowChange, ...] = (),
        reservation: ReservationRecord | None = None,
        request: RequestRecord | None = None,
        warehouses: tuple[WarehouseRecord, ...] = (),
        reference: str = "",
        reason: str = "",
    ) -> Transaction:
        self.lsn += 1
        if reservation is not None:
            self.reservations[reservation.organization_id, reservation.reservation_id] = reservation
        return Transaction(self.lsn, self.at_ms, kind, changes, reservation, request, warehouses, reference, reason)
