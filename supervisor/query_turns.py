"""How queries are answered: from rows in memory, or by a read of the database, and always from durable state.

A query is no message to an actor. There it would queue behind changes that wait for rivals, only to be told what is
durable, and that can be seen without the actor's turn: so no change, however slow, holds a reader up. What memory or
the database says may be overtaken by another owner. So there is one end for all queries, and it asks the lease.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar, assert_never

from msgspec.structs import replace

from actors.activity import Activity
from actors.closed_warehouses import free_elsewhere, known_elsewhere
from actors.commands import Line
from actors.explanation import FreesAt
from actors.look import has_few_rows, look
from actors.order_explanation import explaining, held, is_held
from actors.outcomes import Refused, ReservationNotFound
from actors.planner import Free, Placement, Search, placing
from actors.queries import (
    AnyQuery,
    AuditOrganization,
    CheckBasket,
    ClaimOrganization,
    CountRows,
    DropCursor,
    ExplainBasket,
    FindOrganization,
    FindStock,
    GetActivity,
    GetReservation,
    GetSourcing,
    GetStock,
    GetStockAt,
    GetTransfer,
    JoinCell,
    ListCursors,
    ListMovements,
    ListReservations,
    ListStock,
    ListTransfers,
    ListWarehouses,
    MoveCursor,
    MoveOrganization,
    ReadChanges,
    ReadFeed,
    ReadOrganization,
    TakeCursor,
    TallyOrganization,
    WriteOrganization,
)
from actors.records import OrderKey, ReservationRecord, StockRecord
from actors.reply import Reply
from actors.sourcing import USUAL, Closed, Sourcing
from actors.turn import Doing, Turn
from actors.variant_stock import Pinned, VariantStock
from actors.views import (
    Availability,
    BasketCheck,
    Explanation,
    ReservationFound,
    ReservationPage,
    SourcingFound,
    StockPage,
    StockRows,
    StockView,
    TransferFound,
    View,
    WarehousePage,
)
from storage.store import Store
from supervisor.activations.order_directory import OrderDirectory
from supervisor.activations.stock_directory import StockDirectory
from supervisor.background.expiry_hints import ExpiryHints
from supervisor.clock import ServiceClock
from supervisor.cursors import Cursors
from supervisor.held_organizations import HeldOrganizations
from supervisor.moving import MoveSteps
from supervisor.ownership.lease import Lease
from supervisor.refusal_counts import RefusalCounts
from supervisor.store_reader import StoreReader
from supervisor.transactions.folding import Folding
from supervisor.transactions.journal import Journal
from supervisor.watching import Watching

T = TypeVar("T")

OfTables = ListStock | FindStock | ListMovements | GetStockAt


class QueryTurns:
    """Makes the turn for each query. All of them raise `Unavailable` if storage fails or the incarnation ends, and
    `Refused` if what they ask for by name does not exist.

    Args:
        store: what lists are read from.
        reader: reads them.
        stock, orders: the rows and the orders in memory.
        clock: says which holds are over.
        hints: say when holds that are in the way expire.
        journal: knows what is durable.
        lease: says when answers from memory may be given.
        watching: tells what happened.
        cursors: know how far that was passed on.
        held: knows which organizations are served here.
        folding: says when all rows are in their place.
    """

    def __init__(
        self,
        store: Store,
        reader: StoreReader,
        stock: StockDirectory,
        orders: OrderDirectory,
        clock: ServiceClock,
        hints: ExpiryHints,
        journal: Journal,
        lease: Lease,
        watching: Watching,
        cursors: Cursors,
        held: HeldOrganizations,
        folding: Folding,
    ) -> None:
        self._store = store
        self._reader = reader
        self._stock = stock
        self._orders = orders
        self._clock = clock
        self._hints = hints
        self._journal = journal
        self._lease = lease
        self._watching = watching
        self._cursors = cursors
        self._held = held
        self._folding = folding
        self.moving = MoveSteps(store, held, journal, folding, reader)
        self.refusals = RefusalCounts()

    def __repr__(self) -> str:
        return f"<QueryTurns {self._stock!r} {self._lease!r}>"

    def answer(self, query: AnyQuery, reply: Reply[Any]) -> Turn[None]:
        """The turn that answers a query with its view."""
        view: View
        match query:
            case CheckBasket():
                view = yield from self._check(query)
            case ExplainBasket():
                view = yield from self._explain(query)
            case GetStock():
                view = yield from self._rows(query)
            case ListStock():
                view = yield from self._stock_page(query)
            case FindStock():
                view = yield from self._found_page(query)
            case ListReservations():
                view = yield from self._reservation_page(query)
            case GetReservation():
                view = yield from self._reservation(query)
            case GetTransfer():
                view = yield from self._transfer(query)
            case ListTransfers():
                view = yield from self._published(lambda: self._store.list_transfers(query))
            case ListWarehouses():
                view = self._warehouse_page(query)
            case GetSourcing():
                view = SourcingFound(self._stock.warehouses.policy_of(query.organization_id))
            case ListMovements():
                view = yield from self._unfolded(query, lambda: self._store.list_movements(query))
            case GetStockAt():
                view = yield from self._unfolded(query, lambda: self._store.stock_at(query))
            case ReadChanges():
                view = yield from self._watching.changes(query, self._reader)
            case CountRows():
                view = yield from self._published(lambda: self._store.count_rows(query))
            case GetActivity():
                view = self._activity()
            case ReadFeed():
                view = yield from self._watching.feed(query, self._reader)
            case TakeCursor():
                view = yield from self._published(lambda: self._cursors.take(query))
            case MoveCursor():
                view = yield from self._published(lambda: self._cursors.move(query))
            case DropCursor():
                view = yield from self._published(lambda: self._cursors.drop(query))
            case ListCursors():
                view = yield from self._published(self._cursors.every)
            case FindOrganization():
                view = self._held.find(query)
            case ClaimOrganization():
                view = yield from self._published(lambda: self._held.claim(query))
            case JoinCell():
                view = yield from self._published(lambda: self._held.join(query))
            case MoveOrganization() | ReadOrganization() | WriteOrganization():
                view = yield from self._published(lambda: self.moving.answer(query))
            case TallyOrganization() | AuditOrganization():
                view = yield from self._published(lambda: self.moving.answer(query))
            case _ as never:
                assert_never(never)
        if not self._lease.holds:
            yield self._lease.next_proof()
        reply.set(view)

    def _activity(self) -> Activity:
        journal = self._journal.statistics()
        return Activity(
            journal.last_lsn,
            journal.durable_lsn,
            journal.batches,
            journal.entries,
            journal.answers_waiting,
            tuple(self._journal.recent),
            self.refusals.most_frequent(),
        )

    def _check(self, query: CheckBasket) -> Turn[BasketCheck]:
        wanted = query.organization_id, dict.fromkeys([line.variant_id for line in query.lines])
        variants = self._stock.ready(*wanted) or (yield from self._stock.load(*wanted))
        search = Search()
        if has_few_rows(variants):
            free: Free = {key: variant.free_durably() for key, variant in variants.items()}
        else:
            with Pinned(variants):
                free = (yield from look(variants, VariantStock.free_durably, search)).free
        sourcing = self._stock.warehouses.durable_sourcing.get(wanted[0], USUAL)  # of the same moment
        return (yield from _basket_check(query.lines, free, sourcing, search))

    def _explain(self, query: ExplainBasket) -> Turn[Explanation]:
        organization_id = query.organization_id
        wanted = organization_id, dict.fromkeys([line.variant_id for line in query.lines])
        if query.order_id:
            explanation = yield from self._explain_for_order(query)
        else:
            with Pinned(self._stock.ready(*wanted) or (yield from self._stock.load(*wanted))) as variants:
                seen = yield from look(variants, VariantStock.free_durably, Search())
            sourcing = self._stock.warehouses.durable_sourcing.get(organization_id, USUAL)
            frees_at = self._frees_at(organization_id, None)
            explanation = yield from explaining(query, None, seen.free, sourcing, 0, frees_at)
        # The hints know of what is decided, which nothing may show before it is durable.
        told: Explanation = yield self._journal.answered(explanation)
        return told

    def _explain_for_order(self, query: ExplainBasket) -> Turn[Explanation]:
        """As it was decided: what the order holds and what there is beside it must be of one moment."""
        key = OrderKey(query.organization_id, query.order_id)
        latest = yield from self._orders.latest(key)
        while True:
            items = latest.items if latest is not None else ()
            wanted = dict.fromkeys([line.variant_id for line in query.lines] + [item.variant_id for item in items])
            with Pinned((yield from self._stock.load(key.organization_id, wanted))) as variants:
                latest = yield from self._orders.latest(key)
                if latest is not None and not all(item.variant_id in variants for item in latest.items):
                    continue
                now_ms = self._clock.now_ms()
                if latest is not None and is_held(latest, query.lines, now_ms):
                    return held(latest, query.lines)
                search = Search()
                seen = yield from look(variants, VariantStock.free_if_rivals_abort, search)
                if search.has_waited:
                    is_same = (yield from self._orders.latest(key)) is latest
                    if not is_same or any(one.moves.count != seen.moves[name] for name, one in variants.items()):
                        continue  # they are not of one moment
                sourcing = self._stock.sourcing(key.organization_id)
                frees_at = self._frees_at(key.organization_id, latest)
                return (yield from explaining(query, latest, seen.free, sourcing, now_ms, frees_at))

    def _frees_at(self, organization_id: str, own: ReservationRecord | None) -> FreesAt:
        """When expiries free goods. The end of the order's own reservation would not help it."""
        freed_at_ms = self._hints.without(own)
        return lambda variant_id, warehouse_id, short: freed_at_ms((organization_id, variant_id, warehouse_id), short)

    def _rows(self, query: GetStock) -> Turn[StockRows]:
        wanted = query.organization_id, (query.variant_id,)
        variants = self._stock.ready(*wanted) or (yield from self._stock.load(*wanted))
        rows = variants[query.variant_id].rows
        names = [query.warehouse_id] if query.warehouse_id in rows else () if query.warehouse_id else sorted(rows)
        durable = [rows[name].state.durable for name in names]
        return StockRows(tuple([self._show(record) for record in durable if record.exists]))

    def _stock_page(self, query: ListStock) -> Turn[StockPage]:
        one_more = replace(query, limit=query.limit + 1)
        records = yield from self._unfolded(query, lambda: self._store.list_stock(one_more))
        page = tuple([self._show(record) for record in records[: query.limit]])
        return StockPage(page, page[-1].record.key if len(records) > query.limit else None)

    def _found_page(self, query: FindStock) -> Turn[StockPage]:
        found = yield from self._unfolded(query, lambda: self._store.find_stock(query))
        return StockPage(tuple([self._show(record) for record in found.records]), found.next_key)

    def _reservation_page(self, query: ListReservations) -> Turn[ReservationPage]:
        return (yield from self._published(lambda: self._store.list_reservations(query)))

    def _reservation(self, query: GetReservation) -> Turn[ReservationFound]:
        asked = query.organization_id, query.reservation_id
        found = yield from self._published(lambda: self._store.load_reservation(*asked))
        if found is None:
            raise Refused(ReservationNotFound(query.reservation_id))
        return ReservationFound(found)

    def _transfer(self, query: GetTransfer) -> Turn[TransferFound]:
        asked = query.organization_id, query.transfer_id
        return TransferFound((yield from self._published(lambda: self._store.find_transfer(*asked))))

    def _warehouse_page(self, query: ListWarehouses) -> WarehousePage:
        found = self._stock.warehouses.page(
            query.organization_id, query.after, query.limit + 1, active_only=query.active_only
        )
        is_more = len(found) > query.limit
        return WarehousePage(tuple(found[: query.limit]), found[query.limit - 1].warehouse_id if is_more else "")

    def _unfolded(self, query: OfTables, read: Callable[[], Awaitable[T]]) -> Turn[T]:
        """The same of what a large import changes, which must be in its place."""
        return (yield from self._folding.unfolded(query.organization_id, lambda: self._reader.published(read())))

    def _published(self, read: Callable[[], Awaitable[T]]) -> Turn[T]:
        found: T = yield Doing(lambda: self._reader.published(read()))
        return found

    def _show(self, record: StockRecord) -> StockView:
        return StockView(record, self._stock.warehouses.name_of(record.key))


def _basket_check(lines: Sequence[Line], free: Free, sourcing: Sourcing, search: Search) -> Turn[BasketCheck]:
    closed = sourcing.closed
    if closed:
        placements = yield from _placed_elsewhere(lines, free, sourcing, search)
    else:
        placements = yield from placing(lines, free, search, sourcing)
    found = [
        Availability(
            line.variant_id,
            placement.warehouse_id if placement.found else "",
            line.quantity,
            placement.available,
            placement.found,
            placement.fits,
        )
        for line, placement in zip(lines, placements, strict=True)
    ]
    if closed:
        found = [_in_closed(line, free, closed) or one for line, one in zip(lines, found, strict=True)]
    return BasketCheck(all(one.fits for one in found), tuple(found))


def _placed_elsewhere(lines: Sequence[Line], free: Free, sourcing: Sourcing, search: Search) -> Turn[list[Placement]]:
    known = {variant_id for variant_id, rows in free.items() if rows}
    among = yield from free_elsewhere(free, sourcing.closed, search)
    placements = yield from placing(lines, among, search, sourcing)
    return known_elsewhere(lines, placements, known)


def _in_closed(line: Line, free: Free, closed: Closed) -> Availability | None:
    """What a line finds that names a row in a warehouse which is not active; None for any other."""
    pieces = free[line.variant_id].get(line.warehouse_id) if line.warehouse_id in closed else None
    if pieces is None:
        return None
    return Availability(line.variant_id, line.warehouse_id, line.quantity, pieces, True, False, True)
