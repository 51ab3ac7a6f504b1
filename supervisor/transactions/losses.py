"""Losses that are greater than what is available: pieces are gone that reservations hold.

Which reservations are not covered any more is told by the database, and each of them belongs to its order's actor. So
the turn of such an adjustment looks first, and takes nothing before it knows what it wants:

1. It notes the rows as they stand, waits until they are durable, and reads who holds their pieces, newest first and as
   far as the loss goes.
2. It asks the orders of the active ones to stand by (`actors/standing_by.py`), in the order of their keys. From then on
   no confirm, amend, release or expiry can come in between: those wait in the mailboxes. What an order says is the
   truth of this moment.
3. If the rows or a reservation are not as they were read, it lets the orders go and looks again. A row has a new
   version with every piece that is reserved or given back, and a confirmed reservation does not become an active one:
   so what was read is what is, the newest first, and what is refused or done is true of one moment.
4. It takes holds on all rows, those of the reservations' other lines too, as one transaction would. If the rows moved
   while it waited, it looks again, for ten seconds at most: goods that move all the time would have it look for ever.
5. In one synchronous step it divides the holds, decides a release for each reservation and then the adjustment. Each is
   a transaction of the usual kind, with its own place in the journal and its own line in the ledger. The journal writes
   them in one batch (`joins_next` of `Journal.append`), so the database has all of them or none.

It cannot deadlock: it waits for orders while it holds no row, and for rows as every transaction does, by the order of
their keys; no transaction that holds a row waits for an order. Two losses wait for orders by the order of their keys,
and one loss asks an order once (`StandingOrders.stand_by`).
Nothing slips in between the releases and the adjustment: what is given back is held for the loss before the first row
moves, so that no rival is granted it.

Only active reservations are released. If confirmed ones are not covered the whole is refused, and names them.

Turned down: one transaction with many reservations (the journal, its rows, watchers and both stores know one); asking
the orders to release and then adjusting (a crash in between would have sold nothing and cancelled orders; another order
could take the goods that became free); an index of reservations by row in memory (every reservation would pay for it).
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from msgspec import UNSET

from actors.basket import moving
from actors.bounds import RESERVATIONS_LOOKED_AT_MAX, UNCOVERED_LINES_MAX, UNCOVERED_MAX
from actors.commands import Adjust
from actors.goods_changes import adjusted
from actors.idempotency import remember
from actors.order_history import variants_of
from actors.order_services import Hints
from actors.outcomes import AdjustmentsRefused, Fact, Refused, StockAdjusted
from actors.queries import ListReservations
from actors.records import Delta, ReservationRecord, ReservationState, StockKey, sum_of
from actors.reservation import release
from actors.shortfall import Uncovered
from actors.stock_actor import StockActor, check_alive
from actors.turn import Doing, Turn
from actors.two_phase import Prepared
from actors.uncovered import lacking, pieces_in, uncovered
from actors.variant_stock import Pinned
from actors.views import ReservationPage
from supervisor.activations.stock_directory import StockDirectory
from supervisor.clock import ServiceClock
from supervisor.transactions.coordinator import Coordinator
from supervisor.transactions.journal import Journal
from supervisor.transactions.moved_rows import moved_rows
from supervisor.transactions.standing_orders import AskOrder, StandingOrders

STOCK_LOST = "stock_lost"
"""The reason of these releases."""
LOOKS_MIN = 4
LOOKING_MS_MAX = 10_000
"""How often, and then how long, a loss looks at rows that move before its caller is asked to try later."""

ReadReservations = Callable[[ListReservations], Awaitable[ReservationPage]]


class Loss(NamedTuple):
    """What was found out, as of one moment, and the rows of the adjustments as they stood then."""

    shortfall: list[Uncovered]
    reservations: list[ReservationRecord]
    is_cut: bool


class Losses:
    """Books losses that go below what is reserved.

    Args:
        clock, coordinator, journal, stock: where all transactions are made.
        hints: must forget what is released.
        read: a page of reservations, from the database.
        ask_order: posts to an order's mailbox.
    """

    def __init__(
        self,
        clock: ServiceClock,
        coordinator: Coordinator,
        journal: Journal,
        stock: StockDirectory,
        hints: Hints,
        read: ReadReservations,
        ask_order: AskOrder,
    ) -> None:
        self._clock = clock
        self._coordinator = coordinator
        self._journal = journal
        self._stock = stock
        self._hints = hints
        self._read = read
        self._ask_order = ask_order

    def __repr__(self) -> str:
        return f"<Losses {self._journal!r}>"

    def book(self, command: Adjust, rows: Sequence[StockActor], refusal: AdjustmentsRefused) -> Turn[Fact | None]:
        """Release what is not covered and adjust, or say why not. None: look at the rows again.

        Args:
            rows: the row of each line.
            refusal: why they cannot be adjusted as they stand.

        Raises:
            Refused: as `refusal` says, with the reservations that are not covered.
            Unavailable: the activation of a row is gone.
        """
        records = [row.state.record for row in rows]
        lacks = {row.key: lacking(line, row.state.record) for line, row in zip(command.lines, rows, strict=True)}
        lacks = {key: lack for key, lack in lacks.items() if lack}
        if not lacks:
            raise Refused(refusal)
        loss = yield from self._look(command.organization_id, lacks)
        with StandingOrders(self._ask_order) as orders:
            are_active = yield from orders.stand_by(one for one in loss.reservations if one.state == "active")
            if not _stand(rows, records) or not are_active:
                return None
            if not _may_release(command, len(lacks), refusal, loss):
                raise Refused(AdjustmentsRefused(refusal.rows, tuple(loss.shortfall), loss.is_cut))
            return (yield from self._release_and_adjust(command, rows, records, loss, orders))

    # ---- what is not covered ----------------------------------------------------------------------------------------

    def _look(self, organization_id: str, lacks: dict[StockKey, int]) -> Turn[Loss]:
        yield Doing(self._journal.wait_durable)
        holders = {}
        for key, lack in lacks.items():
            holders[key] = yield from self._holders(organization_id, key, lack)
        shortfall, reservations = uncovered(lacks, holders)
        kept = _as_many_as_are_released(reservations)
        named = {one.reservation_id for one in kept}
        shortfall = [one for one in shortfall if one.reservation_id in named]
        return Loss(shortfall, kept, len(kept) < len(reservations))

    def _holders(self, organization_id: str, key: StockKey, lack: int) -> Turn[list[ReservationRecord]]:
        """Those that hold pieces of a row: active ones, then confirmed ones, each newest first, up to what is gone."""
        found: dict[str, ReservationRecord] = {}
        states: tuple[ReservationState, ...] = ("active", "confirmed")
        for state in states:
            before = ""
            while lack > 0 and len(found) <= UNCOVERED_MAX:
                page = yield from self._page(organization_id, key, state, before)
                for one in page.reservations:
                    lack -= pieces_in(one, key) if one.reservation_id not in found else 0
                    found.setdefault(one.reservation_id, one)
                before = page.next_before
                if not before:
                    break
        return list(found.values())

    def _page(self, organization_id: str, key: StockKey, state: ReservationState, before: str) -> Turn[ReservationPage]:
        query = ListReservations(
            organization_id,
            state,
            before=before,
            limit=UNCOVERED_MAX,
            variant_id=key.variant_id,
            warehouse_id=key.warehouse_id,
            looked_max=RESERVATIONS_LOOKED_AT_MAX,
        )
        page: ReservationPage = yield Doing(lambda: self._read(query))
        return page

    # ---- one step ---------------------------------------------------------------------------------------------------

    def _release_and_adjust(
        self,
        command: Adjust,
        rows: Sequence[StockActor],
        records: Sequence[object],
        loss: Loss,
        orders: StandingOrders,
    ) -> Turn[Fact | None]:
        items = [item for one in loss.reservations for item in one.items]
        with Pinned((yield from self._stock.load(command.organization_id, variants_of(items)))) as variants:
            parts: list[dict[StockActor, Delta]] = []
            for one in loss.reservations:
                released = release(one, STOCK_LOST, 0)
                parts.append({row: d for row, d in moving(one, released, variants) if isinstance(d, Delta)})
            parts.append({row: adjusted(line, row.state.record) for line, row in zip(command.lines, rows, strict=True)})
            named = dict.fromkeys(row for part in parts for row in part)
            changes = [(row, sum_of(part[row] for part in parts if row in part)) for row in named]
            prepared = yield from self._coordinator.prepare(changes)
            if not isinstance(prepared, Prepared):
                return None
            with prepared:
                now_ms = self._clock.now_ms()
                if _stand(rows, records) and not any(one.is_overdue(now_ms) for one in loss.reservations):
                    return self._decided(command, prepared, parts, rows, loss, orders)
            prepared.abort()
            return None

    def _decided(
        self,
        command: Adjust,
        prepared: Prepared,
        parts: Sequence[dict[StockActor, Delta]],
        rows: Sequence[StockActor],
        loss: Loss,
        orders: StandingOrders,
    ) -> Fact:
        now_ms, coordinator = self._clock.now_ms(), self._coordinator
        *releases, adjustment = coordinator.share(prepared, parts)
        made = []
        for one, part in zip(loss.reservations, releases, strict=True):
            transaction = coordinator.decide(
                part,
                "release",
                now_ms,
                reservation=release(one, STOCK_LOST, now_ms),
                reference=command.reference,
                reason=STOCK_LOST,
                origin=command.origin,
                joins_next=True,
            )
            made.append(transaction)
            self._hints.discard(one)
        moved = moved_rows(rows, adjustment.transaction_id, self._stock.warehouses)
        fact = StockAdjusted(moved, tuple([one.reservation_id for one in loss.reservations]), tuple(loss.shortfall))
        coordinator.decide(
            adjustment,
            "adjust",
            now_ms,
            request=remember(command, fact),
            warehouses=self._stock.warehouses.new(
                [(row.key.organization_id, row.key.warehouse_id, "") for row in rows]
            ),
            reference=command.reference,
            reason=command.reason,
            origin=command.origin,
        )
        orders.decided(made)
        return fact


def _may_release(command: Adjust, lacks: int, refusal: AdjustmentsRefused, loss: Loss) -> bool:
    """Whether nothing but active reservations is in the way, and the caller wants those released."""
    are_active = all(one.state == "active" for one in loss.reservations)
    return command.release_uncovered is not UNSET and len(refusal.rows) == lacks and are_active and not loss.is_cut


def _stand(rows: Sequence[StockActor], records: Sequence[object]) -> bool:
    """Whether the rows are as they were.

    Raises:
        Unavailable: the activation of one is gone, so that it says nothing of what is.
    """
    check_alive(rows)
    return all(row.state.record is record for row, record in zip(rows, records, strict=True))


def _as_many_as_are_released(reservations: Sequence[ReservationRecord]) -> list[ReservationRecord]:
    kept: list[ReservationRecord] = []
    lines = 0
    for one in reservations[:UNCOVERED_MAX]:
        lines += len(one.items)
        if lines > UNCOVERED_LINES_MAX and kept:
            break
        kept.append(one)
    return kept
