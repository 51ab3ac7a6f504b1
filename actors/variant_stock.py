"""The rows of one variant: they are in memory together, since the planner needs them together."""

from collections.abc import Callable

from msgspec import Struct

from actors.records import VariantKey
from actors.reply import Reply
from actors.stock_actor import StockActor
from actors.stock_state import Moves


class LoadListener(Struct):
    """Waits for several loads, and is called by the last of them."""

    missing: int
    listener: Callable[[], None]


class VariantStockStatistics(Struct, frozen=True):
    """Rows in memory, the pins that keep them there, and listeners that wait until they are loaded."""

    rows: int
    pins: int
    listeners: int


class VariantStock:
    """The activation of one variant: an actor for each row, by warehouse; some may be of rows yet to be made."""

    __slots__ = ("counted", "has_unmade_rows", "is_dropped", "key", "loaded", "moves", "pins", "rows", "waits")

    def __init__(self, key: VariantKey) -> None:
        self.key = key
        self.rows: dict[str, StockActor] = {}
        self.loaded: Reply[None] = Reply()
        self.waits: list[LoadListener] = []  # until then
        self.pins = 0
        self.moves = Moves()
        self.counted = 0  # rows, by the directory
        self.has_unmade_rows = False
        self.is_dropped = False
        """Whether a crash has dropped the activation: what it knows may be of the past."""

    def __repr__(self) -> str:
        return f"<VariantStock {self.key.organization_id}/{self.key.variant_id} rows={len(self.rows)} pins={self.pins}>"

    def statistics(self) -> VariantStockStatistics:
        return VariantStockStatistics(len(self.rows), self.pins, len(self.waits))

    @property
    def is_quiet(self) -> bool:
        return self.loaded.is_done and not self.pins and all(row.is_quiet for row in self.rows.values())

    def unpin(self) -> None:
        """One that pinned it does not need it any more."""
        self.pins -= 1
        if self.has_unmade_rows and not self.pins:
            self.drop_unmade_rows()

    def drop_unmade_rows(self) -> None:
        """Forget rows that were to be made and were not, and those whose deletion is durable.

        Nothing may be pinned. Readers see a deleted row until the database has lost it too.
        """
        self.rows = {
            warehouse_id: row
            for warehouse_id, row in self.rows.items()
            if row.state.record.exists or not row.state.is_quiet
        }
        self.has_unmade_rows = any(not row.state.record.exists for row in self.rows.values())

    @property
    def is_undecided(self) -> bool:
        """Whether some transaction holds something here, so that others may have to wait."""
        for row in self.rows.values():  # noqa: SIM110 - asked for every order; `any` takes twice as long
            if row.state.holds or not row.is_idle:
                return True
        return False

    def free(self) -> dict[str, int]:
        """Pieces by warehouse that no transaction holds, decided or not."""
        return {
            warehouse_id: row.state.record.available - row.state.held
            for warehouse_id, row in self.rows.items()
            if row.state.record.exists
        }

    def free_if_rivals_abort(self) -> dict[str, int]:
        """Pieces by warehouse that no decided transaction took."""
        return {
            warehouse_id: row.state.record.available
            for warehouse_id, row in self.rows.items()
            if row.state.record.exists
        }

    def free_durably(self) -> dict[str, int]:
        """Pieces by warehouse as the database has them."""
        return {
            warehouse_id: row.state.durable.available
            for warehouse_id, row in self.rows.items()
            if row.state.durable.exists
        }


class Pinned:
    """Keeps activations in memory for as long as a transaction or a read works with them."""

    __slots__ = ("_variants",)

    def __init__(self, variants: dict[str, VariantStock]) -> None:
        self._variants = variants

    def __repr__(self) -> str:
        return f"<Pinned {list(self._variants)}>"

    def __enter__(self) -> dict[str, VariantStock]:
        for variant in self._variants.values():
            variant.pins += 1
        return self._variants

    def __exit__(self, *_: object) -> None:
        for variant in self._variants.values():
            variant.pins -= 1
            if variant.has_unmade_rows and not variant.pins:
                variant.drop_unmade_rows()
