"""The stream of everything that happens in an organization.

It is a loop: ask the core what happened behind a place, tell it, and ask again from where that ended. So nothing is
kept for a caller but the page that is being written to it, and HTTP/2 holds the loop up while the caller does not read.
Why the pages meet without a gap is argued in `supervisor/watching.py`; which of them several watches share, and that
each message has a turn, in `rpc/services/watch_pages.py`.

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
    NOW,
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
from rpc.services.watch_pages import WatchPages

ROWS_A_PAGE = 1_000  # as many as one order can have: only larger transactions are told in parts
SNAPSHOT_ROWS = 500
HEARTBEAT_MS = 10_000  # after this long without a change a token alone is sent
BEHIND_MAX = 5_000  # transactions that a reader which was up to date may be behind, before it is told so

Response = pb.WatchChangesResponse
HOLDING: tuple[ReservationState, ...] = ("active", "confirmed")  # in this order: the one becomes the other


async def watch(
    inventory: Inventory, request: pb.WatchChangesRequest, pages: WatchPages | None = None
) -> AsyncGenerator[Response, None]:
    """What happens in an organization, for as long as the caller listens.

    Args:
        pages: reads for all watches of a server; None: this one has company of none.

    Raises:
        Invalid: the request is wrong, or its token of another database.
        HistoryNotKept: what happened right behind the token is not kept.
        Unavailable: the service restarts or ends; the caller goes on with its last token.
    """
    wish = watch_changes(request)
    pages = pages or WatchPages(inventory)
    end = await inventory.answer(ReadChanges(wish.organization_id)).wait()
    begin = end.upto if wish.token is None else await _place_of(inventory, wish.organization_id, wish.token)
    reader = ChangeReader(pages, wish, begin, end.database_id)
    if wish.begin == SNAPSHOT:
        async with aclosing(_snapshot(inventory, pages, wish)) as parts:
            async for message in parts:
                yield message
        done = await inventory.answer(ReadChanges(wish.organization_id)).wait()
        while reader.database_id != done.database_id or reader.place < done.upto:
            async with aclosing(reader.next_messages(with_token=False)) as messages:
                async for message in messages:
                    yield message
        yield Response(token=reader.token, kind="snapshot", snapshot_done=True, lsn=reader.place.lsn)
    else:
        yield Response(token=reader.token, lsn=reader.place.lsn)
    while True:
        async with aclosing(reader.next_messages()) as messages:
            async for message in messages:
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


async def _snapshot(inventory: Inventory, pages: WatchPages, wish: Watch) -> AsyncGenerator[Response, None]:
    yield Response(kind="snapshot")  # what the caller may have of an earlier one is void
    organization_id = wish.organization_id
    after = None
    while True:
        async with pages.large(organization_id):
            rows = await inventory.answer(ListStock(organization_id, after=after, limit=SNAPSHOT_ROWS)).wait()
            message = snapshot_of_rows(rows.stock, wish)
        after = rows.next_key
        del rows  # it is larger than the message, which may be taken slowly
        if message.rows:
            yield message
        if after is None:
            break
    for state in HOLDING:
        async with aclosing(_reservations(inventory, pages, organization_id, state)) as messages:
            async for message in messages:
                yield message


async def _reservations(
    inventory: Inventory, pages: WatchPages, organization_id: str, state: ReservationState
) -> AsyncGenerator[Response, None]:
    before = ""
    while True:
        query = ListReservations(organization_id, state=state, before=before, limit=SNAPSHOT_ROWS)
        async with pages.large(organization_id):
            page = await inventory.answer(query).wait()
        kept, next_before = pages.keep(organization_id, page.reservations), page.next_before
        del page
        for number in range(kept.count):
            if (one := kept.at(number)) is None:
                break  # dropped: read it again from here
            await pages.turn(organization_id, len(one.items))
            before = one.reservation_id
            message = snapshot_of_reservation(one)
            del one
            yield message
        else:
            if not (before := next_before):
                return


class ChangeReader:
    """Where a caller is in the history."""

    def __init__(self, pages: WatchPages, wish: Watch, place: Point, database_id: str) -> None:
        self._pages = pages
        self._wish = wish
        self.database_id = database_id
        self._is_behind = wish.begin != NOW  # as far as it knows, there is more to read
        self._was_up_to_date = True
        self.place = place

    def __repr__(self) -> str:
        return f"<ChangeReader of {self._wish.organization_id} at {self.place}>"

    @property
    def token(self) -> str:
        return watch_token(self._wish.organization_id, self.database_id, self.place)

    async def next_messages(self, *, with_token: bool = True) -> AsyncGenerator[Response, None]:
        """What happened next, or a token alone if nothing has for a while."""
        organization_id = self._wish.organization_id
        query = ReadChanges(organization_id, self.place, ROWS_A_PAGE, HEARTBEAT_MS, self.database_id)
        was_behind, start = self._is_behind or not with_token, self.place  # the end of a snapshot waits for nothing
        page = await self._pages.next(query, is_behind=was_behind)
        head = page.head
        if not head.is_known:
            raise _token_unknown()
        told, is_end = 0, False
        if head.database_id != self.database_id:
            self._go_on_in(head)
        else:
            self._check_kept(head)
            self._is_behind = bool(page.changes.count) if was_behind else page.is_many
            for number in range(page.changes.count):
                if (change := page.changes.at(number)) is None:
                    self._is_behind = True  # dropped: it is read again from here
                    return
                if start.position == WHOLE and change.lsn <= start.lsn:
                    continue
                self.place = Point(change.lsn) if change.is_whole else head.upto
                message = change_message(change, self._wish)
                del change
                if message is not None:
                    message.token = self.token if with_token else ""
                    message.fell_behind = not told and self._falls_behind(head)
                    if told:  # the first has its turn with the page
                        await self._pages.turn(organization_id, len(message.rows))
                    told += 1
                    yield message
            self.place = head.upto
            if head.durable_lsn == max(self.place.lsn, 0):
                self._was_up_to_date = True
            is_end = was_behind and not page.changes.count  # nothing to tell of: from here on it waits
        if with_token and not told and not is_end:
            yield Response(token=self.token, lsn=self.place.lsn)

    def _go_on_in(self, page: ChangesPage) -> None:
        """The organization was moved, with its history: the same place has another name now."""
        self.place, self.database_id, self._is_behind = page.upto, page.database_id, True

    def _check_kept(self, page: ChangesPage) -> None:
        needed_lsn = self.place.lsn + (self.place.position == WHOLE)
        if needed_lsn < page.first_lsn and needed_lsn <= page.durable_lsn:
            raise HistoryNotKept("What happened after this token is not kept any more: begin with a snapshot")

    def _falls_behind(self, page: ChangesPage) -> bool:
        """Whether it was up to date, and is so far behind now that its caller is told."""
        behind = page.durable_lsn - max(page.upto.lsn, 0)  # what came from elsewhere lies far below
        falls = behind > BEHIND_MAX and self._was_up_to_date
        self._was_up_to_date = self._was_up_to_date and not falls
        return falls
