"""What callers ask without changing anything, answered from durable state."""

from collections.abc import Callable, Mapping, Sequence

from actors.commands import Line
from actors.planner import place
from actors.records import ReservationState, StockKey
from actors.views import Availability, BasketCheck, ReservationPage, StockPage, StockView
from storage.store import Store
from supervisor.activations.stock_directory import StockDirectory, VariantStock
from supervisor.activations.store_reader import Reader
from supervisor.ownership.lease import Lease
from supervisor.transactions.journal import storage_down


class Views:
    """Answers questions. Every method raises Unavailable if storage failed or the incarnation is ending.

    Args:
        store: what lists are read from.
        reader: reads them.
        stock: the rows in memory.
        lease: says when answers from memory may be given.
        is_over: whether the incarnation is ending or has ended.
    """

    def __init__(
        self, store: Store, reader: Reader, stock: StockDirectory, lease: Lease, is_over: Callable[[], bool]
    ) -> None:
        self._store = store
        self._reader = reader
        self._stock = stock
        self._lease = lease
        self._is_over = is_over

    def check_at_once(self, organization_id: str, lines: Sequence[Line]) -> BasketCheck | None:
        """The dry run, if the rows are in memory and may be told of now; otherwise None."""
        if self._is_over():
            raise storage_down()
        variants = self._stock.ready(organization_id, dict.fromkeys([line.variant_id for line in lines]))
        if variants is None or not self._lease.holds:
            return None
        return _basket_check(lines, variants)

    async def check(self, organization_id: str, lines: Sequence[Line]) -> BasketCheck:
        """A dry run of a basket on durable state. Cancelling it changes nothing."""
        check = self.check_at_once(organization_id, lines)
        if check is None:
            variant_ids = dict.fromkeys([line.variant_id for line in lines])
            with await self._stock.pinned(organization_id, variant_ids) as variants:
                check = _basket_check(lines, variants)
            await self._lease.hold()
        return check

    async def stock_info(self, organization_id: str, variant_id: str, warehouse_id: str) -> list[StockView]:
        """A variant's durable rows by warehouse id; an empty warehouse means all. Cancelling it changes nothing."""
        if self._is_over():
            raise storage_down()
        with await self._stock.pinned(organization_id, (variant_id,)) as variants:
            rows = variants[variant_id].rows
            views = [
                StockView(record, self._stock.name_of(record.key))
                for key in sorted(rows)
                if (record := rows[key].state.durable).exists and warehouse_id in ("", key)
            ]
        await self._lease.hold()
        return views

    async def list_stock(
        self, organization_id: str, *, variant_id: str, warehouse_id: str, after: StockKey | None, limit: int
    ) -> StockPage:
        """A page of an organization's rows in key order. Cancelling it changes nothing."""
        records = await self._reader.published(
            self._store.list_stock(
                organization_id, variant_id=variant_id, warehouse_id=warehouse_id, after=after, limit=limit + 1
            )
        )
        await self._lease.hold()
        page = records[:limit]
        views = tuple([StockView(record, self._stock.name_of(record.key)) for record in page])
        return StockPage(views, page[-1].key if len(records) > limit else None)

    async def list_reservations(
        self, organization_id: str, *, state: ReservationState | None, order_id: str, before: str, limit: int
    ) -> ReservationPage:
        """A page of an organization's reservations, newest first. Cancelling it changes nothing."""
        reservations = await self._reader.published(
            self._store.list_reservations(
                organization_id, state=state, order_id=order_id, before=before, limit=limit + 1
            )
        )
        await self._lease.hold()
        page = tuple(reservations[:limit])
        return ReservationPage(page, page[-1].reservation_id if len(reservations) > limit else "")


def _basket_check(lines: Sequence[Line], variants: Mapping[str, VariantStock]) -> BasketCheck:
    free = {variant_id: variant.free_durably() for variant_id, variant in variants.items()}
    placements = place(lines, free)
    return BasketCheck(
        all(placement.fits for placement in placements),
        tuple(
            [
                Availability(
                    line.variant_id,
                    placement.warehouse_id if placement.found else "",
                    line.quantity,
                    placement.available,
                    placement.found,
                    placement.fits,
                )
                for line, placement in zip(lines, placements, strict=True)
            ]
        ),
    )
