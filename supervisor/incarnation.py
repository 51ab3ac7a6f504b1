"""One life of the core, from an opened store to a failure or a stop: everything that is in memory, wired together.

Crash-only: a storage failure ends the incarnation as a kill would. Its memory is dropped with it, every caller
it leaves gets UNAVAILABLE, and the supervisor starts a new one that reads what the database really holds.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TypeVar, assert_never

import anyio
from anyio.abc import TaskGroup
from msgspec import Struct

from actors.actor import Dispatcher, InlineDispatcher, StartSoon
from actors.commands import Command, Confirm, Expire, Fulfill, Import, Receive, Release, Reserve
from actors.idempotency import remember
from actors.outcomes import ActorCrashed, Fact, Refused, ReservationNotFound, Unavailable
from actors.records import (
    OrderKey,
    RequestKey,
    Transaction,
)
from actors.reply import Event, Reply
from storage.store import Ownership, Store
from supervisor.activations.directory import DirectoryStatistics
from supervisor.activations.order_directory import OrderDirectory
from supervisor.activations.request_directory import RequestDirectory
from supervisor.activations.stock_directory import StockDirectory
from supervisor.activations.store_reader import Reader
from supervisor.answering import Views
from supervisor.background.expiry import Expiry
from supervisor.background.expiry_hints import ExpiryHints
from supervisor.background.housekeeping import Housekeeping
from supervisor.clock import ServiceClock
from supervisor.limits import Limits
from supervisor.open_call import Call
from supervisor.order_actor import OrderServices
from supervisor.ownership.heartbeat import Pulse
from supervisor.ownership.lease import Lease
from supervisor.transactions.coordinator import NOTHING_PREPARED, Coordinator
from supervisor.transactions.journal import Journal, JournalStatistics, shutting_down, storage_down
from supervisor.transactions.receiving import Goods

T = TypeVar("T")

KEYS_A_PAGE = 1_000  # small enough that adding a page to a filter does not hold up anybody


class Sources(Struct, frozen=True):
    """Where time, ids and dispatch come from; given by whoever starts the core.

    Args:
        clock: the service clock.
        new_id: a fresh unique id that sorts by time (UUID version 7).
        dispatcher: makes the dispatcher from the function that starts a task.
        monotonic_s: a clock in seconds that goes on while the process is stopped; the event loop's is one, though dear.
        report_crash: told of an actor that met a bug.
        event: makes what a caller waits for.
    """

    clock: ServiceClock
    new_id: Callable[[], str]
    report_crash: Callable[[object, Exception], None]
    dispatcher: Callable[[StartSoon], Dispatcher] = InlineDispatcher
    monotonic_s: Callable[[], float] = anyio.current_time
    event: Callable[[], Event] = anyio.Event


class Statistics(Struct, frozen=True):
    """What is in memory and what was done in this incarnation."""

    calls_under_way: int
    journal: JournalStatistics
    variants: DirectoryStatistics
    orders: DirectoryStatistics
    requests: DirectoryStatistics
    expired: int


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
        self._sources = sources
        self._limits = limits
        self._tasks = tasks
        self._open_calls: dict[Reply[Fact], None] = {}
        self._is_ending = False
        dispatcher = sources.dispatcher(tasks.start_soon)
        self._clock = sources.clock
        self.lease = Lease(store.check_ownership, sources.monotonic_s, tasks.start_soon, lambda: self._is_over)
        self.journal = Journal(store, ownership, self._publish, limits.gather_s, sources.monotonic_s)
        self.pulse = Pulse(
            store.check_ownership,
            lambda: self.journal.batch_began_s,
            sources.monotonic_s,
            limits.heartbeat_s,
            limits.stall_s,
            on_stalled,
        )
        self._reader = Reader(store, self.journal, self._break, lambda: self._is_over)
        self.stock = StockDirectory(
            self._reader.variants,
            self.journal.wait_durable,
            dispatcher,
            sources.new_id,
            sources.report_crash,
            activations_max=limits.variants_max,
            mailbox_messages_max=limits.mailbox_messages_max,
        )
        self.views = Views(store, self._reader, self.stock, self.lease, lambda: self._is_over)
        self._coordinator = Coordinator(self.journal, self._on_decided, self._break)
        self._hints = ExpiryHints()
        services = OrderServices(self._clock, self._coordinator, self._hints, self.journal, self.stock, sources.new_id)
        self.orders = OrderDirectory(
            services,
            self._reader.orders,
            self._reader.find_reservation,
            dispatcher,
            sources.report_crash,
            activations_max=limits.orders_max,
            mailbox_messages_max=limits.mailbox_messages_max,
        )
        self.requests = RequestDirectory(
            self.journal,
            self._reader.load_request,
            self._carry_out,
            dispatcher,
            sources.report_crash,
            activations_max=limits.requests_max,
            mailbox_messages_max=limits.mailbox_messages_max,
        )
        self._goods = Goods(self._clock, self._coordinator, self.journal, self.stock)
        self.expiry = Expiry(self._clock, store.due, store.next_expiry_ms, self.orders.ask, limits.heartbeat_s)
        self.housekeeping = Housekeeping(
            self._clock, store.move_out, sources.report_crash, limits.keep_days, limits.heartbeat_s
        )

    async def ask(self, command: Command) -> Fact:
        """Have a command carried out; returns when its outcome is durable.

        Cancelling the caller does not stop the command: it happens or not as if the answer had been lost.

        Raises:
            Refused: nothing was changed.
            Unavailable: overloaded, or storage failed.
            ActorCrashed: a bug.
        """
        return await self.submit(command).wait()

    def submit(self, command: Command) -> Reply[Fact]:
        """Have a command carried out. The reply is given when its outcome is durable, and fails as `ask` does.

        Raises:
            Unavailable: overloaded, or storage failed; nothing was begun.
        """
        if self._is_over:
            raise storage_down()
        if len(self._open_calls) >= self._limits.calls_max:
            raise Unavailable("OVERLOADED", "Too many calls are being served, try again.", 500)
        if self.journal.undurable_entries >= self._limits.undurable_entries_max:
            raise Unavailable("OVERLOADED", "The database is behind, try again.", 500)
        reply = Call(self._open_calls, self.lease, self._sources.event)
        try:
            self._submit(command, reply)
        except BaseException:
            self._open_calls.pop(reply, None)
            raise
        return reply

    async def serve(self) -> None:
        """Start all that runs in the background; returns when calls can be served."""
        self.stock.add_warehouses(await self._store.load_warehouses())
        for run in (
            self.journal.run,
            self.stock.loader.run,
            self.orders.loader.run,
            self.expiry.run,
            self.pulse.beat,
            self.pulse.watch,
            self._sweep,
            self._learn,
        ):
            self._tasks.start_soon(run)
        if self._limits.keep_days:
            self._tasks.start_soon(self.housekeeping.run)

    async def finish(self) -> None:
        """Wait until every call has its answer. The caller must have stopped sending new ones."""
        for reply in list(self._open_calls):
            with suppress(Refused, Unavailable, ActorCrashed):  # it goes to its caller, not to us
                await reply.wait()
        await self.journal.wait_durable()
        await self.lease.hold()

    def end(self, error: Exception) -> None:
        """Leave no caller waiting, and take no more. Called when nothing of this incarnation runs any more."""
        self._is_ending = True
        self.journal.fail_answers(error)
        self.lease.fail(error)
        self.stock.fail_loads(error)
        for reply in list(self._open_calls):
            if not reply.is_done:
                reply.fail(error)

    def statistics(self) -> Statistics:
        return Statistics(
            len(self._open_calls),
            self.journal.statistics(),
            self.stock.statistics(),
            self.orders.statistics(),
            self.requests.statistics(),
            self.expiry.expired,
        )

    # ---- routing ------------------------------------------------------------------------------------------------

    def _submit(self, command: Command, reply: Reply[Fact]) -> None:
        match command:
            case Reserve(request_id=""):
                self._reserve(command, reply)
            case Reserve() | Fulfill() | Receive() | Import():
                self.requests.ask(command, reply)
            case Confirm() | Release():
                key = self.orders.order_in_memory(command.organization_id, command.reservation_id)
                if key is not None:
                    self.orders.ask(key, command, reply)
                else:
                    self._tasks.start_soon(self._find_and_ask, command, reply)
            case Expire():
                self.orders.ask(OrderKey(command.organization_id, command.order_id), command, reply)
            case _ as never:
                assert_never(never)

    def _reserve(self, command: Reserve, reply: Reply[Fact]) -> None:
        """A new order is taken up when its rows are in memory: one that waits for them itself needs a task to do it."""
        key = OrderKey(command.organization_id, command.order_id)
        variant_ids = dict.fromkeys([line.variant_id for line in command.lines])
        if self.stock.ready(command.organization_id, variant_ids) is None and self.orders.is_new(key):
            self.stock.when_loaded(command.organization_id, variant_ids, partial(self._take_up, key, command, reply))
        else:
            self.orders.ask(key, command, reply)

    def _take_up(self, key: OrderKey, command: Reserve, reply: Reply[Fact]) -> None:
        if reply.is_done:
            return  # the incarnation is ending and has answered
        try:
            self.orders.ask(key, command, reply)
        except Unavailable as error:
            reply.fail(error)

    async def _carry_out(self, command: Command, reply: Reply[Fact]) -> None:
        """The part of a command that comes after its idempotency key was seen to."""
        match command:
            case Reserve():
                self.orders.ask(OrderKey(command.organization_id, command.order_id), command, reply)
            case Fulfill():
                await self._find_and_ask(command, reply)
            case Receive():
                await self._goods.receive(command, reply)
            case Import():
                await self._goods.import_stock(command, reply)
            case _:
                raise AssertionError(f"{command!r} has no idempotency key")

    async def _find_and_ask(self, command: Confirm | Release | Fulfill, reply: Reply[Fact]) -> None:
        try:
            key = await self.orders.find(command.organization_id, command.reservation_id)
            if reply.is_done:
                return  # the incarnation is ending and has answered
            if key is None:
                self._answer_not_found(command, reply)
            else:
                self.orders.ask(key, command, reply)
        except Unavailable as error:
            if not reply.is_done:
                reply.fail(error)

    def _answer_not_found(self, command: Confirm | Release | Fulfill, reply: Reply[Fact]) -> None:
        refusal = ReservationNotFound(command.reservation_id)
        request = remember(command, refusal)
        if request is not None:
            self._coordinator.decide(NOTHING_PREPARED, "remember", self._clock.now_ms(), request=request)
        self.journal.answer(reply, error=Refused(refusal))

    # ---- what the parts tell --------------------------------------------------------------------------------------

    @property
    def _is_over(self) -> bool:
        """Nothing can be started any more: a failure ends this incarnation, or has ended it."""
        return self._is_ending or self._tasks.cancel_scope.cancel_called

    def _on_decided(self, transaction: Transaction) -> None:
        reservation = transaction.reservation
        if transaction.kind == "reserve":
            assert reservation is not None
            self.orders.note(reservation)
            self.expiry.note(reservation.expires_at_ms)
        if transaction.request is not None:
            self.requests.note(transaction.request)
        self.stock.note_warehouses(transaction.warehouses)

    def _publish(self, transactions: Sequence[Transaction]) -> None:
        assert self.journal.batch_began_s is not None
        self.lease.prove(self.journal.batch_began_s)
        self.stock.publish(transactions)

    def _break(self, error: Exception) -> None:
        """Memory or storage is not to be trusted: this incarnation ends."""
        if self._is_over:
            return  # a caller may hear of a failure when there is no task group any more to end
        self._is_ending = True

        async def end() -> None:
            raise error

        self._tasks.start_soon(end)

    # ---- background -----------------------------------------------------------------------------------------------

    async def _sweep(self) -> None:
        while True:
            await anyio.sleep(self._limits.idle_timeout_s)
            self.stock.passivate_idle()
            self.orders.passivate_idle()
            self.requests.passivate_idle()

    async def _learn(self) -> None:
        """Fill, from the database, what makes work cheaper but nothing waits for."""
        order: OrderKey | None = None
        while orders := await self._store.orders_after(order, KEYS_A_PAGE):
            for order in orders:
                self.orders.known.add(order)
        self.orders.known.is_filled = True
        request: RequestKey | None = None
        while requests := await self._store.requests_after(request, KEYS_A_PAGE):
            for request in requests:
                self.requests.known.add(request)
        self.requests.known.is_filled = True
        self._hints.learn(await self._store.active_reservations(KEYS_A_PAGE))


@asynccontextmanager
async def incarnation(
    store: Store,
    ownership: Ownership,
    sources: Sources,
    limits: Limits,
    on_stalled: Callable[[bool], None] = lambda is_stalled: None,
) -> AsyncIterator[Incarnation]:
    """A running core, ended with the block."""
    core = None
    error = storage_down()
    try:
        async with anyio.create_task_group() as tasks:
            core = Incarnation(store, ownership, sources, limits, tasks, on_stalled)
            await core.serve()
            yield core
            error = shutting_down()
            tasks.cancel_scope.cancel()
    finally:
        if core is not None:
            core.end(error)
