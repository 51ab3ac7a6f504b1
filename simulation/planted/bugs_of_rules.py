"""Planted bugs of holds, warehouses, orders, time limits and retries."""

from functools import partial
from typing import Any

import anyio

import actors.basket
import actors.idempotency
import actors.order_actor
import actors.planner
import actors.stock_state
import supervisor.transactions.coordinator
import supervisor.transactions.importing
from actors.actor import Envelope
from actors.commands import Expire, KeyedCommand
from actors.elsewhere import Elsewhere
from actors.order_actor import OrderActor
from actors.outcomes import Alternative, Fact, Refused, ReservationNotFound
from actors.planner import place, placing
from actors.records import Delta, OrderKey, StockRecord
from actors.reply import Reply
from actors.request_actor import RequestActor
from actors.reservation import confirm, release
from actors.row_changes import Figures, Prepare
from actors.stock_actor import StockActor
from actors.stock_state import StockState, Verdict
from actors.turn import Doing
from actors.two_phase import Prepared
from actors.unavailable import restarting
from actors.variant_stock import Pinned, VariantStock
from simulation.planted.planting import Patches, bug
from supervisor.activations.bloom_filter import BloomFilter
from supervisor.activations.order_directory import OrderDirectory
from supervisor.background.expiry import Expiry
from supervisor.clock import ServiceClock
from supervisor.executor import Executor
from supervisor.transactions.coordinator import Coordinator

# ---- two phases -----------------------------------------------------------------------------------------------------


@bug("a refused transaction leaves its first hold behind", "G2", "G10")
def leaked_hold() -> Patches:
    def abort(self: Prepared) -> None:
        for row in self.rows[1:]:
            if not row.is_retired:
                row.abort(self.transaction_id)

    return [(Prepared, "abort", abort)]


@bug("a basket gets what there is, and not all or nothing", "G2")
def non_atomic_basket() -> Patches:
    def prepare(self: Coordinator, changes: Any) -> Any:
        transaction_id = next(self._transaction_ids)
        granted: list[StockActor] = []
        for row, change in sorted(changes, key=supervisor.transactions.coordinator._key_of):
            if (yield row.ask(Prepare(transaction_id, change))) is Verdict.GRANTED:
                granted.append(row)
        if changes and not granted:
            raise restarting()  # to plan again would give the same, in a turn without a step between
        return Prepared(transaction_id, granted)

    def plan(lines: Any, variants: Any, closed: Any) -> Any:
        placements = place(lines, {v: variant.free_if_rivals_abort() for v, variant in variants.items()})
        if not any(p.fits for p in placements) or not all(p.found for p in placements):
            return (yield from right_plan(lines, variants, closed))
        return [variants[line.variant_id].rows[p.warehouse_id] for line, p in zip(lines, placements, strict=True)]

    right_plan = actors.basket.plan
    return [(Coordinator, "prepare", prepare), (actors.order_actor, "plan", plan)]


@bug("holds are not counted when a row judges", "G1")
def oversell() -> Patches:
    return [
        (StockState, "_fits_beside_holds", lambda self, delta, grows: True),
        (StockRecord, "check", lambda self: None),
    ]


@bug("rows are prepared in the order of the lines: two baskets wait for each other", "G10")
def deadlock_by_lock_order() -> Patches:
    return [(supervisor.transactions.coordinator, "_key_of", lambda change: 0)]


@bug("an abort does not judge the prepares that wait for it", "G10")
def waiting_forgotten_after_abort() -> Patches:
    def abort(self: StockActor, transaction_id: int) -> None:
        self.state.abort(transaction_id)
        self._waiting = [e for e in self._waiting if e.message.transaction_id != transaction_id]

    return [(StockActor, "abort", abort)]


@bug("an order is refused for the sake of a rival that may itself fail", "G5")
def false_refusal() -> Patches:
    return [(VariantStock, "is_undecided", property(lambda self: False))]


@bug("two lines on one row are not summed", "G2")
def lines_on_one_row_not_summed() -> Patches:
    def reserving(lines: Any, rows: Any) -> Any:
        wanted = {row: line.quantity for line, row in zip(lines, rows, strict=True)}
        return [(row, Delta(-quantity, quantity)) for row, quantity in wanted.items()]

    return [(actors.order_actor, "reserving", reserving)]


@bug("only one warehouse is tried though others have it", "G5")
def only_first_warehouse_tried() -> Patches:
    def first_only(lines: Any, free: Any, search: Any, *sourcing: Any) -> Any:
        first = {v: dict(sorted(rows.items())[:1]) for v, rows in free.items()}
        open_lines = all(not line.warehouse_id for line in lines)
        return (yield from placing(lines, first if open_lines else free, search, *sourcing))

    return [(actors.basket, "placing", first_only)]


# ---- warehouses -----------------------------------------------------------------------------------------------------


@bug("of equals, the warehouse with the larger id is taken", "G4")
def ties_by_the_larger_id() -> Patches:
    def one_for_all(wanted: Any, left: Any, search: Any) -> Any:
        yield from ()
        able = [w for w in left[next(iter(wanted))] if all(left[v].get(w, -1) >= wanted[v] for v in wanted)]
        return max(able, key=lambda w: (sum(left[v][w] for v in wanted), w), default=None)

    return [(actors.planner, "_one_warehouse_for_all", one_for_all)]


@bug("a basket comes from several warehouses though one could serve it", "G4")
def basket_split_needlessly() -> Patches:
    def none_for_all(*_: Any) -> Any:
        yield from ()

    return [(actors.planner, "_one_warehouse_for_all", none_for_all)]


@bug("lines of one variant are placed where the most is, and no other place is tried", "G4", "G5")
def packing_does_not_back_up() -> Patches:
    def pack(wishes: Any, left: Any, search: Any, *priorities: Any) -> Any:
        yield from ()
        space, packed = dict(left), {}
        for quantity, line in sorted(wishes, key=lambda wish: (-wish[0], wish[1])):
            warehouse_id = actors.planner._fullest(space)
            if space.get(warehouse_id, -1) < quantity:
                return {}
            space[warehouse_id] -= quantity
            packed[line] = warehouse_id
        return packed

    return [(actors.planner, "_pack", pack)]


# ---- orders and time ------------------------------------------------------------------------------------------------


@bug("each request of an order gets an actor of its own", "G6", "G8", "G3")
def orders_not_serialized() -> Patches:
    def activate(self: OrderDirectory, key: OrderKey) -> OrderActor:
        return OrderActor(
            key, self._services, self._load_of(key), self._dispatcher, self._drop_crashed, self._mailbox_messages_max
        )

    def load_of(self: OrderDirectory, key: OrderKey) -> Any:
        async def load() -> Any:
            await self.loader._wait_durable()
            return (await self.loader._read([key])).get(key, [])

        return lambda: Doing(load)

    return [(OrderDirectory, "activate", activate), (OrderDirectory, "_load_of", load_of)]


@bug("the same order again is refused: the shopper is blocked by its own hold", "G6")
def blocked_by_own_hold() -> Patches:
    return [(actors.order_actor, "asks_for_the_same", lambda reservation, lines: False)]


@bug("a reservation past its time can be confirmed", "G7")
def confirm_after_expiry() -> Patches:
    return [(actors.order_actor, "confirm", lambda reservation, order_id, now_ms: confirm(reservation, order_id, 0))]


@bug("a turn that waits for a rival does not pin its rows", "no bug is met", "G1", "G3", "G4", "G8")
def rows_not_pinned() -> Patches:
    def enter(self: Pinned) -> dict[str, VariantStock]:
        return self._variants

    return [(Pinned, "__enter__", enter), (Pinned, "__exit__", lambda self, *_: None)]


@bug("expiry does not queue with the order's other requests", "G7", "G8", "no bug is met")
def expiry_race() -> Patches:
    right = OrderDirectory.ask

    def ask(self: OrderDirectory, key: OrderKey, command: Any, reply: Reply[Fact]) -> None:
        actor = self._directory.get(key)
        if isinstance(command, Expire) and actor is not None and actor._load is None:
            other = OrderActor(
                key, self._services, None, self._dispatcher, self._drop_crashed, self._mailbox_messages_max
            )
            other.reservations = actor.reservations  # shared, as fields of one object would be
            other.ask(command, reply)
        else:
            right(self, key, command, reply)

    return [(OrderDirectory, "ask", ask)]


@bug("what expired is given back once more by a release", "G8")
def given_back_twice() -> Patches:
    def wrong(reservation: Any, reason: str, now_ms: int) -> Any:
        if reservation.state == "expired":
            return reservation.moved("released", now_ms, reason)
        return release(reservation, reason, now_ms)

    return [(actors.order_actor, "release", wrong)]


@bug("time limits follow the wall clock, wherever it jumps", "G7")
def raw_wall_clock() -> Patches:
    return [(ServiceClock, "now_ms", lambda self: self._wall_ms())]


@bug("service time starts from the wall clock alone after a restart", "G7")
def time_goes_back_at_a_restart() -> Patches:
    def start(self: ServiceClock, last_at_ms: int) -> None:
        self._start_ms = self._wall_ms()
        self._start_s = self._monotonic_s()

    return [(ServiceClock, "start", start)]


@bug("the expiry is not woken by a new reservation", "G7")
def expiry_not_woken() -> Patches:
    async def run(self: Expiry) -> None:
        while True:
            self._wakes_at_ms = 0
            due = await self._due(self._clock.now_ms(), 500)
            await self._expire(due)
            await anyio.sleep(self._idle_ms / 1_000)

    return [(Expiry, "run", run)]


@bug("goods that were shipped come back", "G8")
def shipped_goods_come_back() -> Patches:
    def all_back(before: Any, after: Any, variants: Any) -> Any:
        return [(row, Delta(-delta.reserved, delta.reserved)) for row, delta in right(before, after, variants)]

    right: Any = actors.basket.moving
    return [(actors.order_actor, "moving", all_back)]


@bug("what an import leaves unchanged is let go before the decision", "G2", "G4", "G8")
def unchanged_let_go_early() -> Patches:
    right = supervisor.transactions.importing.divided

    def divided(lines: Any, rows: Any) -> Any:
        changed, unchanged = yield from right(lines, rows)
        for row in unchanged:
            row.abort(next(iter(row.state.holds)))
        yield Doing(partial(anyio.sleep, 0.5))  # as long as a large import may take
        return changed, unchanged

    return [(supervisor.transactions.importing, "divided", divided)]


@bug("a count forgets what is reserved", "G2", "G8")
def count_forgets_reserved() -> Patches:
    def count_delta(self: StockState, count: Any) -> Delta:
        available = max(0, count.total - count.damaged - count.in_transit)
        return Delta(
            available - self.record.available,
            0,
            count.damaged - self.record.damaged,
            count.in_transit - self.record.in_transit,
        )

    return [(StockState, "_count_delta", count_delta)]


@bug("a figure that a count leaves open becomes 0", "G2", "G5", "G8")
def open_figure_becomes_0() -> Patches:
    def counted(count: Any, record: Any) -> Figures:
        return Figures(*[getattr(count, figure) or 0 for figure in Figures._fields])

    return [(actors.stock_state, "counted", counted), (supervisor.transactions.importing, "counted", counted)]


@bug("a refusal names another warehouse that falls short as well", "G5")
def alternatives_by_the_least() -> Patches:
    def alternatives(self: Any, variant_id: str, warehouse_id: str) -> tuple[Alternative, ...]:
        others = [Alternative(other, pieces) for other, pieces in self._free.get(variant_id, {}).items()]
        return tuple(sorted(others, key=lambda other: (other.available, other.warehouse_id)))

    return [(Elsewhere, "alternatives_to", alternatives)]


# ---- retries --------------------------------------------------------------------------------------------------------


@bug("a repeated request is carried out again", "G6")
def request_carried_out_twice() -> Patches:
    def handle(self: RequestActor, envelope: Envelope[KeyedCommand, Fact]) -> Any:
        fact = yield from self._carry_out(envelope.message)
        envelope.reply.set(fact)

    return [(RequestActor, "handle", handle)]


@bug("an import's request id is the same for all organizations", "G11")
def import_ids_shared() -> Patches:
    return [(actors.idempotency, "import_scope", lambda organizations: "")]


@bug("after a restart the filters say that they know nothing", "G6")
def forgotten_after_a_restart() -> Patches:
    right = BloomFilter.__init__

    def init(self: BloomFilter, *args: Any, **named: Any) -> None:
        right(self, *args, **named)
        self.is_filled = True

    return [(BloomFilter, "__init__", init)]


@bug("a refusal under an idempotency key is not remembered", "G3", "G6")
def refusal_not_remembered() -> Patches:
    def not_found(self: Executor, command: Any) -> Reply[Fact]:
        return self._journal.answered(error=Refused(ReservationNotFound(command.reservation_id)))

    return [(Executor, "_not_found", not_found)]


@bug("another organization's reservation can be reached by its id", "G11")
def organizations_mixed_up() -> Patches:
    def order_in_memory(self: OrderDirectory, organization_id: str, reservation_id: str) -> OrderKey | None:
        for (_, known), key in self._order_of_reservation.items():
            if known == reservation_id:
                return key
        return None

    return [(OrderDirectory, "order_in_memory", order_in_memory)]
