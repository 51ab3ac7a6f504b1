"""Planted bugs of what is kept, of calls and of processes."""

from bisect import insort
from contextlib import suppress
from math import inf
from typing import Any

import anyio
from sqlalchemy import Integer, bindparam, text

from actors.commands import Command, Reserve
from actors.outcomes import Fact
from actors.records import OrderKey, ReservationRecord, StockRecord, Transaction
from actors.reply import Reply
from actors.stock_state import StockState
from actors.unavailable import outcome_unknown
from actors.variant_stock import VariantStock
from simulation.disks.faulty_store import FaultyStore
from simulation.planted.planting import Patches, bug
from storage import memory_store
from storage.latecomers import no_latecomers
from storage.memory_store import Disk, MemoryStore
from storage.sql import archive
from storage.sql.instants import Instant
from storage.store import StorageError
from supervisor import incarnation
from supervisor.activations.loader import Loader
from supervisor.background.housekeeping import RETRY_S, Housekeeping
from supervisor.incarnation import Incarnation
from supervisor.open_call import OpenCall
from supervisor.open_call import fail_all as open_calls_failed
from supervisor.ownership.lease import Lease
from supervisor.store_reader import StoreReader
from supervisor.supervisor import Supervisor
from supervisor.transactions import journal
from supervisor.transactions.journal import Journal

# ---- durability -----------------------------------------------------------------------------------------------------


@bug("a batch waits for a crowd that does not come", "G10")
def crowd_waited_for_ever() -> Patches:
    async def gather(self: Journal) -> None:
        crowd = self._crowd if self._crowd >= journal.CROWD_MIN else 0
        while len(self._entries) < crowd:
            self._wakes_at, self._has_entries = crowd, anyio.Event()
            await self._has_entries.wait()
        self._wakes_at = 1

    return [(Journal, "_gather", gather)]


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
            self.fail_answers(outcome_unknown())

    return [(Journal, "_write_batch", write_batch)]


@bug("who came late to a batch is told that it was written, and was not", "G3", "G8", "G10")
def latecomers_not_written() -> Patches:
    right = FaultyStore.write

    async def write(self: FaultyStore, transactions: Any, latecomers: Any = no_latecomers) -> Any:
        return (*await right(self, transactions), *latecomers())

    return [(FaultyStore, "write", write)]


@bug("what belongs together is torn where it comes late to a batch", "G4")
def group_torn_where_it_comes_late() -> Patches:
    def take_late(self: Journal, entries_max: int) -> list[Transaction]:
        return [self._entries.popleft()] if self._entries else []

    return [(Journal, "_take_late", take_late)]


@bug("a COMMIT without an answer is taken for a success", "G3", "G8")
def ambiguous_commit_taken_for_success() -> Patches:
    right = Journal._write_batch

    async def write_batch(self: Journal) -> None:
        store = self._store

        class Optimist:
            writes_aside = store.writes_aside

            async def write(self, batch: Any, latecomers: Any) -> Any:
                with suppress(StorageError):
                    return await store.write(batch, latecomers)
                return batch

        self._store = Optimist()  # type: ignore[assignment]
        try:
            await right(self)
        finally:
            self._store = store

    return [(Journal, "_write_batch", write_batch)]


@bug("availability is answered from what is decided but not durable", "G3", "G4")
def dirty_read() -> Patches:
    def free(self: VariantStock) -> dict[str, int]:
        return {w: row.state.record.available for w, row in self.rows.items() if row.state.record.exists}

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
    return [(StoreReader, "published", StoreReader.read)]


# ---- housekeeping ---------------------------------------------------------------------------------------------------


@bug("what is over is moved out after half of the time that it should be kept", "G3", "G6")
def moved_out_early() -> Patches:
    right = Housekeeping.__init__

    def init(self: Housekeeping, *args: Any, **named: Any) -> None:
        right(self, *args, **named)
        self._keep_ms //= 2

    return [(Housekeeping, "__init__", init)]


@bug("old reservations are moved out though they are confirmed and hold stock", "G3")
def confirmed_moved_out() -> Patches:
    right = Disk._keep_reservation

    def keep(self: Disk, key: tuple[str, str], reservation: ReservationRecord) -> None:
        before = self.reservations.get(key)
        if before is not None and before.state == "confirmed":  # a reservation is noted once
            self.ended.remove((before.confirmed_at_ms, *key))
        right(self, key, reservation)
        if reservation.state == "confirmed":
            insort(self.ended, (reservation.confirmed_at_ms, *key))

    return [(Disk, "_keep_reservation", keep)]


@bug("housekeeping ends with the first step that fails", "what is over goes")
def housekeeping_ends_with_a_failure() -> Patches:
    right = Housekeeping._step

    async def step(self: Housekeeping) -> float:
        rest_s = await right(self)
        return inf if rest_s == RETRY_S else rest_s

    return [(Housekeeping, "_step", step)]


@bug("lines of the ledger are moved out, and not only old ones", "G8", disk="sqlite")
def young_movements_moved_out() -> Patches:
    statement = str(archive.OLD_MOVEMENTS).replace("WHERE at < :before", "WHERE :before <> ''")
    any_age = text(statement).bindparams(bindparam("before", type_=Instant), bindparam("rows_max", type_=Integer))
    return [(archive, "OLD_MOVEMENTS", any_age)]


@bug("a reservation that is moved out leaves its items behind", "G3", disk="sqlite")
def items_left_behind() -> Patches:
    return [(archive, "MOVE_RESERVATION", archive.MOVE_RESERVATION[:2])]


# ---- calls and processes --------------------------------------------------------------------------------------------


@bug("the work runs in the caller's task, and dies with it", "G2", "G10")
def work_in_the_callers_scope() -> Patches:
    right = Supervisor.ask

    async def ask(self: Supervisor, command: Command) -> Fact:
        core = self._serving_core()
        if core._is_ending or not isinstance(command, Reserve) or command.request_id:
            return await right(self, command)
        reply: Reply[Fact] = Reply()
        core._open_calls[reply] = None
        try:
            actor = core.orders.activate(OrderKey(command.organization_id, command.order_id))
            actor._post(command, reply)
            if not actor._has_turn:
                actor._has_turn = True
                await actor.drain()
            return await reply.wait()
        finally:
            core._open_calls.pop(reply, None)

    return [(Supervisor, "ask", ask)]


@bug("callers whose answers waited for a failed batch are told nothing", "G10")
def callers_left_waiting() -> Patches:
    def end(self: Incarnation, *, is_stop: bool) -> None:
        self._is_ending = True
        self.stock.fail_loads(outcome_unknown())

    return [(Incarnation, "end", end), (Journal, "fail_answers", lambda self, error: None)]


@bug("a storage failure in an actor's turn is taken for a bug", "no bug is met")
def storage_failure_taken_for_a_bug() -> Patches:
    async def load(self: StoreReader, key: Any) -> Any:
        return await self._store.load_request(key)

    return [(StoreReader, "load_request", load)]


@bug("callers whose queries wait when storage fails are told nothing", "G10")
def queries_left_waiting() -> Patches:
    right = open_calls_failed

    def fail_all(calls: Any, error: Exception) -> None:
        right({call: None for call in calls if isinstance(call, OpenCall)}, error)

    return [(incarnation, "fail_all", fail_all)]


def _land_unfenced(self: MemoryStore, transactions: Any) -> None:
    self._check_open()
    self.disk.apply(transactions)


@bug("a commit is not checked against the epoch; LSNs still must follow each other", "G3", "G9")
def no_fence() -> Patches:
    return [(MemoryStore, "land", _land_unfenced)]


@bug("a server that was driven out answers from memory until its heartbeat", "G4", "G6", "G5")
def answers_after_a_takeover() -> Patches:
    return [(Lease, "holds", property(lambda self: True))]


@bug("a successor serves before its predecessor's lease is over", "G4", "G6", "G5")
def served_before_the_lease_is_over() -> Patches:
    return [(memory_store, "LEASE_S", 0.0)]


@bug("neither the epoch nor the LSN of a commit is checked", "G3", "G9")
def no_fence_and_no_unique_lsn() -> Patches:
    def check(self: Any, batch: Any) -> None:
        pass

    return [(MemoryStore, "land", _land_unfenced), (Disk, "_check", check)]
