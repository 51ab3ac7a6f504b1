"""Stock rows in memory. All rows of a variant come and go together, since the planner needs them together.

Rows that came one by one would have a plan see half a variant, and call goods short that stand in a warehouse which is
not in memory yet. So a variant is the unit of everything: a load, a pin, an eviction, and the crash of one row's actor.
"""

import logging
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack

from anyio import Event, lowlevel, sleep
from msgspec.structs import asdict

from actors.actor import Actor, Dispatcher
from actors.commands import Line
from actors.records import StockKey, StockRecord, Transaction, VariantKey
from actors.row_changes import Levels, Prepare
from actors.sourcing import USUAL, Sourcing
from actors.stock_actor import StockActor
from actors.stock_state import Moves, StockState, Verdict
from actors.turn import Turn
from actors.unavailable import restarting, row_damaged, too_many, too_many_rows
from actors.variant_stock import LoadListener, Pinned, VariantStock
from supervisor.activations.directory import LOOKS_A_TURN, LOOKS_AN_ADDITION, Directory, DirectoryStatistics
from supervisor.activations.loader import KEYS_A_READ_MAX, Loader
from supervisor.activations.warehouse_registry import WarehouseRegistry

DAMAGED_TOLD_MAX = 1_000
ROWS_A_VARIANT = 2  # in memory, of `variants_max`: 200,000 rows are 180 MB
ROWS_A_TURN = 2_000  # to let go takes 2 ms
ROWS_A_BASKET_MAX = 200_000  # a thousand lines of what is in two hundred warehouses: 180 MB while it is planned
ROWS_AT_ONCE = 20_000  # are asked for, as far as is known
VARIANTS_AT_FIRST = 20

log = logging.getLogger(__name__)


class StockDirectory:
    """Activates variants and publishes what became durable.

    Args:
        read: reads the rows of up to 500 variants.
        wait_durable: returns when everything decided so far is in the database.
        dispatcher: runs the row actors' turns.
        new_stock_id: a fresh id for a row that is to be made.
        report_crash: told of an actor that met a bug, after its activation was dropped.
        levels: those of a row that is made without a word about them.
        activations_max: variants in memory. Rows may be twice as many: a variant may be in 10,000 warehouses.
        mailbox_messages_max: messages that a row's mailbox holds.
    """

    def __init__(
        self,
        read: Callable[[Sequence[VariantKey]], Awaitable[Mapping[VariantKey, list[StockRecord]]]],
        wait_durable: Callable[[], Awaitable[None]],
        dispatcher: Dispatcher,
        new_stock_id: Callable[[], str],
        report_crash: Callable[[object, Exception], None],
        *,
        levels: Levels = Levels(),  # noqa: B008 - immutable
        activations_max: int,
        mailbox_messages_max: int,
    ) -> None:
        self.loader = Loader(read, wait_durable, self._fill)
        self._dispatcher = dispatcher
        self.new_stock_id = new_stock_id
        self.levels = levels
        self._report_crash = report_crash
        self._mailbox_messages_max = mailbox_messages_max
        self._directory: Directory[tuple[str, str], VariantStock] = Directory(activations_max)  # by `VariantKey`
        self._rows_max = ROWS_A_VARIANT * activations_max
        self._rows = 0
        self._on_crash = self._drop_crashed
        self._grew_beyond_bound = Event()
        self._damaged: set[VariantKey] = set()  # of which the log was told
        self._shut: frozenset[str] = frozenset()  # organizations of which nothing is loaded for a moment
        self._held_loads: dict[VariantKey, None] = {}  # until then
        self.warehouses = WarehouseRegistry()

    def __repr__(self) -> str:
        return f"<StockDirectory {self._directory!r} {self.warehouses!r}>"

    def has_all(self, organization_id: str, lines: Sequence[Line]) -> bool:
        """Whether the variants of these lines are all in memory."""
        for line in lines:
            variant = self._directory.get((organization_id, line.variant_id))
            if variant is None or not variant.loaded.is_done:
                return False
        return True

    def ready(self, organization_id: str, variant_ids: Collection[str]) -> dict[str, VariantStock] | None:
        """These variants, if all are in memory; else None."""
        variants = {}
        for variant_id in variant_ids:
            variant = self._directory.get((organization_id, variant_id))
            if variant is None or not variant.loaded.is_done:
                return None
            variants[variant_id] = variant
        return variants

    def when_loaded(self, organization_id: str, variant_ids: Collection[str], listener: Callable[[], None]) -> None:
        """Have these variants loaded, not all of which are in memory, and `listener` called on the last load's stack.

        By then the first may have been dropped again. If storage fails it is not called, and the incarnation ends.
        """
        asked = [self._activate(VariantKey(organization_id, variant_id)) for variant_id in variant_ids]
        missing = [variant for variant in asked if not variant.loaded.is_done]
        wait = LoadListener(len(missing), listener)
        for variant in missing:
            variant.waits.append(wait)

    def load(self, organization_id: str, variant_ids: Collection[str]) -> Turn[dict[str, VariantStock]]:
        """These variants, loaded where need be. They are in memory until the turn waits again, or longer if pinned.

        Raises:
            Unavailable: they have too many rows.
        """
        variants = self.ready(organization_id, variant_ids)
        while variants is None:
            yield from self._load(organization_id, list(variant_ids))
            # Between the load and this turn a crash may have dropped one of them.
            variants = self.ready(organization_id, variant_ids)
        return variants

    def _load(self, organization_id: str, variant_ids: Sequence[str]) -> Turn[None]:
        """Load them, a few first: what they have says how many more are loaded at once."""
        with ExitStack() as pins:
            place = rows = 0
            at_once = VARIANTS_AT_FIRST
            while place < len(variant_ids):
                part = variant_ids[place : place + at_once]
                asked = {v: self._activate(VariantKey(organization_id, v)) for v in part}
                pins.enter_context(Pinned(asked))
                for variant in asked.values():
                    yield variant.loaded
                place += len(part)
                rows += sum([len(variant.rows) for variant in asked.values()])
                at_once = max(1, min(KEYS_A_READ_MAX, ROWS_AT_ONCE * place // (rows + 1)))
                if rows > ROWS_A_BASKET_MAX:
                    raise too_many_rows(ROWS_A_BASKET_MAX)
                if rows > ROWS_AT_ONCE and self._rows > 2 * self._rows_max:
                    self._let_go_now()
                    if self._rows > 2 * self._rows_max:
                        raise too_many("requests for goods with very many rows")

    def row(self, variant: VariantStock, warehouse_id: str) -> StockActor:
        """The row's actor; one for a row that does not exist yet if need be.

        Raises:
            Unavailable: a crash has dropped the activation, though it is pinned.
        """
        row = variant.rows.get(warehouse_id)
        if row is None:
            key = variant.key
            if self._directory.get(key) is not variant:
                raise restarting()
            variant.has_unmade_rows = True
            new = StockKey(key.organization_id, key.variant_id, warehouse_id)
            record = StockRecord(*new, self.new_stock_id(), **asdict(self.levels))
            row = variant.rows[warehouse_id] = self._actor(record, variant.moves)
            self._count(variant, 1)
        return row

    def note(self, transaction: Transaction) -> None:
        """It was decided what becomes of warehouses, though that may not be durable yet."""
        self.warehouses.note(transaction.warehouses)
        if transaction.sourcing is not None:
            self.warehouses.note_policy(transaction.sourcing)

    def publish(self, transactions: Sequence[Transaction]) -> None:
        """These transactions are durable: readers may see them."""
        for transaction in transactions:
            for change in transaction.changes:
                record = change.after
                variant = self._directory.get((record.organization_id, record.variant_id))
                row = variant.rows.get(record.warehouse_id) if variant is not None else None
                if row is not None:
                    row.state.publish(record)
                    if record.is_deleted and variant is not None and not variant.pins:
                        variant.drop_unmade_rows()
            if transaction.warehouses:
                self.warehouses.publish(transaction.warehouses)
            if transaction.sourcing is not None:
                self.warehouses.publish_policy(transaction.sourcing)

    def sourcing(self, organization_id: str) -> Sourcing:
        """How the organization's baskets are planned, as it was decided; another object after each change."""
        return self.warehouses.sourcing.get(organization_id, USUAL)

    def knows(self, organization_id: str, warehouse_id: str) -> bool:
        """Whether there is such a warehouse, as it was decided."""
        return self.warehouses.find(organization_id, warehouse_id) is not None

    def fail_loads(self, error: Exception) -> None:
        """Tell all that wait for a load that it will not come."""
        for variant in self._directory.activations():
            if not variant.loaded.is_done:
                variant.loaded.fail(error)

    def passivate_idle(self) -> Iterator[None]:
        """Drop what was not used since the last time, in steps."""
        for passivated in self._directory.sweep():
            self._forget(passivated)
            yield

    async def trim(self, pause_s: float) -> None:
        """Drop what a large import leaves beyond the bound, until cancelled.

        Args:
            pause_s: how long rows may stay beyond the bound before they are looked at, again and again, in seconds.
        """
        while True:
            if not self._is_beyond_bound:
                self._grew_beyond_bound = Event()
                await self._grew_beyond_bound.wait()
            await sleep(pause_s)
            await self._trim_once()

    async def _trim_once(self) -> None:
        """Look at each activation once, some at a time, so that others have their turn."""
        looks = len(self._directory) // self._looks_a_turn() + 2  # the first may find nothing old
        while looks and self._is_beyond_bound:
            self._forget(self._directory.passivate(self._looks_a_turn()))
            looks -= 1
            await lowlevel.checkpoint()

    @property
    def _is_beyond_bound(self) -> bool:
        return self._rows > self._rows_max or self._directory.is_beyond_bound

    def _looks_a_turn(self) -> int:
        """Variants of a thousand rows take as long to let go as a thousand of one."""
        return max(1, min(LOOKS_A_TURN, ROWS_A_TURN * len(self._directory) // (self._rows + 1)))

    def _let_go_now(self) -> None:
        """Do not wait for `trim` with what was used least lately."""
        for _ in range(2):  # the first may find nothing old
            self._forget(self._directory.passivate(self._looks_a_turn()))

    def _count(self, variant: VariantStock, rows: int) -> None:
        variant.counted += rows
        self._rows += rows
        if self._rows > self._rows_max:
            self._grew_beyond_bound.set()

    def _forget(self, variants: Sequence[VariantStock]) -> None:
        """They are not in memory any more."""
        for variant in variants:
            self._rows -= variant.counted

    def statistics(self) -> DirectoryStatistics:
        return self._directory.statistics()

    def _activate(self, key: VariantKey) -> VariantStock:
        variant = self._directory.get(key)
        if variant is None:
            variant = VariantStock(key)
            self._forget(self._directory.add(key, variant))
            if self._directory.is_beyond_bound:
                self._grew_beyond_bound.set()
            if key.organization_id in self._shut:
                self._held_loads[key] = None
            else:
                self.loader.want(key)
        return variant

    def shut(self, organization_ids: Collection[str]) -> Sequence[VariantStock]:
        """Load nothing of these organizations until `open_up`. Returns what is in memory or being loaded by now."""
        self._shut = frozenset(organization_ids)
        return self.in_memory(organization_ids)

    def open_up(self) -> None:
        """Load again, and what was wanted meanwhile."""
        self._shut = frozenset()
        held, self._held_loads = self._held_loads, {}
        for key in held:
            self.loader.want(key)

    def in_memory(self, organization_ids: Collection[str]) -> Sequence[VariantStock]:
        """What is in memory of these organizations, or is being loaded."""
        return [one for one in self._directory.activations() if one.key.organization_id in organization_ids]

    def has(self, variant: VariantStock) -> bool:
        """Whether it is still the one that is in memory."""
        return self._directory.get(variant.key) is variant

    def drop(self, variant: VariantStock) -> bool:
        """Drop it from memory, if it is quiet; what was dropped already is."""
        if variant.is_quiet:
            if self.has(variant):
                self._directory.remove(variant.key, variant)
                self._forget([variant])
            return True
        return False

    def load_though_shut(self, keys: Collection[VariantKey]) -> Turn[list[VariantStock]]:
        """These variants, for the one that shut the others out. Each is pinned, which the caller undoes.

        Raises:
            Unavailable: a crash has dropped one of them.
        """
        pinned: list[VariantStock] = []
        try:
            for key in keys:
                pinned.append(self._activate(key))
                pinned[-1].pins += 1
                if self._held_loads.pop(key, 0) is None:
                    self.loader.want(key)
            for variant in pinned:
                yield variant.loaded
                if not self.has(variant):
                    raise restarting()
        except BaseException:
            for variant in pinned:
                variant.unpin()
            raise
        return pinned

    def _fill(self, key: VariantKey, records: list[StockRecord] | None) -> None:
        variant = self._directory.get(key)
        assert variant is not None, "an activation that is not loaded is not quiet, so it stays"
        if damaged := [record for record in records or () if not record.is_sound]:
            self._directory.remove(key, variant)  # the next call reads it again: it may have been mended
            self._tell_of(damaged[0])
            variant.loaded.fail(row_damaged(*damaged[0].key))
        else:
            self._damaged.discard(key)
            for record in records or ():
                variant.rows[record.warehouse_id] = self._actor(record, variant.moves)
            self._count(variant, len(records or ()))
            if self._rows > self._rows_max:
                self._forget(self._directory.passivate(LOOKS_AN_ADDITION))  # not this one: it is not loaded yet
            variant.loaded.set(None)
        waits, variant.waits = variant.waits, []
        for wait in waits:
            wait.missing -= 1
            if not wait.missing:
                wait.listener()

    def _tell_of(self, damaged: StockRecord) -> None:
        """Tell the log once of each: callers may ask for it again and again."""
        if damaged.key.variant not in self._damaged and len(self._damaged) < DAMAGED_TOLD_MAX:
            self._damaged.add(damaged.key.variant)
            log.error("stock_row_damaged", extra={"row": str(damaged)})

    def _actor(self, record: StockRecord, moves: Moves) -> StockActor:
        # The same callback for all: one that knew the variant would be in a cycle with it, and what is passivated
        # would stay until the next walk through everything. 200,000 rows are 400 MB.
        return StockActor(StockState(record, moves), self._dispatcher, self._on_crash, self._mailbox_messages_max)

    def _drop_crashed(self, actor: Actor[Prepare, Verdict], error: Exception) -> None:
        """The rows of a variant share an activation, so they end together and load together."""
        assert isinstance(actor, StockActor)
        key = actor.state.record.key
        variant = self._directory.get(key.variant)
        if variant is not None and variant.rows.get(key.warehouse_id) is actor:
            self._directory.remove(key.variant, variant)
            self._forget([variant])
            variant.is_dropped = True
            for row in variant.rows.values():
                row.retire()
        actor.retire()
        self.loader.note_crash()
        self._report_crash(actor, error)
