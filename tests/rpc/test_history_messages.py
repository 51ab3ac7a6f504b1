"""Questions about the past at the door: what is asked, what is refused, and tokens that no caller can make up."""

from typing import Any

import pytest
from msgspec.structs import replace
from stockkeeper_client.v1 import stock_pb2 as pb

from actors.changes import Change, ChangedRow, ChangesPage, MovementPage, Pieces, Point, StockAt
from actors.outcomes import Refused, StockNotFound
from actors.queries import GetStockAt, ListMovements, ReadChanges
from actors.records import WarehouseRecord
from actors.reply import Reply
from actors.transfer_records import TransferLine, TransferRecord
from rpc.messages import history_messages as history
from rpc.messages.history_messages import change_message, milliseconds, watch_changes
from rpc.messages.problems import HistoryNotKept, describe
from rpc.messages.rules import Invalid
from rpc.messages.watch_tokens import read_watch_token, watch_token
from rpc.services.change_stream import BEHIND_MAX, watch

TOKEN = watch_token("org", "database", Point(7, 3))
NOW: Any = {"from": pb.WatchChangesRequest.FROM_NOW}


def faults_of(call: Any, request: Any) -> list[str]:
    with pytest.raises(Invalid) as invalid:
        call(request)
    return [violation.field for violation in invalid.value.violations]


def test_a_token_says_where_to_go_on() -> None:
    assert tuple(read_watch_token(TOKEN, "org")) == (1, "org", "database", 7, 3)


@pytest.mark.parametrize(
    "token",
    ["", "x", "====", "é", TOKEN[:-1], TOKEN[1:], TOKEN + "A", "A" * 5_000, TOKEN[:20] + "x" + TOKEN[21:], "AAAA" * 9],
)
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_watch_token(token, "org")
    begin: Any = {"from": pb.WatchChangesRequest.FROM_TOKEN}
    request = pb.WatchChangesRequest(organization_id="org", token=token, **begin)
    assert faults_of(watch_changes, request) == ["token"]


def test_a_token_of_another_organization_is_refused() -> None:
    assert faults_of(watch_changes, pb.WatchChangesRequest(organization_id="other", token=TOKEN)) == ["token"]


def test_all_that_is_wrong_is_named() -> None:
    request = pb.ListMovementsRequest(
        kinds=["reserve", "nothing"],
        after="yesterday",
        before="2026-01-31",
        page_size=-1,
        page_token="x",
        order_id="\n",
    )
    expected = ["organization_id", "order_id", "kinds[1]", "after", "before", "page_size", "page_token"]
    assert faults_of(history.list_movements, request) == expected
    assert faults_of(history.get_stock_at, pb.GetStockAtRequest()) == [
        *("organization_id", "variant_id", "warehouse_id", "at")
    ]
    wrong = pb.WatchChangesRequest(token=TOKEN, variant_ids=["\n"], warehouse_ids=["w"] * 1_001, **NOW)
    assert faults_of(watch_changes, wrong) == ["organization_id", "token", "variant_ids[0]", "warehouse_ids"]


def test_a_page_token_leads_to_the_next_page_of_the_same_list_only() -> None:
    first = history.list_movements(pb.ListMovementsRequest(organization_id="org", after="1970-01-01T00:00:01Z"))
    assert first == ListMovements("org", after_ms=1_000)
    page = history.movement_page("org", MovementPage((), Point(5, 2)))
    assert page.message == "0 movements; more may follow"
    request = pb.ListMovementsRequest(organization_id="org", page_token=page.next_page_token)
    assert history.list_movements(request).after_place == Point(5, 2)
    request.organization_id = "other"
    assert faults_of(history.list_movements, request) == ["page_token"]


@pytest.mark.parametrize(
    "text", ["", "2026-01-31", "2026-01-31T12:00:00", "1969-12-31T23:59:59Z", "2026-13-01T00:00:00Z"]
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        milliseconds(text)


def test_a_row_that_was_not_there_is_not_found_and_one_of_unknown_times_is_said_so() -> None:
    query = GetStockAt("org", "v", "w", 1_000)
    with pytest.raises(Refused) as refused:
        history.stock_at(query)(StockAt(None))
    assert refused.value.refusal == StockNotFound("v", "w")
    with pytest.raises(HistoryNotKept) as unknown:
        history.stock_at(query)(StockAt(None, is_known=False))
    problem = describe(unknown.value)
    assert problem is not None
    assert problem.reason == "HISTORY_NOT_KEPT"
    found = history.stock_at(query)(StockAt(Pieces(1, 2, 3, 4), 9))
    assert (found.stock_info.total_quantity, found.lsn) == (10, 9)


def a_change(lsn: int, before: int = 5, after: int = 0, **fields: Any) -> Change:
    row = ChangedRow(
        0, "v", "w", Pieces(before, 0, 0, 0), Pieces(after, 0, 0, 0), (2, 0) if after <= 2 < before else None
    )
    given: dict[str, Any] = {"kind": "deduct", "rows": (row,), "reservation": None, "warehouses": (), **fields}
    texts: dict[str, Any] = dict.fromkeys(("reference", "reason", "request_id", "actor", "correlation_id"), "")
    return Change(lsn=lsn, at_ms=1_000, **texts, **given)


def test_a_change_tells_of_a_transfer_of_warehouses_and_of_a_policy() -> None:
    filtered = watch_changes(pb.WatchChangesRequest(organization_id="org", variant_ids=["other"]))
    shipped = TransferRecord("t1", "org", "madrid", "lisbon", "in_transit", (TransferLine("mug", 6, 4, 1),), 1_000)
    message = change_message(a_change(1, transfer=shipped), filtered)
    assert message is not None
    assert (list(message.rows), message.transfer) == (
        [],
        pb.Transfer(
            transfer_id="t1",
            from_warehouse_id="madrid",
            to_warehouse_id="lisbon",
            state=pb.TRANSFER_STATE_IN_TRANSIT,
            lines=[pb.TransferLine(variant_id="mug", sent=6, received=4, damaged=1)],
            shipped_at="1970-01-01T00:00:01.000Z",
        ),
    )
    named = (WarehouseRecord("org", "w1", "Main", "W-1", 7, True), WarehouseRecord("org", "w2", "Old", "", 0, False))
    message = change_message(a_change(2, kind="warehouse", rows=(), warehouses=named), filtered)
    assert message is not None
    assert list(message.warehouses) == [
        pb.Warehouse(warehouse_id="w1", name="Main", code="W-1", priority=7, active=True),
        pb.Warehouse(warehouse_id="w2", name="Old", code="", priority=0, active=False),
    ]
    message = change_message(a_change(3, kind="sourcing", rows=(), sourcing="fewest_parcels"), filtered)
    assert message is not None
    assert message.sourcing_policy == pb.SOURCING_POLICY_FEWEST_PARCELS
    assert not message.HasField("transfer")
    assert change_message(a_change(4, kind="sourcing", rows=()), filtered) is None


@pytest.mark.parametrize(
    ("before", "after", "kinds"),
    [(5, 0, ["LOW", "DEPLETED"]), (0, 3, ["REPLENISHED"]), (5, 2, ["LOW"]), (5, 4, []), (0, 0, [])],
)
def test_notices(before: int, after: int, kinds: list[str]) -> None:
    wish = watch_changes(pb.WatchChangesRequest(organization_id="org"))
    message = change_message(a_change(1, before, after), wish)
    assert message is not None
    assert [pb.Notice.Kind.Name(notice.kind) for notice in message.notices] == [f"KIND_{kind}" for kind in kinds]


def test_filters_leave_out_rows_and_what_has_none_left() -> None:
    request = pb.WatchChangesRequest(organization_id="org", variant_ids=["other"])
    assert change_message(a_change(1), watch_changes(request)) is None
    request.variant_ids[:] = ["v"]
    request.warehouse_ids[:] = ["elsewhere"]
    assert change_message(a_change(1), watch_changes(request)) is None
    request.warehouse_ids[:] = ["w"]
    assert change_message(a_change(1), watch_changes(request)) is not None


def test_a_row_that_was_deleted_has_no_after() -> None:
    wish = watch_changes(pb.WatchChangesRequest(organization_id="org"))
    message = change_message(a_change(1, 0, 0, kind="delete"), wish)
    assert message is not None
    assert not message.rows[0].HasField("after")


class Pages:
    """An inventory that answers with these pages, one after the other, and then waits for ever."""

    serving = True

    def __init__(self, *pages: ChangesPage) -> None:
        self._pages = list(pages)
        self._last = pages[0]
        self.asked: list[ReadChanges] = []

    async def ask(self, command: Any) -> Any: ...
    def submit(self, command: Any) -> Any: ...

    def answer(self, query: Any) -> Any:
        self.asked.append(query)
        reply: Reply[Any] = Reply()
        if query.after is not None and not query.rows_max:
            reply.set(known(query, self._last))
        elif self._pages:
            self._last = self._pages.pop(0)
            reply.set(self._last)
        return reply


def known(query: ReadChanges, page: ChangesPage) -> ChangesPage:
    """What a server that is where the page ends says of the query's place."""
    assert query.after is not None
    is_known = query.database_id == page.database_id and query.after.lsn <= page.durable_lsn
    return replace(page, changes=(), upto=query.after, is_known=is_known)


def a_page(upto: int, *changes: Change, durable: int = 0, first: int = 1) -> ChangesPage:
    return ChangesPage(changes, Point(upto), durable or upto, first, "database")


async def heard(inventory: Pages, count: int, **fields: Any) -> list[pb.WatchChangesResponse]:
    stream = watch(inventory, pb.WatchChangesRequest(organization_id="org", **fields))
    messages = [await anext(stream) for _ in range(count)]
    await stream.aclose()
    return messages


@pytest.mark.anyio
async def test_every_message_has_the_token_behind_it_also_where_filters_leave_nothing() -> None:
    pages = Pages(a_page(4), a_page(6, a_change(5), a_change(6)), a_page(9, a_change(8)))
    messages = await heard(pages, 4)
    lsns = [read_watch_token(message.token, "org").lsn for message in messages]
    assert lsns == [4, 5, 6, 8]
    assert [query.after for query in pages.asked] == [None, Point(4), Point(6)]
    pages = Pages(a_page(4), a_page(6, a_change(5), a_change(6)))
    [_, token_only] = await heard(pages, 2, variant_ids=["other"])
    assert (token_only.kind, read_watch_token(token_only.token, "org").lsn) == ("", 6)


@pytest.mark.anyio
async def test_a_token_of_another_database_or_a_later_state_is_refused() -> None:
    for token in (watch_token("org", "other", Point(3)), watch_token("org", "database", Point(5))):
        with pytest.raises(Invalid) as invalid:
            await heard(Pages(a_page(4)), 1, token=token)
        assert invalid.value.reason == "TOKEN_UNKNOWN"


@pytest.mark.anyio
async def test_a_token_that_is_older_than_what_is_kept_is_refused() -> None:
    token = watch_token("org", "database", Point(3))
    with pytest.raises(HistoryNotKept):
        await heard(Pages(a_page(9), a_page(9, a_change(8), first=5)), 2, token=token)
    assert len(await heard(Pages(a_page(9), a_page(9, a_change(8), first=4)), 2, token=token)) == 2


@pytest.mark.anyio
async def test_a_reader_that_was_up_to_date_and_falls_far_behind_is_told_so_once() -> None:
    far = BEHIND_MAX + 100
    pages = Pages(
        a_page(4),
        a_page(5, a_change(5), durable=5),
        a_page(6, a_change(6), durable=far),
        a_page(7, a_change(7), durable=far),
        a_page(far, a_change(far)),
        a_page(far + 1, a_change(far + 1), durable=3 * far),
    )
    messages = await heard(pages, 6)
    assert [message.fell_behind for message in messages] == [False, False, True, False, False, True]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
