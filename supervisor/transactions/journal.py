"""The journal: the order in which transactions happened, and the one writer that makes them durable.

`append` is synchronous: where a transaction stands is settled at once, and everything that follows may build on
it. One task writes. It takes all that was appended while the last batch was being written and writes it in one
database transaction (group commit), so that all that wait for a sync to disk share it. The database
therefore always holds a prefix of the journal; a batch that fails takes all later entries with it, since they
were judged against it. Before that transaction ends it takes what has come meanwhile, if it is little: an order that
comes while a basket of 1,000 lines is written need not wait for another batch (`storage.latecomers`).

An answer, be it a success, a repeated answer or a refusal, may rest on anything appended so far. `answer` gives
it when all of that is durable: one rule for every answer, and no caller is refused for the sake of something that
then never was.

A few callers' entries are written at once. In a crowd the writer gathers first: the callers that the last batch
answered are about to come again, so it waits for that number, as long as entries come. Batches of 50 instead of 5
save a quarter of the server's CPU time, in the network too, where answers that are given together cost less.
(Postgres's commit_delay with commit_siblings waits a fixed time: too short for a busy event loop, too long where
all are there.)

Turned down: a batch for each actor (syncs are not shared); applying to memory after the write (the next order
for a hot row would wait for the disk); a write-ahead file of our own beside the database (two truths).
"""

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import anyio
from anyio.lowlevel import checkpoint
from msgspec import Struct

from actors.activity import WrittenBatch
from actors.buckets import BucketCounts, Buckets
from actors.records import Transaction
from actors.reply import Reply
from actors.stages import Stages
from storage.store import Ownership, Store
from supervisor.transactions import chunks

T = TypeVar("T")

BATCH_ENTRIES_MAX = 1_000
RECENT_BATCHES = 100  # of which is kept how long they took
CROWD_MIN = 24  # fewer are answered sooner without a wait
CROWD_DECAY = 0.9  # a batch: how soon it is forgotten that there were more
GATHER_S = 0.02
LITTLE_S = 0.005  # a little batch takes 1 ms; in a crowd, where one follows the other, long turns go on
BATCH_SIZES = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000)  # transactions
COMMITS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
LULL_S = 0.002  # after this long without an entry, no caller is about to come


class JournalStatistics(Struct, frozen=True):
    """Counts since this journal was opened."""

    last_lsn: int
    durable_lsn: int
    batches: int
    entries: int
    batch_entries_max: int
    answers_waiting: int


class JournalSizes(Struct, frozen=True):
    """How many transactions the batches had, and how long the database took for each, in seconds."""

    batch_transactions: BucketCounts
    commit_s: BucketCounts


class _Answer(Struct, frozen=True):
    """An answer that waits until everything up to `lsn` is durable."""

    lsn: int
    reply: Reply[Any]
    value: Any
    error: Exception | None


class Journal:
    """Appends, writes, publishes.

    An answer that rests on a transaction is given when it is durable. In the examples, `journal` is one that runs:

    >>> from storage.memory_store import Disk, MemoryStore
    >>> store = MemoryStore(Disk())
    >>> journal = Journal(store, await store.open(), publish=lambda transactions: None)
    >>> writing = tasks.start_soon(journal.run)
    >>> journal.append(Transaction(journal.last_lsn + 1, at_ms=0, kind="remember"))
    >>> await journal.answered("the answer").wait()
    'the answer'

    Args:
        store: an open store, whose only writer this is.
        ownership: what opening the store returned.
        publish: called with a batch, or a part of a large one, once it is durable, before any answer that rests on it
            is given.
        give: gives a durable answer: a value, or an error in its place.
        gather_s: how long the writer waits for company at most, in seconds.
        monotonic_s: a clock, in seconds.
        stages: follows commands; None: nothing does.
    """

    def __init__(
        self,
        store: Store,
        ownership: Ownership,
        publish: Callable[[Sequence[Transaction]], None],
        give: Callable[[Reply[Any], Any, Exception | None], None] = Reply.settle,
        gather_s: float = GATHER_S,
        monotonic_s: Callable[[], float] = anyio.current_time,
        stages: Stages | None = None,
    ) -> None:
        self._store = store
        self._publish = publish
        self._give = give
        self._gather_s = gather_s
        self._monotonic_s = monotonic_s
        self._stages = stages
        self.last_lsn = ownership.last_lsn
        self.durable_lsn = ownership.last_lsn
        self._entries: deque[Transaction] = deque()
        self._undurable_rows = 0  # and one for each transaction
        self._joined: set[int] = set()  # LSNs of entries that are in one batch with the next
        self._answers: deque[_Answer] = deque()
        self._durable_waiters: dict[anyio.Event, int] = {}
        self._has_entries = anyio.Event()
        self._wakes_at = 1  # entries
        self._crowd = 0  # callers that the next batch may bring together
        self._batches = 0
        self._entries_written = 0
        self._batch_entries_max = 0
        self._batch_sizes, self._commits_s = Buckets(BATCH_SIZES), Buckets(COMMITS_S)
        self.recent: deque[WrittenBatch] = deque(maxlen=RECENT_BATCHES)  # oldest first
        self.batch_began_s: float | None = None  # of the batch that is being written, on the clock

    def __repr__(self) -> str:
        return f"<Journal last_lsn={self.last_lsn} durable_lsn={self.durable_lsn}>"

    @property
    def undurable_entries(self) -> int:
        """How many entries were appended and are not durable yet.

        >>> journal.append(Transaction(journal.last_lsn + 1, at_ms=0, kind="remember"))
        >>> journal.undurable_entries
        1
        """
        return self.last_lsn - self.durable_lsn

    def append(self, transaction: Transaction, *, joins_next: bool = False) -> None:
        """Give a transaction its place. From here on it happens unless storage fails.

        Args:
            transaction: with the next LSN.
            joins_next: what is appended next is written in one batch with it: the database has both or neither.

        >>> journal.append(Transaction(journal.last_lsn + 1, at_ms=0, kind="remember"))
        >>> journal.last_lsn - journal.durable_lsn
        1
        """
        assert transaction.lsn == self.last_lsn + 1, (transaction.lsn, self.last_lsn)
        self.last_lsn = transaction.lsn
        self._undurable_rows += 1 + len(transaction.changes)
        if joins_next:
            self._joined.add(transaction.lsn)  # before a writer on another thread can see it
        entries = self._entries
        entries.append(transaction)
        if len(entries) == self._wakes_at:
            self._has_entries.set()

    def answer(self, reply: Reply[Any], value: Any = None, error: Exception | None = None) -> None:
        """Answer with a value or an error as soon as everything appended so far is durable.

        >>> reply = Reply()
        >>> journal.answer(reply, "nothing was appended")
        >>> reply.result()
        'nothing was appended'
        """
        if self.durable_lsn == self.last_lsn:
            self._give(reply, value, error)
        else:
            self._answers.append(_Answer(self.last_lsn, reply, value, error))

    def answered(self, value: T | None = None, error: Exception | None = None) -> Reply[T]:
        """A new reply that is answered so: what a turn waits for that ends when its outcome is durable.

        >>> await journal.answered("the answer").wait()
        'the answer'
        """
        reply: Reply[T] = Reply()
        self.answer(reply, value, error)
        return reply

    async def wait_durable(self) -> None:
        """Wait until everything appended so far is durable. Cancelling it changes nothing.

        >>> journal.append(Transaction(journal.last_lsn + 1, at_ms=0, kind="remember"))
        >>> await journal.wait_durable()
        >>> journal.undurable_entries
        0
        """
        if self.durable_lsn == self.last_lsn:
            return
        event = anyio.Event()
        self._durable_waiters[event] = self.last_lsn
        try:
            await event.wait()
        finally:
            self._durable_waiters.pop(event, None)

    async def wait_for_little(self) -> None:
        """Wait until everything appended so far is durable if that is little, and for a few milliseconds at most.

        SQLite's thread needs Python's lock for each of its statements. Beside a turn that has much to do it has to wait
        for it a millisecond each time, so that a single row took 5 ms to write instead of 0.5.

        >>> await journal.wait_for_little()
        """
        if 0 < self._undurable_rows <= chunks.LITTLE_ROWS:
            with anyio.move_on_after(LITTLE_S):
                await self.wait_durable()

    async def run(self) -> None:
        """Write until cancelled.

        Raises:
            StorageError, OwnershipLost: a batch failed; everything undurable is lost, as `fail_answers` says.

        >>> writing = tasks.start_soon(journal.run)
        """
        while True:
            if not self._entries:
                await self._store.catch_up()
            if not self._entries:
                self._has_entries = anyio.Event()
                await self._has_entries.wait()
                continue
            await self._gather()
            await self._write_batch()

    def fail_answers(self, error: Exception) -> None:
        """Give this error to every caller that waits for an answer.

        >>> journal.append(Transaction(journal.last_lsn + 1, at_ms=0, kind="remember"))
        >>> reply = journal.answered("the answer")
        >>> journal.fail_answers(TimeoutError("the database is gone"))
        >>> reply
        <Reply TimeoutError('the database is gone')>
        """
        answers, self._answers = self._answers, deque()
        for answer in answers:
            answer.reply.fail(error)

    def statistics(self) -> JournalStatistics:
        """Counts since the journal was opened.

        >>> journal.statistics()
        JournalStatistics(last_lsn=0, durable_lsn=0, batches=0, entries=0, batch_entries_max=0, answers_waiting=0)
        """
        return JournalStatistics(
            self.last_lsn,
            self.durable_lsn,
            self._batches,
            self._entries_written,
            self._batch_entries_max,
            len(self._answers),
        )

    def sizes(self) -> JournalSizes:
        """The sizes of its batches.

        >>> journal.sizes().batch_transactions.values
        0
        """
        return JournalSizes(self._batch_sizes.statistics(), self._commits_s.statistics())

    async def _gather(self) -> None:
        if self._crowd < CROWD_MIN:
            return
        ends_s = self._monotonic_s() + self._gather_s
        crowd = min(self._crowd, self._entries_max)
        seen, entries = 0, len(self._entries)
        while seen < entries < crowd and self._monotonic_s() < ends_s:
            # Not woken by every entry: that would cost more than it saves.
            self._wakes_at, self._has_entries = crowd, anyio.Event()
            with anyio.move_on_after(LULL_S):
                await self._has_entries.wait()
            seen, entries = entries, len(self._entries)
        self._wakes_at = 1

    @property
    def _entries_max(self) -> int:
        """Of a batch: half a crowd where the other half can be served while it is written."""
        if self._crowd >= CROWD_MIN and self._store.writes_aside:
            return min((self._crowd + 1) // 2, BATCH_ENTRIES_MAX)
        return BATCH_ENTRIES_MAX

    async def _write_batch(self) -> None:
        entries, entries_max = self._entries, self._entries_max
        begun = self._take(entries_max)
        self.batch_began_s = self._monotonic_s()
        batch = await self._store.write(begun, partial(self._take_late, entries_max - len(begun)))
        ended_s = self._monotonic_s()
        took_us = int((ended_s - self.batch_began_s) * 1e6)
        if self._stages is not None:
            self._stages.written(batch, self.batch_began_s, ended_s)
        self.recent.append(WrittenBatch(len(batch), took_us))
        self._batch_sizes.add(len(batch))
        self._commits_s.add(took_us / 1e6)
        self._batches += 1
        callers = len(batch) + len(entries) - [one.kind for one in (*batch, *entries)].count("expire")
        self._crowd = max(callers, int(self._crowd * CROWD_DECAY))  # an expiry has none, and does not come again
        self._entries_written += len(batch)
        self._batch_entries_max = max(self._batch_entries_max, len(batch))
        # Large baskets take a turn each: memory shows a prefix of the journal meanwhile, as the database does.
        for number, part in enumerate(chunks.by_rows(batch)):
            if number:
                await checkpoint()
            self._show(part)
        self.batch_began_s = None

    def _take(self, entries_max: int) -> list[Transaction]:
        """Take a batch: whole groups, and what is little before a large basket, which it would wait for."""
        entries, joined = self._entries, self._joined
        batch = [entries.popleft()]
        is_little = len(batch[0].changes) <= chunks.LITTLE_ROWS
        while entries:
            is_full = len(batch) >= entries_max or (is_little and len(entries[0].changes) > chunks.LITTLE_ROWS)
            if is_full and batch[-1].lsn not in joined:
                break
            batch.append(entries.popleft())
        if joined:
            self._joined = {lsn for lsn in joined if lsn > batch[-1].lsn}
        return batch

    def _take_late(self, entries_max: int) -> list[Transaction]:
        """Take what has come since the batch was begun: whole groups, as long as they are little.

        The database calls it, perhaps on a thread of its own. Meanwhile nothing else takes entries, and the event loop
        may append some: it finds them by their places, since a deque that grows cannot be walked through.
        """
        entries, joined = self._entries, self._joined
        rows = taken = 0
        for place in range(min(len(entries), entries_max)):
            entry = entries[place]
            rows += 1 + len(entry.changes)
            if rows > chunks.LITTLE_ROWS:
                break
            if entry.lsn not in joined:
                taken = place + 1
        return [entries.popleft() for _ in range(taken)]

    def _show(self, transactions: Sequence[Transaction]) -> None:
        """These are durable: readers may see them, and the answers that rest on them are given."""
        self.durable_lsn = transactions[-1].lsn
        self._undurable_rows -= sum([1 + len(transaction.changes) for transaction in transactions])
        self._publish(transactions)
        answers = self._answers
        while answers and answers[0].lsn <= self.durable_lsn:
            answer = answers.popleft()
            self._give(answer.reply, answer.value, answer.error)
        for event, lsn in self._durable_waiters.items():
            if lsn <= self.durable_lsn:
                event.set()
