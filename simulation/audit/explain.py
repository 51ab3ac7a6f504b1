"""The position of one answer: the smallest one that it may have and whose state explains it."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import assert_never

from actors.bounds import INT32_MAX
from actors.commands import Command, Confirm, Expire, Fulfill, Import, Receive, Release, Reserve
from actors.outcomes import (
    ImportRejected,
    InsufficientStock,
    QuantityTooLarge,
    ReservationConfirmed,
    ReservationExists,
    ReservationFulfilled,
    ReservationReleased,
    StockImported,
    StockReceived,
    StockReserved,
)
from actors.queries import AnyQuery, CheckBasket, GetStock, ListReservations, ListStock
from actors.records import OrderKey, ReservationRecord, StockKey, StockRecord, VariantKey
from actors.views import ReservationPage, StockPage, StockRows
from simulation.audit.choice import choose
from simulation.audit.expected import (
    STATES_AFTER,
    STATES_OF_A_REPEAT,
    check_of,
    covers,
    is_counted,
    is_refused,
    lines_asked,
    page_of,
    received,
    refusal_of,
)
from simulation.audit.history import Operation
from simulation.audit.replay import Replay, Timeline, between, items_asked

Explains = Callable[[int], bool]
"""Whether the state after that LSN explains the answer."""


class Wrong(Exception):
    """An answer that nothing explains."""

    def __init__(self, guarantee: str, sentence: str, lsn: int = 0) -> None:
        super().__init__(sentence)
        self.guarantee = guarantee
        self.sentence = sentence
        self.lsn = lsn


class Explainer:
    """Finds for an answer the place in the journal that explains it.

    Args:
        replay: the journal.
    """

    def __init__(self, replay: Replay) -> None:
        self._replay = replay

    def __repr__(self) -> str:
        return f"<Explainer of {self._replay!r}>"

    def query(self, operation: Operation, query: AnyQuery, low: int, high: int) -> int:
        """The position of an answer to a question.

        Raises:
            Wrong: it has none.
        """
        answer = operation.answer
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
            case Confirm() | Release() | Fulfill():
                return self._explain_move(operation, command, answer, low, high)
            case Receive():
                return self._explain_receive(command, answer, low, high)
            case Import():
                return self._explain_import(command, answer, low, high)
            case Expire():
                raise AssertionError("no client asks for an expiry")
            case _:
                assert_never(command)

    def _smallest(
        self, lsns: Sequence[Sequence[int]], explains: Explains, low: int, high: int, guarantee: str, answer: object
    ) -> int:
        for lsn in between(lsns, low, high):
            if explains(lsn):
                return lsn
        sentence = f"got {answer!r}, which no state from LSN {low} to {high} explains"
        if any(explains(lsn) for lsn in between(lsns, 0, low)):
            raise Wrong(guarantee, sentence + ", but an older one does", low)
        if any(explains(lsn) for lsn in between(lsns, high, self._replay.last_lsn)):
            raise Wrong("G3", sentence + ", but one does that was not durable then", high)
        raise Wrong(guarantee, sentence, high)

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
        return self._smallest(
            lsns, partial(self._does_not_fit, operation, request, answer, variants), low, high, "G5", answer
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
        if items_asked(made) != lines_asked(request.lines):
            raise Wrong("G2", f"got {answer!r}: not what it asked for")
        self._check_choice(operation, request, made, timeline.first_lsn)

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
            and items_asked(latest) != lines_asked(request.lines)
        )

    def _does_not_fit(
        self, operation: Operation, request: Reserve, answer: object, variants: Sequence[str], lsn: int
    ) -> bool:
        """Whether the basket is refused in this state as the answer says."""
        latest = self._replay.latest_at(OrderKey(request.organization_id, request.order_id), lsn)
        if latest is not None and (latest.holds_stock or self._is_repeated(operation, request, latest)):
            return False
        expected = refusal_of(request.lines, self._replay.free_at(request.organization_id, variants, lsn))
        if isinstance(answer, InsufficientStock) and isinstance(expected, InsufficientStock):
            return answer.shortages == expected.shortages
        return answer == expected

    def _is_repeated(self, operation: Operation, request: Reserve, latest: ReservationRecord) -> bool:
        """Whether this is the basket of an order that was shipped, and the service still knows it."""
        return (
            latest.state == "fulfilled"
            and items_asked(latest) == lines_asked(request.lines)
            and not self._is_moved(request.organization_id, latest.reservation_id, operation.moves)
        )

    def _check_choice(self, operation: Operation, request: Reserve, made: ReservationRecord, lsn: int) -> None:
        """Where no other command was under way, the goods come from where the contract says; else holds may count."""
        since = operation.undisturbed_since_lsn
        if not 0 <= since < lsn:
            return
        variants = list(dict.fromkeys(line.variant_id for line in request.lines))
        taken = [item.warehouse_id for item in made.items]
        for before in range(since, lsn):  # an expiry may come in between
            free = self._replay.free_at(request.organization_id, variants, before)
            if taken == [choice.warehouse_id for choice in choose(request.lines, free)]:
                return
        raise Wrong("G4", f"got {made!r}: these are not the warehouses that the contract names", lsn)

    def _explain_move(
        self, operation: Operation, request: Confirm | Release | Fulfill, answer: object, low: int, high: int
    ) -> int:
        timeline = self._replay.reservations.get((request.organization_id, request.reservation_id))
        match answer:
            case ReservationConfirmed(record) | ReservationReleased(record) | ReservationFulfilled(record):
                if (record.organization_id, record.reservation_id) != (request.organization_id, request.reservation_id):
                    raise Wrong("G11", f"got another's reservation: {record!r}")
                timeline = self._timeline(record, high)
                legal = record.state in STATES_AFTER[type(answer)]
                if isinstance(request, Confirm):
                    legal = legal and record.order_id == request.order_id

                def is_so(lsn: int) -> bool:
                    assert timeline is not None
                    return legal and timeline.at(lsn) == record

                return self._smallest([timeline.lsns], is_so, low, high, "G4", answer)

        def refuses(lsn: int) -> bool:
            record = timeline.at(lsn) if timeline is not None else None
            if is_refused(request, answer, record, operation.answered_ms):
                return True
            # As if it had never been; an actor in memory may still answer as before.
            return is_refused(request, answer, None, operation.answered_ms) and self._is_moved(
                request.organization_id, request.reservation_id, operation.moves
            )

        return self._smallest([timeline.lsns] if timeline else [], refuses, low, high, "G4", answer)

    def _explain_receive(self, request: Receive, answer: object, low: int, high: int) -> int:
        key = StockKey(request.organization_id, request.variant_id, request.warehouse_id)
        if isinstance(answer, StockReceived):
            transaction = self._replay.transactions[high - 1]
            change = transaction.changes[0] if transaction.changes else None
            if change is None or change.after.key != key or change.delta != received(request, change.before):
                raise Wrong("G4", f"got {answer!r}, but the journal has {transaction!r}", high)
            figures = (change.after.stock_id, change.after.total, change.after.available, change.before.available)
            if figures != (answer.stock_id, answer.total, answer.available, answer.available_before):
                raise Wrong("G4", f"got {answer!r}, but the journal has {change!r}", high)
            begins = self._replay.stock_lsns[key.organization_id][0] == high
            if (answer.row_created, answer.organization_created) != (not change.before.exists, begins):
                raise Wrong("G4", f"got {answer!r}, but it is another row's beginning: {change!r}", high)
            return self._at_its_place(high, low)
        rows = self._replay.rows.get(key)

        def is_too_large(lsn: int) -> bool:
            record = rows.at(lsn) if rows else None
            total = (record.total + received(request, record).total) if record else request.quantity
            return total > INT32_MAX and answer == QuantityTooLarge(key.variant_id, key.warehouse_id, total)

        return self._smallest([rows.lsns] if rows else [], is_too_large, low, high, "G5", answer)

    def _explain_import(self, request: Import, answer: object, low: int, high: int) -> int:
        replay = self._replay
        keys = [StockKey(line.organization_id, line.variant_id, line.warehouse_id) for line in request.lines]
        if isinstance(answer, StockImported):
            transaction = replay.transactions[high - 1]
            changed = {change.after.key for change in transaction.changes}
            created = sum(not change.before.exists for change in transaction.changes)
            counts = (len(keys), created, len(changed) - created, len(keys) - len(changed))
            told = (answer.lines, answer.rows_created, answer.rows_changed, answer.rows_unchanged)
            if transaction.kind != "import" or told != counts:
                raise Wrong("G4", f"got {answer!r}, but the journal has {transaction!r}", high)
            # Rivals may make an organization's first row while an import is about to: then both say so.
            begun = {key.organization_id: replay.stock_lsns[key.organization_id][0] for key in keys}
            new, certain = set(answer.new_organizations), {name for name, lsn in begun.items() if lsn == high}
            if not certain <= new <= {name for name, lsn in begun.items() if lsn > low}:
                raise Wrong("G4", f"got {answer!r}, but the organizations began at {begun}", high)
            for key, line in zip(keys, request.lines, strict=True):
                if not is_counted(replay.rows[key], high, line):
                    raise Wrong("G2", f"was applied, but {key} is not what was counted", high)
            return self._at_its_place(high, low)

        def is_rejected(lsn: int) -> bool:
            bad = [
                line.line_number
                for key, line in zip(keys, request.lines, strict=True)
                if not covers(replay.rows.get(key), lsn, line)
            ]
            return isinstance(answer, ImportRejected) and bool(bad) and bad == [e.line_number for e in answer.errors]

        return self._smallest(
            [replay.rows[key].lsns for key in keys if key in replay.rows], is_rejected, low, high, "G5", answer
        )

    def _at_its_place(self, lsn: int, low: int) -> int:
        if lsn <= low:
            raise Wrong("G4", f"happened at LSN {lsn}, before LSN {low} which was answered before it was asked", lsn)
        return lsn

    # ---- queries ----------------------------------------------------------------------------------------------------

    def _query(self, operation: Operation, query: AnyQuery, answer: object) -> tuple[list[Sequence[int]], Explains]:
        replay, organization = self._replay, query.organization_id
        match query:
            case CheckBasket(lines=lines):
                variants = list(dict.fromkeys(line.variant_id for line in lines))
                return self._row_lsns(
                    organization, variants
                ), lambda lsn: answer == check_of(lines, replay.free_at(organization, variants, lsn))
            case GetStock():
                keys = replay.rows_of_variant.get(VariantKey(organization, query.variant_id), [])
                keys = [key for key in keys if query.warehouse_id in ("", key.warehouse_id)]
                return (
                    [replay.rows[key].lsns for key in keys],
                    lambda lsn: (
                        isinstance(answer, StockRows)
                        and [view.record for view in answer.stock] == self._records(keys, lsn)
                    ),
                )
            case ListStock():
                keys = [
                    key
                    for key in replay.rows_of_organization.get(organization, [])
                    if query.variant_id in ("", key.variant_id) and query.warehouse_id in ("", key.warehouse_id)
                    if query.after is None or key > query.after
                ]

                def is_page(lsn: int) -> bool:
                    assert isinstance(answer, StockPage)
                    records = self._records(keys, lsn)
                    more = records[query.limit - 1].key if len(records) > query.limit else None
                    return [view.record for view in answer.stock] == records[: query.limit] and answer.next_key == more

                return [replay.stock_lsns.get(organization, [])], is_page
            case ListReservations():

                def is_list(lsn: int) -> bool:
                    assert isinstance(answer, ReservationPage)
                    for moves in range(operation.moves_begun, operation.moves + 1):
                        records = self._reservations(query, lsn, moves)
                        if answer == page_of(records, query):
                            return True
                    return False

                return [replay.reservation_lsns.get(organization, [])], is_list

    def _is_moved(self, organization_id: str, reservation_id: str, moves: int) -> bool:
        """Whether the reservation was gone after this number of moves."""
        return 0 < self._replay.moved.get((organization_id, reservation_id), 0) <= moves

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
        return [record for key in keys if (record := self._replay.rows[key].at(lsn)) is not None]

    def _row_lsns(self, organization_id: str, variant_ids: Sequence[str]) -> list[Sequence[int]]:
        replay = self._replay
        return [
            replay.rows[key].lsns
            for variant_id in variant_ids
            for key in replay.rows_of_variant.get(VariantKey(organization_id, variant_id), ())
        ]

    def _timeline(self, record: ReservationRecord, high: int) -> Timeline[ReservationRecord]:
        timeline = self._replay.reservations.get((record.organization_id, record.reservation_id))
        if timeline is None:
            raise Wrong("G3", f"got {record!r}, of which the journal has nothing")
        if timeline.first_lsn > high:
            raise Wrong("G3", f"was answered at LSN {high}, but {record.reservation_id} came later", timeline.first_lsn)
        return timeline
