"""Planted bugs: one for every way in which the design could have gone wrong, to prove that the simulation notices.

None of them lives in the service. Each one patches the real code while a run lasts, and names the guarantees whose
check has to find it. `docs/planted-bugs.md` says how many seeds that takes; `python -m simulation.bugs` writes it.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest import mock

import anyio
from msgspec import Struct

import supervisor.basket
import supervisor.coordinator
import supervisor.order
from actors.actor import Envelope
from actors.messages import Command, Expire, Prepare, Reserve
from actors.outcomes import Fact, Refused, ReservationNotFound
from actors.records import Delta, OrderKey, StockRecord
from actors.reply import Reply
from actors.reservation import confirm, release
from actors.stock import StockActor, StockState, Verdict
from storage import memory
from storage.journal import Journal, storage_down
from storage.memory import Disk, MemoryStore
from storage.store import StorageError
from supervisor.clock import ServiceClock
from supervisor.coordinator import Coordinator, Prepared
from supervisor.expiry import Expiry
from supervisor.incarnation import Incarnation
from supervisor.known import KnownKeys
from supervisor.lease import Lease
from supervisor.loader import Loader
from supervisor.order import OrderActor
from supervisor.orders import OrderDirectory
from supervisor.planner import place
from supervisor.reader import Reader
from supervisor.requests import RequestActor
from supervisor.stock_directory import VariantStock

SEEDS_MAX = 300

Patches = list[tuple[object, str, Any]]


class Bug(Struct, frozen=True):
    """A way to go wrong.

    Args:
        name: in words, with underscores.
        breaks: the guarantees of which at least one must be found broken.
        what: what the code does wrong, for the table.
        patches: (object, attribute, replacement).
    """

    name: str
    breaks: tuple[str, ...]
    what: str
    patches: Callable[[], Patches]

    @contextmanager
    def planted(self) -> Iterator[None]:
        """The service has this bug within the block."""
        with ExitStack() as stack:
            for target, attribute, replacement in self.patches():
                stack.enter_context(mock.patch.object(target, attribute, replacement))
            yield


BUGS: dict[str, Bug] = {}


def bug(what: str, *breaks: str) -> Callable[[Callable[[], Patches]], Callable[[], Patches]]:
    def register(patches: Callable[[], Patches]) -> Callable[[], Patches]:
        name = patches.__name__
        BUGS[name] = Bug(name, breaks, what, patches)
        return patches

    return register


# ---- durability -----------------------------------------------------------------------------------------------------


@bug("answers are given before they are durable", "G3")
def acknowledge_before_durable() -> Patches:
    def answer(self: Journal, reply: Reply[Any], value: Any = None, error: Exception | None = None) -> None:
        reply.fail(error) if error is not None else reply.set(value)

    return [(Journal, "answer", answer)]


@bug("refusals are answered at once, whatever they rest on", "G3", "G5")
def refusal_on_what_was_never_durable() -> Patches:
    right = Journal.answer

    def answer(self: Journal, reply: Reply[Any], value: Any = None, error: Exception | None = None) -> None:
        reply.fail(error) if error is not None else right(self, reply, value)

    return [(Journal, "answer", answer)]


@bug("a batch that failed is left out, and the journal goes on", "G3", "G8", "G10")
def failed_batch_dropped() -> Patches:
    right = Journal._write_batch

    async def write_batch(self: Journal) -> None:
        try:
            await right(self)
        except StorageError:
            self.last_lsn = self.durable_lsn
            self._entries.clear()
            self.fail_answers(storage_down())

    return [(Journal, "_write_batch", write_batch)]


@bug("a COMMIT without an answer is taken for a success", "G3", "G8")
def ambiguous_commit_taken_for_success() -> Patches:
    right = Journal._write_batch

    async def write_batch(self: Journal) -> None:
        store = self._store

        class Optimist:
            async def write(self, batch: Any) -> None:
                with suppress(StorageError):
                    await store.write(batch)

        self._store = Optimist()  # type: ignore[assignment]
        try:
            await right(self)
        finally:
            self._store = store

    return [(Journal, "_write_batch", write_batch)]


@bug("availability is answered from what is decided but not durable", "G3", "G4")
def dirty_read() -> Patches:
    def free(self: VariantStock) -> dict[str, int]:
        return {w: row.state.record.available for w, row in self.rows.items() if row.state.record.version}

    return [(VariantStock, "free_durably", free)]


@bug("readers are not told of what became durable", "G3", "G4")
def publish_forgotten() -> Patches:
    def publish(self: StockState, record: StockRecord) -> None:
        if record.version % 4:
            self.durable = self.record if record.version == self.record.version else record

    return [(StockState, "publish", publish)]


@bug("an activation loads while what it reads is still being written", "G3", "G4", "G6", "G8")
def load_before_durable() -> Patches:
    right = Loader.__init__

    def init(self: Loader[Any, Any], read: Any, wait_durable: Any, deliver: Any) -> None:
        right(self, read, anyio.lowlevel.checkpoint, deliver)

    return [(Loader, "__init__", init)]


@bug("activations are dropped and loaded without a look at what is not durable", "G1", "G3", "G4", "G6", "G8")
def dropped_and_loaded_at_any_time() -> Patches:
    return [*load_before_durable(), *passivated_while_in_use()]


@bug("an activation is dropped though it has holds or undurable changes", "G1", "G2", "G3", "G4", "G8")
def passivated_while_in_use() -> Patches:
    return [(VariantStock, "is_quiet", property(lambda self: self.loaded.is_done))]


@bug("lists come from the database, ahead of what memory shows", "G4")
def list_ahead_of_memory() -> Patches:
    return [(Reader, "published", Reader.read)]


# ---- two phases -----------------------------------------------------------------------------------------------------


@bug("a refused transaction leaves its first hold behind", "G2", "G10")
def leaked_hold() -> Patches:
    def abort(self: Coordinator, prepared: Prepared) -> None:
        for row in prepared.rows[1:]:
            if not row.is_retired:
                row.abort(prepared.transaction_id)

    return [(Coordinator, "abort", abort)]


@bug("a basket gets what there is, and not all or nothing", "G2")
def non_atomic_basket() -> Patches:
    async def prepare(self: Coordinator, changes: Any) -> Any:
        transaction_id = next(self._transaction_ids)
        granted: list[StockActor] = []
        last: Any = None
        for row, change in sorted(changes, key=supervisor.coordinator._key_of):
            verdict = await row.ask(Prepare(transaction_id, change)).wait()
            if verdict is Verdict.GRANTED:
                granted.append(row)
            else:
                last = supervisor.coordinator.TurnedDown(verdict, row)
        return Prepared(transaction_id, granted) if granted or last is None else last

    def plan(lines: Any, variants: Any) -> Any:
        placements = place(lines, {v: variant.free_if_rivals_abort() for v, variant in variants.items()})
        if not any(p.fits for p in placements) or not all(p.found for p in placements):
            return right_plan(lines, variants)
        return [variants[line.variant_id].rows[p.warehouse_id] for line, p in zip(lines, placements, strict=True)]

    right_plan = supervisor.basket.plan
    return [(Coordinator, "prepare", prepare), (supervisor.order, "plan", plan)]


@bug("holds are not counted when a row judges", "G1")
def oversell() -> Patches:
    return [
        (StockState, "_fits_beside_holds", lambda self, delta, grows: True),
        (StockRecord, "check", lambda self: None),
    ]


@bug("rows are prepared in the order of the lines: two baskets wait for each other", "G10")
def deadlock_by_lock_order() -> Patches:
    return [(supervisor.coordinator, "_key_of", lambda change: 0)]


@bug("an abort does not look who waits for it", "G10")
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

    return [(supervisor.order, "reserving", reserving)]


@bug("only one warehouse is tried though others have it", "G5")
def only_first_warehouse_tried() -> Patches:
    def first_only(lines: Any, free: Any) -> Any:
        first = {v: dict(sorted(rows.items())[:1]) for v, rows in free.items()}
        open_lines = all(not line.warehouse_id for line in lines)
        return place(lines, first if open_lines else free)

    return [(supervisor.basket, "place", first_only)]


# ---- orders and time ------------------------------------------------------------------------------------------------


@bug("each request of an order gets an actor of its own", "G6", "G8", "G3")
def orders_not_serialized() -> Patches:
    def activate(self: OrderDirectory, key: OrderKey) -> OrderActor:
        return OrderActor(
            key, self._services, self._load_of(key), self._dispatcher, self._drop_crashed, self._mailbox_messages_max
        )

    def load_of(self: OrderDirectory, key: OrderKey) -> Any:
        async def load() -> Any:
            await self._services.journal.wait_durable()
            return (await self.loader._read([key])).get(key, [])

        return load

    return [(OrderDirectory, "activate", activate), (OrderDirectory, "_load_of", load_of)]


@bug("the same order again is refused: the shopper is blocked by the own hold", "G6")
def blocked_by_own_hold() -> Patches:
    return [(supervisor.order, "asks_for_the_same", lambda reservation, lines: False)]


@bug("a reservation past its time can be confirmed", "G7")
def confirm_after_expiry() -> Patches:
    return [(supervisor.order, "confirm", lambda reservation, order_id, now_ms: confirm(reservation, order_id, 0))]


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

    return [(supervisor.order, "release", wrong)]


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
    right = supervisor.basket.giving_back
    return [
        (supervisor.order, "giving_back", lambda items, variants, *, shipped: right(items, variants, shipped=False))
    ]


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


# ---- retries --------------------------------------------------------------------------------------------------------


@bug("a repeated request is carried out again", "G6")
def request_carried_out_twice() -> Patches:
    async def receive(self: RequestActor, envelope: Envelope[Command, Fact]) -> None:
        done: Reply[Fact] = Reply()
        await self._carry_out(envelope.message, done)
        envelope.reply.set(await done.wait())

    return [(RequestActor, "receive", receive)]


@bug("after a restart the filters say that they know nothing", "G6")
def forgotten_after_a_restart() -> Patches:
    right = KnownKeys.__init__

    def init(self: KnownKeys, *args: Any, **named: Any) -> None:
        right(self, *args, **named)
        self.is_filled = True

    return [(KnownKeys, "__init__", init)]


@bug("a refusal under an idempotency key is not remembered", "G3", "G6")
def refusal_not_remembered() -> Patches:
    def answer(self: Incarnation, command: Any, reply: Reply[Fact]) -> None:
        self.journal.answer(reply, error=Refused(ReservationNotFound(command.reservation_id)))

    return [(Incarnation, "_answer_not_found", answer)]


@bug("another organization's reservation can be reached by its id", "G11")
def organizations_mixed_up() -> Patches:
    def order_in_memory(self: OrderDirectory, organization_id: str, reservation_id: str) -> OrderKey | None:
        for (_, known), key in self._order_of_reservation.items():
            if known == reservation_id:
                return key
        return None

    return [(OrderDirectory, "order_in_memory", order_in_memory)]


# ---- calls and processes --------------------------------------------------------------------------------------------


@bug("the work runs in the caller's task, and dies with it", "G2", "G10")
def work_in_the_callers_scope() -> Patches:
    right = Incarnation.ask

    async def ask(self: Incarnation, command: Command) -> Fact:
        if self._is_ending or not isinstance(command, Reserve) or command.request_id:
            return await right(self, command)
        reply: Reply[Fact] = Reply()
        self._open_calls[reply] = None
        try:
            actor = self.orders.activate(OrderKey(command.organization_id, command.order_id))
            actor._mailbox.append(Envelope(command, reply))
            if not actor._has_turn:
                actor._has_turn = True
                await actor.drain()
            return await reply.wait()
        finally:
            self._open_calls.pop(reply, None)

    return [(Incarnation, "ask", ask)]


@bug("callers whose answers waited for a failed batch are told nothing", "G10")
def callers_left_waiting() -> Patches:
    def end(self: Incarnation, error: Exception) -> None:
        self._is_ending = True
        self.stock.fail_loads(error)

    return [(Incarnation, "end", end), (Journal, "fail_answers", lambda self, error: None)]


@bug("a storage failure in an actor's turn is taken for a bug", "no bug is met")
def storage_failure_taken_for_a_bug() -> Patches:
    async def load(self: Reader, key: Any) -> Any:
        return await self._store.load_request(key)

    return [(Reader, "load_request", load)]


@bug("a caller that hears of a failure last breaks what has ended already", "no bug is met")
def broken_after_the_end() -> Patches:
    def break_(self: Incarnation, error: Exception) -> None:
        self._is_ending = True

        async def end() -> None:
            raise error

        self._tasks.start_soon(end)

    return [(Incarnation, "_break", break_)]


def _land_unfenced(self: MemoryStore, transactions: Any) -> None:
    self._check_open()
    self.disk.apply(transactions)


@bug("a commit is not checked against the epoch; LSNs still must follow each other", "G3", "G9")
def no_fence() -> Patches:
    return [(MemoryStore, "land", _land_unfenced)]


@bug("a server that was driven out answers from memory until its heartbeat", "G4", "G6", "G5")
def answers_after_a_takeover() -> Patches:
    async def hold(self: Lease) -> None:
        pass

    return [(Lease, "hold", hold)]


@bug("a successor serves before its predecessor's lease is over", "G4", "G6", "G5")
def served_before_the_lease_is_over() -> Patches:
    return [(memory, "LEASE_S", 0.0)]


@bug("neither the epoch nor the LSN of a commit is checked", "G3", "G9")
def no_fence_and_no_unique_lsn() -> Patches:
    def check(self: Any, batch: Any) -> None:
        pass

    return [(MemoryStore, "land", _land_unfenced), (Disk, "_check", check)]


# ---- the table ------------------------------------------------------------------------------------------------------


class Catch(Struct, frozen=True):
    """How a bug was found: `seeds` were needed, `caught` of `tried` fail with it."""

    bug: Bug
    seeds: int  # 0: not found
    found: str
    caught: int
    tried: int


def hunt(bug: Bug, seeds: range, *, at_least: int = 1) -> Catch:
    """Run seeds until the bug is caught by a guarantee that it breaks.

    Args:
        at_least: how many seeds to run in any case, to tell how often it is caught.
    """
    from simulation.runner import run_seed

    first, found, caught, tried = 0, "", 0, 0
    for seed in seeds:
        with bug.planted():
            result = run_seed(seed)
        tried += 1
        hits = [violation for violation in result.violations if violation.guarantee in bug.breaks]
        if hits:
            caught += 1
            if not first:
                first, found = tried, str(hits[0])
        if first and tried >= at_least:
            break
    return Catch(bug, first, found, caught, tried)


def table(catches: list[Catch]) -> str:
    """The table of `docs/planted-bugs.md`."""
    lines = ["| bug | what is wrong | seeds needed | caught | by |", "|---|---|---|---|---|"]
    for catch in catches:
        by = catch.found.split(":")[0] or "–"
        needed = str(catch.seeds) if catch.seeds else f"not in {catch.tried}"
        lines.append(f"| {catch.bug.name} | {catch.bug.what} | {needed} | {catch.caught} of {catch.tried} | {by} |")
    return "\n".join(lines)


def main(path: str = "docs/planted-bugs.md") -> int:
    """Write the table; exit status 1 if a bug was not caught."""
    catches = []
    for one in BUGS.values():
        catch = hunt(one, range(SEEDS_MAX), at_least=20)
        line = f"{one.name}: {catch.seeds or 'NOT FOUND'}, {catch.caught} of {catch.tried}: {catch.found[:80]}"
        print(line, flush=True)  # noqa: T201
        catches.append(catch)
    Path(path).write_text(PAGE.format(table=table(catches), count=len(catches), seeds=SEEDS_MAX))
    return 0 if all(catch.seeds for catch in catches) else 1


PAGE = """# Planted bugs

A check that cannot fail is a defect. So every way in which the design could have gone wrong is planted into the real
code while the simulation runs (`simulation/bugs.py`; nothing of it is in the service), and has to be caught within
{seeds} seeds by a guarantee that it breaks. *Seeds needed* counts from seed 0; *caught* says how many of the seeds
that were run find it.

{table}

{count} bugs. `python -m simulation.bugs` measures this again and rewrites the page.
"""

if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
