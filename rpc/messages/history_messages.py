"""Questions about what happened become queries, and what happened becomes messages."""

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, NamedTuple, get_args

import msgspec
from stockkeeper_client.v1 import inventory_pb2, stock_pb2

from actors.changes import Change, ChangedReservation, ChangedRow, Movement, MovementPage, Pieces, Point, StockAt
from actors.outcomes import Refused, StockNotFound
from actors.queries import GetStockAt, ListMovements
from actors.records import ReservationRecord, TransactionKind
from actors.views import StockView
from rpc.messages.field_checks import check_id, check_optional_id, page_size, raise_if_any
from rpc.messages.page_texts import page_text
from rpc.messages.page_tokens import TOKEN_RULE, decode_token, encode_token
from rpc.messages.problems import HistoryNotKept
from rpc.messages.responses import timestamp
from rpc.messages.rules import NOTE_RULE, Violation, is_note
from rpc.messages.sourcing_messages import policy_name
from rpc.messages.transfer_messages import transfer_message
from rpc.messages.warehouse_messages import warehouse_message
from rpc.messages.watch_tokens import TOKEN_RULE as WATCH_TOKEN_RULE
from rpc.messages.watch_tokens import WatchToken, read_watch_token

NO_MOVEMENTS = ("remember", "confirm", "extend", "warehouse", "sourcing")
KINDS = tuple(kind for kind in get_args(TransactionKind) if kind not in NO_MOVEMENTS)
TIME_RULE = "must be a time such as 2026-01-31T12:00:00Z"
FILTERS_MAX = 1_000
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

NOW, TOKEN, SNAPSHOT = 1, 2, 3  # WatchChangesRequest.From


class MovementMark(NamedTuple):
    """The next page of movements begins behind this line."""

    organization_id: str
    lsn: int
    position: int
    list: str = "movements"


_marks = msgspec.json.Decoder(MovementMark)


def milliseconds(text: str) -> int:
    """An RFC 3339 time in service milliseconds.

    >>> milliseconds("2026-01-31T13:00:00+01:00") == milliseconds("2026-01-31T12:00:00.000Z")
    True

    Raises:
        ValueError: it is none, or before 1970.
    """
    if not _TIME.fullmatch(text):
        raise ValueError(TIME_RULE)
    at_ms = (datetime.fromisoformat(text.upper()) - _EPOCH) // timedelta(milliseconds=1)
    if at_ms <= 0:
        raise ValueError(TIME_RULE)
    return at_ms


def list_movements(request: stock_pb2.ListMovementsRequest) -> ListMovements:
    """Raises `Invalid`, as all of `rpc.messages.validation` do."""
    faults: list[Violation] = []
    organization_id = request.organization_id
    check_id(faults, "organization_id", organization_id)
    for field in ("variant_id", "warehouse_id", "reservation_id", "order_id"):
        check_optional_id(faults, field, getattr(request, field))
    if not is_note(request.reference):
        faults.append(Violation("reference", NOTE_RULE))
    kinds: Any = tuple(dict.fromkeys(request.kinds[:FILTERS_MAX]))
    unknown = [place for place, kind in enumerate(kinds) if kind not in KINDS]
    faults += [Violation(f"kinds[{place}]", f"must be one of {', '.join(KINDS)}") for place in unknown]
    after_ms, before_ms = [_time(faults, field, getattr(request, field)) for field in ("after", "before")]
    limit = page_size(faults, request.page_size)
    place = _place(faults, request.page_token, organization_id) if request.page_token else None
    raise_if_any(faults)
    return ListMovements(
        organization_id,
        request.variant_id,
        request.warehouse_id,
        request.reservation_id,
        request.order_id,
        request.reference,
        kinds,
        after_ms,
        before_ms,
        request.newest_first,
        place,
        limit,
    )


def _time(faults: list[Violation], field: str, text: str) -> int:
    """In milliseconds; 0 if it is not given."""
    try:
        return milliseconds(text) if text else 0
    except ValueError:
        faults.append(Violation(field, TIME_RULE))
        return 0


def _place(faults: list[Violation], token: str, organization_id: str) -> Point | None:
    try:
        mark = _marks.decode(decode_token(token))
        if mark.organization_id == organization_id and mark.list == "movements":
            return Point(mark.lsn, mark.position)
    except ValueError:
        pass
    faults.append(Violation("page_token", TOKEN_RULE))
    return None


def movement_page(organization_id: str, page: MovementPage) -> stock_pb2.ListMovementsResponse:
    token = "" if page.next is None else encode_token(MovementMark(organization_id, *page.next))
    return stock_pb2.ListMovementsResponse(
        movements=[_movement(one) for one in page.movements],
        next_page_token=token,
        message=page_text(len(page.movements), "movement", token),
    )


def _movement(one: Movement) -> stock_pb2.Movement:
    return stock_pb2.Movement(
        movement_id=movement_id(one.lsn, one.position),
        lsn=one.lsn,
        at=timestamp(one.at_ms),
        kind=one.kind,
        variant_id=one.variant_id,
        warehouse_id=one.warehouse_id,
        before=_quantities(one.before),
        after=_quantities(one.after),
        reason=one.reason,
        reference=one.reference,
        reservation_id=one.reservation_id,
        order_id=one.order_id,
        actor=one.actor,
        correlation_id=one.correlation_id,
    )


def movement_id(lsn: int, position: int) -> str:
    """The name of a line of the ledger."""
    return f"{lsn}-{position}"


def _quantities(pieces: Pieces) -> stock_pb2.Quantities:
    return stock_pb2.Quantities(
        available=pieces.available, reserved=pieces.reserved, damaged=pieces.damaged, in_transit=pieces.in_transit
    )


# ---- a row at a time --------------------------------------------------------------------------------------------


def get_stock_at(request: stock_pb2.GetStockAtRequest) -> GetStockAt:
    """Raises `Invalid`."""
    faults: list[Violation] = []
    for field in ("organization_id", "variant_id", "warehouse_id"):
        check_id(faults, field, getattr(request, field))
    at_ms = _time(faults, "at", request.at)
    if not request.at:
        faults.append(Violation("at", TIME_RULE))
    raise_if_any(faults)
    return GetStockAt(request.organization_id, request.variant_id, request.warehouse_id, at_ms)


def stock_at(query: GetStockAt) -> "partial[stock_pb2.GetStockAtResponse]":
    """What makes a message of the answer. It raises `Refused` and `HistoryNotKept`."""
    return partial(_stock_at, query)


def _stock_at(query: GetStockAt, view: StockAt) -> stock_pb2.GetStockAtResponse:
    if not view.is_known:
        raise HistoryNotKept("The ledger of this row begins later")
    pieces = view.pieces
    if pieces is None:
        raise Refused(StockNotFound(query.variant_id, query.warehouse_id))
    return stock_pb2.GetStockAtResponse(
        message=f"As of {timestamp(query.at_ms)}",
        lsn=view.lsn,
        stock_info=inventory_pb2.StockInfo(
            variant_id=query.variant_id,
            warehouse_id=query.warehouse_id,
            total_quantity=pieces.available + pieces.reserved + pieces.damaged + pieces.in_transit,
            available_quantity=pieces.available,
            reserved_quantity=pieces.reserved,
            damaged_quantity=pieces.damaged,
            in_transit_quantity=pieces.in_transit,
        ),
    )


# ---- changes ----------------------------------------------------------------------------------------------------


class Watch(NamedTuple):
    """A caller's wish to hear of changes."""

    organization_id: str
    begin: int
    token: WatchToken | None
    variant_ids: frozenset[str]
    warehouse_ids: frozenset[str]

    def wants(self, variant_id: str, warehouse_id: str) -> bool:
        """Whether the filters let this row pass."""
        in_variants = not self.variant_ids or variant_id in self.variant_ids
        return in_variants and (not self.warehouse_ids or warehouse_id in self.warehouse_ids)


def watch_changes(request: stock_pb2.WatchChangesRequest) -> Watch:
    """Raises `Invalid`."""
    faults: list[Violation] = []
    check_id(faults, "organization_id", request.organization_id)
    begin = int(getattr(request, "from"))
    if begin not in (0, NOW, TOKEN, SNAPSHOT):
        faults.append(Violation("from", "must be FROM_NOW, FROM_TOKEN or FROM_SNAPSHOT"))
    token = None
    if begin in (NOW, SNAPSHOT) and request.token:
        faults.append(Violation("token", "must be empty where the stream does not begin from it"))
    elif request.token or begin == TOKEN:
        try:
            token = read_watch_token(request.token, request.organization_id)
        except ValueError:
            faults.append(Violation("token", WATCH_TOKEN_RULE))
    for field in ("variant_ids", "warehouse_ids"):
        _check_filter(faults, field, getattr(request, field))
    raise_if_any(faults)
    variants, warehouses = frozenset(request.variant_ids), frozenset(request.warehouse_ids)
    return Watch(request.organization_id, begin or (TOKEN if token else NOW), token, variants, warehouses)


def _check_filter(faults: list[Violation], field: str, ids: Sequence[str]) -> None:
    if len(ids) > FILTERS_MAX:
        faults.append(Violation(field, f"must be at most {FILTERS_MAX}"))
        return
    for place, one in enumerate(ids):
        check_id(faults, f"{field}[{place}]", one)


def change_message(change: Change, watch: Watch) -> stock_pb2.WatchChangesResponse | None:
    """The change as the caller is told of it, without its token; None if the filters leave nothing of it."""
    rows = [row for row in change.rows if watch.wants(row.variant_id, row.warehouse_id)]
    tells_more = change.warehouses or change.sourcing
    if not rows and change.reservation is None and change.transfer is None and (change.rows or not tells_more):
        return None
    message = stock_pb2.WatchChangesResponse(
        at=timestamp(change.at_ms),
        kind=change.kind,
        lsn=change.lsn,
        reason=change.reason,
        reference=change.reference,
        request_id=change.request_id,
        actor=change.actor,
        correlation_id=change.correlation_id or change.request_id,
        continues=not change.is_whole,
        rows=[_changed_row(change, row) for row in rows],
        notices=[notice for row in rows for notice in _notices(row)],
        warehouses=[warehouse_message(named) for named in change.warehouses],
        sourcing_policy=policy_name(change.sourcing),
    )
    if change.transfer is not None:
        message.transfer.CopyFrom(transfer_message(change.transfer))
    if change.reservation is not None:
        message.reservation.CopyFrom(_reservation(change.reservation))
    return message


def _changed_row(change: Change, row: ChangedRow) -> stock_pb2.ChangedRow:
    return stock_pb2.ChangedRow(
        variant_id=row.variant_id,
        warehouse_id=row.warehouse_id,
        before=_quantities(row.before),
        after=None if change.kind == "delete" else _quantities(row.after),
        movement_id=movement_id(change.lsn, row.position),
    )


def _notices(row: ChangedRow) -> Iterator[stock_pb2.Notice]:
    kinds = stock_pb2.Notice
    before, after = row.before.available, row.after.available
    where: Any = {"variant_id": row.variant_id, "warehouse_id": row.warehouse_id, "available": after}
    if row.low is not None:
        yield stock_pb2.Notice(kind=kinds.KIND_LOW, **where, min_stock=row.low[0], reorder_point=row.low[1])
    if before > 0 == after:
        yield stock_pb2.Notice(kind=kinds.KIND_DEPLETED, **where)
    if before == 0 < after:
        yield stock_pb2.Notice(kind=kinds.KIND_REPLENISHED, **where)


def _reservation(one: ChangedReservation) -> stock_pb2.ChangedReservation:
    return stock_pb2.ChangedReservation(
        reservation_id=one.reservation_id,
        order_id=one.order_id,
        state=one.state,
        expires_at=timestamp(one.expires_at_ms),
        items=[
            stock_pb2.GoodsLine(variant_id=line.variant_id, warehouse_id=line.warehouse_id, quantity=line.quantity)
            for line in one.lines
        ],
    )


def snapshot_of_rows(rows: Iterable[StockView], watch: Watch) -> stock_pb2.WatchChangesResponse:
    """A part of a snapshot: rows as they stand."""
    records = [view.record for view in rows if watch.wants(view.record.variant_id, view.record.warehouse_id)]
    return stock_pb2.WatchChangesResponse(
        kind="snapshot",
        rows=[
            stock_pb2.ChangedRow(
                variant_id=record.variant_id,
                warehouse_id=record.warehouse_id,
                after=stock_pb2.Quantities(
                    available=record.available,
                    reserved=record.reserved,
                    damaged=record.damaged,
                    in_transit=record.in_transit,
                ),
            )
            for record in records
        ],
    )


def snapshot_of_reservation(one: ReservationRecord) -> stock_pb2.WatchChangesResponse:
    """A part of a snapshot: a reservation that holds stock."""
    lines = [
        stock_pb2.GoodsLine(variant_id=item.variant_id, warehouse_id=item.warehouse_id, quantity=item.quantity)
        for item in one.items
    ]
    return stock_pb2.WatchChangesResponse(
        kind="snapshot",
        reservation=stock_pb2.ChangedReservation(
            reservation_id=one.reservation_id,
            order_id=one.order_id,
            state=one.state,
            expires_at=timestamp(one.expires_at_ms),
            items=lines,
        ),
    )
