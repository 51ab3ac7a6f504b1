"""The stream of everything that happens in an organization.

It is a loop: ask the core what happened behind a place, tell it, and ask again from where that ended. So nothing is
kept for a caller but the page that is being written to it, and HTTP/2 holds the loop up while the caller does not read.
Why the pages meet without a gap is argued in `supervisor/watching.py`.

Why there is no gap between a snapshot and what follows: the stream remembers where the history ended *before* the first
row was read, S, and tells from S on whatever happened. What a page of the snapshot shows was true at some moment after
S, and every later change of it is told behind it, since all changes behind S are. Of the changes between S and the end
of the snapshot some are in it already. They are told all the same: a change says what a row or a reservation has become
and not by how much, so that the last word on each is right. `snapshot_done` is said when the changes have been told up
to where the history ended *after* the last row was read. From there on all that was told agrees with itself. A token is
given only from there on: a snapshot that was cut is begun anew.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from stockkeeper_client.v1 import stock_pb2 as pb

from actors.changes import WHOLE, ChangesPage, Point
from actors.queries import ListReservations, ListStock, ReadChanges
from actors.records import ReservationState
from rpc.inventory_port import Inventory
from rpc.messages.history_messages import (
    SNAPSHOT,
    Watch,
    change_message,
    snapshot_of_reservation,
    snapshot_of_rows,
    watch_changes,
)
from rpc.messages.problems import HistoryNotKept
from rpc.messages.rules import Invalid, Violation
from rpc.messages.watch_tokens import WatchToken, watch_token

ROWS_A_PAGE = 1_000  # as many as one order can have: only larger transactions are told in parts
SNAPSHOT_ROWS = 500
HEARTBEAT_MS = 10_000  # after this long without a change a token alone is sent
BEHIND_MAX = 5_000  # transactions that a reader which was up to date may be behind, before it is told so

Response = pb.WatchChangesResponse
HOLDING: tuple[ReservationState, ...] = ("active", "confirmed")  # in this order: the one becomes the other


async def watch(inventory: Inventory, request: pb.WatchChangesRequest) -> AsyncGenerator[Response, None]:
    """What happens in an organization, for as long as the caller listens.

    Raises:
        Invalid: the request is wrong, or its token of another database.
        HistoryNotKept: what happened right behind the token is not kept.
        Unavailable: the service restarts or ends; the caller goes on with its last token.
    """
    wish = watch_changes(request)
    end = await inventory.answer(ReadChanges(wish.organization_id)).wait()
    begin = end.upto if wish.token is None else await _place_of(inventory, wish.organization_id, wish.token)
    reader = ChangeReader(inventory, wish, begin, end.database_id)
    if wish.begin == SNAPSHOT:
        async with aclosing(_snapshot(inventory, wish)) as parts:
            async for message in parts:
                yield message
        done = await inventory.answer(ReadChanges(wish.organization_id)).wait()
        while reader.database_id != done.database_id or reader.place < done.upto:
            for message in await reader.next_messages(with_token=False):
                yield message
        yield Response(token=reader.token, kind="snapshot", snapshot_done=True, lsn=reader.place.lsn)
    else:
        yield Response(token=reader.token, lsn=reader.place.lsn)
    while True:
        for message in await reader.next_messages():
            yield message


async def _place_of(inventory: Inventory, organization_id: str, token: WatchToken) -> Point:
    """Where the token's place is in what the server that answers has."""
    query = ReadChanges(organization_id, Point(token.lsn, token.position), 0, database_id=token.database_id)
    page = await inventory.answer(query).wait()
    if not page.is_known:
        raise _token_unknown()
    return page.upto


def _token_unknown() -> Invalid:
    return Invalid([Violation("token", "is of another database, or of a later state of this one")], "TOKEN_UNKNOWN")


async def _snapshot(inventory: Inventory, wish: Watch) -> AsyncGenerator[Response, None]:
    yield Response(kind="snapshot")  # what the caller may have of an earlier one is void
    after = None
    while True:
        rows = await inventory.answer(ListStock(wish.organization_id, after=after, limit=SNAPSHOT_ROWS)).wait()
        message = snapshot_of_rows(rows.stock, wish)
        if message.rows:
            yield message
        if (after := rows.next_key) is None:
            break
    for state in HOLDING:
        before = ""
        while True:
            query = ListReservations(wish.organization_id, state=state, before=before, limit=SNAPSHOT_ROWS)
            page = await inventory.answer(query).wait()
            for one in page.reservations:
                yield snapshot_of_reservation(one)
            if not (before := page.next_before):
                break


class ChangeReader:
    """Where a caller is in the history."""

    def __init__(self, inventory: Inventory, wish: Watch, place: Point, database_id: str) -> None:
        self._inventory = inventory
        self._wish = wish
        self.database_id = database_id
        self._was_up_to_date = True
        self.place = place

    def __repr__(self) -> str:
        return f"<ChangeReader of {self._wish.organization_id} at {self.place}>"

    @property
    def token(self) -> str:
        return watch_token(self._wish.organization_id, self.database_id, self.place)

    async def next_messages(self, *, with_token: bool = True) -> list[Response]:
        """What happened next, or a token alone if nothing has for a while."""
        whose = self._wish.organization_id, self.place, ROWS_A_PAGE, HEARTBEAT_MS, self.database_id
        page = await self._inventory.answer(ReadChanges(*whose)).wait()
        if not page.is_known:
            raise _token_unknown()
        if page.database_id != self.database_id:
            return self._go_on_in(page, with_token=with_token)
        self._check_kept(page)
        messages: list[Response] = []
        for change in page.changes:
            self.place = Point(change.lsn) if change.is_whole else page.upto
            message = change_message(change, self._wish)
            if message is not None:
                message.token = self.token if with_token else ""
                messages.append(message)
        self.place = page.upto
        self._note_lag(page, messages)
        if not messages and with_token:
            messages.append(Response(token=self.token, lsn=self.place.lsn))
        return messages

    def _go_on_in(self, page: ChangesPage, *, with_token: bool) -> list[Response]:
        """The organization was moved, with its history: the same place has another name now."""
        self.place, self.database_id = page.upto, page.database_id
        return [Response(token=self.token, lsn=self.place.lsn)] if with_token else []

    def _check_kept(self, page: ChangesPage) -> None:
        needed_lsn = self.place.lsn + (self.place.position == WHOLE)
        if needed_lsn < page.first_lsn and needed_lsn <= page.durable_lsn:
            raise HistoryNotKept("What happened after this token is not kept any more: begin with a snapshot")

    def _note_lag(self, page: ChangesPage, messages: list[Response]) -> None:
        behind = page.durable_lsn - max(self.place.lsn, 0)  # what came from elsewhere lies far below
        if behind > BEHIND_MAX and self._was_up_to_date and messages:
            messages[0].fell_behind = True
            self._was_up_to_date = False
        elif behind == 0:
            self._was_up_to_date = True
