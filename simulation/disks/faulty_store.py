"""A store with faults. The real adapter decides what an operation does; the seed decides whether, when and how often
it happens.
"""

from collections.abc import Callable, Sequence
from random import Random

import anyio
from anyio import lowlevel

from actors.records import Transaction
from simulation.disks.watched_disk import WatchedDisk
from simulation.faults import Options
from storage.latecomers import Latecomers, no_latecomers
from storage.memory_store import MemoryStore, MemoryStoreStatistics
from storage.store import MovedOut, Ownership, OwnershipLost, StorageError

CHANGES = ("write", "move_out", "stage", "withdraw", "drop_staged", "fold", "fold_variants")


class InjectedError(StorageError):
    """A storage failure that the seed wanted."""


class StoreStatistics(MemoryStoreStatistics, frozen=True):
    """Counts since the store was made.

    Args:
        operations: calls that reached the store.
        faults: how many of them it let fail.
    """

    operations: int
    faults: int


class FaultyStore(MemoryStore):
    """A store that fails, is slow, and reports failures of commits that landed.

    Args:
        disk: what it works on.
        name: names its streams of decisions, apart from every other store's.
        options: what may go wrong.
        is_calm: whether nothing may go wrong any more.
        note: called with every fault, in words.
        later: runs a function after a delay in seconds, even if this store is cut off by then.
        landed: called with the epoch and the transactions of every batch that reaches the disk.
        refused: called with the reason when the disk refuses a batch; it guards its own integrity and should never
            have to.
        takes_over: whether it drives out another owner.
    """

    disk: WatchedDisk

    def __init__(
        self,
        disk: WatchedDisk,
        name: str,
        options: Options,
        is_calm: Callable[[], bool],
        note: Callable[[str], None],
        later: Callable[[float, Callable[[], None]], None],
        landed: Callable[[int, Sequence[Transaction]], None],
        refused: Callable[[str], None],
        *,
        takes_over: bool,
    ) -> None:
        super().__init__(disk, takes_over=takes_over)
        self._name = name
        self._options = options
        self._is_calm = is_calm
        self._note = note
        self._later = later
        self._landed = landed
        self._refused = refused
        self._streams: dict[str, Random] = {}
        self._in_flight: Callable[[], None] | None = None
        self._in_flight_batch: tuple[Sequence[Transaction], int] = ((), 0)
        self._moving: tuple[int, int] | None = None  # the arguments of a step of housekeeping that is under way
        self._down_until_s = 0.0
        self._operations = self._faults = 0
        self.is_cut = False
        self.opened: Callable[[Ownership], None] = lambda ownership: None

    def __repr__(self) -> str:
        state = "cut" if self.is_cut else "superseded" if self.is_superseded else "open"
        writing = " writing" if self._in_flight else ""
        return f"<{type(self).__name__} {self._name} {state}{writing} of {self.disk!r}>"

    def statistics(self) -> StoreStatistics:
        return StoreStatistics(self._batches, self._transactions, self._operations, self._faults)

    @property
    def is_superseded(self) -> bool:
        """Whether another process owns the database, even if this one has not noticed yet."""
        return self._epoch not in (0, self.disk.epoch)

    def cut(self) -> None:
        """The process is dead: from now on nothing reaches the disk except, perhaps, what is under way."""
        if not self.is_cut:
            self.is_cut = True
            if self._moving is not None and self._is_fenced_in and self._stream("cut a move").random() < 0.5:
                self.disk.move_out(*self._moving)
            if self._in_flight is not None and self._stream("cut").random() < 0.5:
                self._in_flight()

    async def write(
        self, transactions: Sequence[Transaction], latecomers: Latecomers = no_latecomers
    ) -> Sequence[Transaction]:
        batch, epoch = list(transactions), self._epoch
        self._in_flight = lambda: self._land_late(batch, epoch)
        self._in_flight_batch = batch, epoch
        try:
            await self._before("write")
            batch += latecomers()
            options, random = self._options, self._stream("write")
            if not self._is_calm() and random.random() < options.lands_late:
                self._note("commit fails and lands late")
                self._later(random.random() * 0.3, self._in_flight)
                raise self._fault("the connection broke during COMMIT")
        finally:
            self._in_flight = None
        self.land(batch)
        await self._after("write")
        return batch

    async def move_out(self, before_ms: int, rows_max: int) -> MovedOut:
        self._moving = before_ms, rows_max
        try:
            return await super().move_out(before_ms, rows_max)
        finally:
            self._moving = None

    @property
    def _is_fenced_in(self) -> bool:
        """Whether it owns the database, so that what it began may still happen."""
        return self._epoch == self.disk.epoch

    def land(self, transactions: Sequence[Transaction]) -> None:
        try:
            super().land(transactions)
        except AssertionError as refusal:
            self._refused(str(refusal))
            raise InjectedError("the database refuses the batch") from refusal
        self._landed(self._epoch, transactions)

    def _land_late(self, transactions: Sequence[Transaction], epoch: int) -> None:
        if self.disk.last_lsn >= transactions[0].lsn and self.disk.epoch == epoch:
            return
        mine, self._epoch = self._epoch, epoch
        try:
            self.land(transactions)
            self._note("the late commit lands")
        except (OwnershipLost, StorageError):
            self._note("the late commit is fenced off")
        finally:
            self._epoch = mine

    async def check_ownership(self) -> None:
        await super().check_ownership()
        await self._after("check_ownership")  # the answer, too, may take its time

    async def open(self) -> Ownership:
        ownership = await super().open()
        self._note(f"{self._name} owns the database at LSN {ownership.last_lsn}")
        self.opened(ownership)
        return ownership

    def _fault(self, sentence: str) -> InjectedError:
        self._faults += 1
        return InjectedError(sentence)

    async def _before(self, operation: str) -> None:
        self._operations += 1
        self._die_if_cut()
        if self._is_calm():
            await lowlevel.checkpoint()
        else:
            options, random = self._options, self._stream(operation)
            await self._dawdle(random, options.slow_store)
            if anyio.current_time() < self._down_until_s:
                raise self._fault(f"{operation} failed: the database is down")
            if random.random() < options.store_error * (1.0 if operation == "write" else 0.2):
                self._note(f"{operation} fails")
                if random.random() < 0.5:
                    self._down_until_s = anyio.current_time() + random.random() * 0.3
                raise self._fault(f"{operation} failed")
        self._die_if_cut()

    async def _after(self, operation: str) -> None:
        if operation == "move_out":
            self._moving = None
        self._die_if_cut()
        if not self._is_calm():
            random = self._stream(operation)
            if operation in CHANGES and random.random() < self._options.landed_although_failed:
                self._note(f"{operation} lands and fails")
                raise self._fault("no answer to COMMIT")
            if random.random() < 0.5:
                await self._dawdle(random, self._options.slow_store)
            self._die_if_cut()

    async def _dawdle(self, random: Random, slow: float) -> None:
        coin = random.random()
        if coin < slow:
            await anyio.sleep(random.random() * self._options.slow_store_s)
        elif coin < 0.7:
            await anyio.sleep(random.random() * 0.002)
        else:
            await lowlevel.checkpoint()

    def _die_if_cut(self) -> None:
        if self.is_cut:
            raise InjectedError("the process was killed")

    def _stream(self, operation: str) -> Random:
        stream = self._streams.get(operation)
        if stream is None:
            stream = self._streams[operation] = Random(f"{self._name}/{operation}")
        return stream
