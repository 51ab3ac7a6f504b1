"""One life of the core, from an opened store to a failure or a stop: everything that is in memory, wired together.

Crash-only: a storage failure ends the incarnation as a kill would. Its memory is dropped with it, every caller
it leaves gets UNAVAILABLE, and the supervisor starts a new one that reads what the database really holds.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import TypeVar

from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint

from actors.actor import Dispatcher
from actors.commands import Command, Expire
from actors.order_services import OrderServices
from actors.outcomes import Fact, Refused
from actors.queries import Query
from actors.records import OrderKey, Transaction
from actors.reply import Reply
from actors.transfer_actor import TransferServices
from actors.turn import Need, Turn, finish, first_need
from actors.unavailable import database_behind, database_down, moving, outcome_unknown, shutting_down, too_many
from storage.store import MovedOut, Ownership, Store
from supervisor.activations.order_directory import OrderDirectory
from supervisor.activations.request_directory import RequestDirectory
from supervisor.activations.stock_directory import StockDirectory
from supervisor.activations.transfer_directory import TransferDirectory
from supervisor.background.expiry import Expiry
from supervisor.background.expiry_hints import ExpiryHints
from supervisor.background.housekeeping import Housekeeping, surely_kept_ms
from supervisor.background.learning import Learning
from supervisor.background.sweeping import Sweeping
from supervisor.core_statistics import Statistics
from supervisor.cursors import Cursors
from supervisor.executor import Executor
from supervisor.held_organizations import HeldOrganizations
from supervisor.limits import Limits
from supervisor.news import News
from supervisor.open_call import OpenCall, OpenCalls, fail_all
from supervisor.ownership.heartbeat import Heartbeat
from supervisor.ownership.lease import Lease
from supervisor.query_turns import QueryTurns
from supervisor.router import Router
from supervisor.sources import Sources as Sources
from supervisor.store_reader import StoreReader
from supervisor.transactions.answering import Answering
from supervisor.transactions.chunks import chunked
from supervisor.transactions.coordinator import Coordinator
from supervisor.transactions.deleting import Deleting
from supervisor.transactions.folding import Folding
from supervisor.transactions.goods import Goods
from supervisor.transactions.importing import Importing
from supervisor.transactions.journal import Journal
from supervisor.transactions.large_imports import LargeImports
from supervisor.transactions.levelling import Levelling
from supervisor.transactions.uploads import Uploads
from supervisor.transactions.warehousing import Warehousing
from supervisor.watching import Watching

V = TypeVar("V")

TRANSFER_LINES_MAX = 10_000  # 4 MB at most: they are read again when their goods arrive
TRIM_PAUSE_S = 5.0  # the rows of an import stay beyond the bound for no longer


class Incarnation:
    """The running core.

    Args:
        store: an open store.
        ownership: what opening it returned.
        sources: time, ids and dispatch.
        limits: the bounds.
        tasks: the task group in which everything runs.
        on_stalled: told True when the database hangs and False when it answers again.
    """

    def __init__(
        self,
        store: Store,
        ownership: Ownership,
        sources: Sources,
        limits: Limits,
        tasks: TaskGroup,
        on_stalled: Callable[[bool], None],
    ) -> None:
        self._store = store
        self._sources, self._limits, self._tasks = sources, limits, tasks
        self._open_calls: OpenCalls = {}
        self._open_queries: OpenCalls = {}
        self._is_ending = False
        self._failure: Reply[None] = Reply()
        self._clock = sources.clock
        self._build_writing(ownership, on_stalled)
        self._build_activations(sources.dispatcher(tasks.start_soon))
        self._build_background()

    def __repr__(self) -> str:
        return f"<Incarnation {self.journal!r} calls={len(self._open_calls)} over={self._is_over}>"

    def _build_writing(self, ownership: Ownership, on_stalled: Callable[[bool], None]) -> None:
        store, limits, monotonic_s, stages = self._store, self._limits, self._sources.monotonic_s, self._sources.stages
        self.lease = Lease(store.check_ownership, monotonic_s, self._tasks.start_soon, lambda: self._is_over)
        self.journal = Journal(store, ownership, self._publish, self.lease.give, limits.gather_s, monotonic_s, stages)
        self.heartbeat = Heartbeat(
            store.check_ownership,
            lambda: self.journal.batch_began_s,
            monotonic_s,
            limits.heartbeat_s,
            limits.stall_s,
            on_stalled,
        )
        self.news = News(ownership.last_lsn)
        self.folding = Folding(store, self.journal)
        known, begun = self._organizations, self._open_calls
        self.held = HeldOrganizations(store, ownership.cell, known, begun, monotonic_s, self._falling_due)
        self._watching = Watching(store, self.journal, self.news, self.folding, ownership.database_id, self.held)
        self.cursors = Cursors(store, self.journal, self._clock.now_ms, monotonic_s, ownership.database_id)
        self._coordinator = Coordinator(self.journal, self._on_decided, self._break, monotonic_s, stages)

    def _build_activations(self, dispatcher: Dispatcher) -> None:
        sources, limits, journal = self._sources, self._limits, self.journal
        reader = StoreReader(self._store, journal, self.folding, self._break, lambda: self._is_over)
        self.stock = StockDirectory(
            reader.variants,
            journal.wait_durable,
            dispatcher,
            sources.new_id,
            sources.report_crash,
            levels=limits.levels,
            activations_max=limits.variants_max,
            mailbox_messages_max=limits.mailbox_messages_max,
        )
        self._hints = ExpiryHints()
        kept = reader.reservation, surely_kept_ms(limits.keep_days), sources.stages
        self.orders = OrderDirectory(
            OrderServices(self._clock, self._coordinator, self._hints, journal, self.stock, sources.new_id, *kept),
            reader.orders,
            reader.find_reservation,
            journal.wait_durable,
            dispatcher,
            sources.report_crash,
            activations_max=limits.orders_max,
            lines_max=limits.order_lines_max,
            mailbox_messages_max=limits.mailbox_messages_max,
        )
        shared = self._clock, self._coordinator, journal, self.stock
        goods = Goods(*shared, self._hints, reader.list_reservations, self.orders.ask)
        little_first = self.journal.wait_for_little
        self.uploads = Uploads(self._store, reader.read, sources.new_id, self._tasks.start_soon, little_first)
        self.transfers = self._build_transfers(reader, dispatcher)
        executor = self._build_executor(goods, reader)
        self.requests = RequestDirectory(
            journal.wait_durable,
            reader.load_request,
            executor.carry_out,
            self.lease.give,
            dispatcher,
            sources.report_crash,
            activations_max=limits.requests_max,
            mailbox_messages_max=limits.mailbox_messages_max,
        )
        self._router = Router(
            self.orders, self.stock, self.requests, executor, self.lease, self.uploads, self._tasks.start_soon
        )
        looks = (self.orders, self._clock, self._hints, journal, self.lease, self._watching, self.cursors, self.held)
        self._queries = QueryTurns(self._store, reader, self.stock, *looks, self.folding)

    def _build_transfers(self, reader: StoreReader, dispatcher: Dispatcher) -> TransferDirectory:
        return TransferDirectory(
            TransferServices(self._clock, self._coordinator, self.journal, self.stock),
            self.journal.wait_durable,
            reader.find_transfer,
            self._sources.new_id,
            dispatcher,
            self._sources.report_crash,
            activations_max=self._limits.orders_max,
            lines_max=TRANSFER_LINES_MAX,
            mailbox_messages_max=self._limits.mailbox_messages_max,
        )

    def _build_executor(self, goods: Goods, reader: StoreReader) -> Executor:
        answering = Answering(self._clock, self._coordinator, self.journal)
        shared = self._clock, self._coordinator, self.journal, self.stock
        importing = Importing(*shared)
        self.large_imports = LargeImports(*shared, importing, self.uploads, self.folding, self._store, reader.read)
        return Executor(
            self.orders,
            goods,
            Deleting(*shared),
            importing,
            self.large_imports,
            Warehousing(answering, self.stock.warehouses),
            Levelling(answering, self.stock),
            self.transfers,
            self._coordinator,
            self.journal,
            self._clock,
        )

    def _build_background(self) -> None:
        store, limits, asked = self._store, self._limits, (self.orders.bring, self._ask_to_expire)
        self.expiry = Expiry(self._clock, store.due, store.next_expiry_ms, *asked, limits.heartbeat_s)
        given = (self._clock, self._move_out, self._sources.report_crash, limits.keep_days, limits.heartbeat_s)
        self.housekeeping = Housekeeping(*given, self.cursors.holding_back)
        self._learning = Learning(store, self.orders.known, self.requests.known, self._hints)
        others = self.stock, self.requests, self.transfers
        self._sweeping = Sweeping(
            self.orders, others, lambda: self.journal.last_lsn, store.let_go, limits.idle_timeout_s, limits.heartbeat_s
        )

    def submit(self, command: Command) -> Reply[Fact]:
        """Have a command carried out: see `Supervisor.submit`.

        Raises:
            Unavailable: overloaded, or storage failed; nothing was begun.
        """
        self._admit(self._open_calls)
        if self.journal.undurable_entries >= self._limits.undurable_entries_max:
            raise database_behind()
        reply: OpenCall[Fact] = OpenCall(self._open_calls, self._sources.event, self._queries.refusals.note)
        try:
            wrong = self.held.refusal_of(command) if self.held.is_told else None
            if wrong is not None:
                self.lease.give(reply, None, Refused(wrong))
            else:
                self._router.route(command, reply)
        except BaseException:
            self._open_calls.pop(reply, None)
            raise
        return reply

    def answer(self, query: Query[V]) -> Reply[V]:
        """Have a query answered: the reply is there at once if all that it needs is in memory, and fails as this does.

        Raises:
            Unavailable: overloaded, or storage failed.
        """
        self._admit(self._open_queries)
        reply: Reply[V] = Reply()
        wrong = self.held.refusal_of_query(query) if self.held.is_told else None  # type: ignore[arg-type]  # as below
        if wrong is not None:
            self.lease.give(reply, None, Refused(wrong))
            return reply
        turn = self._queries.answer(query, reply)  # type: ignore[arg-type]  # there are no other queries
        try:
            need = first_need(turn)
        except Exception as error:  # noqa: BLE001 - it is the caller's
            reply.fail(error)
        else:
            if need is not None:
                self._open_queries[reply] = None
                self._tasks.start_soon(self._finish_query, turn, need, reply)
        return reply

    async def _finish_query(self, turn: Turn[None], need: Need, reply: Reply[V]) -> None:
        try:
            await finish(turn, need)
        except Exception as error:  # noqa: BLE001 - as above
            if not reply.is_done:
                reply.fail(error)
        self._open_queries.pop(reply, None)  # one that is cancelled stays: the end of the incarnation answers it

    async def serve(self) -> None:
        """Start all that runs in the background; returns when calls can be served."""
        for part in chunked(await self._store.load_warehouses()):
            self.stock.warehouses.add(part)
            await checkpoint()
        self.stock.warehouses.add_policies(await self._store.load_sourcing())
        await self.held.load()
        await self.folding.resume()
        for run in (
            self._failure.wait,
            self.journal.run,
            self.stock.loader.run,
            self.orders.loader.run,
            self.expiry.run,
            self.heartbeat.beat,
            self.heartbeat.watch,
            self._sweeping.run,
            self._sweeping.watch,
            partial(self.stock.trim, TRIM_PAUSE_S),
            self._learning.run,
            partial(self._hints.keep_up, self.journal.wait_durable),
            self.folding.run,
            self.uploads.clear,
            self._queries.moving.watch,
        ):
            self._tasks.start_soon(run)
        if self._limits.keep_days:
            self._tasks.start_soon(self.housekeeping.run)

    async def finish(self) -> None:
        """Wait until every call has its answer. The caller must have stopped sending new ones."""
        self.news.end()
        for reply in [*self._open_calls, *self._open_queries]:
            with suppress(Exception):  # it goes to its caller, not to us
                await reply.wait()
        await self.journal.wait_durable()
        if not self.lease.holds:
            await self.lease.next_proof().wait()

    def end(self, *, is_stop: bool) -> None:
        """Leave no caller waiting, and take no more. Called when nothing of this incarnation runs any more."""
        self._is_ending = True
        error = shutting_down() if is_stop else outcome_unknown()
        self.journal.fail_answers(error)
        self.lease.fail(error)
        self.stock.fail_loads(error)
        fail_all(self._open_calls, error)
        fail_all(self._open_queries, shutting_down() if is_stop else database_down())

    def statistics(self) -> Statistics:
        return Statistics(
            len(self._open_calls),
            len(self._open_queries),
            self.journal.statistics(),
            self.stock.statistics(),
            self.orders.statistics(),
            self.requests.statistics(),
            self.transfers.statistics(),
            self.stock.loader.statistics(),
            self.orders.loader.statistics(),
            self.expiry.statistics(),
            self._hints.statistics(),
            self.housekeeping.statistics(),
            self._learning.statistics(),
            self.lease.statistics(),
            self.heartbeat.statistics(),
            self.cursors.statistics(),
            self._coordinator.statistics(),
            self.journal.sizes(),
            self.uploads.statistics(),
            self.folding.statistics(),
            self.held.statistics(),
            self._sweeping.statistics(),
        )

    def _admit(self, under_way: OpenCalls) -> None:
        if self._is_over:
            raise database_down()
        if len(under_way) >= self._limits.calls_max:
            raise too_many("calls")

    # ---- what the parts tell --------------------------------------------------------------------------------------

    @property
    def _is_over(self) -> bool:
        """Nothing can be started any more: a failure ends this incarnation, or has ended it."""
        return self._is_ending or self._tasks.cancel_scope.cancel_called

    def _on_decided(self, transaction: Transaction) -> None:
        reservation = transaction.reservation
        if transaction.kind in ("reserve", "reacquire"):
            assert reservation is not None
            self.orders.note(reservation)
            self.expiry.note(reservation.expires_at_ms)
        if transaction.transfer is not None:
            self.transfers.note(transaction.transfer)
        if transaction.request is not None:
            self.requests.note(transaction.request)
        if self.large_imports.look is not None:
            self.large_imports.look.note(transaction)
        if transaction.warehouses or transaction.sourcing is not None:
            self.stock.note(transaction)

    def _publish(self, transactions: Sequence[Transaction]) -> None:
        assert self.journal.batch_began_s is not None
        self.lease.prove(self.journal.batch_began_s)
        self.stock.publish(transactions)
        self.news.publish(transactions)

    def _break(self, error: Exception) -> None:
        """Memory or storage is not to be trusted: this incarnation ends."""
        self._is_ending = True
        if not self._failure.is_done:
            self._failure.fail(error)  # a task of the group waits for it and raises it

    async def _move_out(self, before_ms: int, rows_max: int) -> MovedOut:
        """A step of housekeeping. The ledger's old part is a prefix only once all rows of an import are in it."""
        async with self.held.tidying:
            if self.folding.is_under_way or self.held.is_moving:
                return MovedOut(0, 0, 0, 0)
            return await self._store.move_out(before_ms, rows_max)

    def _ask_to_expire(self, key: OrderKey, command: Expire, reply: Reply[Fact]) -> None:
        """What no caller asked for goes through the door as well."""
        if self.held.is_told and not self.held.may_change(key.organization_id):
            raise moving()
        self.orders.ask(key, command, reply)

    def _falling_due(self) -> Iterable[Reply[Fact]]:
        return self.expiry.under_way

    def _organizations(self) -> Iterable[str]:
        """All that have a warehouse, as every row has, or a policy."""
        known = self.stock.warehouses
        return [*known.decided, *known.sourcing]
