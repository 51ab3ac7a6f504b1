"""Fills, from the database, what makes work cheaper but nothing waits for: the filters of known keys, and the hints."""

from msgspec import Struct

from actors.records import OrderKey, RequestKey
from storage.store import Store
from supervisor.activations.bloom_filter import BloomFilter
from supervisor.background.expiry_hints import ExpiryHints

KEYS_A_PAGE = 1_000  # adding a page to a filter takes no longer than a call


class LearningStatistics(Struct, frozen=True):
    """Keys read so far."""

    orders: int
    requests: int


class Learning:
    """Runs once after a start, beside the calls."""

    def __init__(self, store: Store, orders: BloomFilter, requests: BloomFilter, hints: ExpiryHints) -> None:
        self._store = store
        self._orders = orders
        self._requests = requests
        self._hints = hints
        self._orders_read = self._requests_read = 0

    def __repr__(self) -> str:
        return f"<Learning orders={self._orders!r} requests={self._requests!r}>"

    def statistics(self) -> LearningStatistics:
        return LearningStatistics(self._orders_read, self._requests_read)

    async def run(self) -> None:
        """Read all keys, page by page.

        Raises:
            StorageError: a read failed.
        """
        order: OrderKey | None = None
        while orders := await self._store.orders_after(order, KEYS_A_PAGE):
            for order in orders:
                self._orders.add(order)
            self._orders_read += len(orders)
        self._orders.is_filled = True
        request: RequestKey | None = None
        while requests := await self._store.requests_after(request, KEYS_A_PAGE):
            for request in requests:
                self._requests.add(request)
            self._requests_read += len(requests)
        self._requests.is_filled = True
        self._hints.learn(await self._store.active_reservations(KEYS_A_PAGE))
