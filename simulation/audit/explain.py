"""The position of one answer: the smallest one that it may have and whose state explains it."""

from collections.abc import Sequence
from functools import partial
from typing import assert_never

from msgspec.structs import replace

from actors.basket_commands import ReserveBasket
from actors.commands import (
    Adjust,
    Amend,
    Announce,
    Command,
    Confirm,
    Deduct,
    Delete,
    DropStaged,
    Expire,
    Extend,
    Fulfill,
    GoodsCommand,
    Import,
    ImportStaged,
    Line,
    Reacquire,
    Receive,
    Release,
    Reserve,
    StageLines,
)
from actors.outcomes import (
    InsufficientStock,
    ReservationExists,
    StockAdjusted,
    StockDeducted,
    StockDeleted,
    StockImported,
    StockReserved,
)
from actors.queries import (
    AnyQuery,
    CheckBasket,
    ExplainBasket,
    FindStock,
    GetReservation,
    GetSourcing,
    GetStock,
    GetTransfer,
    HistoryQuery,
    ListReservations,
    ListStock,
    ListTransfers,
    ListWarehouses,
    OutsideQuery,
    StateQuery,
)
from actors.records import OrderKey, ReservationRecord, StockKey, StockRecord, VariantKey
from actors.transfer_commands import CancelTransfer, ReceiveTransfer, ShipTransfer
from actors.views import ReservationPage, StockPage, StockRows, StockView
from actors.warehouse_commands import SetLevels, SetSourcing, UpsertWarehouse
from simulation.audit import explain_goods as goods
from simulation.audit.expected import (
    STATES_OF_A_REPEAT,
    check_of,
    chosen,
    lines_asked,
    page_of,
    refusal_of,
    sifted_page,
)
from simulation.audit.expected_goods import GoodsFact, is_goods_refusal, why_not_deleted, why_not_so
from simulation.audit.explain_baskets import BasketExplainer
from simulation.audit.explain_history import history_of
from simulation.audit.explain_reservations import ReservationMoves
from simulation.audit.explain_sites import SiteExplainer
from simulation.audit.history import Operation
from simulation.audit.positions import Explains
from simulation.audit.replay import Replay, basket_of
from simulation.audit.wrong import Wrong


class Explainer(BasketExplainer, SiteExplainer):
    """Finds for an answer the place in the journal that explains it.

    Args:
        replay: the journal.
    """

    def __init__(self, replay: Replay) -> None:
        super().__init__(replay)
        self._reservation_moves = ReservationMoves(replay)

    def __repr__(self) -> str:
        return f"<Explainer of {self._replay!r}>"

    def query(self, operation: Operation, query: AnyQuery, low: int, high: int) -> int:
        """The position of an answer to a question.

        Raises:
            Wrong: it has none.
        """
        answer = operation.answer
        if isinstance(query, OutsideQuery):
            return low  # what relays hear is judged by what they pass on
        if isinstance(query, HistoryQuery):
            lsns, explains = history_of(self._replay, query, answer, operation.high_lsn)
        else:
            lsns, explains = self._query(operation, query, answer)
        return self._smallest(lsns, explains, low, high, "G4", answer)

    def command(self, operation: Operation, command: Command, low: int, high: int) -> int:
        """The position of an answer to a command.

        Raises:
            Wrong: it has none.
        """
        answer = operation.answer
        match command:
            case Reserve():
                return self._explain_reserve(operation, command, answer, low, high)
            case ReserveBasket():
                return self.explain_basket(operation, command, answer, low, high)
            case Confirm() | Release() | Fulfill() | Extend() | Amend() | Reacquire():
                return self._reservation_moves.command(operation, command, answer, low, high)
            case Receive() | Announce() | Deduct() | Adjust():
                return self._explain_goods(operation, command, answer, low, high)
            case Delete():
                return self._explain_delete(command, answer, low, high)
            case UpsertWarehouse() | SetSourcing() | SetLevels():
                return self.explain_warehouses(command, answer, low, high)
            case ShipTransfer() | ReceiveTransfer() | CancelTransfer():
                return self.explain_transfers(command, answer, low, high)
            case Import():
                return self._explain_import(command, answer, low, high)
            case Expire():
                raise AssertionError("no client asks for an expiry")
            case ImportStaged() | StageLines() | DropStaged():
                raise AssertionError("a client asks for an import, which the servicer stages")
            case _:
                assert_never(command)

    def _explain_reserve(self, operation: Operation, request: Reserve, answer: object, low: int, high: int) -> int:
        order = OrderKey(request.organization_id, request.order_id)
        orders = self._replay.latest.get(order)
        lsns: list[Sequence[int]] = [orders.lsns] if orders is not None else []
        if isinstance(answer, StockReserved):
            return self._explain_reserved(operation, request, answer, lsns, low, high)
        if orders is not None:
            lsns += [self._replay.reservations[order.organization_id, one].lsns for one in orders.values]
        if isinstance(answer, ReservationExists):
            return self._smallest(lsns, partial(self._exists, request, answer), low, high, "G6", answer)
        variants = list(dict.fromkeys(line.variant_id for line in request.lines))
        lsns += self._row_lsns(request.organization_id, variants)
        lsns.append(self._replay.reservation_lsns.get(request.organization_id, []))  # a hint hangs on them
        return self._smallest(
            lsns, partial(self._does_not_fit, operation, request, answer, variants, high), low, high, "G5", answer
        )

    def _explain_reserved(
        self,
        operation: Operation,
        request: Reserve,
        answer: StockReserved,
        lsns: Sequence[Sequence[int]],
        low: int,
        high: int,
    ) -> int:
        made, order = answer.reservation, OrderKey(request.organization_id, request.order_id)
        timeline = self._timeline(made, high)
        if made.order != order:
            raise Wrong("G11", f"got the reservation of {made.order}")
        if basket_of(made) != lines_asked(request.lines):
            raise Wrong("G2", f"got {answer!r}: not what it asked for")
        taken = [item.warehouse_id for item in made.items]
        self._check_choice(operation, request.organization_id, request.lines, taken, timeline.first_lsn)

        def is_theirs(lsn: int) -> bool:
            return self._replay.latest_at(order, lsn) == made and made.state in STATES_OF_A_REPEAT

        return self._smallest([*lsns, timeline.lsns], is_theirs, low, high, "G4", answer)

    def _exists(self, request: Reserve, answer: ReservationExists, lsn: int) -> bool:
        """Whether the order has that reservation in this state, for other lines."""
        latest = self._replay.latest_at(OrderKey(request.organization_id, request.order_id), lsn)
        return (
            latest is not None
            and latest.reservation_id == answer.reservation_id
            and latest.holds_stock
            and basket_of(latest) != lines_asked(request.lines)
        )

    def _does_not_fit(
        self, operation: Operation, request: Reserve, answer: object, variants: Sequence[str], high: int, lsn: int
    ) -> bool:
        """Whether the basket is refused in this state as the answer says."""
        latest = self._replay.latest_at(OrderKey(request.organization_id, request.order_id), lsn)
        if latest is not None and (latest.holds_stock or self._is_repeated(operation, request, latest)):
            return False
        expected = refusal_of(request.lines, *self._replay.open_at(request.organization_id, variants, lsn))
        if isinstance(answer, InsufficientStock) and isinstance(expected, InsufficientStock):
            return answer.shortages == expected.shortages and self._is_hinted(operation, request, answer, high, lsn)
        return answer == expected

    def _is_repeated(self, operation: Operation, request: Reserve, latest: ReservationRecord) -> bool:
        """Whether this is the basket of an order that was shipped, and the service still knows it."""
        return (
            latest.state == "fulfilled"
            and basket_of(latest) == lines_asked(request.lines)
            and not self._is_moved(request.organization_id, latest.reservation_id, operation.moves)
        )

    def _check_choice(
        self, operation: Operation, organization_id: str, lines: Sequence[Line], taken: Sequence[str], lsn: int
    ) -> None:
        """Where no other command was under way, the goods come from where the contract says; else holds may count."""
        since = operation.undisturbed_since_lsn
        if not 0 <= since < lsn:
            return
        variants = list(dict.fromkeys(line.variant_id for line in lines))
        for before in range(since, lsn):  # an expiry may come in between
            state = self._replay.open_at(organization_id, variants, before)
            if list(taken) == [choice.warehouse_id for choice in chosen(lines, *state)]:
                return
        raise Wrong("G4", f"got goods from {taken!r}: these are not the warehouses that the contract names", lsn)

    def _explain_goods(self, operation: Operation, request: GoodsCommand, answer: object, low: int, high: int) -> int:
        replay, organization = self._replay, request.organization_id
        if isinstance(answer, GoodsFact):
            begins = replay.begins_at(organization) == high
            why = why_not_so(request, answer, replay.transactions[high - 1], replay.warehouses.name_at, begins=begins)
            if why:
                raise Wrong("G4", f"got {answer!r}, but {why}", high)
            if isinstance(request, Adjust) and isinstance(answer, StockAdjusted):
                goods.check_loss(replay, request, answer, high)
            if isinstance(request, Deduct) and isinstance(answer, StockDeducted):
                taken = [line.warehouse_id for line in answer.lines]
                self._check_choice(operation, organization, request.lines, taken, high)
            return goods.at_its_place(high, low)

        def refuses(lsn: int) -> bool:
            return is_goods_refusal(
                request,
                answer,
                lambda row: replay.row_at(StockKey(organization, *row), lsn),
                lambda variants: replay.open_at(organization, variants, lsn),
                lambda row: replay.holders_at(StockKey(organization, *row), lsn),
            )

        variants = list(dict.fromkeys(line.variant_id for line in request.lines))
        lsns = self._row_lsns(organization, variants)
        if isinstance(request, Adjust):
            lsns.append(replay.reservation_lsns.get(organization, []))  # a refusal names those that hold the goods
        return self._smallest(lsns, refuses, low, high, "G5", answer)

    def _explain_delete(self, request: Delete, answer: object, low: int, high: int) -> int:
        replay, organization = self._replay, request.organization_id
        key = StockKey(organization, request.variant_id, request.warehouse_id)
        if isinstance(answer, StockDeleted):
            transaction = replay.transactions[high - 1]
            deleted = [(change.before.key, change.before.stock_id) for change in transaction.changes]
            if transaction.kind != "delete" or deleted != [(key, answer.stock_id)]:
                raise Wrong("G4", f"got {answer!r}, but the journal has {transaction!r}", high)
            return goods.at_its_place(high, low)

        def refuses(lsn: int) -> bool:
            free = replay.free_at(organization, [request.variant_id], lsn)
            return answer == why_not_deleted(request, replay.row_at(key, lsn), free)

        return self._smallest(self._row_lsns(organization, [request.variant_id]), refuses, low, high, "G5", answer)

    def _explain_import(self, request: Import, answer: object, low: int, high: int) -> int:
        replay = self._replay
        if isinstance(answer, StockImported):
            return goods.imported_at(replay, request, answer, low, high)
        rows = [replay.rows.get(key) for key in goods.keys_of(request)]
        lsns = [one.lsns for one in rows if one is not None]
        return self._smallest(
            lsns, partial(goods.is_rejected, rows, request, answer, levels=replay.levels), low, high, "G5", answer
        )

    def _query(self, operation: Operation, query: StateQuery, answer: object) -> tuple[list[Sequence[int]], Explains]:
        replay, organization = self._replay, query.organization_id
        match query:
            case CheckBasket(lines=lines):
                variants = list(dict.fromkeys(line.variant_id for line in lines))
                return self._row_lsns(
                    organization, variants
                ), lambda lsn: answer == check_of(lines, *replay.open_at(organization, variants, lsn))
            case GetStock():
                keys = replay.rows_of_variant.get(VariantKey(organization, query.variant_id), [])
                keys = [key for key in keys if query.warehouse_id in ("", key.warehouse_id)]
                return (
                    [replay.warehouses.lsns.get(organization, []), *[replay.rows[key].lsns for key in keys]],
                    lambda lsn: isinstance(answer, StockRows) and answer.stock == self._views(keys, lsn),
                )
            case ListStock():
                keys = [
                    key
                    for key in replay.rows_of_organization.get(organization, [])
                    if query.variant_id in ("", key.variant_id) and query.warehouse_id in ("", key.warehouse_id)
                    if key.variant_id.startswith(query.variant_prefix)
                    if query.after is None or key > query.after
                ]

                def is_page(lsn: int) -> bool:
                    assert isinstance(answer, StockPage)
                    records = self._records(keys, lsn)
                    more = records[query.limit - 1].key if len(records) > query.limit else None
                    # The database is read first, and what warehouses are called by then is said afterwards.
                    return (
                        [view.record for view in answer.stock] == records[: query.limit]
                        and answer.next_key == more
                        and all(
                            view.warehouse_name
                            in replay.warehouses.names_between(view.record.key, lsn, operation.high_lsn)
                            for view in answer.stock
                        )
                    )

                return [replay.stock_lsns.get(organization, [])], is_page
            case ExplainBasket() | FindStock() | GetSourcing() | GetTransfer() | ListTransfers() | ListWarehouses():
                return self.explain_site_query(operation, query)
            case ListReservations():

                def is_list(lsn: int) -> bool:
                    assert isinstance(answer, ReservationPage)
                    for moves in range(operation.moves_begun, operation.moves + 1):
                        if answer == self._page(query, lsn, moves):
                            return True
                    return False

                return [replay.reservation_lsns.get(organization, [])], is_list
            case GetReservation():
                return self._reservation_moves.found(query, answer)

    def _page(self, query: ListReservations, lsn: int, moves: int) -> ReservationPage:
        if not (query.variant_id or query.warehouse_id or query.created_after_ms or query.created_before_ms):
            return page_of(self._reservations(query, lsn, moves), query)
        everyone = self._reservations(replace(query, limit=2**31), lsn, moves)
        return sifted_page(everyone, query)

    def _reservations(self, query: ListReservations, lsn: int, moves: int) -> list[ReservationRecord]:
        found = []
        for reservation_id in reversed(self._replay.reservation_ids.get(query.organization_id, [])):
            record = self._replay.reservations[query.organization_id, reservation_id].at(lsn)
            if (
                record is not None
                and query.state in (None, record.state)
                and query.order_id in ("", record.order_id)
                and (not query.before or reservation_id < query.before)
                and not self._is_moved(query.organization_id, reservation_id, moves)
            ):
                found.append(record)
                if len(found) > query.limit:
                    break
        return found

    def _records(self, keys: Sequence[StockKey], lsn: int) -> list[StockRecord]:
        records = [self._replay.rows[key].at(lsn) for key in keys]
        return [record for record in records if record is not None and record.exists]

    def _views(self, keys: Sequence[StockKey], lsn: int) -> tuple[StockView, ...]:
        return tuple(StockView(one, self._replay.warehouses.name_at(one.key, lsn)) for one in self._records(keys, lsn))
